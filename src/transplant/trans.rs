//! `trans`: a new token's row is the mix of the rows of the old tokens that translate it, by how probably they do
//! (Remy 2024). The probabilities come from parallel text, cut into tokens by both tokenizers and aligned by IBM's first
//! model (Brown 1993): every old token of a line comes from one new token of it, or from none, and which ones go together
//! is found by expectation and maximisation.

use super::anchors::combine;
use super::error::TransplantError;
use super::{InitContext, Initialiser};
use crate::domain::vocabulary::Origin;
use crate::tokenizer::Coder;
use std::collections::HashMap;

/// Answers for tokens the parallel text uses.
pub struct Trans {
    /// By new token: old tokens and how probably they translate it; the probabilities sum to 1.
    by_token: HashMap<u32, Vec<(u32, f32)>>,
}

/// Rounds of expectation and maximisation.
const ROUNDS: usize = 8;
/// Lines a new token must stand in: one line alone does not say which of its tokens belong together.
const LEAST: u32 = 2;
/// Translations less probable than this are left out.
const FAINT: f64 = 0.01;
/// What old tokens come from that no new token explains.
const NOTHING: u32 = u32::MAX;

impl Trans {
    /// Aligns lines that translate each other, (old language, new language).
    ///
    /// # Errors
    /// Where a tokenizer fails, or no new token stands in two lines.
    pub fn learn(source: &Coder, candidate: &Coder, lines: &[(String, String)]) -> Result<Self, TransplantError> {
        let cut = |coder: &Coder, side: fn(&(String, String)) -> &str| -> Result<Vec<Vec<u32>>, TransplantError> {
            let texts: Vec<&str> = lines.iter().map(side).collect();
            Ok(coder.encode(&texts)?.into_iter().map(|e| e.ids).collect())
        };
        let (old, mut new) = (cut(source, |l| &l.0)?, cut(candidate, |l| &l.1)?);
        let mut seen: HashMap<u32, u32> = HashMap::new();
        for line in &mut new {
            line.sort_unstable();
            line.dedup();
            line.iter().for_each(|id| *seen.entry(*id).or_default() += 1);
            line.push(NOTHING);
        }
        // Pairs that stand in a line together have a place each; a line knows the places of its pairs, old token by old token.
        let mut places: HashMap<(u32, u32), usize, foldhash::fast::FixedState> = HashMap::default();
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        let mut lines: Vec<Vec<usize>> = Vec::with_capacity(new.len());
        for (old, new) in old.iter().zip(&new) {
            let place = |o: u32, n: u32| {
                *places.entry((n, o)).or_insert_with(|| {
                    pairs.push((n, o));
                    pairs.len() - 1
                })
            };
            let mut place = place;
            lines.push(old.iter().flat_map(|o| new.iter().map(|n| (*o, *n))).map(|(o, n)| place(o, n)).collect());
        }
        drop(places);
        let mut chances = vec![1f64; pairs.len()];
        for _ in 0..ROUNDS {
            let mut counts = vec![0f64; pairs.len()];
            for (places, new) in lines.iter().zip(&new) {
                for places in places.chunks(new.len()) {
                    let all: f64 = places.iter().map(|p| chances[*p]).sum();
                    places.iter().for_each(|p| counts[*p] += chances[*p] / all);
                }
            }
            let mut totals: HashMap<u32, f64> = HashMap::new();
            pairs.iter().zip(&counts).for_each(|((n, _), c)| *totals.entry(*n).or_default() += c);
            let share = |((n, _), c): (&(u32, u32), f64)| totals.get(n).map_or(0.0, |all| c / all);
            chances = pairs.iter().zip(counts).map(share).collect();
        }
        let mut by_token: HashMap<u32, Vec<(u32, f32)>> = HashMap::new();
        for ((n, o), chance) in pairs.into_iter().zip(chances) {
            if chance >= FAINT && seen.get(&n).is_some_and(|lines| *lines >= LEAST) {
                by_token.entry(n).or_default().push((o, chance as f32));
            }
        }
        if by_token.is_empty() {
            return Err(TransplantError::Data(
                "the parallel text is too small: no token stands in two lines of it".into(),
            ));
        }
        for translations in by_token.values_mut() {
            let all: f32 = translations.iter().map(|t| t.1).sum();
            translations.iter_mut().for_each(|t| t.1 /= all);
        }
        Ok(Self { by_token })
    }
}

impl Initialiser for Trans {
    fn name(&self) -> &'static str {
        "trans"
    }

    fn fill(&self, ground: &InitContext<'_>, id: u32, _: &Origin, row: &mut [f32]) -> bool {
        let Some(translations) = self.by_token.get(&id) else { return false };
        if translations.iter().any(|(old, _)| *old as usize >= ground.source().rows()) {
            return false;
        }
        combine(ground.source(), translations.iter().copied(), row);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::space::tests::text;
    use super::*;
    use crate::tokenizer::{BpeKind, coder_for_tests};

    #[test]
    fn a_token_is_mostly_what_its_translation_is() {
        // Every word with an x behind it, and the words of a line turned round.
        let line = |line: &String| {
            let words = line.split(' ').rev().map(|w| format!("{w}x")).collect::<Vec<_>>().join(" ");
            (line.clone(), words)
        };
        let lines: Vec<(String, String)> = text()[..200].iter().map(line).collect();
        let coder = |side: fn(&(String, String)) -> &String| {
            coder_for_tests(BpeKind::ByteLevel, &lines.iter().map(|l| side(l).as_str()).collect::<Vec<_>>(), 350)
        };
        let (old, new) = (coder(|l| &l.0), coder(|l| &l.1));
        let trans = Trans::learn(&old, &new, &lines).unwrap();
        let id = |coder: &Coder, word: &str| *coder.encode_one(&format!(" {word}")).unwrap().ids.last().unwrap();
        for word in ["cat", "saw", "near"] {
            let found = &trans.by_token[&id(&new, &format!("{word}x"))];
            let own = found.iter().find(|t| t.0 == id(&old, word)).map_or(0.0, |t| t.1);
            assert!(own > 0.5, "{word}: {found:?}");
            assert!((found.iter().map(|t| t.1).sum::<f32>() - 1.0).abs() < 1e-5);
        }
        assert!(Trans::learn(&old, &new, &lines[..1]).is_err());
    }
}
