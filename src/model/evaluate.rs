//! How well a model predicts held-out text, in numbers that can be compared between tokenizers (spec section 3).
//! What the numbers mean for a decision is not known here.
//!
//! Policy, the same for every tokenizer:
//! - A document stands for itself: before it there is only the tokenizer's opener (its BOS, or its EOS where it has no
//!   BOS), which is never scored; neither is an end of text. Every text token is scored exactly once. Where a
//!   tokenizer has neither, the first token of a window is charged log2(rows) bits: nothing predicts it.
//! - A document longer than the window is cut **by bytes**: windows of `window` bytes that move on by half a window;
//!   in every window but the first, the tokens of the first half are context and only the rest is scored. So both
//!   tokenizers see the same context.
//! - Bytes that cannot be told from the tokens (swallowed by unknown tokens, changed by a normaliser) are charged at
//!   8 bits each, on top of what their tokens cost.

use super::error::ModelError;
use crate::domain::metric::{BitsPerByte, EquivalentLoss, Share};
use crate::domain::outcome::Evaluation;
use crate::model::{Batch, Decoder, IGNORE};
use crate::tokenizer::{Coder, Encoded};
use serde::{Deserialize, Serialize};

/// Tokens fed at once, about: windows are grouped up to this many.
const FED_AT_ONCE: usize = 4096;

/// Held-out documents, encoded and cut once, evaluated as often as wanted.
pub struct HeldOut {
    windows: Vec<Window>,
    /// UTF-8 bytes of each document.
    bytes: Vec<u64>,
    /// Bytes of each document that its tokens do not tell.
    lost: Vec<u64>,
    /// Bits of each document that say what its tokens do not: which vocabulary they are of.
    told: Vec<f64>,
    source_tokens: u64,
}

/// A piece of a document: what is fed and from where on it is scored.
struct Window {
    document: usize,
    /// Opener, then text tokens.
    ids: Vec<u32>,
    /// Index in `ids` of the first token that is scored.
    scored_from: usize,
    /// Whether nothing stands before the first token.
    unopened: bool,
}

/// An evaluation with its parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The whole.
    pub evaluation: Evaluation,
    /// By document: nats (charged bytes included) and UTF-8 bytes, for paired comparisons.
    pub documents: Vec<(f64, u64)>,
}

impl HeldOut {
    /// Encodes and cuts. `source_tokens` is what the *original* tokenizer needs for the same documents; `window` is
    /// the context in bytes.
    ///
    /// # Errors
    /// Where the tokenizer fails, there is no text, or the window is too small to hold anything.
    pub fn new<S: AsRef<str> + Sync>(
        coder: &Coder,
        documents: &[S],
        source_tokens: u64,
        window: usize,
    ) -> Result<Self, ModelError> {
        let encoded = coder.encode(documents)?;
        let bytes = documents.iter().map(|d| d.as_ref().len() as u64).collect();
        Self::of(&encoded, coder.opener(), bytes, source_tokens, window)
    }

    /// The same from documents that are encoded already, after `opener`; `bytes` are theirs in UTF-8.
    ///
    /// # Errors
    /// Where there is no text, or the window is too small to hold anything.
    pub fn of(
        encoded: &[Encoded],
        opener: Option<u32>,
        bytes: Vec<u64>,
        source_tokens: u64,
        window: usize,
    ) -> Result<Self, ModelError> {
        let lost = encoded.iter().map(|e| e.lost).collect();
        if bytes.iter().sum::<u64>() == 0 || source_tokens == 0 {
            return Err(ModelError::Data("the held-out text is empty: there is nothing to evaluate on".into()));
        }
        if window < 16 {
            return Err(ModelError::Data(format!("an evaluation window of {window} bytes is too small; 16 is least")));
        }
        let mut windows: Vec<Window> =
            encoded.iter().enumerate().flat_map(|(d, e)| cut(d, e, opener, window)).collect();
        // Windows of like length are fed together; the order within a length is the documents'.
        windows.sort_by_key(|w| std::cmp::Reverse(w.ids.len()));
        let told = vec![0.0; bytes.len()];
        Ok(Self { windows, bytes, lost, told, source_tokens })
    }

    /// The same, with one bit charged for each choice between two vocabularies that was made in a document.
    pub fn charging_choices(mut self, choices: &[usize]) -> Self {
        self.told.iter_mut().zip(choices).for_each(|(bits, n)| *bits += *n as f64);
        self
    }

