//! How often does each tokenizer use each of its tokens on a text, what does it lose, and does the text come back?
//! What the numbers mean is not known here.
//!
//! Where [`Cut`](crate::tokenizer::chunking::Cut) proves that a text may be cut, each distinct piece is encoded once and counted as
//! often as it occurs; a document that holds an added token which reaches over a cut, and every document of a
//! tokenizer without the proof, is encoded whole. Both ways give the same numbers.

use super::error::AnalyzeError;
use crate::corpus::{Block, Corpus, CorpusError};
use crate::domain::event::{Event, Observer};
use crate::domain::metric::Pair;
use crate::domain::outcome::Side;
use crate::tokenizer::TokenizerFile;
use crate::tokenizer::encoder::{Encoder, Tokens};
use crate::tokenizer::pieces::{Piece, Tally, fingerprint, pieces};
use foldhash::fast::FixedState;
use rayon::prelude::*;
use std::collections::HashSet;

/// What was counted on a corpus.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Documents that are not blank.
    pub documents: u64,
    /// UTF-8 bytes of the documents.
    pub bytes: u64,
    /// Whitespace-separated words.
    pub words: u64,
    pub source: SideCounts,
    pub candidate: SideCounts,
    /// What was seen of single words, for both sides.
    pub seen: BothSides<Seen>,
}

/// What was seen of the pieces of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Occurrences of words.
    pub words: u64,
    /// Those written as one token.
    pub whole: u64,
    /// The most frequent piece with an unknown token.
    pub unknown: Example,
    /// The most frequent pieces that do not come back, in order.
    pub lossy: Vec<(u64, String)>,
    /// The most frequent word with three digits or more in a row.
    pub number: Example,

    /// The most frequent word whose suffix after an apostrophe begins like an English contraction.
    pub apostrophe: Example,
}

/// Lossy pieces that are kept.
const MOST_LOSSY: usize = 64;

/// What follows an apostrophe in English, as the usual pre-tokenizers cut it.
pub(super) const CONTRACTIONS: [&str; 7] = ["re", "ve", "ll", "s", "t", "m", "d"];

/// The most frequent of its kind, with its occurrences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Example(pub Option<(u64, String)>);

impl Example {
    /// Keeps the more frequent; of equals, the first in order of text.
    fn offer(&mut self, times: u64, text: &str) {
        let better = |(n, t): &(u64, String)| times > *n || times == *n && text < t.as_str();
        if self.0.as_ref().is_none_or(better) {
            self.0 = Some((times, text.chars().take(60).collect()));
        }
    }

    fn merge(&mut self, other: Self) {
        if let Some((times, text)) = other.0 {
            self.offer(times, &text);
        }
    }
}

impl Seen {
    fn merge(&mut self, other: Self) {
        self.words += other.words;
        self.whole += other.whole;
        self.unknown.merge(other.unknown);
        self.lossy.extend(other.lossy);
        self.trim();
        self.number.merge(other.number);
        self.apostrophe.merge(other.apostrophe);
    }

    /// Keeps the most frequent lossy pieces; of equals, the first in order of text.
    fn trim(&mut self) {
        self.lossy.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        self.lossy.dedup();
        self.lossy.truncate(MOST_LOSSY);
    }

    fn add(&mut self, text: &str, tokens: &Tokens, times: u64) {
        if tokens.unknown > 0 {
            self.unknown.offer(times, text);
        }
        if !tokens.comes_back {
            self.lossy.push((times, text.chars().take(60).collect()));
            if self.lossy.len() > 4 * MOST_LOSSY {
                self.trim();
            }
        }
        if !text.contains(char::is_whitespace) {
            self.words += times;
            self.whole += if tokens.ids.len() == 1 { times } else { 0 };
            let (before, suffix) = text.split_once('\'').unwrap_or_default();
            let contraction = CONTRACTIONS.iter().find_map(|c| suffix.strip_prefix(c));
            let goes_on = contraction.is_some_and(|rest| rest.starts_with(char::is_alphabetic));
            if goes_on && before.ends_with(char::is_alphabetic) {
                self.apostrophe.offer(times, text);
            }
            if text.as_bytes().windows(3).any(|w| w.iter().all(u8::is_ascii_digit)) {
                self.number.offer(times, text);
            }
        }
    }
}

