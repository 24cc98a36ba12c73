//! A base from scratch, and the whole flow on a sample: what a newcomer sees first.

use super::auto::{AutoRequest, auto};
use super::{AppError, Settings, must_be_free, write_whole};
use crate::corpus::{Corpus, CorpusOptions};
use crate::domain::event::{Event, Observer};
use crate::domain::run::Run;
use crate::model;
use crate::model::ModelConfig;
use crate::tokenizer::TokenizerFile;
use crate::tokenizer::{self, Coder};
use crate::train;
use crate::train::pretrain::{PretrainConfig, Surroundings, save_base};
use crate::train::{Checkpoints, NoopReviewer, TrainingEnd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What to pretrain.
#[derive(Debug, Clone)]
pub struct PretrainRequest {
    /// A config.json.
    pub config: PathBuf,
    /// The tokenizer.
    pub source: PathBuf,
    /// Training text.
    pub train: Vec<PathBuf>,
    /// A free folder.
    pub out: PathBuf,
    /// Tokens to train on.
    pub tokens: u64,
    /// No more of the text than this.
    pub train_bytes: Option<u64>,
    /// Sequences a step.
    pub batch: usize,
    /// Tokens a sequence.
    pub sequence: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Seed of everything random.
    pub seed: u64,
    /// Where to train.
    pub device: String,
    /// How text is read.
    pub reading: CorpusOptions,
    /// Optimiser steps between checkpoints; 0 for none, not even when a signal comes. They lie beside the output folder
    /// and go when it is written.
    pub checkpoint_every: u64,
    /// Whether to go on from the checkpoints of an interrupted run.
    pub resume: bool,
    /// Set by a signal: training ends and is saved.
    pub stop: Arc<AtomicBool>,
}

impl PretrainRequest {
    /// Where the state of a run that is not over lies: `OUT.checkpoints`.
    fn checkpoints(&self) -> Option<PathBuf> {
        let mut name = self.out.file_name()?.to_os_string();
        name.push(".checkpoints");
        (self.checkpoint_every > 0).then(|| self.out.with_file_name(name))
    }
}

/// What pretraining came to.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Pretrained {
    /// Tokens trained on.
    pub tokens: u64,
    /// Wall seconds.
    pub seconds: f64,
    /// Training loss of the last steps, in bits per byte.
    pub bits_per_byte: f64,
}

/// Pretrains a base and leaves a complete Hugging Face folder.
pub fn pretrain(request: &PretrainRequest, observer: &mut dyn Observer) -> Result<Pretrained, AppError> {
    must_be_free(&request.out)?;
    let checkpoints = request.checkpoints();
    if let Some(checkpoints) = checkpoints.clone().filter(|c| c.exists() && !request.resume) {
        return Err(AppError::Unfinished { checkpoints });
    }
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|source| AppError::File { verb: "read", path: path.into(), source })
    };
    let wanted = ModelConfig::parse(&request.config, &read(&request.config)?)?;
    let device = model::device::choose(&request.device)?;
    observer.observe(&Event::Note { text: format!("Training on {}: {}", device.name, device.why) });
    let source = TokenizerFile::open(&request.source)?;
    let coder = Coder::of(source.tokenizer.clone(), &source.vocabulary)?;
    let documents = Corpus::open(&request.train, &request.reading)?.collect(request.train_bytes)?;
    let recipe = PretrainConfig {
        size: wanted.size,
        tokens: request.tokens,
        batch: request.batch,
        sequence: request.sequence,
        learning_rate: request.learning_rate,
        seed: request.seed,
        checkpoints: checkpoints.clone().map(|folder| Checkpoints {
            folder,
            every: request.checkpoint_every,
            resume: request.resume,
        }),
        ..PretrainConfig::default()
    };
    let mut around =
        Surroundings { device: &device.device, reviewer: &mut NoopReviewer, observer, stop: &request.stop };
    let fitted = train::pretrain::pretrain(&recipe, &coder, &documents, None, &mut around)?;
    if fitted.ending == TrainingEnd::Interrupted {
        return Err(match checkpoints {
            Some(checkpoints) => AppError::Saved { checkpoints },
            None => AppError::Interrupted,
        });
    }
    save_base(&request.out, &fitted.model, &coder, &read(&source.path)?, recipe.dtype)?;
    if let Some(Err(e)) = checkpoints.filter(|c| c.exists()).map(std::fs::remove_dir_all) {
        observer.observe(&Event::Note { text: format!("The checkpoints could not be removed: {e}") });
    }
    let last = fitted.curve.iter().rev().find_map(|p| p.train_bits_per_byte);
    Ok(Pretrained { tokens: fitted.tokens_seen, seconds: fitted.seconds, bits_per_byte: last.unwrap_or(f64::NAN) })
}

/// The sample's text: lines are documents, no line stands in both parts.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What the base is pretrained on.
    pub base_train: Vec<String>,
    /// The language the model should move to, for training.
    pub target_train: Vec<String>,
    /// The same language, held out.
    pub target_eval: Vec<String>,
}

