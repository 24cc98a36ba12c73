//! Text that goes on from a prompt: which token comes next, when to stop, and how its bytes become text while more
//! are on their way. What the text is for is not known here.

use super::error::ModelError;
use crate::domain::outcome::Side;
use crate::model::Decoder;
use crate::tokenizer::TokenizerError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::ControlFlow;
use tokenizers::Tokenizer;

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// The likeliest; the lowest id of equals.
    Greedy,
    /// Drawn from the distribution.
    Sampled {
        /// Divides the logits; below 1 likelier tokens gain. Positive.
        temperature: f32,
        /// Only the smallest set of tokens whose probabilities reach this stays in, 0..=1; 1 keeps all.
        top_p: f32,
        /// Only so many tokens stay in; 0 keeps all.
        top_k: usize,
        /// The same seed draws the same text.
        seed: u64,
    },
}

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// How tokens are chosen.
    pub choice: Choice,
    /// Tokens at most.
    pub limit: usize,
    /// Tokens that end the text; they are not part of it.
    pub stop: Vec<u32>,
    /// Tokens that are never chosen beyond this id: rows that pad the matrix stand for nothing.
    pub rows: Option<usize>,
}

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// One of the stop tokens came.
    Stopped,
    /// The limit was reached.
    Limit,
    /// The listener had enough.
    Broken,
}

/// Goes on from `prompt`; every token is told to `listen` as soon as it is chosen.
///
/// # Errors
/// [`ModelError::Mismatch`] for an empty prompt, ids without rows or a temperature that is not positive;
/// [`ModelError::Kernel`] where the device fails.
pub fn tokens(
    decoder: &Decoder,
    prompt: &[u32],
    request: &GenerateOptions,
    listen: &mut dyn FnMut(u32) -> ControlFlow<()>,
) -> Result<(Vec<u32>, End), ModelError> {
    tokens_towards(decoder, Side::Source, prompt, request, listen)
}

/// The same in one vocabulary of a structural model: the prompt may be of both, what is chosen (and what stops) is of
/// `side` and counted from its first id.
///
/// # Errors
/// As [`tokens`].
pub fn tokens_towards(
    decoder: &Decoder,
    side: Side,
    prompt: &[u32],
    request: &GenerateOptions,
    listen: &mut dyn FnMut(u32) -> ControlFlow<()>,
) -> Result<(Vec<u32>, End), ModelError> {
    let offset = decoder.first_id(side);
    let mut chooser = Chooser::new(request.choice)?;
    let mut cache = decoder.cache();
    let mut written = Vec::new();
    let mut next = prompt;
    let mut last;
    while written.len() < request.limit {
        let mut logits = decoder.advance_towards(side, &mut cache, next)?;
        logits.truncate(request.rows.unwrap_or(usize::MAX));
        let id = chooser.choose(&logits)?;
        if request.stop.contains(&id) {
            return Ok((written, End::Stopped));
        }
        written.push(id);
        if listen(id).is_break() {
            return Ok((written, End::Broken));
        }
        last = [id + offset];
        next = &last;
    }
    Ok((written, End::Limit))
}

/// Goes on from a text; pieces of text are told to `listen` as soon as they are whole characters. Gives all of it.
///
/// # Errors
/// As [`tokens`]; [`ModelError::Tokenizer`] where the tokenizer fails.
pub fn text(
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    prompt: &str,
    request: &GenerateOptions,
    listen: &mut dyn FnMut(&str),
) -> Result<(String, End), ModelError> {
    text_towards(decoder, (Side::Source, tokenizer), &prompt_ids(tokenizer, prompt)?, request, listen)
}

