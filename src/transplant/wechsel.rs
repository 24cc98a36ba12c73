//! `wechsel`: the helper space of the new tokens (learnt from the new language) is turned onto that of the old ones
//! (learnt from the old language) by word pairs that mean the same; a new token's row is the mix of its ten nearest
//! old tokens' rows (Minixhofer 2022; their spaces are of words, ours of tokens).

use super::anchors::combine;
use super::error::TransplantError;
use super::space::AuxiliarySpace;
use super::table::dot;
use super::{InitContext, Initialiser};
use crate::domain::vocabulary::Origin;
use crate::tokenizer::Coder;
use faer::Mat;
use std::collections::HashMap;
use std::sync::Arc;

/// Answers for tokens the helper space knows.
pub struct Wechsel<'a> {
    source: AuxiliarySpace<'static>,
    candidate: Arc<AuxiliarySpace<'a>>,
    /// `[candidate dimensions, source dimensions]`, row-major: the turn.
    turn: Vec<f32>,
    /// Old tokens that have a vector.
    known: Vec<u32>,
}

/// Old tokens a new one is mixed from, and how sharply the nearer ones count.
const NEIGHBOURS: usize = 10;
const TEMPERATURE: f32 = 0.1;

impl<'a> Wechsel<'a> {
    /// Learns the turn from pairs of words, (old language, new language).
    ///
    /// # Errors
    /// Where a tokenizer fails, or no pair has vectors on both sides.
    pub fn learn(
        (source, source_coder): (AuxiliarySpace<'static>, &Coder),
        (candidate, candidate_coder): (Arc<AuxiliarySpace<'a>>, &Coder),
        pairs: &[(String, String)],
    ) -> Result<Self, TransplantError> {
        let (from, to) = (candidate.dimensions(), source.dimensions());
        // Sum over all pairs of new vector times old vector: its polar factor is the best turn (Schönemann 1966).
        let mut product = vec![0f32; from * to];
        let mut used = 0;
        for (old, new) in pairs {
            let (Some(old), Some(new)) = (word(&source, source_coder, old)?, word(&candidate, candidate_coder, new)?)
            else {
                continue;
            };
            used += 1;
            for (row, x) in product.chunks_mut(to).zip(&new) {
                row.iter_mut().zip(&old).for_each(|(p, y)| *p += x * y);
            }
        }
        let failed = |what: String| TransplantError::Data(format!("the helper spaces could not be aligned: {what}"));
        if used == 0 {
            return Err(failed("no word pair is known on both sides".into()));
        }
        let product = Mat::from_fn(from, to, |i, j| product[i * to + j]);
        let svd = product.thin_svd().map_err(|e| failed(format!("{e:?}")))?;
        let turn: Mat<f32> = svd.U() * svd.V().transpose();
        let turn = (0..from).flat_map(|i| (0..to).map(|j| turn[(i, j)]).collect::<Vec<_>>()).collect();
        let known = (0..source_coder.rows() as u32).filter(|id| source.has(*id)).collect();
        Ok(Self { source, candidate, turn, known })
    }
}

impl Initialiser for Wechsel<'_> {
    fn name(&self) -> &'static str {
        "wechsel"
    }

    fn fill(&self, ground: &InitContext<'_>, id: u32, _: &Origin, row: &mut [f32]) -> bool {
        let Some(vector) = self.candidate.get(id) else { return false };
        let mut turned = vec![0f32; self.source.dimensions()];
        for (part, x) in self.turn.chunks(turned.len()).zip(vector.iter()) {
            turned.iter_mut().zip(part).for_each(|(t, p)| *t += x * p);
        }
        let known = self.known.iter().filter(|old| (**old as usize) < ground.source().rows());
        let mut near: Vec<(f32, u32)> =
            known.filter_map(|old| Some((dot(&self.source.get(*old)?, &turned), *old))).collect();
        let by = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if near.len() > NEIGHBOURS {
            near.select_nth_unstable_by(NEIGHBOURS, by);
            near.truncate(NEIGHBOURS);
        }
        near.sort_by(by);
        let Some(best) = near.first().map(|n| n.0) else { return false };
        let weights: Vec<f32> = near.iter().map(|n| ((n.0 - best) / TEMPERATURE).exp()).collect();
        let total: f32 = weights.iter().sum();
        combine(ground.source(), near.iter().zip(weights).map(|(n, w)| (n.1, w / total)), row);
        true
    }
}

/// A word's vector: the mean of its tokens', as it stands after a space; `None` where none is known.
fn word(space: &AuxiliarySpace<'_>, coder: &Coder, word: &str) -> Result<Option<Vec<f32>>, TransplantError> {
    let ids = coder.encode_one(&format!(" {word}"))?.ids;
    let known: Vec<std::borrow::Cow<'_, [f32]>> = ids.iter().filter_map(|id| space.get(*id)).collect();
    let mut sum = vec![0f32; space.dimensions()];
    for vector in &known {
        sum.iter_mut().zip(vector.iter()).for_each(|(s, x)| *s += x / known.len() as f32);
    }
    Ok((!known.is_empty()).then_some(sum))
}