/// How much the demo does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// A few minutes on two cores.
    Full,
    /// Seconds: the flow, not a result.
    Quick,
}

impl Effort {
    /// Bytes of text the base is pretrained on.
    pub fn base_bytes(self) -> usize {
        match self {
            Effort::Full => 1_500_000,
            Effort::Quick => 120_000,
        }
    }

    /// Bytes of text in the language to move to, held-out part included.
    pub fn target_bytes(self) -> usize {
        match self {
            Effort::Full => 600_000,
            Effort::Quick => 80_000,
        }
    }

    /// Tokens of each tokenizer.
    fn vocabulary(self) -> usize {
        match self {
            Effort::Full => 3_072,
            Effort::Quick => 768,
        }
    }

    /// Tokens the base is pretrained on.
    fn base_tokens(self) -> u64 {
        match self {
            Effort::Full => 600_000,
            Effort::Quick => 30_000,
        }
    }

    /// Bytes of held-out text.
    fn eval_bytes(self) -> u64 {
        match self {
            Effort::Full => 30_000,
            Effort::Quick => 8_000,
        }
    }

    /// A config.json: a Qwen3 small enough for two CPU cores.
    fn base_config(self) -> serde_json::Value {
        let (hidden, layers, heads) = match self {
            Effort::Full => (128, 4, 4),
            Effort::Quick => (32, 2, 2),
        };
        serde_json::json!({
            "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu",
            "hidden_size": hidden, "intermediate_size": 3 * hidden, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": heads / 2, "head_dim": hidden / heads,
            "max_position_embeddings": 1024, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "tie_word_embeddings": true, "attention_bias": false, "vocab_size": self.vocabulary()
        })
    }

    /// What the demo changes in the strategies' configurations, which are meant for models a thousand times its size.
    fn overrides(self) -> Vec<(String, serde_json::Value)> {
        let batch = if self == Effort::Full { 16 } else { 4 };
        [
            ("epochs", 1.into()),
            ("batch", batch.into()),
            ("accumulation", 1.into()),
            ("sequence", 128.into()),
            ("rank", 16.into()),
            ("alpha", 32.into()),
            ("dropout", 0.into()),
            ("learning_rate", 2e-3.into()),
            ("embedding_learning_rate", 2e-3.into()),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .to_vec()
    }
}

/// Makes two tokenizers and a base from the sample, then runs `auto` with `keep` beside it.
pub fn demo(
    settings: &Settings,
    sample: &Sample,
    effort: Effort,
    out: &Path,
    seed: u64,
    stop: &Arc<AtomicBool>,
    observer: &mut dyn Observer,
) -> Result<Run, AppError> {
    settings.must_be_free(out)?;
    let folder = out.join("sample");
    let text = |name: &str, lines: &[String]| -> Result<PathBuf, AppError> {
        let path = folder.join(name);
        write_whole(&path, (lines.join("\n") + "\n").as_bytes())?;
        Ok(path)
    };
    let base_train = text("base-train.txt", &sample.base_train)?;
    let target_train = text("target-train.txt", &sample.target_train)?;
    let target_eval = text("target-eval.txt", &sample.target_eval)?;

    let mut train_tokenizer = |name: &str, lines: &[String]| -> Result<PathBuf, AppError> {
        let vocab = effort.vocabulary();
        observer.observe(&Event::Note { text: format!("Training a tokenizer of {vocab} tokens: {name}") });
        let path = folder.join(name);
        let json = tokenizer::train_bpe(lines, &tokenizer::BpeConfig { vocab, ..Default::default() })?;
        write_whole(&path.join("tokenizer.json"), json.as_bytes())?;
        Ok(path)
    };
    let source = train_tokenizer("source-tokenizer", &sample.base_train)?;
    let candidate = train_tokenizer("candidate-tokenizer", &sample.target_train)?;

    let config = folder.join("base-config.json");
    write_whole(&config, format!("{:#}\n", effort.base_config()).as_bytes())?;
    let base = folder.join("base");
    let request = PretrainRequest {
        config,
        source,
        train: vec![base_train],
        out: base.clone(),
        tokens: effort.base_tokens(),
        train_bytes: None,
        batch: 16,
        sequence: 128,
        learning_rate: 3e-3,
        seed,
        device: "cpu".into(),
        reading: CorpusOptions::default(),
        checkpoint_every: 0,
        resume: false,
        stop: stop.clone(),
    };
    pretrain(&request, observer)?;

    let request = AutoRequest {
        with_keep: true,
        eval_bytes: effort.eval_bytes(),
        overrides: effort.overrides(),
        seed,
        device: "cpu".into(),
        stop: stop.clone(),
        ..AutoRequest::new(base, candidate, vec![target_train], vec![target_eval], out.join("run"))
    };
    auto(settings, &request, observer)
}
