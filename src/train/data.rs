//! Text as sequences of equal length: what is fed, what is to be predicted, and how many bytes of text that is.
//! It does not know models or the order in which sequences are seen.
//!
//! Layout: all documents, in an order drawn once by seed, form one stream of tokens with the special tokens of
//! [`Coder`]'s policy between them. The stream is cut into pieces of `length` targets; every token of the stream but
//! the first is a target exactly once. The last piece is filled up with targets that are ignored.
use super::error::TrainError;
use crate::model::IGNORE;
use crate::tokenizer::{Coder, Document, Encoded};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Training text, ready to be fed.
#[derive(Debug, Clone)]
pub struct PackedDataset {
    length: usize,
    /// The stream; `count * length + 1` tokens.
    tokens: Vec<u32>,
    /// Whether a token is learnt as a target; empty where all are.
    learnt: Vec<bool>,
    /// UTF-8 bytes of the targets of each sequence.
    bytes: Vec<u64>,
    /// Tokens of the stream that are real.
    real: usize,
}

/// Sequences to be fed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBatch {
    /// Ids, `rows * length`, row by row.
    pub ids: Vec<u32>,
    /// What follows each id; [`IGNORE`] where nothing is to be predicted.
    pub targets: Vec<u32>,
    /// Sequences.
    pub rows: usize,
    /// Ids a sequence.
    pub length: usize,
    /// UTF-8 bytes of text the targets stand for.
    pub bytes: u64,
}

impl PackedBatch {
    /// Targets that are to be predicted.
    pub fn predicted(&self) -> u64 {
        self.targets.iter().filter(|t| **t != IGNORE).count() as u64
    }
}

impl PackedDataset {
    /// Plain text: encodes and packs.
    ///
    /// # Errors
    /// Where the tokenizer fails, where there is no text, or `length` is 0.
    pub fn text<S: AsRef<str> + Sync>(
        coder: &Coder,
        documents: &[S],
        length: usize,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let encoded = coder.encode(documents)?;
        Self::documents(
            coder,
            encoded.into_iter().map(|e| Document { encoded: e, learnt: None }).collect(),
            length,
            seed,
        )
    }

    /// Documents that are encoded already.
    ///
    /// # Errors
    /// Where there is nothing to predict, or `length` is 0.
    pub fn documents(
        coder: &Coder,
        mut documents: Vec<Document>,
        length: usize,
        seed: u64,
    ) -> Result<Self, TrainError> {
        if length == 0 {
            return Err(TrainError::Data("a sequence needs at least one token".into()));
        }
        documents.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut stream = Stream::default();
        for document in &documents {
            let Encoded { ids, bytes, .. } = &document.encoded;
            if ids.is_empty() {
                continue;
            }
            if let Some(opener) = coder.opener()
                && stream.tokens.last() != Some(&opener)
                && ids.first() != Some(&opener)
            {
                stream.push(opener, 0, false);
            }
            for (i, (&id, &b)) in ids.iter().zip(bytes).enumerate() {
                let learnt = document.learnt.as_ref().is_none_or(|l| l.get(i).copied().unwrap_or(false));
                stream.push(id, b, learnt);
            }
            if let Some(closer) = coder.closer()
                && document.learnt.is_none()
            {
                stream.push(closer, 0, true);
            }
        }
        let packed = stream.cut(length, coder.closer().or(coder.opener()).unwrap_or(0));
        if packed.bytes() == 0 {
            return Err(TrainError::Data("the training text is empty: there is nothing to learn from".into()));
        }
        Ok(packed)
    }

    /// A stream of ids as it is, one byte each.
    #[cfg(test)]
    pub(super) fn stream(ids: &[u32], length: usize) -> Self {
        let mut stream = Stream::default();
        ids.iter().for_each(|id| stream.push(*id, 1, true));
        stream.cut(length, 0)
    }

    /// Sequences.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Targets a sequence.
    pub fn length(&self) -> usize {
        self.length
    }

