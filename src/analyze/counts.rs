//! How often does each tokenizer use each of its tokens on a text, what does it lose, and does the text come back?
//! What the numbers mean is not known here.

use super::error::AnalyzeError;
use super::tokenizer::TokenizerFile;
use crate::corpus::Corpus;
use crate::domain::event::{Event, Observer};
use crate::domain::metric::Pair;
use rayon::prelude::*;

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
    /// Documents that decode to themselves.
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

    /// Encodes a document in full and counts it.
    fn add(&mut self, side: &TokenizerFile, document: &str) -> Result<(), AnalyzeError> {
        let refused = |e: tokenizers::Error| AnalyzeError::Encode { name: side.name.clone(), reason: e.to_string() };
        let encoding = side.tokenizer.encode(document, false).map_err(refused)?;
        let ids = encoding.get_ids();
        self.by_id.resize(side.vocabulary.rows().max(self.by_id.len()), 0);
        for id in ids {
            if let Some(n) = self.by_id.get_mut(*id as usize) {
                *n += 1;
            }
        }
        self.tokens += ids.len() as u64;
        if let Some(unknown) = side.unknown() {
            for (_, (from, to)) in ids.iter().zip(encoding.get_offsets()).filter(|(id, _)| **id == unknown) {
                self.unknown += 1;
                self.unknown_bytes += (to - from) as u64;
            }
        }
        let back = side.tokenizer.decode(ids, false).map_err(refused)?;
        self.round_trips += u64::from(back == document);
        Ok(())
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
    let phase = "count";
    observer.observe(&Event::Phase { name: phase.into(), total: corpus.bytes_on_disk(), unit: "bytes".into() });
    let mut counts = Counts::default();
    for block in corpus.blocks() {
        let block = block?;
        let documents: Vec<&str> = block.documents().collect();
        let counted = documents
            .par_chunks(64)
            .try_fold(Counts::default, |mut counts, documents| {
                for document in documents {
                    counts.documents += 1;
                    counts.bytes += document.len() as u64;
                    counts.words += document.split_whitespace().count() as u64;
                    counts.source.add(source, document)?;
                    counts.candidate.add(candidate, document)?;
                }
                Ok::<_, AnalyzeError>(counts)
            })
            .try_reduce(Counts::default, |a, b| Ok(a.merge(b)))?;
        counts = counts.merge(counted);
        observer.observe(&Event::Progress { done: block.read() });
    }
    observer.observe(&Event::Finished { name: phase.into() });
    Ok(counts)
}
