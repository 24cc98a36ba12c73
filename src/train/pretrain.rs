//! A small base model from scratch: text and a tokenizer go in, a complete Hugging Face folder comes out. Made for demos
//! and experiments; which text is good enough to learn from is not known here.

use super::error::TrainError;
use crate::domain::directive::Reviewer;
use crate::domain::event::Observer;
use crate::domain::strategy::{Checkpointing, LrSchedule, Precision, StageConfig};
use crate::model::evaluate::HeldOut;
use crate::model::{Decoder, Dimensions, Dtype, ModelConfig, Specials, save_model, write_atomically};
use crate::tokenizer::Coder;
use crate::tokenizer::TokenizerError;
use crate::train::{Checkpoints, Fitted, PackedDataset, Plan, TrainCallbacks, fit};
use burn::tensor::Device;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// What base to make.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainConfig {
    /// The sizes; `rows` is taken from the tokenizer (padded to a multiple of 64) where it is 0.
    pub size: Dimensions,
    /// Training tokens to see.
    pub tokens: u64,
    /// Tokens a sequence.
    pub sequence: usize,
    /// Sequences a step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Share of the steps spent warming up.
    pub warmup: f64,
    /// Seed of the weights, the order and everything else.
    pub seed: u64,
    /// How the weights are stored.
    pub dtype: Dtype,
    /// Where and how often the run is saved on the way; `None`: never.
    pub checkpoints: Option<Checkpoints>,
}

impl Default for PretrainConfig {
    /// About a million parameters beside the embeddings; a rate that suits tiny models.
    fn default() -> Self {
        Self {
            size: Dimensions {
                rows: 0,
                hidden: 128,
                intermediate: 384,
                layers: 4,
                heads: 4,
                kv_heads: 2,
                head_dim: 32,
                positions: 1024,
                tied: true,
            },
            tokens: 1_000_000,
            sequence: 128,
            batch: 16,
            learning_rate: 3e-3,
            warmup: 0.1,
            seed: 0,
            dtype: Dtype::F32,
            checkpoints: None,
        }
    }
}

/// Who is heard, and where.
pub struct Surroundings<'a> {
    /// Where it is trained.
    pub device: &'a Device,
    /// Asked once a step.
    pub reviewer: &'a mut dyn Reviewer,
    /// Told everything.
    pub observer: &'a mut dyn Observer,
    /// Raised by a signal: training ends, and is saved where there are checkpoints.
    pub stop: &'a AtomicBool,
}

/// Trains a base. Text is seen as often as the token budget asks for.
///
/// # Errors
/// Where the text or the tokenizer cannot be used, the sizes contradict each other, or the device fails.
pub fn pretrain<S: AsRef<str> + Sync>(
    config: &PretrainConfig,
    coder: &Coder,
    documents: &[S],
    held_out: Option<&HeldOut>,
    around: &mut Surroundings<'_>,
) -> Result<Fitted, TrainError> {
    let mut size = config.size;
    if size.rows == 0 {
        size.rows = coder.rows().next_multiple_of(64);
    }
    if size.rows < coder.rows() {
        return Err(TrainError::Data(format!(
            "a model of {} embedding rows cannot hold a tokenizer of {}",
            size.rows,
            coder.rows()
        )));
    }
    if config.sequence > size.positions {
        return Err(TrainError::Data(format!(
            "sequences of {} tokens are longer than the model's {} positions",
            config.sequence, size.positions
        )));
    }
    let model_config = ModelConfig::qwen3(size)?.with_specials(specials(coder));
    let model = Decoder::init(&model_config, around.device, config.seed)?.full();
    let data = PackedDataset::text(coder, documents, config.sequence, config.seed)?;
    let stage = StageConfig {
        rank: 1,
        alpha: 1.0,
        dropout: 0.0,
        learning_rate: config.learning_rate,
        embedding_learning_rate: None,
        head_learning_rate: None,
        warmup: config.warmup,
        epochs: config.tokens as f64 / data.tokens().max(1) as f64,
        batch: config.batch,
        accumulation: 1,
        // The usual decay of pretraining; matrices only.
        weight_decay: 0.1,
        sequence: config.sequence,
        train_embeddings: true,
        schedule: LrSchedule::Cosine,
        checkpointing: Checkpointing::OFF,
        base: Precision::F32,
    };
    // Down to a tenth of the peak, so that the base stays trainable.
    let plan = Plan { floor: 0.1, checkpoints: config.checkpoints.clone(), ..Plan::new(stage, config.seed) };
    let clock = std::time::Instant::now();
    let mut callbacks =
        TrainCallbacks { reviewer: around.reviewer, observer: around.observer, stop: around.stop, clock: &clock };
    fit(model, &data, held_out, &plan, &mut callbacks)
}