    /// UTF-8 bytes of text in all sequences.
    pub fn bytes(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// Tokens of the stream.
    pub fn tokens(&self) -> u64 {
        self.real as u64
    }

    /// Tells this stream of tokens from others (FNV-1a).
    pub fn hash(&self) -> u64 {
        self.tokens.iter().fold(0xcbf2_9ce4_8422_2325, |h, t| (h ^ u64::from(*t)).wrapping_mul(0x0100_0000_01b3))
    }

    /// The sequences of these indices, as one batch. Indices beyond the end are left out.
    pub fn batch(&self, indices: &[usize]) -> PackedBatch {
        let mut batch = PackedBatch { ids: vec![], targets: vec![], rows: 0, length: self.length, bytes: 0 };
        for &index in indices.iter().filter(|i| **i < self.len()) {
            let start = index * self.length;
            let piece = &self.tokens[start..=start + self.length];
            batch.ids.extend_from_slice(&piece[..self.length]);
            batch.targets.extend((start + 1..=start + self.length).map(|i| {
                let learnt = i < self.real && self.learnt.get(i).copied().unwrap_or(true);
                if learnt { self.tokens[i] } else { IGNORE }
            }));
            batch.rows += 1;
            batch.bytes += self.bytes[index];
        }
        batch
    }
}

#[derive(Default)]
struct Stream {
    tokens: Vec<u32>,
    bytes: Vec<u32>,
    learnt: Vec<bool>,
}

impl Stream {
    fn push(&mut self, token: u32, bytes: u32, learnt: bool) {
        self.tokens.push(token);
        self.bytes.push(bytes);
        self.learnt.push(learnt);
    }

    fn cut(mut self, length: usize, filler: u32) -> PackedDataset {
        let real = self.tokens.len();
        let count = real.saturating_sub(1).div_ceil(length);
        self.tokens.resize(count * length + 1, filler);
        let counted = |i: usize| if self.learnt[i] { u64::from(self.bytes[i]) } else { 0 };
        let bytes = (0..count)
            .map(|s| (s * length + 1..=(s + 1) * length).take_while(|i| *i < real).map(counted).sum())
            .collect();
        let learnt = if self.learnt.iter().all(|l| *l) { vec![] } else { self.learnt };
        PackedDataset { length, tokens: self.tokens, learnt, bytes, real }
    }
}

/// Several texts as one: a text of weight 1 is seen once an epoch, one of weight 0.3 in part (three documents in ten,
/// drawn by seed), one of weight 2.5 twice and a half. Weights that are not above 0 leave a text out.
pub fn mix<D: Clone>(texts: &[(f64, &[D])], seed: u64) -> Vec<D> {
    let mut mixed = Vec::new();
    for (index, (weight, documents)) in texts.iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index as u64);
        let whole = weight.max(0.0).floor();
        for _ in 0..whole as u64 {
            mixed.extend_from_slice(documents);
        }
        let part = ((weight.max(0.0) - whole) * documents.len() as f64).round() as usize;
        let mut order: Vec<usize> = (0..documents.len()).collect();
        order.shuffle(&mut rng);
        order.truncate(part);
        order.sort_unstable();
        mixed.extend(order.iter().filter_map(|i| documents.get(*i)).cloned());
    }
    mixed
}

