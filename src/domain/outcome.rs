//! How a run ended: comparable losses, the curve, incidents. Judging them against levels is the rules' business.

use super::directive::Directive;
use super::metric::{BitsPerByte, EquivalentLoss, Share};
use super::reason::{Because, StepSignals, VerdictReason};
use super::strategy::Strategy;
use serde::{Deserialize, Serialize};

/// A held-out evaluation: the same documents, cut by bytes, whatever the tokenizer (spec section 3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evaluation {
    /// Comparable between tokenizers.
    pub bits_per_byte: BitsPerByte,
    /// Nats per token of the *original* tokenizer; comparable.
    pub equivalent_loss: EquivalentLoss,
    /// Nats per token of the tokenizer in use; NOT comparable between tokenizers.
    pub loss_per_token: f64,
    /// Total nats, unknown bytes charged.
    pub nats: f64,
    /// Tokens predicted.
    pub tokens: u64,
    /// Tokens the original tokenizer needs for the same text.
    pub source_tokens: u64,
    /// UTF-8 bytes of the text.
    pub bytes: u64,
    /// Documents evaluated.
    pub documents: u64,
    /// Share of the text's bytes lost to unknown tokens, charged at 8 bits each.
    pub unknown_bytes: Share,
}

/// A point of the learning curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CurvePoint {
    /// Optimiser step.
    pub step: u64,
    /// UTF-8 bytes of training text seen.
    pub bytes_seen: u64,
    /// Seconds since training began.
    pub elapsed: f64,
    /// Training loss as bits per byte (smoothed over the steps since the last point).
    pub train_bits_per_byte: Option<f64>,
    /// Held-out bits per byte, where it was evaluated here.
    pub eval_bits_per_byte: Option<f64>,
}

/// Success levels, from `rules/levels.toml`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::Display,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    /// Worse than the minimum.
    Failed,
    /// Better than where it started to matter.
    Minimum,
    /// As hoped.
    Good,
    /// Better than hoped.
    Excellent,
}

/// What goes wrong during a run.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema, strum::Display, strum::EnumString,
)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
#[strum(serialize_all = "snake_case")]
pub enum IncidentKind {
    /// A loss or a gradient that is not finite.
    NonFinite,
    /// A gradient far longer than those before.
    Explosion,
    /// A loss or gradient norm far above the last steps'.
    Spike,
    /// A loss that leaves its best for good.
    Divergence,
    /// A branch that will hardly get to what can be had without it.
    #[strum(serialize = "hopeless")]
    Unpromising,
    /// No room on the device.
    OutOfMemory,
    /// What a newer hibrit calls by this name.
    #[strum(default)]
    Other(String),
}

impl From<String> for IncidentKind {
    fn from(name: String) -> Self {
        name.parse().unwrap_or(Self::Other(name))
    }
}

impl From<IncidentKind> for String {
    fn from(kind: IncidentKind) -> Self {
        kind.to_string()
    }
}

/// Trouble during a run and what was done about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Incident {
    /// Optimiser step at which it showed.
    pub step: u64,
    /// What was seen: non_finite, explosion, spike, divergence, hopeless, out_of_memory.
    pub kind: IncidentKind,
    /// What exactly, with the numbers, in an English sentence.
    pub detail: String,
    /// Loss and gradient norm of the step, where they were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<StepSignals>,
    /// What was done.
    pub directive: Directive,
}

/// How a branch or a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// As planned.
    Done,
    /// Stopped early by the reviewer or a budget; what was learnt is kept.
    Stopped,
    /// Gave no usable model.
    Failed,
    /// A signal stopped it; it can be resumed.
    Interrupted,
}

/// One training branch: a strategy's model trained and evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Branch {
    /// A short name: keep, direct, a, b, stage-1.
    pub name: String,
    /// The strategy it stands for.
    pub strategy: Strategy,
    /// The vocabulary in use at its end.
    pub tokenizer: Vocab,
    /// How it ended.
    pub status: Status,
    /// Before training (after a transplant, where there was one).
    pub before: Option<Evaluation>,
    /// At the end.
    pub after: Option<Evaluation>,
    /// The learning curve.
    pub curve: Vec<CurvePoint>,
    /// Trouble, in order.
    pub incidents: Vec<Incident>,
    /// Seconds of wall time.
    pub seconds: f64,
    /// Training tokens seen.
    pub tokens_seen: u64,
    /// Training bytes seen.
    pub bytes_seen: u64,
    /// Trained parameters.
    pub trainable_parameters: u64,
    /// Where its model lies, relative to the run's folder.
    pub folder: Option<String>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// Which tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Side {
    /// The original tokenizer.
    Source,
    /// The candidate tokenizer.
    Candidate,
}

/// The vocabulary that a stage trains on. Files written before there were four hold one of the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Vocab {
    /// The original's.
    Source,
    /// The candidate's.
    Candidate,
    /// The original's with new tokens behind the old ones.
    Grown,
    /// The candidate's beside the original's.
    Both,
}

impl Vocab {
    /// Whose side a branch on it is on in a race, and whose tokens its text is cut into: a grown original is another
    /// tokenizer than the original.
    pub fn side(self) -> Side {
        match self {
            Vocab::Source => Side::Source,
            Vocab::Candidate | Vocab::Grown | Vocab::Both => Side::Candidate,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Outcome {
    /// The strategy whose model came out.
    pub strategy: Strategy,
    /// How it ended.
    pub status: Status,
    /// The base model on the same text, before anything.
    pub base: Option<Evaluation>,
    /// Of the model that came out.
    pub bits_per_byte: Option<BitsPerByte>,
    /// Of the model that came out.
    pub equivalent_loss: Option<EquivalentLoss>,
    /// From `rules/levels.toml`.
    pub level: Option<Level>,
    /// Bits per byte saved against `keep` on the same text and budget (positive: better), where `keep` was run.
    pub saved_against_keep: Option<f64>,
    /// Name of the branch that won.
    pub winner: Option<String>,
    /// Why it won.
    #[serde(flatten)]
    pub verdict: Because<VerdictReason>,
    /// All branches, losers too.
    pub branches: Vec<Branch>,
    /// All incidents, in order.
    pub incidents: Vec<Incident>,
    /// Seconds of wall time, all branches.
    pub seconds: f64,
    /// Energy of the processors while the run went on, where the machine tells (RAPL), joules.
    #[serde(default)]
    pub energy_joules: Option<f64>,
}
