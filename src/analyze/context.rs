//! Which words does a token keep company with? Vectors of both tokenizers' tokens in one space that belongs to
//! neither: the most frequent words of the text around the words that hold the token.

use super::error::AnalyzeError;
use crate::corpus::Corpus;
use crate::tokenizer::TokenizerFile;
use crate::tokenizer::encoder::Encoder;
use foldhash::fast::FixedState;
use rayon::prelude::*;
use std::collections::HashMap;
use std::hash::BuildHasher;

/// Axes of the space: the most frequent words.
const AXES: u32 = 256;
/// Words to either side that count as company.
const REACH: usize = 2;
/// The most frequent words that are looked at.
const MOST_WORDS: usize = 20_000;

/// The beginning of a corpus as words with their company.
pub(super) struct Sample {
    words: Vec<String>,
    /// Occurrences by word.
    counts: Vec<u64>,
    /// Word, axis, and how often the axis is within the word's reach, in order; whole numbers below 2^24 are exact.
    company: Vec<(u32, u32, f32)>,
}

/// Vectors by token id, with occurrences; tokens that do not occur have none.
pub(super) struct TokenVectors {
    vectors: HashMap<u32, Vec<f32>>,
    /// Occurrences by token id in the sample.
    pub occurrences: Vec<u64>,
}

impl Sample {
    /// Of the first `limit` bytes of a corpus. Deterministic: words are ordered by occurrences, then by text.
    pub fn of(corpus: &Corpus, limit: u64) -> Result<Self, AnalyzeError> {
        let documents = corpus.collect(Some(limit))?;
        let mut order = frequencies(&documents);
        order.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        order.truncate(MOST_WORDS);
        let rank: HashMap<&str, u32, FixedState> =
            order.iter().enumerate().map(|(rank, (word, _))| (*word, rank as u32)).collect();
        let mut met: Vec<u32> = documents.par_iter().flat_map_iter(|document| meetings(document, &rank)).collect();
        met.par_sort_unstable();
        let company = met
            .chunk_by(|a, b| a == b)
            .filter_map(|same| same.first().map(|m| (m / AXES, m % AXES, same.len() as f32)))
            .collect();
        let (words, counts) = order.into_iter().map(|(word, n)| (word.to_owned(), n)).unzip();
        Ok(Self { words, counts, company })
    }

    /// What a tokenizer's tokens keep company with: the sum over the words that hold the token, as positive pointwise
    /// mutual information, max(0, ln(p(token, axis) / (p(token) p(axis)))).
    pub fn vectors(&self, file: &TokenizerFile) -> TokenVectors {
        let encoder = Encoder::new(file);
        let encoded: Vec<Vec<u32>> = self.words.par_iter().map(|word| encoder.word(word).ids).collect();
        let mut vectors: HashMap<u32, Vec<f32>> = HashMap::new();
        let mut occurrences = vec![0; file.vocabulary.rows()];
        for (ids, count) in encoded.iter().zip(&self.counts) {
            for id in ids {
                if let Some(n) = occurrences.get_mut(*id as usize) {
                    *n += count;
                }
                vectors.entry(*id).or_insert_with(|| vec![0.0; AXES as usize]);
            }
        }
        for (word, axis, times) in &self.company {
            for id in encoded.get(*word as usize).into_iter().flatten() {
                if let Some(sum) = vectors.get_mut(id).and_then(|v| v.get_mut(*axis as usize)) {
                    *sum += times;
                }
            }
        }
        let mut axes = [0f64; AXES as usize];
        for vector in vectors.values() {
            axes.iter_mut().zip(vector).for_each(|(a, v)| *a += f64::from(*v));
        }
        let total: f64 = axes.iter().sum();
        for vector in vectors.values_mut() {
            let of_token: f64 = vector.iter().map(|v| f64::from(*v)).sum();
            for (value, axis) in vector.iter_mut().zip(&axes) {
                let expected = of_token * axis / total;
                *value = if expected > 0.0 { (f64::from(*value) / expected).max(1.0).ln() as f32 } else { 0.0 };
            }
        }
        TokenVectors { vectors, occurrences }
    }
}

/// Words with their occurrences, in no order. Each thread has words of its own, so that none is held twice.
fn frequencies(documents: &[String]) -> Vec<(&str, u64)> {
    let threads = rayon::current_num_threads() as u64;
    let of_thread = |thread: u64| {
        let mut frequency: HashMap<&str, u64, FixedState> = HashMap::default();
        let mine = |word: &&str| FixedState::with_seed(1).hash_one(word) % threads == thread;
        for word in documents.iter().flat_map(|d| d.split_whitespace()).filter(mine) {
            *frequency.entry(word).or_default() += 1;
        }
        frequency
    };
    (0..threads).into_par_iter().flat_map_iter(of_thread).collect()
}

/// Every meeting of a word with an axis in a document, as word x AXES + axis.
fn meetings(document: &str, rank: &HashMap<&str, u32, FixedState>) -> Vec<u32> {
    let ranks: Vec<Option<u32>> = document.split_whitespace().map(|w| rank.get(w).copied()).collect();
    let words = ranks.iter().enumerate().filter_map(|(at, word)| Some((at, (*word)?)));
    words
        .flat_map(|(at, word)| {
            let around = ranks.iter().enumerate().take(at + REACH + 1).skip(at.saturating_sub(REACH));
            let others = around.filter(move |(other, _)| *other != at).filter_map(|(_, other)| *other);
            others.filter(|axis| *axis < AXES).map(move |axis| word * AXES + axis)
        })
        .collect()
}

impl TokenVectors {
    /// The vector of a token, if it occurs.
    pub fn get(&self, id: u32) -> Option<&[f32]> {
        self.vectors.get(&id).map(Vec::as_slice)
    }
}
