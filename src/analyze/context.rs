//! Which words does a token keep company with? Vectors of both tokenizers' tokens in one space that belongs to
//! neither: the most frequent words of the text around the words that hold the token.

use super::error::AnalyzeError;
use super::side::Encoder;
use super::tokenizer::TokenizerFile;
use crate::corpus::Corpus;
use foldhash::fast::RandomState;
use rayon::prelude::*;
use std::collections::HashMap;

/// Axes of the space: the most frequent words.
const AXES: usize = 256;
/// Words to either side that count as company.
const REACH: usize = 2;
/// Documents that are counted together.
const PART: usize = 1_024;
/// The most frequent words that are looked at.
const MOST_WORDS: usize = 20_000;

type Words<'a> = HashMap<&'a str, u64, RandomState>;

/// The beginning of a corpus as words with their company.
pub(super) struct Sample {
    words: Vec<String>,
    /// Occurrences by word.
    counts: Vec<u64>,
    /// By word, occurrences of each axis within reach: words x AXES.
    company: Vec<f32>,
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
        let frequency = documents
            .par_chunks(PART)
            .fold(Words::default, |mut frequency, part| {
                for word in part.iter().flat_map(|d| d.split_whitespace()) {
                    *frequency.entry(word).or_default() += 1;
                }
                frequency
            })
            .reduce(Words::default, |a, b| {
                let (mut more, fewer) = if a.len() >= b.len() { (a, b) } else { (b, a) };
                for (word, n) in fewer {
                    *more.entry(word).or_default() += n;
                }
                more
            });
        let mut order: Vec<(&str, u64)> = frequency.into_iter().collect();
        order.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        order.truncate(MOST_WORDS);
        let rank: HashMap<&str, u32, RandomState> =
            order.iter().enumerate().map(|(rank, (word, _))| (*word, rank as u32)).collect();
        let nothing = || vec![0f32; order.len() * AXES];
        // Whole numbers below 2^24 are exact as f32, so the order of summing does not show.
        let parts = documents.len().div_ceil(rayon::current_num_threads()).max(1);
        let company = documents
            .par_chunks(parts)
            .map(|part| {
                let mut company = nothing();
                part.iter().for_each(|document| meet(document, &rank, &mut company));
                company
            })
            .reduce_with(|mut a, b| {
                a.iter_mut().zip(&b).for_each(|(a, b)| *a += b);
                a
            })
            .unwrap_or_else(nothing);
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
        for ((ids, count), company) in encoded.iter().zip(&self.counts).zip(self.company.chunks_exact(AXES)) {
            for id in ids {
                if let Some(n) = occurrences.get_mut(*id as usize) {
                    *n += count;
                }
                let sum = vectors.entry(*id).or_insert_with(|| vec![0.0; AXES]);
                sum.iter_mut().zip(company).for_each(|(s, c)| *s += c);
            }
        }
        let mut axes = [0f64; AXES];
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

/// Adds a document's words to each other's company.
fn meet(document: &str, rank: &HashMap<&str, u32, RandomState>, company: &mut [f32]) {
    let ranks: Vec<Option<u32>> = document.split_whitespace().map(|w| rank.get(w).copied()).collect();
    for (at, word) in ranks.iter().enumerate().filter_map(|(at, w)| Some((at, (*w)? as usize))) {
        let around = ranks.iter().enumerate().take(at + REACH + 1).skip(at.saturating_sub(REACH));
        for axis in around.filter(|(other, _)| *other != at).filter_map(|(_, w)| *w).filter(|w| (*w as usize) < AXES) {
            if let Some(n) = company.get_mut(word * AXES + axis as usize) {
                *n += 1.0;
            }
        }
    }
}

impl TokenVectors {
    /// The vector of a token, if it occurs.
    pub fn get(&self, id: u32) -> Option<&[f32]> {
        self.vectors.get(&id).map(Vec::as_slice)
    }
}
