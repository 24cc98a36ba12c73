//! The portfolio: the roads a model can take to another tokenizer, and how each is configured. Executing them
//! is not known here.

use serde::{Deserialize, Serialize};

/// A road (spec section 2).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Strategy {
    /// Original tokenizer, LoRA only, embeddings untouched.
    Keep,
    /// Candidate tokenizer at once: embeddings mapped, then trained with LoRA.
    Direct,
    /// Original first, then the candidate from the adapted weights.
    Sequential,
    /// A safe and a risky branch race; a winner is chosen.
    Parallel,
    /// Two embedding tables and heads with bridges.
    Structural,
    /// The original vocabulary, grown.
    Extend,
    /// Start from the decision, re-decide while training.
    Adaptive,
    /// The fallback that always works.
    Emergency,
}

/// How a stage of a strategy trains. Defaults are spec section 2's table, read from `rules/strategies.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// LoRA rank r.
    pub rank: usize,
    /// LoRA alpha; the side path is scaled by alpha / r. Default 2 x rank.
    pub alpha: f64,
    /// Dropout on the side path's input, in 0..1.
    pub dropout: f64,
    /// Peak learning rate of the adapters.
    pub learning_rate: f64,
    /// Peak learning rate of trained embeddings and head; the adapters' where absent.
    #[serde(default)]
    pub embedding_learning_rate: Option<f64>,
    /// Share of all steps spent warming up, in 0..1.
    pub warmup: f64,
    /// Passes over the training text.
    pub epochs: f64,
    /// Sequences a micro-batch.
    pub batch: usize,
    /// Micro-batches a step.
    pub accumulation: usize,
    /// AdamW's decoupled weight decay.
    pub weight_decay: f64,
    /// Sequence length in tokens of the *original* tokenizer; others get the length of the same expected bytes.
    pub sequence: usize,
    /// Whether embed_tokens and lm_head are trained in full and saved.
    pub train_embeddings: bool,
}
