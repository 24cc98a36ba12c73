//! How does each candidate token match the original's vocabulary? Exact bytes first, then the near misses that a
//! person would want to know of.

use crate::domain::profile::Match;
use crate::domain::vocabulary::{TokenKind, Vocabulary};
use crate::tokenizer::TokenizerFile;
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use unicode_normalization::UnicodeNormalization;

/// How a candidate token matches, and the original's token that it matches most closely; a number that is written digit
/// by digit and a control token have none here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matched {
    pub class: Match,
    pub with: Option<u32>,
}

/// The class of every candidate id, the first that fits; `None` for a hole.
pub(super) fn classes(source: &TokenizerFile, candidate: &TokenizerFile) -> Vec<Option<Matched>> {
    let (original, vocabulary) = (&source.vocabulary, &candidate.vocabulary);
    let mut found: Vec<Option<Matched>> = (0..vocabulary.rows() as u32)
        .into_par_iter()
        .map(|id| {
            let token = vocabulary.get(id)?;
            Some(match token.kind {
                TokenKind::Special => Matched { class: Match::Special, with: None },
                TokenKind::Byte => Matched { class: Match::Byte, with: original.by_bytes(&token.bytes) },
                TokenKind::Text => by_bytes(original, &token.bytes),
            })
        })
        .collect();
    let open: Vec<(u32, &str)> = (0..)
        .zip(&found)
        .filter(|(_, m)| m.is_some_and(|m| m.class == Match::None))
        .filter_map(|(id, _)| Some((id, std::str::from_utf8(&vocabulary.get(id)?.bytes).ok()?)))
        .collect();
    let (lower, normal) =
        rayon::join(|| alike(original, &open, str::to_lowercase), || alike(original, &open, compatible));
    for (((id, text), lower), normal) in open.iter().zip(lower).zip(normal) {
        let matched = match (lower, normal) {
            (Some(with), _) => Matched { class: Match::Case, with: Some(with) },
            (None, Some(with)) => Matched { class: Match::Normal, with: Some(with) },
            (None, None) if is_spelled(original, text) => Matched { class: Match::Digits, with: None },
            (None, None) => continue,
        };
        if let Some(place) = found.get_mut(*id as usize) {
            *place = Some(matched);
        }
    }
    found
}

/// The class of a token that stands for `bytes`, as far as bytes tell.
fn by_bytes(original: &Vocabulary, bytes: &[u8]) -> Matched {
    if let Some(id) = original.by_bytes(bytes) {
        return Matched { class: Match::Exact, with: Some(id) };
    }
    let other_space = match bytes.strip_prefix(b" ") {
        Some(rest) => original.by_bytes(rest),
        None => original.by_bytes(&[b" ", bytes].concat()),
    };
    match other_space.filter(|_| bytes != b" ") {
        Some(id) => Matched { class: Match::Space, with: Some(id) },
        None => Matched { class: Match::None, with: None },
    }
}

/// For every text the original's token of lowest id that has the same form.
fn alike(original: &Vocabulary, texts: &[(u32, &str)], form: fn(&str) -> String) -> Vec<Option<u32>> {
    let mut slots: HashMap<String, usize> = HashMap::with_capacity(texts.len());
    let slot_of: Vec<usize> = texts
        .iter()
        .map(|(_, text)| {
            let next = slots.len();
            *slots.entry(form(text)).or_insert(next)
        })
        .collect();
    let lowest: Vec<AtomicU32> = slots.iter().map(|_| AtomicU32::new(u32::MAX)).collect();
    (0..original.rows() as u32).into_par_iter().for_each(|id| {
        let Some(token) = original.get(id).filter(|t| t.kind == TokenKind::Text) else { return };
        let Ok(text) = std::str::from_utf8(&token.bytes) else { return };
        if let Some(place) = slots.get(&form(text)).and_then(|slot| lowest.get(*slot)) {
            place.fetch_min(id, Ordering::Relaxed);
        }
    });
    let known = |slot: usize| lowest.get(slot).map(|id| id.load(Ordering::Relaxed)).filter(|id| *id != u32::MAX);
    slot_of.into_iter().map(known).collect()
}

/// A text in Unicode's form of compatibility; most is ASCII and stays as it is.
fn compatible(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfkc().collect() }
}

/// Whether a token is a number of several ASCII digits, a leading space apart, that the original has every digit of.
fn is_spelled(original: &Vocabulary, text: &str) -> bool {
    let digits = text.strip_prefix(' ').unwrap_or(text);
    digits.len() > 1 && digits.bytes().all(|b| b.is_ascii_digit() && original.by_bytes(&[b]).is_some())
}