    /// UTF-8 bytes of the documents.
    pub fn bytes(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// Tokens of the longest window, the opener included.
    pub fn longest(&self) -> usize {
        self.windows.first().map_or(0, |w| w.ids.len())
    }

    /// Evaluates a model.
    ///
    /// # Errors
    /// As [`Decoder::nats`]; [`ModelError::Mismatch`] where the nats are not finite.
    pub fn evaluate(&self, model: &Decoder) -> Result<Scores, ModelError> {
        let rows = model.ids();
        self.score(rows, |ids, targets, shape| model.nats(&Batch { ids, targets, weights: None, shape }))
    }

    /// The same, and every scored token with its nats is told to `note`: for a look by kind of token.
    ///
    /// # Errors
    /// As [`HeldOut::evaluate`].
    pub fn evaluate_noting(&self, model: &Decoder, note: &mut dyn FnMut(u32, f32)) -> Result<Scores, ModelError> {
        self.score(model.ids(), |ids, targets, shape| {
            let nats = model.nats(&Batch { ids, targets, weights: None, shape })?;
            let scored = targets.iter().zip(&nats).filter(|(t, _)| **t != IGNORE);
            scored.for_each(|(t, n)| note(*t, *n));
            Ok(nats)
        })
    }

    /// The same with any source of nats: `(ids, targets, [windows, length])` -> nats of each target.
    fn score(
        &self,
        rows: usize,
        mut nats: impl FnMut(&[u32], &[u32], [usize; 2]) -> Result<Vec<f32>, ModelError>,
    ) -> Result<Scores, ModelError> {
        let mut by_document = vec![0f64; self.bytes.len()];
        let mut tokens = 0u64;
        for group in groups(&self.windows) {
            let length = group.iter().map(|w| w.ids.len()).max().unwrap_or(1).saturating_sub(1).max(1);
            let (ids, targets) = lay_out(group, length);
            let scored = nats(&ids, &targets, [group.len(), length])?;
            for (w, nats) in group.iter().zip(scored.chunks(length)) {
                let mut sum: f64 = nats.iter().map(|n| f64::from(*n)).sum();
                tokens += (w.ids.len() - w.scored_from) as u64;
                if w.unopened && w.scored_from == 0 {
                    sum += (rows as f64).ln();
                }
                by_document[w.document] += sum;
            }
        }
        let predicted: f64 = by_document.iter().sum();
        for ((nats, lost), told) in by_document.iter_mut().zip(&self.lost).zip(&self.told) {
            *nats += (*lost as f64 * 8.0 + told) * std::f64::consts::LN_2;
        }
        let (total, bytes) = (by_document.iter().sum::<f64>(), self.bytes());
        let strange = |e: crate::domain::metric::OutOfRange| {
            ModelError::Mismatch(format!("the model's losses on the held-out text make no sense: {e}"))
        };
        let evaluation = Evaluation {
            bits_per_byte: BitsPerByte::from_nats(total, bytes).map_err(strange)?,
            equivalent_loss: EquivalentLoss::new(total / self.source_tokens as f64).map_err(strange)?,
            loss_per_token: predicted / tokens.max(1) as f64,
            nats: total,
            tokens,
            source_tokens: self.source_tokens,
            bytes,
            documents: self.bytes.len() as u64,
            unknown_bytes: Share::new(self.lost.iter().sum::<u64>() as f64 / bytes as f64).map_err(strange)?,
        };
        let documents = by_document.into_iter().zip(self.bytes.iter().copied()).collect();
        Ok(Scores { evaluation, documents })
    }
}

/// The windows of a document.
fn cut(document: usize, encoded: &Encoded, opener: Option<u32>, window: usize) -> Vec<Window> {
    // Where each token ends, in bytes of the document.
    let ends: Vec<usize> = encoded
        .bytes
        .iter()
        .scan(0usize, |end, b| {
            *end += *b as usize;
            Some(*end)
        })
        .collect();
    let total = ends.last().copied().unwrap_or(0);
    let mut windows = Vec::new();
    let (mut from, mut scored) = (0usize, 0usize);
    while scored < encoded.ids.len() {
        // Tokens that end within (from, from + window]; the last window takes all that is left.
        let to = from + window;
        let first = ends.partition_point(|end| *end <= from).min(scored);
        let last = if to >= total { ends.len() } else { ends.partition_point(|end| *end <= to).max(scored + 1) };
        let mut ids = Vec::with_capacity(last - first + 1);
        ids.extend(opener);
        let lead = ids.len();
        ids.extend_from_slice(&encoded.ids[first..last]);
        windows.push(Window { document, ids, scored_from: lead + scored - first, unopened: opener.is_none() });
        scored = last;
        from += window / 2;
    }
    windows
}

/// Neighbours whose padded tokens stay within [`FED_AT_ONCE`].
fn groups(windows: &[Window]) -> Vec<&[Window]> {
    let mut groups = Vec::new();
    let mut rest = windows;
    while let Some(first) = rest.first() {
        // Sorted by length, longest first: the first of a group sets its width.
        let fit = (FED_AT_ONCE / first.ids.len().max(1)).clamp(1, rest.len());
        let (group, left) = rest.split_at(fit);
        groups.push(group);
        rest = left;
    }
    groups
}

/// Ids and targets of windows, side by side, filled up on the right; attention is causal, so fillers change nothing.
fn lay_out(group: &[Window], length: usize) -> (Vec<u32>, Vec<u32>) {
    let mut ids = Vec::with_capacity(group.len() * length);
    let mut targets = Vec::with_capacity(group.len() * length);
    for w in group {
        let filler = w.ids.first().copied().unwrap_or(0);
        for i in 0..length {
            ids.push(w.ids.get(i).copied().filter(|_| i + 1 < w.ids.len()).unwrap_or(filler));
            let target = w.ids.get(i + 1).copied().filter(|_| i + 1 >= w.scored_from);
            targets.push(target.unwrap_or(IGNORE));
        }
    }
    (ids, targets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{BpeKind, coder_for_tests as coder};

    const TEXT: [&str; 4] = [
        "the cat sat on the mat and the dog sat on the cat",
        "a",
        "şişe ve şişeler ve ağaç the cat sat on the mat again and again",
        "the mat",
    ];

    /// A model that finds every token as likely as any other.
    fn uniform(rows: usize) -> impl FnMut(&[u32], &[u32], [usize; 2]) -> Result<Vec<f32>, ModelError> {
        move |ids, targets, [b, s]| {
            assert_eq!((ids.len(), targets.len()), (b * s, b * s));
            Ok(targets.iter().map(|t| if *t == IGNORE { 0.0 } else { (rows as f32).ln() }).collect())
        }
    }

    #[test]
    fn a_uniform_model_needs_log2_of_the_rows_for_every_token_whatever_the_window() {
        for kind in [BpeKind::ByteLevel, BpeKind::Metaspace] {
            let coder = coder(kind, &TEXT, 400);
            let tokens = coder.count(&TEXT).unwrap();
            for window in [16, 24, 33, 4096] {
                let held_out = HeldOut::new(&coder, &TEXT, 100, window).unwrap();
                let scores = held_out.score(1024, uniform(1024)).unwrap();
                let e = &scores.evaluation;
                assert_eq!(e.tokens, tokens, "every token once: {kind:?} {window}");
                // f32 logarithms, summed in f64.
                assert!((e.nats - tokens as f64 * 1024f64.ln()).abs() < 1e-3, "{kind:?} {window}");
                let bits = 10.0 * tokens as f64 / e.bytes as f64;
                assert!((e.bits_per_byte.get() - bits).abs() < 1e-4);
                assert!((e.equivalent_loss.get() - e.nats / 100.0).abs() < 1e-9);
                assert_eq!(scores.documents.len(), 4);
            }
        }
    }

    #[test]
    fn windows_give_every_tokenizer_at_least_half_a_window_of_context() {
        let coder = coder(BpeKind::ByteLevel, &TEXT, 400);
        let text = TEXT.join(" ").repeat(3);
        let encoded = coder.encode_one(&text).unwrap();
        let windows = cut(0, &encoded, coder.opener(), 64);
        assert!(windows.len() > 3);
        let mut seen = Vec::new();
        for (i, w) in windows.iter().enumerate() {
            assert!(w.ids.len() <= 65);
            let context: usize = w.ids[1..w.scored_from].iter().map(|id| coder.decode(&[*id]).unwrap().len()).sum();
            assert!(i == 0 || context >= 30, "window {i} has {context} bytes of context");
            seen.extend_from_slice(&w.ids[w.scored_from..]);
        }
        assert_eq!(seen, encoded.ids);
    }

    #[test]
    fn lost_bytes_are_charged_eight_bits_each() {
        let coder = coder(BpeKind::ByteLevel, &TEXT, 400);
        let mut held_out = HeldOut::new(&coder, &TEXT, 100, 4096).unwrap();
        let before = held_out.score(2, uniform(2)).unwrap().evaluation;
        held_out.lost[0] = 10;
        let after = held_out.score(2, uniform(2)).unwrap().evaluation;
        let charged = (after.nats - before.nats) / std::f64::consts::LN_2;
        assert!((charged - 80.0).abs() < 1e-9);
        assert!((after.unknown_bytes.get() - 10.0 / after.bytes as f64).abs() < 1e-12);
        assert_eq!(after.loss_per_token, before.loss_per_token);
    }

    #[test]
    fn an_empty_text_cannot_be_evaluated() {
        let coder = coder(BpeKind::ByteLevel, &TEXT, 400);
        assert!(HeldOut::new(&coder, &[""], 1, 64).is_err());
        assert!(HeldOut::new(&coder, &TEXT, 1, 3).is_err());
    }
}