/// A prompt as ids, with the special tokens that the tokenizer itself adds.
///
/// # Errors
/// [`ModelError::Tokenizer`] where the tokenizer fails.
pub fn prompt_ids(tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>, ModelError> {
    let encoding = tokenizer.encode(prompt, true).map_err(|e| TokenizerError::Unusable(e.to_string()))?;
    Ok(encoding.get_ids().to_vec())
}

/// Goes on from ids in one vocabulary of a structural model, in the words of that side's tokenizer.
///
/// # Errors
/// As [`text`].
pub fn text_towards(
    decoder: &Decoder,
    (side, tokenizer): (Side, &Tokenizer),
    prompt: &[u32],
    request: &GenerateOptions,
    listen: &mut dyn FnMut(&str),
) -> Result<(String, End), ModelError> {
    let fault = |e: tokenizers::Error| TokenizerError::Unusable(e.to_string());
    let mut stream = tokenizer.decode_stream(true);
    let (mut whole, mut trouble) = (String::new(), None);
    let (_, end) = tokens_towards(decoder, side, prompt, request, &mut |id| match stream.step(id) {
        Ok(piece) => {
            if let Some(piece) = piece {
                listen(&piece);
                whole.push_str(&piece);
            }
            ControlFlow::Continue(())
        }
        Err(e) => {
            trouble = Some(fault(e));
            ControlFlow::Break(())
        }
    })?;
    trouble.map_or(Ok((whole, end)), |e| Err(e.into()))
}

/// Chooses tokens, one after another.
struct Chooser {
    choice: Choice,
    rng: ChaCha8Rng,
}

impl Chooser {
    fn new(choice: Choice) -> Result<Self, ModelError> {
        let seed = match choice {
            Choice::Greedy => 0,
            Choice::Sampled { temperature, top_p, seed, .. } => {
                if !(temperature > 0.0 && temperature.is_finite() && (0.0..=1.0).contains(&top_p)) {
                    return Err(ModelError::Mismatch(format!(
                        "a temperature of {temperature} or a top-p of {top_p} cannot be sampled with"
                    )));
                }
                seed
            }
        };
        Ok(Self { choice, rng: ChaCha8Rng::seed_from_u64(seed) })
    }

    fn choose(&mut self, logits: &[f32]) -> Result<u32, ModelError> {
        if logits.is_empty() || logits.iter().any(|x| x.is_nan()) {
            return Err(ModelError::Mismatch("the model gives no usable logits".into()));
        }
        let likelier = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
        let Choice::Sampled { temperature, top_p, top_k, .. } = self.choice else {
            return Ok((0..logits.len()).min_by(likelier).unwrap_or(0) as u32);
        };
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(likelier);
        if top_k > 0 {
            order.truncate(top_k);
        }
        let top = logits[order[0]];
        let shares: Vec<f64> =
            order.iter().map(|i| (f64::from(logits[*i] - top) / f64::from(temperature)).exp()).collect();
        // The nucleus: tokens until the share asked for is reached, the one that reaches it included.
        let wanted = f64::from(top_p) * shares.iter().sum::<f64>();
        let mut reached = 0.0;
        let kept = shares.iter().position(|s| {
            reached += s;
            reached >= wanted
        });
        let kept = kept.map_or(shares.len(), |last| last + 1);
        let mut at = self.rng.random::<f64>() * shares[..kept].iter().sum::<f64>();
        let drawn = shares[..kept].iter().position(|s| {
            at -= s;
            at < 0.0
        });
        Ok(order[drawn.unwrap_or(kept - 1)] as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::numbers;
    use crate::model::ModelFolder;
    use burn::tensor::Device;
    use std::path::Path;

    fn decoder(name: &str) -> Decoder {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name);
        ModelFolder::open(&path).and_then(|f| f.load(&Device::flex())).expect(name)
    }

    fn greedy(limit: usize) -> GenerateOptions {
        GenerateOptions { choice: Choice::Greedy, limit, stop: vec![], rows: None }
    }

    #[test]
    fn the_cache_gives_the_logits_of_the_whole_sequence() {
        // Rope scaling, a sliding window of 4 and norms; the prompt goes in by pieces.
        for name in ["llama-tied", "mistral-untied", "qwen3-tied", "qwen2-untied"] {
            let decoder = decoder(name);
            let ids: Vec<u32> = (0..20).map(|i| i * 7 % 48).collect();
            let whole = numbers(decoder.logits(&ids, [1, 20]).expect("ids fit")).expect("Flex can be read");
            let mut cache = decoder.cache();
            for piece in [&ids[..9], &ids[9..10], &ids[10..20]] {
                let last = decoder.advance(&mut cache, piece).expect("ids fit");
                let row = &whole[(cache.positions() - 1) * 48..][..48];
                let off = last.iter().zip(row).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                // The same sums in another order.
                assert!(off < 1e-5, "{name} after {}: {off}", cache.positions());
            }
        }
    }

    #[test]
    fn greedy_text_follows_the_largest_logits_and_ends_where_it_should() {
        let decoder = decoder("qwen3-untied");
        let (written, end) =
            tokens(&decoder, &[1, 2, 3], &greedy(6), &mut |_| ControlFlow::Continue(())).expect("ids fit");
        assert_eq!((written.len(), end), (6, End::Limit));
        let mut ids = vec![1, 2, 3];
        for id in &written {
            let logits = numbers(decoder.logits(&ids, [1, ids.len()]).expect("ids fit")).expect("Flex can be read");
            let row = &logits[(ids.len() - 1) * 48..];
            assert!(row.iter().all(|x| *x <= row[*id as usize] + 1e-6));
            ids.push(*id);
        }
        let stop = GenerateOptions { stop: vec![written[2]], ..greedy(6) };
        let (stopped, end) = tokens(&decoder, &[1, 2, 3], &stop, &mut |_| ControlFlow::Continue(())).expect("fits");
        let first = written.iter().position(|id| *id == written[2]).expect("it is there");
        assert_eq!((stopped.as_slice(), end), (&written[..first], End::Stopped));
        let (one, end) = tokens(&decoder, &[1, 2, 3], &greedy(6), &mut |_| ControlFlow::Break(())).expect("fits");
        assert_eq!((one.len(), end), (1, End::Broken));
        assert!(tokens(&decoder, &[], &greedy(6), &mut |_| ControlFlow::Break(())).is_err());
    }

    #[test]
    fn samples_follow_the_distribution_within_top_k_and_top_p() {
        let logits = [2f32.ln(), 5f32.ln(), 0.0, 2f32.ln()];
        let draw = |temperature, top_p, top_k| {
            let choice = Choice::Sampled { temperature, top_p, top_k, seed: 7 };
            let mut chooser = Chooser::new(choice).expect("it can be sampled");
            let mut counts = [0u32; 4];
            for _ in 0..10_000 {
                counts[chooser.choose(&logits).expect("usable logits") as usize] += 1;
            }
            counts.map(|c| f64::from(c) / 10_000.0)
        };
        // Deviation of a share is at most 0.005; four of them.
        let near = |a: [f64; 4], b: [f64; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.02);
        assert!(near(draw(1.0, 1.0, 0), [0.2, 0.5, 0.1, 0.2]));
        assert!(near(draw(1.0, 1.0, 2), [2.0 / 7.0, 5.0 / 7.0, 0.0, 0.0]));
        assert!(near(draw(1.0, 0.6, 0), [2.0 / 7.0, 5.0 / 7.0, 0.0, 0.0]));
        assert!(near(draw(0.5, 1.0, 0), [4.0 / 34.0, 25.0 / 34.0, 1.0 / 34.0, 4.0 / 34.0]));
        assert!(Chooser::new(Choice::Sampled { temperature: 0.0, top_p: 1.0, top_k: 0, seed: 1 }).is_err());
    }
}
