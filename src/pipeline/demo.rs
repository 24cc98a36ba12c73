//! A base from scratch, and the whole flow on a sample: what a newcomer sees first.

use super::auto::{AutoRequest, auto};
use super::{PipelineError, Settings, must_be_free, write_whole};
use crate::analyze::TokenizerFile;
use crate::corpus::{Corpus, CorpusOptions};
use crate::domain::event::{Event, Observer};
use crate::domain::resources::Resources;
use crate::domain::run::Run;
use crate::execute::{self, tokenizer};
use std::path::{Path, PathBuf};

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
}

/// Pretrains a base and leaves a complete Hugging Face folder.
pub fn pretrain(
    request: &PretrainRequest,
    observer: &mut dyn Observer,
) -> Result<execute::pretrain::Pretrained, PipelineError> {
    must_be_free(&request.out)?;
    let device = execute::device::choose(&request.device)?;
    let source = TokenizerFile::open(&request.source)?;
    let documents = Corpus::open(&request.train, &request.reading)?.collect(request.train_bytes)?;
    let recipe = execute::pretrain::Recipe {
        tokens: request.tokens,
        batch: request.batch,
        sequence: request.sequence,
        learning_rate: request.learning_rate,
        seed: request.seed,
    };
    Ok(execute::pretrain::pretrain(
        &request.config,
        &source.encoder(),
        &documents,
        &recipe,
        &device.device,
        &request.out,
        observer,
    )?)
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

/// Tokens of each of the demo's tokenizers.
const VOCABULARY: usize = 3_072;
/// Tokens the demo's base is pretrained on.
const BASE_TOKENS: u64 = 1_200_000;
/// The demo's base: a Qwen3 small enough for two CPU cores.
const BASE: &str = r#"{
  "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu",
  "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4,
  "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
  "max_position_embeddings": 1024, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
  "tie_word_embeddings": true, "attention_bias": false, "vocab_size": 3072
}
"#;
/// What the demo changes in the strategies' configurations: they are meant for models a thousand times its size.
const SMALL: [(&str, &str); 6] =
    [("epochs", "1"), ("batch", "16"), ("accumulation", "1"), ("sequence", "128"), ("rank", "16"), ("alpha", "32")];
const SMALL_RATE: f64 = 2e-3;

/// Makes two tokenizers and a base from the sample, then runs `auto` with `keep` beside it.
pub fn demo(
    settings: &Settings,
    sample: &Sample,
    out: &Path,
    seed: u64,
    observer: &mut dyn Observer,
) -> Result<Run, PipelineError> {
    must_be_free(out)?;
    let folder = out.join("sample");
    let text = |name: &str, lines: &[String]| -> Result<PathBuf, PipelineError> {
        let path = folder.join(name);
        write_whole(&path, (lines.join("\n") + "\n").as_bytes())?;
        Ok(path)
    };
    let base_train = text("base-train.txt", &sample.base_train)?;
    let target_train = text("target-train.txt", &sample.target_train)?;
    let target_eval = text("target-eval.txt", &sample.target_eval)?;

    let mut train_tokenizer = |name: &str, lines: &[String]| -> Result<PathBuf, PipelineError> {
        observer.observe(&Event::Note { text: format!("Training a tokenizer of {VOCABULARY} tokens: {name}") });
        let path = folder.join(name);
        let json = tokenizer::train_bpe(lines, &tokenizer::Recipe { vocabulary: VOCABULARY, ..Default::default() })?;
        write_whole(&path.join("tokenizer.json"), json.as_bytes())?;
        Ok(path)
    };
    let source = train_tokenizer("source-tokenizer", &sample.base_train)?;
    let candidate = train_tokenizer("candidate-tokenizer", &sample.target_train)?;

    let config = folder.join("base-config.json");
    write_whole(&config, BASE.as_bytes())?;
    let base = folder.join("base");
    let request = PretrainRequest {
        config,
        source,
        train: vec![base_train],
        out: base.clone(),
        tokens: BASE_TOKENS,
        train_bytes: None,
        batch: 16,
        sequence: 128,
        learning_rate: 3e-3,
        seed,
        device: "cpu".into(),
        reading: CorpusOptions::default(),
    };
    pretrain(&request, observer)?;

    let mut overrides: Vec<(String, serde_json::Value)> = SMALL
        .iter()
        .filter_map(|(name, value)| Some(((*name).to_string(), serde_json::from_str(value).ok()?)))
        .collect();
    overrides.push(("learning_rate".into(), SMALL_RATE.into()));
    overrides.push(("embedding_learning_rate".into(), SMALL_RATE.into()));
    let request = AutoRequest {
        model: base,
        source: None,
        candidate,
        train: vec![target_train],
        eval: vec![target_eval],
        out: out.join("run"),
        strategy: None,
        with_keep: true,
        train_bytes: None,
        eval_bytes: 200_000,
        overrides,
        seed,
        device: "cpu".into(),
        resources: Resources::default(),
        reading: CorpusOptions::default(),
    };
    auto(settings, &request, observer)
}