/// Writes a base as a complete Hugging Face folder: config.json, generation_config.json, model.safetensors,
/// tokenizer.json, tokenizer_config.json. Each file is written beside its place and renamed.
///
/// # Errors
/// [`FileError::Write`](crate::files::FileError::Write) where the disk refuses; [`TrainError::Tokenizer`] where the
/// tokenizer's text is not JSON.
pub fn save_base(
    folder: &Path,
    model: &Decoder,
    coder: &Coder,
    tokenizer_json: &str,
    dtype: Dtype,
) -> Result<(), TrainError> {
    save_model(folder, model, model.config(), dtype)?;
    let tokenizer: serde_json::Value =
        serde_json::from_str(tokenizer_json).map_err(|e| TokenizerError::Unusable(e.to_string()))?;
    let name = |id: Option<u32>| {
        let added = tokenizer.get("added_tokens")?.as_array()?;
        let token = added.iter().find(|t| t.get("id").and_then(serde_json::Value::as_u64) == id.map(u64::from))?;
        Some(token.get("content")?.as_str()?.to_owned())
    };
    let ids = specials(coder);
    let generation = json!({
        "_from_model_config": true, "bos_token_id": ids.bos, "eos_token_id": ids.eos, "pad_token_id": ids.pad,
        "do_sample": false,
    });
    let named = [("bos_token", name(ids.bos)), ("eos_token", name(ids.eos)), ("pad_token", name(ids.pad))];
    let tokenizer_config = crate::tokenizer::config(model.config().size.positions, named);
    let write = |file: &str, text: &str| write_atomically(&folder.join(file), |out| out.write_all(text.as_bytes()));
    write("generation_config.json", &format!("{generation:#}\n"))?;
    write("tokenizer_config.json", &tokenizer_config)?;
    Ok(write("tokenizer.json", tokenizer_json)?)
}

