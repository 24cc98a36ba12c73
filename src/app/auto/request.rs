//! What is asked of a run: inputs, limits and wishes, as they come from a command line or a client. Whether they can be
//! met is not known here.

use crate::corpus::CorpusOptions;
use crate::domain::injection::Injection;
use crate::domain::resources::Resources;
use crate::domain::strategy::Strategy;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A run that is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AutoRequest {
    /// The base model's folder.
    pub model: PathBuf,
    /// The original tokenizer; the model's where absent.
    pub source: Option<PathBuf>,
    /// The candidate tokenizer.
    pub candidate: PathBuf,
    /// Training text.
    pub train: Vec<PathBuf>,
    /// How often each training text is seen an epoch, in their order; once where there are none.
    #[serde(default)]
    pub weights: Vec<f64>,
    /// Held-out text.
    pub eval: Vec<PathBuf>,
    /// A free folder.
    pub out: PathBuf,
    /// A strategy that the user insists on.
    pub strategy: Option<Strategy>,
    /// With this probability something else than decided is tried, so that the history learns of it; `None` never does.
    pub explore: Option<f64>,
    /// Whether to run `keep` beside it as the yardstick.
    pub with_keep: bool,
    /// No more of the training text than this.
    pub train_bytes: Option<u64>,
    /// No more of the held-out text than this.
    pub eval_bytes: u64,
    /// Changes to the stages' configurations.
    pub overrides: Vec<(String, serde_json::Value)>,
    /// How rows are made for another vocabulary; the default method where absent.
    pub method: Option<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// Where to train.
    pub device: String,
    /// What there is to work with.
    pub resources: Resources,
    /// How text is read.
    pub reading: CorpusOptions,
    /// Trouble to make on purpose.
    pub injected: Vec<Injection>,
    /// Set by a signal: training stops after the step in flight and keeps what was learnt.
    #[serde(skip)]
    pub stop: Arc<AtomicBool>,
}

impl AutoRequest {
    /// These inputs, and the defaults for everything else.
    pub fn new(model: PathBuf, candidate: PathBuf, train: Vec<PathBuf>, eval: Vec<PathBuf>, out: PathBuf) -> Self {
        Self {
            model,
            source: None,
            candidate,
            train,
            weights: Vec::new(),
            eval,
            out,
            strategy: None,
            explore: None,
            with_keep: false,
            train_bytes: None,
            eval_bytes: 1_000_000,
            overrides: Vec::new(),
            method: None,
            seed: 0,
            device: "auto".into(),
            resources: Resources::default(),
            reading: CorpusOptions::default(),
            injected: Vec::new(),
            stop: Arc::default(),
        }
    }
}
