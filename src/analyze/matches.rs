//! How does each candidate token match the original's vocabulary? Exact bytes first, then the near misses that a
//! person would want to know of.

use super::tokenizer::TokenizerFile;
use crate::domain::profile::Match;
use crate::domain::vocabulary::{TokenKind, Vocabulary};
use rayon::prelude::*;
use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;

/// How a candidate token matches, and the original's token that it matches most closely; a number that is written digit
/// by digit and a control token have none here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matched {
    pub class: Match,
    pub with: Option<u32>,
}

/// The class of every candidate id; `None` for a hole.
pub(super) fn classes(source: &TokenizerFile, candidate: &TokenizerFile) -> Vec<Option<Matched>> {
    let near = Near::of(&source.vocabulary);
    (0..candidate.vocabulary.rows() as u32)
        .into_par_iter()
        .map(|id| {
            let token = candidate.vocabulary.get(id)?;
            Some(match token.kind {
                TokenKind::Special => Matched { class: Match::Special, with: None },
                TokenKind::Byte => Matched { class: Match::Byte, with: source.vocabulary.by_bytes(&token.bytes) },
                TokenKind::Text => near.class(&source.vocabulary, &token.bytes),
            })
        })
        .collect()
}

/// The original's tokens under the equalities that are weaker than bytes; of equal ones the lowest id.
struct Near {
    lower: HashMap<String, u32>,
    normal: HashMap<String, u32>,
}

impl Near {
    fn of(vocabulary: &Vocabulary) -> Self {
        let texts: Vec<(u32, &str)> = vocabulary
            .iter()
            .filter(|(_, t)| t.kind == TokenKind::Text)
            .filter_map(|(id, t)| Some((id, std::str::from_utf8(&t.bytes).ok()?)))
            .collect();
        let first = |form: fn(&str) -> String| {
            let mut found = HashMap::with_capacity(texts.len());
            for (id, text) in &texts {
                found.entry(form(text)).or_insert(*id);
            }
            found
        };
        let (lower, normal) = rayon::join(|| first(str::to_lowercase), || first(compatible));
        Self { lower, normal }
    }

    /// The first class that fits a token that stands for `bytes`.
    fn class(&self, vocabulary: &Vocabulary, bytes: &[u8]) -> Matched {
        let matched = |class, with| Matched { class, with };
        if let Some(id) = vocabulary.by_bytes(bytes) {
            return matched(Match::Exact, Some(id));
        }
        let other_space = match bytes.strip_prefix(b" ") {
            Some(rest) => vocabulary.by_bytes(rest),
            None => vocabulary.by_bytes(&[b" ", bytes].concat()),
        };
        if other_space.is_some() && bytes != b" " {
            return matched(Match::Space, other_space);
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return matched(Match::None, None) };
        if let Some(id) = self.lower.get(&text.to_lowercase()) {
            matched(Match::Case, Some(*id))
        } else if let Some(id) = self.normal.get(&compatible(text)) {
            matched(Match::Normal, Some(*id))
        } else if is_number(text) && text.trim_start().bytes().all(|d| vocabulary.by_bytes(&[d]).is_some()) {
            matched(Match::Digits, None)
        } else {
            matched(Match::None, None)
        }
    }
}

/// A text in Unicode's form of compatibility; most is ASCII and stays as it is.
fn compatible(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfkc().collect() }
}

/// Whether a token is a number of several ASCII digits, a leading space apart.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(' ').unwrap_or(text);
    digits.len() > 1 && digits.bytes().all(|b| b.is_ascii_digit())
}
