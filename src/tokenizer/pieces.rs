//! Which pieces does a text consist of when it is cut before its single spaces, and how often does each occur? What
//! a tokenizer makes of a piece is not known here.

use super::chunking::is_plain;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::hash::BuildHasher;

/// Bytes of distinct pieces that are held before they have to be counted out.
const MOST_HELD: usize = 64 << 20;

/// A piece of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// From the beginning of the document to the first cut.
    First(&'a str),
    /// After a cut; the space at the cut is left out.
    Inner(&'a str),
}

/// The pieces of a document, in order.
pub(crate) fn pieces(document: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut from = 0;
    let mut first = true;
    let mut cuts = memchr::memchr_iter(b' ', document.as_bytes()).filter(|at| is_cut(document, *at));
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let end = cuts.next();
        over = end.is_none();
        let piece = document.get(from..end.unwrap_or(document.len())).unwrap_or_default();
        from = end.map_or(document.len(), |at| at + 1);
        Some(if std::mem::take(&mut first) { Piece::First(piece) } else { Piece::Inner(piece) })
    })
}

/// Whether the space at `at` stands alone between two plain characters.
fn is_cut(document: &str, at: usize) -> bool {
    let bytes = document.as_bytes();
    let ascii = |at: Option<usize>| at.and_then(|at| bytes.get(at)).map(|b| (b.is_ascii(), b.is_ascii_graphic()));
    let before = match ascii(at.checked_sub(1)) {
        Some((true, graphic)) => graphic,
        Some((false, _)) => document.get(..at).and_then(|t| t.chars().next_back()).is_some_and(is_plain),
        None => false,
    };
    before
        && match ascii(Some(at + 1)) {
            Some((true, graphic)) => graphic,
            Some((false, _)) => document.get(at + 1..).and_then(|t| t.chars().next()).is_some_and(is_plain),
            None => false,
        }
}

/// A piece's name where its text need not be kept: 64 bits, so that even among ten million pieces the chance of any
/// two sharing one is below one in a hundred thousand.
pub(crate) fn fingerprint(piece: Piece<'_>) -> u64 {
    match piece {
        Piece::First(text) => FixedState::with_seed(1).hash_one(text),
        Piece::Inner(text) => FixedState::with_seed(2).hash_one(text),
    }
}

/// Distinct pieces with their occurrences.
#[derive(Default)]
pub(crate) struct Tally {
    first: HashMap<Box<str>, u64, FixedState>,
    inner: HashMap<Box<str>, u64, FixedState>,
    held: usize,
}

impl Tally {
    /// Counts the pieces of a document.
    pub fn add(&mut self, document: &str) {
        for piece in pieces(document) {
            self.count(piece);
        }
    }

    fn count(&mut self, piece: Piece<'_>) {
        let (map, text) = match piece {
            Piece::First(text) => (&mut self.first, text),
            Piece::Inner(text) => (&mut self.inner, text),
        };
        if let Some(n) = map.get_mut(text) {
            *n += 1;
        } else {
            self.held += text.len() + 32;
            map.insert(text.into(), 1);
        }
    }

    /// Counts the words of a document, as pieces after a cut.
    pub fn add_words(&mut self, document: &str) {
        for word in document.split_whitespace() {
            self.count(Piece::Inner(word));
        }
    }

    /// Whether so much is held that it should be counted out.
    pub fn is_full(&self) -> bool {
        self.held >= MOST_HELD
    }

    /// The counts of both.
    pub fn merge(self, other: Self) -> Self {
        let (mut large, small) = if self.held >= other.held { (self, other) } else { (other, self) };
        for (map, from) in [(&mut large.first, small.first), (&mut large.inner, small.inner)] {
            for (text, n) in from {
                let length = text.len();
                let entry = map.entry(text).or_insert(0);
                if *entry == 0 {
                    large.held += length + 32;
                }
                *entry += n;
            }
        }
        large
    }

    /// The distinct pieces with their occurrences.
    pub fn pieces(&self) -> Vec<(Piece<'_>, u64)> {
        let first = self.first.iter().map(|(t, n)| (Piece::First(t), *n));
        first.chain(self.inner.iter().map(|(t, n)| (Piece::Inner(t), *n))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(document: &str) -> Vec<&str> {
        pieces(document)
            .map(|p| match p {
                Piece::First(t) | Piece::Inner(t) => t,
            })
            .collect()
    }

    #[test]
    fn a_document_is_cut_at_single_spaces_between_plain_characters() {
        assert_eq!(cut("Ankara'dır, İzmir değil."), ["Ankara'dır,", "İzmir", "değil."]);
        assert_eq!(cut(" a  b c "), [" a  b", "c "]);
        assert_eq!(cut("a \u{301}b \u{200b}c \u{600} d"), ["a \u{301}b \u{200b}c \u{600} d"]);
        assert_eq!(cut("a\tb\nc d"), ["a\tb\nc", "d"]);
        assert_eq!(cut(""), [""]);
    }

    #[test]
    fn pieces_joined_by_spaces_are_the_document() {
        for document in ["bir iki  üç", " x ", "a b", "日本 語 x"] {
            assert_eq!(cut(document).join(" "), document);
        }
    }

    #[test]
    fn tallies_add_up_whichever_is_larger() {
        let tally = |d: &str| {
            let mut t = Tally::default();
            t.add(d);
            t
        };
        let merged = tally("a b b").merge(tally("b a c d e"));
        let mut counts = merged.pieces();
        counts.sort_by_key(|(p, _)| format!("{p:?}"));
        use Piece::{First, Inner};
        assert_eq!(
            counts,
            [
                (First("a"), 1),
                (First("b"), 1),
                (Inner("a"), 1),
                (Inner("b"), 2),
                (Inner("c"), 1),
                (Inner("d"), 1),
                (Inner("e"), 1)
            ]
        );
    }
}