/// Words that translate each other, from lines that do: pairs that choose each other by the Dice coefficient of the
/// lines they stand in, seen together at least twice. (old, new), in the order of the old words.
pub fn dictionary<S: AsRef<str>>(lines: &[(S, S)]) -> Vec<(String, String)> {
    let words = |line: &str| -> Vec<String> {
        let clean = line.split_whitespace().map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()));
        let mut words: Vec<String> = clean.filter(|w| !w.is_empty()).map(str::to_owned).collect();
        words.sort_unstable();
        words.dedup();
        words
    };
    let (mut old, mut new): (HashMap<String, u32>, HashMap<String, u32>) = Default::default();
    let mut both: HashMap<(String, String), u32> = HashMap::new();
    for (a, b) in lines {
        let (a, b) = (words(a.as_ref()), words(b.as_ref()));
        a.iter().for_each(|w| *old.entry(w.clone()).or_default() += 1);
        b.iter().for_each(|w| *new.entry(w.clone()).or_default() += 1);
        for x in &a {
            b.iter().for_each(|y| *both.entry((x.clone(), y.clone())).or_default() += 1);
        }
    }
    let dice = |(x, y): &(String, String), n: u32| {
        let single = |words: &HashMap<String, u32>, w: &String| words.get(w).copied().unwrap_or(0);
        2.0 * f64::from(n) / f64::from(single(&old, x) + single(&new, y))
    };
    let mut pairs: Vec<(f64, (String, String))> =
        both.into_iter().filter(|(_, n)| *n >= 2).map(|(pair, n)| (dice(&pair, n), pair)).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let (mut taken_old, mut taken_new) = (std::collections::HashSet::new(), std::collections::HashSet::new());
    let mut found = Vec::new();
    for (strength, (x, y)) in pairs {
        // The first pair of a word is its best: only pairs that are the best of both are kept.
        let (first_x, first_y) = (taken_old.insert(x.clone()), taken_new.insert(y.clone()));
        if first_x && first_y && strength > 0.3 {
            found.push((x, y));
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::super::space::{SpaceConfig, tests::text};
    use super::*;
    use crate::domain::vocabulary::Mapping;
    use crate::model::Matrix;
    use crate::tokenizer::{BpeKind, coder_for_tests};
    use crate::transplant::{MatrixRole, rows};

    #[test]
    fn words_that_stand_in_the_same_lines_translate_each_other() {
        let lines = [("the cat", "bir kedi"), ("a cat", "o kedi"), ("the dog", "bir it"), ("a dog", "o it")];
        let pairs = dictionary(&lines);
        assert!(pairs.contains(&("cat".into(), "kedi".into())), "{pairs:?}");
        assert!(pairs.contains(&("dog".into(), "it".into())), "{pairs:?}");
    }

    #[test]
    fn a_token_of_another_language_takes_the_rows_of_its_translation() {
        let translate = |line: &str| line.split(' ').map(|w| format!("{w}x")).collect::<Vec<_>>().join(" ");
        let old_text = text();
        let new_text: Vec<String> = old_text.iter().map(|l| translate(l)).collect();
        let lines = |t: &[String]| t.to_vec();
        let coder = |t: &[String]| {
            let lines = lines(t);
            coder_for_tests(BpeKind::ByteLevel, &lines.iter().map(String::as_str).collect::<Vec<_>>(), 350)
        };
        let (old, new) = (coder(&old_text), coder(&new_text));
        let config = SpaceConfig { dimensions: 12, ..SpaceConfig::default() };
        let source = AuxiliarySpace::learn(&old, &old_text, &config).unwrap();
        let candidate = AuxiliarySpace::learn(&new, &new_text, &config).unwrap();
        let words =
            ["hungry", "eats", "food", "home", "took", "sharp", "drawer", "work", "dog", "cow", "axe", "pen", "the"];
        let pairs: Vec<(String, String)> = words.iter().map(|w| (w.to_string(), format!("{w}x"))).collect();
        let candidate = Arc::new(candidate);
        let wechsel = Wechsel::learn((source.clone(), &old), (candidate.clone(), &new), &pairs).unwrap();
        // One row a token, telling which it is.
        let mut matrix = Matrix::zeros(old.rows(), old.rows());
        (0..old.rows()).for_each(|i| matrix.row_mut(i)[i] = 1.0);
        let mapping = Mapping { origins: vec![Origin::Nothing; new.rows()] };
        let all: Vec<u32> = (0..old.rows() as u32).collect();
        let ground = InitContext::new(&matrix, &all, &mapping, MatrixRole::Input, 1).unwrap();
        let moved = rows(&ground, &[Box::new(wechsel)]);
        let id = |coder: &Coder, word: &str| *coder.encode_one(&format!(" {word}")).unwrap().ids.last().unwrap();
        let row = moved.matrix.row(id(&new, "catx") as usize);
        let weight = |word: &str| row[id(&old, word) as usize];
        let animals = weight("cat") + weight("dog") + weight("cow") + weight("fox");
        let tools = weight("saw") + weight("axe") + weight("pen") + weight("key");
        assert!(animals > 2.0 * tools, "a word that no pair names lands among its kind: {animals} {tools}");
        assert!(Wechsel::learn((source, &old), (candidate, &new), &[]).is_err());
    }
}
