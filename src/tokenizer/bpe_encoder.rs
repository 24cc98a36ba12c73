//! Which tokens does a byte-pair model make of a word, and nothing besides? The same merges in the same order as the
//! library's own, without the strings, offsets and cache that counting has no use for. What stands outside words is not
//! known here.

use super::tokenizer_json::{ByText, Model};
use foldhash::fast::FixedState;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Characters with a place in a table of their own: the byte-level alphabet ends below.
const TABLE: usize = 0x180;
const NONE: u32 = u32::MAX;

/// The merges of a model, by pair of ids.
pub(crate) struct BpeEncoder {
    table: Vec<u32>,
    others: HashMap<char, u32, FixedState>,
    /// Rank and result by pair.
    pairs: HashMap<u64, (u32, u32), FixedState>,
}

/// A token of a word while it is merged; the neighbours by place.
#[derive(Clone, Copy)]
struct Symbol {
    id: u32,
    before: u32,
    after: u32,
    alive: bool,
}

fn pair(a: u32, b: u32) -> u64 {
    u64::from(a) << 32 | u64::from(b)
}

impl BpeEncoder {
    /// Of a model's lists; `None` where merging is not all that its model does to a word.
    pub fn of(model: &Model, by_text: &ByText<'_>, merges: &[(String, String)]) -> Option<Self> {
        let affixed = [&model.continuing_subword_prefix, &model.end_of_word_suffix];
        let plain = affixed.into_iter().flatten().all(String::is_empty)
            && model.dropout.is_none_or(|d| d == 0.0)
            && !model.ignore_merges.unwrap_or(false);
        if !plain {
            return None;
        }
        let found: Vec<(u64, u32)> = merges
            .par_iter()
            .map(|(a, b)| {
                let joint = [a.as_str(), b].concat();
                Some((pair(*by_text.get(a.as_str())?, *by_text.get(b.as_str())?), *by_text.get(joint.as_str())?))
            })
            .collect::<Option<_>>()?;
        // Of a pair that is listed twice the last counts, as in the library.
        let pairs = found.into_iter().enumerate().map(|(rank, (pair, id))| (pair, (rank as u32, id))).collect();
        let (mut table, mut others) = (vec![NONE; TABLE], HashMap::default());
        for (token, id) in by_text {
            let mut characters = token.chars();
            if let (Some(c), None) = (characters.next(), characters.next()) {
                match table.get_mut(c as usize) {
                    Some(place) => *place = *id,
                    None => _ = others.insert(c, *id),
                }
            }
        }
        Some(Self { table, others, pairs })
    }

    /// Appends the tokens of a word; `false`, and nothing appended, where a character of it is no token.
    pub fn tokenize(&self, word: &str, ids: &mut Vec<u32>) -> bool {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(word.len());
        for c in word.chars() {
            let id =
                self.table.get(c as usize).copied().unwrap_or_else(|| self.others.get(&c).copied().unwrap_or(NONE));
            if id == NONE {
                return false;
            }
            let at = symbols.len() as u32;
            symbols.push(Symbol { id, before: at.wrapping_sub(1), after: at + 1, alive: true });
        }
        self.merge(&mut symbols);
        ids.extend(symbols.iter().filter(|s| s.alive).map(|s| s.id));
        true
    }

    /// Merges the pair of the lowest rank, of equal ones the first, until there is none.
    fn merge(&self, symbols: &mut [Symbol]) {
        let end = symbols.len() as u32;
        let mut queue: BinaryHeap<Reverse<(u32, u32, u32)>> = symbols
            .windows(2)
            .enumerate()
            .filter_map(|(at, two)| match two {
                [a, b] => self.pairs.get(&pair(a.id, b.id)).map(|(rank, id)| Reverse((*rank, at as u32, *id))),
                _ => None,
            })
            .collect();
        while let Some(Reverse((_, at, id))) = queue.pop() {
            let Some(left) = symbols.get(at as usize).copied().filter(|s| s.alive && s.after < end) else { continue };
            let Some(right) = symbols.get(left.after as usize).copied() else { continue };
            // What stood here when the entry was made may have been merged away meanwhile.
            if self.pairs.get(&pair(left.id, right.id)).is_none_or(|(_, now)| *now != id) {
                continue;
            }
            if let Some(gone) = symbols.get_mut(left.after as usize) {
                gone.alive = false;
            }
            if let Some(joint) = symbols.get_mut(at as usize) {
                (joint.id, joint.after) = (id, right.after);
            }
            if let Some(next) = symbols.get_mut(right.after as usize) {
                next.before = at;
                let next = next.id;
                queue.extend(self.pairs.get(&pair(id, next)).map(|(rank, id)| Reverse((*rank, at, *id))));
            }
            if let Some(previous) = symbols.get(left.before as usize) {
                let before = left.before;
                queue.extend(self.pairs.get(&pair(previous.id, id)).map(|(rank, id)| Reverse((*rank, before, *id))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::tokenizer_json::by_text;
    use proptest::prelude::*;
    use tokenizers::Model as _;
    use tokenizers::models::bpe::BPE;

    type Lists = (Vec<(String, u32)>, Vec<(String, String)>);

    fn lists() -> Lists {
        let merges =
            [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc"), ("ş", "a"), ("c", "c"), ("abc", "abc"), ("cc", "a")];
        let merges: Vec<(String, String)> = merges.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
        let mut tokens: Vec<String> = ["a", "b", "c", "ş"].map(str::to_owned).to_vec();
        for (a, b) in &merges {
            let joint = format!("{a}{b}");
            if !tokens.contains(&joint) {
                tokens.push(joint);
            }
        }
        (tokens.into_iter().zip(0..).collect(), merges)
    }

    fn model(json: &str) -> Model {
        serde_json::from_str(json).unwrap()
    }

    proptest! {
        #[test]
        fn words_are_merged_as_the_library_merges_them(word in "[abcş]{0,40}") {
            let (ids, merges) = lists();
            let library = BPE::builder().vocab_and_merges(ids.iter().cloned().collect::<tokenizers::models::bpe::Vocab>(), merges.clone());
            let library = library.build().unwrap();
            let merger = BpeEncoder::of(&model("{}"), &by_text(&ids).unwrap(), &merges).unwrap();
            let mut found = Vec::new();
            prop_assert!(merger.tokenize(&word, &mut found));
            let expected: Vec<u32> = library.tokenize(&word).unwrap().iter().map(|t| t.id).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_character_that_is_no_token_and_a_model_that_does_more_are_left_to_the_library() {
        let (ids, merges) = lists();
        let mut found = Vec::new();
        assert!(!BpeEncoder::of(&model("{}"), &by_text(&ids).unwrap(), &merges).unwrap().tokenize("abxc", &mut found));
        assert!(found.is_empty());
        for more in [r#"{"dropout": 0.1}"#, r#"{"ignore_merges": true}"#, r#"{"end_of_word_suffix": "</w>"}"#] {
            assert!(BpeEncoder::of(&model(more), &by_text(&ids).unwrap(), &merges).is_none(), "{more}");
        }
    }
}
