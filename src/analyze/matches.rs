//! How does each candidate token match the original's vocabulary? Exact bytes first, then the near misses that a
//! person would want to know of.

use super::tokenizer::TokenizerFile;
use crate::domain::profile::Match;
use crate::domain::vocabulary::{TokenKind, Vocabulary};
use rayon::prelude::*;
use std::collections::HashSet;
use unicode_normalization::UnicodeNormalization;

/// The class of every candidate id; `None` for a hole.
pub(super) fn classes(source: &TokenizerFile, candidate: &TokenizerFile) -> Vec<Option<Match>> {
    let near = Near::of(&source.vocabulary);
    (0..candidate.vocabulary.rows() as u32)
        .into_par_iter()
        .map(|id| {
            let token = candidate.vocabulary.get(id)?;
            Some(match token.kind {
                TokenKind::Special => Match::Special,
                TokenKind::Byte => Match::Byte,
                TokenKind::Text => near.class(&source.vocabulary, &token.bytes),
            })
        })
        .collect()
}

/// The original's tokens under the equalities that are weaker than bytes.
struct Near {
    lower: HashSet<String>,
    normal: HashSet<String>,
}

impl Near {
    fn of(vocabulary: &Vocabulary) -> Self {
        let texts: Vec<&str> = vocabulary
            .iter()
            .filter(|(_, t)| t.kind == TokenKind::Text)
            .filter_map(|(_, t)| std::str::from_utf8(&t.bytes).ok())
            .collect();
        let (lower, normal) = rayon::join(
            || texts.par_iter().map(|t| t.to_lowercase()).collect(),
            || texts.par_iter().map(|t| t.nfkc().collect()).collect(),
        );
        Self { lower, normal }
    }

    /// The first class that fits a token that stands for `bytes`.
    fn class(&self, vocabulary: &Vocabulary, bytes: &[u8]) -> Match {
        if vocabulary.by_bytes(bytes).is_some() {
            return Match::Exact;
        }
        let other_space = match bytes.strip_prefix(b" ") {
            Some(rest) => vocabulary.by_bytes(rest),
            None => vocabulary.by_bytes(&[b" ", bytes].concat()),
        };
        if other_space.is_some() && bytes != b" " {
            return Match::Space;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Match::None };
        let normal: String = text.nfkc().collect();
        if self.lower.contains(&text.to_lowercase()) {
            Match::Case
        } else if self.normal.contains(&normal) {
            Match::Normal
        } else if is_number(text) && text.trim_start().bytes().all(|d| vocabulary.by_bytes(&[d]).is_some()) {
            Match::Digits
        } else {
            Match::None
        }
    }
}

/// Whether a token is a number of several ASCII digits, a leading space apart.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(' ').unwrap_or(text);
    digits.len() > 1 && digits.bytes().all(|b| b.is_ascii_digit())
}