/// The control tokens of a base: what opens and closes its documents; padding with the closer.
fn specials(coder: &Coder) -> Specials {
    Specials { bos: coder.opener(), eos: coder.closer(), pad: coder.closer().or(coder.opener()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Silent;
    use crate::domain::vocabulary::{Mapping, Origin, TokenKind, Vocabulary};
    use crate::model::ModelFolder;
    use crate::model::device;
    use crate::tokenizer::{BpeConfig, BpeKind, train_bpe, vocabulary_for_tests};
    use crate::train::NoopReviewer;
    use crate::transplant::{self, InitContext, MatrixRole, Method};

    fn text() -> Vec<String> {
        (0..200).map(|i| format!("the {} cat sat on the {} mat", i % 7, i % 5)).collect()
    }

    fn base(coder: &Coder, held_out: &HeldOut) -> Fitted {
        let size = Dimensions {
            hidden: 32,
            intermediate: 64,
            layers: 2,
            head_dim: 16,
            heads: 2,
            ..PretrainConfig::default().size
        };
        let config = PretrainConfig { size, tokens: 40_000, sequence: 32, batch: 8, ..PretrainConfig::default() };
        let (device, stop) = (device::cpu("a test").device, AtomicBool::new(false));
        let (reviewer, observer) = (&mut NoopReviewer, &mut Silent);
        let mut around = Surroundings { device: &device, reviewer, observer, stop: &stop };
        pretrain(&config, coder, &text(), Some(held_out), &mut around).unwrap()
    }

    /// Exact bytes, roles, pieces as the source encodes a token's text: the analyzer does this for any tokenizer.
    fn mapping(source: &Coder, old: &Vocabulary, new: &Vocabulary) -> Mapping {
        let role = |id: u32| {
            let role = new.roles().iter().find(|(_, i)| **i == id)?.0;
            old.role(role).map(Origin::Role)
        };
        let pieces = |bytes: &[u8]| {
            let encoded = source.encode_one(std::str::from_utf8(bytes).ok()?).ok()?;
            Some(Origin::Pieces(encoded.ids.into_iter().zip(encoded.bytes).collect()))
        };
        let origin = |id: u32| {
            let token = new.get(id)?;
            if token.kind == TokenKind::Special {
                return role(id);
            }
            old.by_bytes(&token.bytes).map(Origin::Exact).or_else(|| pieces(&token.bytes))
        };
        Mapping { origins: (0..new.rows() as u32).map(|id| origin(id).unwrap_or(Origin::Nothing)).collect() }
    }

    #[test]
    fn before_any_training_pieces_are_a_better_start_than_chance() {
        let kind = BpeKind::ByteLevel;
        let json = |vocab| train_bpe(&text(), &BpeConfig { vocab, kind, min_frequency: 2 }).unwrap();
        let (small, large) = (json(268), json(300));
        let (old, new) = (vocabulary_for_tests(&small, kind), vocabulary_for_tests(&large, kind));
        let (source, candidate) = (Coder::new(&small, &old).unwrap(), Coder::new(&large, &new).unwrap());
        let documents = &text()[..20];
        let tokens = source.count(documents).unwrap();
        assert!(candidate.count(documents).unwrap() < tokens, "the candidate has tokens of its own");
        let trained = base(&source, &HeldOut::new(&source, documents, tokens, 512).unwrap());
        let (input, _) = trained.model.embeddings().unwrap();
        let mapping = mapping(&source, &old, &new);
        let held_out = HeldOut::new(&candidate, documents, tokens, 512).unwrap();
        let known: Vec<u32> = (0..old.rows() as u32).collect();
        let after = |method: Method| {
            let ground = InitContext::new(&input, &known, &mapping, MatrixRole::Input, 1).unwrap();
            let chain = transplant::chain_of(method, &mapping, &(&input).into(), (None, 1)).unwrap();
            let moved = transplant::rows(&ground, &chain);
            let model = trained.model.clone().replace_embeddings(moved.matrix, None).unwrap();
            held_out.evaluate(&model).unwrap().evaluation.bits_per_byte.get()
        };
        let (subtoken, overlap, random) = (after(Method::Subtoken), after(Method::Overlap), after(Method::Random));
        assert!(subtoken < random && overlap < random, "{subtoken} {overlap} {random}");
    }

    #[test]
    fn a_base_learns_its_text_and_its_folder_opens_again_with_the_same_losses() {
        let text = text();
        let json = train_bpe(&text, &BpeConfig { vocab: 300, kind: BpeKind::ByteLevel, min_frequency: 2 }).unwrap();
        let coder = Coder::new(&json, &vocabulary_for_tests(&json, BpeKind::ByteLevel)).unwrap();
        let held_out = HeldOut::new(&coder, &text[..20], 100, 512).unwrap();
        let fitted = base(&coder, &held_out);
        let bpb = |s: &Option<crate::model::evaluate::Scores>| s.as_ref().unwrap().evaluation.bits_per_byte.get();
        // A fresh model needs log2(320) bits a token; the text has two free digits in 26 bytes or so.
        assert!(bpb(&fitted.after) < 0.35 * bpb(&fitted.before), "{} {}", bpb(&fitted.before), bpb(&fitted.after));
        assert_eq!(fitted.after, base(&coder, &held_out).after, "the same seed gives the same base");

        let folder = tempfile::tempdir().unwrap();
        save_base(folder.path(), &fitted.model, &coder, &json, Dtype::F32).unwrap();
        for file in ["generation_config.json", "tokenizer.json", "tokenizer_config.json"] {
            assert!(folder.path().join(file).exists(), "{file}");
        }
        let again = ModelFolder::open(folder.path()).unwrap().load(&device::cpu("a test").device).unwrap();
        assert_eq!(held_out.evaluate(&again).unwrap(), fitted.after.unwrap());
    }
}
