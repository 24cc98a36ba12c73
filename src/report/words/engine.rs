//! How is a sentence that rules or a stage made in English said in another language? By looking it up whole, with
//! holes where something was filled in. A sentence that is not found is shown as it was said: better than a wrong one.

use super::Lang;

/// A sentence with holes, and the same in another language.
struct Pair {
    said: Vec<&'static str>,
    meant: Vec<&'static str>,
}

/// Sentences that stages and rules make, in one language.
pub(super) struct Engine {
    lang: Lang,
    pairs: Vec<Pair>,
}

const HOLE: &str = "{}";

impl Engine {
    pub(super) fn new(lang: Lang) -> Self {
        let file = match lang {
            Lang::En => "",
            Lang::Tr => include_str!("engine.tr.txt"),
        };
        let mut lines = file.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
        let mut pairs = Vec::new();
        while let (Some(said), Some(meant)) = (lines.next(), lines.next()) {
            let meant = meant.strip_prefix("= ").unwrap_or(meant);
            pairs.push(Pair { said: said.split(HOLE).collect(), meant: meant.split(HOLE).collect() });
        }
        // The more of a sentence is fixed the better it is known.
        pairs.sort_by_key(|p| std::cmp::Reverse(p.said.iter().map(|part| part.len()).sum::<usize>()));
        Self { lang, pairs }
    }

    /// The sentence in this language; what filled a hole is looked up too, and a number is written anew.
    pub(super) fn translate(&self, sentence: &str) -> String {
        let found = self.pairs.iter().find_map(|pair| Some((pair, filled(&pair.said, sentence)?)));
        let Some((pair, holes)) = found else { return self.number(sentence) };
        let mut out = String::new();
        let mut holes = holes.into_iter();
        for (i, part) in pair.meant.iter().enumerate() {
            if i > 0 {
                out.push_str(&self.translate(holes.next().unwrap_or_default()));
            }
            out.push_str(part);
        }
        out
    }

    fn number(&self, text: &str) -> String {
        if self.lang == Lang::Tr && text.parse::<f64>().is_ok() { text.replace('.', ",") } else { text.to_string() }
    }
}

/// What stands in the holes; `None` where the fixed parts do not fit. Each hole takes as little as it can, the last
/// one what is left, and none may be empty or all of it.
fn filled<'a>(parts: &[&str], sentence: &'a str) -> Option<Vec<&'a str>> {
    let (first, rest) = parts.split_first()?;
    let mut left = sentence.strip_prefix(first)?;
    let mut holes = Vec::with_capacity(rest.len());
    for (i, part) in rest.iter().enumerate() {
        let end = match i + 1 == rest.len() {
            true => left.strip_suffix(part)?.len(),
            false => left.find(part)?,
        };
        let hole = left.get(..end)?;
        if hole.is_empty() || hole == sentence {
            return None;
        }
        holes.push(hole);
        left = left.get(end + part.len()..)?;
    }
    left.is_empty().then_some(holes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(said: &str, meant: &str) {
        assert_eq!(Engine::new(Lang::Tr).translate(said), meant);
    }

    #[test]
    fn holes_are_filled_and_what_fills_them_is_translated_too() {
        check(
            "the matrix says sequential: enough is shared to carry the language over in stages",
            "matris sequential diyor: dili aşama aşama taşımaya yetecek kadar ortak dağarcık var",
        );
        check(
            "expected to save 0.101 bits per byte less than sequential",
            "bayt başına 0,101 bit daha az kazandırması bekleniyor; karşılaştırılan: sequential",
        );
        check(
            "the matrix says parallel: it may go either way, so a safe and a risky branch race; but this is \
             only 62% sure, so keep is taken as the safest feasible choice",
            "matris parallel diyor: iki yöne de gidebilir, bu yüzden güvenli ve riskli birer kol \
             yarışır; ama bundan yalnızca %62 emin olunabiliyor, bu yüzden uygulanabilir en güvenli yol olarak keep \
             seçildi",
        );
    }

    #[test]
    fn the_choice_of_a_branch_is_told_in_turkish() {
        check(
            "b wins: the candidate's loss 2.9482 is at most 1.2 x the safe branch's 6.2335",
            "kazanan b: adayın kaybı 2,9482, güvenli kola tanınan 1,2 kat payın içinde; güvenli kolun kaybı 6,2335",
        );
        check("a is what was trained; b failed", "eğitilen kol: a; başarısız olan: b");
    }

    #[test]
    fn a_sentence_that_is_not_known_is_left_as_it_is() {
        check("a rule of the user's own", "a rule of the user's own");
        assert_eq!(Engine::new(Lang::En).translate("0.5"), "0.5");
    }

    #[test]
    fn both_sides_of_a_pair_have_the_same_holes() {
        for pair in &Engine::new(Lang::Tr).pairs {
            assert_eq!(pair.said.len(), pair.meant.len(), "{:?}", pair.said);
        }
        let lines: Vec<&str> =
            include_str!("engine.tr.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
        for pair in lines.chunks(2) {
            assert!(!pair[0].starts_with("= ") && pair[1].starts_with("= "), "{pair:?}");
        }
    }

    #[test]
    fn every_row_of_the_rules_that_a_report_shows_is_known_in_turkish() {
        let engine = Engine::new(Lang::Tr);
        let rules = [
            include_str!("../../../rules/decision.toml"),
            include_str!("../../../rules/vetoes.toml"),
            include_str!("../../../rules/situations.toml"),
            include_str!("../../../rules/confidence.toml"),
            include_str!("../../../rules/expectations.toml"),
        ];
        let mut known = 0;
        for row in rules.iter().flat_map(|file| file.split("[[row]]").skip(1)) {
            let because = row.lines().find_map(|l| l.strip_prefix("because = \"")).expect("every row says why");
            let because = because.trim_end_matches('"');
            assert_ne!(engine.translate(because), because);
            known += 1;
        }
        assert!(known > 30, "{known}");
        let strategies = include_str!("../../../rules/strategies.toml");
        for needs in strategies.lines().filter_map(|l| l.strip_prefix("resources = \"")) {
            let needs = needs.trim_end_matches('"');
            // "1 GPU" reads the same in both languages.
            assert!(needs == "1 GPU" || engine.translate(needs) != needs, "{needs}");
        }
    }
}