/// How long a sequence of another tokenizer must be to hold the same expected bytes: `sequence` tokens of the
/// original, scaled by the ratio of bytes a token. At least 8, at most `limit` (the model's positions).
pub fn equal_bytes_length(sequence: usize, source_bytes_per_token: f64, bytes_per_token: f64, limit: usize) -> usize {
    let length = sequence as f64 * source_bytes_per_token / bytes_per_token;
    let length = if length.is_finite() { length.round() as usize } else { sequence };
    length.max(8).min(limit.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::BpeKind;
    use crate::tokenizer::coder_for_tests as coder;

    fn text() -> Vec<String> {
        (0..57).map(|i| format!("line {i} says {} and şey {}", "word ".repeat(i % 5), i * i)).collect()
    }

    #[test]
    fn packing_neither_loses_nor_doubles_a_token() {
        let text = text();
        let lines: Vec<&str> = text.iter().map(String::as_str).collect();
        for kind in [BpeKind::ByteLevel, BpeKind::Metaspace] {
            let coder = coder(kind, &lines, 500);
            for length in [1, 7, 16, 10_000] {
                let packed = PackedDataset::text(&coder, &text, length, 3).unwrap();
                let all = packed.batch(&(0..packed.len()).collect::<Vec<_>>());
                // Every id but the fillers and the stream's last token is an input once, in order; so the targets,
                // with the opener before them, spell the whole stream.
                let mut spelt: Vec<u32> = all.targets.iter().copied().filter(|t| *t != IGNORE).collect();
                let mut expected: Vec<u32> = coder.encode(&text).unwrap().iter().flat_map(|e| e.ids.clone()).collect();
                expected.extend(vec![coder.closer().unwrap(); text.len()]);
                spelt.sort_unstable();
                expected.sort_unstable();
                assert_eq!(spelt, expected, "{kind:?} {length}");
                assert_eq!(packed.bytes(), text.iter().map(|t| t.len() as u64).sum::<u64>());
                assert_eq!(all.bytes, packed.bytes());
            }
        }
    }

    #[test]
    fn targets_are_the_inputs_one_step_later() {
        let text = text();
        let lines: Vec<&str> = text.iter().map(String::as_str).collect();
        let coder = coder(BpeKind::ByteLevel, &lines, 500);
        let packed = PackedDataset::text(&coder, &text, 16, 3).unwrap();
        let batch = packed.batch(&[2, 3]);
        assert_eq!((batch.rows, batch.ids.len(), batch.targets.len()), (2, 32, 32));
        assert_eq!(batch.ids[1..32], batch.targets[..31]);
        assert_eq!(batch.predicted(), 32);
    }

    #[test]
    fn only_the_masked_in_tokens_are_learnt_and_their_bytes_counted() {
        let coder = coder(BpeKind::ByteLevel, &["ask answer ask answer"], 300);
        let encoded = coder.encode_one("ask answer").unwrap();
        let n = encoded.ids.len();
        let half: Vec<bool> = (0..n).map(|i| i >= n / 2).collect();
        let learnt: u64 = encoded.bytes[n / 2..].iter().map(|b| u64::from(*b)).sum();
        let packed = PackedDataset::documents(&coder, vec![Document { encoded, learnt: Some(half) }], 64, 0).unwrap();
        let batch = packed.batch(&[0]);
        assert_eq!((batch.predicted(), batch.bytes), ((n - n / 2) as u64, learnt));
    }

    #[test]
    fn an_empty_text_is_refused() {
        let coder = coder(BpeKind::ByteLevel, &["a b a b"], 300);
        assert!(PackedDataset::text(&coder, &["", ""], 8, 0).is_err());
        assert!(PackedDataset::text(&coder, &["a"], 0, 0).is_err());
    }

    #[test]
    fn texts_are_mixed_by_their_weights() {
        let (a, b, c) = (vec!["a"; 10], ["b", "B", "b", "b", "b", "b", "b", "b", "b", "b"], ["c"; 4]);
        let mixed = mix(&[(2.5, &a[..]), (0.3, &b[..]), (0.0, &c[..])], 1);
        let count = |x: &str| mixed.iter().filter(|d: &&&str| d.eq_ignore_ascii_case(x)).count();
        assert_eq!((count("a"), count("b"), count("c")), (25, 3, 0));
        assert_eq!(mixed, mix(&[(2.5, &a[..]), (0.3, &b[..]), (0.0, &c[..])], 1));
    }

    #[test]
    fn a_sequence_of_the_same_bytes_is_longer_where_tokens_are_shorter() {
        assert_eq!(equal_bytes_length(1024, 4.0, 2.0, 40_960), 2048);
        assert_eq!(equal_bytes_length(1024, 4.0, 2.0, 1500), 1500);
        assert_eq!(equal_bytes_length(1024, 4.0, 0.0, 2048), 1024);
    }
}