/// What was counted for one tokenizer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SideCounts {
    /// Occurrences by token id.
    pub by_id: Vec<u64>,
    /// Tokens in all; no special token is added.
    pub tokens: u64,
    /// Unknown tokens among them.
    pub unknown: u64,
    /// UTF-8 bytes of the text that unknown tokens swallow.
    pub unknown_bytes: u64,
    /// Documents that decode to themselves, but for a space that the tokenizer sets before every text.
    pub round_trips: u64,
}

impl Counts {
    /// Both sides.
    pub fn sides(&self) -> Pair<&SideCounts> {
        Pair { source: &self.source, candidate: &self.candidate }
    }

    fn merge(mut self, other: Self) -> Self {
        self.documents += other.documents;
        self.bytes += other.bytes;
        self.words += other.words;
        self.source.merge(other.source);
        self.candidate.merge(other.candidate);
        self.seen.source.merge(other.seen.source);
        self.seen.candidate.merge(other.seen.candidate);
        self
    }
}

impl SideCounts {
    fn merge(&mut self, other: Self) {
        if self.by_id.len() < other.by_id.len() {
            self.by_id.resize(other.by_id.len(), 0);
        }
        for (sum, n) in self.by_id.iter_mut().zip(&other.by_id) {
            *sum += n;
        }
        self.tokens += other.tokens;
        self.unknown += other.unknown;
        self.unknown_bytes += other.unknown_bytes;
        self.round_trips += other.round_trips;
    }

    #[cfg(test)]
    pub fn merged(mut self, other: Self) -> Self {
        self.merge(other);
        self
    }

    /// Counts the tokens of a text that occurs `times`.
    fn add(&mut self, tokens: &Tokens, times: u64) {
        for id in &tokens.ids {
            let at = *id as usize;
            if at >= self.by_id.len() {
                self.by_id.resize(at + 1, 0);
            }
            if let Some(n) = self.by_id.get_mut(at) {
                *n += times;
            }
        }
        self.tokens += times * tokens.ids.len() as u64;
        self.unknown += times * tokens.unknown;
        self.unknown_bytes += times * tokens.unknown_bytes;
    }
}

/// Fingerprints of the pieces that do not come back.
type Lossy = HashSet<u64, FixedState>;

/// One of each for both tokenizers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BothSides<T> {
    pub source: T,
    pub candidate: T,
}

/// What a worker has counted so far.
#[derive(Default)]
struct Partial {
    counts: Counts,
    /// Pieces of documents that both tokenizers take in pieces, that only the original does, that only the candidate
    /// does.
    tallies: [Tally; 3],
    /// Words of documents that the original, and that the candidate takes whole.
    words: [Tally; 2],
    lossy: [Lossy; 2],
}

impl Partial {
    fn merge(self, other: Self) -> Self {
        let [a, b, c] = self.tallies;
        let [d, e, f] = other.tallies;
        let ([g, h], [i, j]) = (self.words, other.words);
        let (mut lossy, more) = (self.lossy, other.lossy);
        for (all, new) in lossy.iter_mut().zip(more) {
            all.extend(new);
        }
        Self {
            counts: self.counts.merge(other.counts),
            tallies: [a.merge(d), b.merge(e), c.merge(f)],
            words: [g.merge(i), h.merge(j)],
            lossy,
        }
    }
}

/// Why a counting ended early.
enum Trouble {
    /// A piece showed that a text may not be cut after all for this side.
    Uncuttable(Side),
    Error(AnalyzeError),
}

impl<E: Into<AnalyzeError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// Counts both tokenizers on a corpus.
///
/// # Errors
/// [`AnalyzeError`] when the corpus cannot be read or a tokenizer refuses a text.
pub(super) fn count(
    source: &TokenizerFile,
    candidate: &TokenizerFile,
    corpus: &Corpus,
    observer: &mut dyn Observer,
) -> Result<Counts, AnalyzeError> {
    let mut counting = Counting { source: Encoder::new(source), candidate: Encoder::new(candidate) };
    loop {
        match counting.run(corpus, observer) {
            Ok(counts) => return Ok(counts),
            Err(Trouble::Error(error)) => return Err(error),
            Err(Trouble::Uncuttable(Side::Source)) => counting.source.encode_whole(),
            Err(Trouble::Uncuttable(Side::Candidate)) => counting.candidate.encode_whole(),
        }
    }
}

/// A counting under way.
struct Counting<'a> {
    source: Encoder<'a>,
    candidate: Encoder<'a>,
}

impl Counting<'_> {
    fn run(&self, corpus: &Corpus, observer: &mut dyn Observer) -> Result<Counts, Trouble> {
        let mut total = watched(corpus, "read", observer)
            .par_bridge()
            .try_fold(Partial::default, |mut partial, block| {
                for document in block?.documents() {
                    self.document(&mut partial, document)?;
                }
                if partial.tallies.iter().chain(&partial.words).any(Tally::is_full) {
                    self.count_out(&mut partial)?;
                }
                Ok::<_, Trouble>(partial)
            })
            .try_reduce(Partial::default, |a, b| Ok(a.merge(b)))?;
        observer.observe(&Event::Finished { name: "read".into() });
        self.count_out(&mut total)?;
        if total.lossy.iter().any(|l| !l.is_empty()) {
            let [source, candidate] = self.lost(corpus, observer, &total.lossy)?;
            total.counts.source.round_trips -= source;
            total.counts.candidate.round_trips -= candidate;
        }
        Ok(total.counts)
    }

    /// Counts a document: whole for a side that needs it, in pieces for the other.
    fn document(&self, partial: &mut Partial, document: &str) -> Result<(), Trouble> {
        let counts = &mut partial.counts;
        counts.documents += 1;
        counts.bytes += document.len() as u64;
        let mut whole = [false; 2];
        for ((side, sum), whole) in
            [(&self.source, &mut counts.source), (&self.candidate, &mut counts.candidate)].into_iter().zip(&mut whole)
        {
            *whole = side.takes_whole(document);
            if *whole {
                let tokens = side.whole(document)?;
                sum.round_trips += u64::from(tokens.comes_back);
                sum.add(&tokens, 1);
            } else {
                // Taken back later for every document that holds a lossy piece.
                sum.round_trips += 1;
            }
        }
        for (words, _) in partial.words.iter_mut().zip(whole).filter(|(_, whole)| *whole) {
            words.add_words(document);
        }
        let [both, source, candidate] = &mut partial.tallies;
        match whole {
            [false, false] => both.add(document),
            [false, true] => source.add(document),
            [true, false] => candidate.add(document),
            [true, true] => counts.words += document.split_whitespace().count() as u64,
        }
        Ok(())
    }

    /// Encodes every piece that was tallied, and forgets the tallies.
    fn count_out(&self, partial: &mut Partial) -> Result<(), Trouble> {
        let words = std::mem::take(&mut partial.words);
        for (tally, encoder, side) in words
            .iter()
            .zip([&self.source, &self.candidate])
            .zip([Side::Source, Side::Candidate])
            .map(|((t, e), s)| (t, e, s))
        {
            let seen = tally
                .pieces()
                .par_chunks(512)
                .with_min_len(64)
                .fold(Seen::default, |mut seen, words| {
                    for (piece, times) in words {
                        let (Piece::First(word) | Piece::Inner(word)) = piece;
                        seen.add(word, &encoder.word(word), *times);
                    }
                    seen
                })
                .reduce(Seen::default, |mut a, b| {
                    a.merge(b);
                    a
                });
            match side {
                Side::Source => partial.counts.seen.source.merge(seen),
                Side::Candidate => partial.counts.seen.candidate.merge(seen),
            }
        }
        let [both, source, candidate] = std::mem::take(&mut partial.tallies);
        for (tally, sides) in [
            (both, vec![Side::Source, Side::Candidate]),
            (source, vec![Side::Source]),
            (candidate, vec![Side::Candidate]),
        ] {
            let counted = tally
                .pieces()
                .par_chunks(512)
                .with_min_len(64)
                .try_fold(Partial::default, |mut partial, pieces| {
                    for (piece, times) in pieces {
                        let (Piece::First(text) | Piece::Inner(text)) = piece;
                        partial.counts.words += times * text.split_whitespace().count() as u64;
                        for side in &sides {
                            self.piece(&mut partial, *side, *piece, *times)?;
                        }
                    }
                    Ok::<_, Trouble>(partial)
                })
                .try_reduce(Partial::default, |a, b| Ok(a.merge(b)))?;
            *partial = std::mem::take(partial).merge(counted);
        }
        Ok(())
    }

    /// Encodes a piece that occurs `times`.
    fn piece(&self, partial: &mut Partial, side: Side, piece: Piece<'_>, times: u64) -> Result<(), Trouble> {
        let [lossy_source, lossy_candidate] = &mut partial.lossy;
        let counts = &mut partial.counts;
        let (encoder, sum, seen, lossy) = match side {
            Side::Source => (&self.source, &mut counts.source, &mut counts.seen.source, lossy_source),
            Side::Candidate => (&self.candidate, &mut counts.candidate, &mut counts.seen.candidate, lossy_candidate),
        };
        let tokens = encoder.piece(piece)?.ok_or(Trouble::Uncuttable(side))?;
        sum.add(&tokens, times);
        let (Piece::First(text) | Piece::Inner(text)) = piece;
        seen.add(text, &tokens, times);
        if !tokens.comes_back {
            lossy.insert(fingerprint(piece));
        }
        Ok(())
    }

    /// For both sides, documents taken in pieces of which at least one is lossy.
    fn lost(&self, corpus: &Corpus, observer: &mut dyn Observer, lossy: &[Lossy; 2]) -> Result<[u64; 2], Trouble> {
        let lost = watched(corpus, "round trips", observer)
            .par_bridge()
            .map(|block| {
                let mut lost = [0, 0];
                for document in block?.documents() {
                    for ((n, lossy), encoder) in lost.iter_mut().zip(lossy).zip([&self.source, &self.candidate]) {
                        let is_lost = !lossy.is_empty()
                            && !encoder.takes_whole(document)
                            && pieces(document).any(|piece| lossy.contains(&fingerprint(piece)));
                        *n += u64::from(is_lost);
                    }
                }
                Ok::<_, Trouble>(lost)
            })
            .try_reduce(|| [0, 0], |[a, b], [c, d]| Ok([a + c, b + d]))?;
        observer.observe(&Event::Finished { name: "round trips".into() });
        Ok(lost)
    }
}

/// The blocks of a corpus, with the observer told how far the reading is.
fn watched<'a>(
    corpus: &'a Corpus,
    phase: &str,
    observer: &'a mut dyn Observer,
) -> impl Iterator<Item = Result<Block, CorpusError>> + Send + 'a {
    observer.observe(&Event::Phase { name: phase.into(), total: corpus.bytes_on_disk(), unit: "bytes".into() });
    corpus.blocks().inspect(move |block| {
        if let Ok(block) = block {
            observer.observe(&Event::Progress { done: block.read() });
        }
    })
}
