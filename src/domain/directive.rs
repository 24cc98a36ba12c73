//! Mid-training: what is measured, what may be directed, and who decides. The executor measures and obeys;
//! what a measurement means is known to the reviewer alone.

use super::strategy::Strategy;
use serde::{Deserialize, Serialize};

/// One optimiser step, as measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Optimiser step, from 1.
    pub step: u64,
    /// Steps planned in all.
    pub steps_planned: u64,
    /// UTF-8 bytes of text seen so far.
    pub bytes_seen: u64,
    /// Tokens seen so far.
    pub tokens_seen: u64,
    /// Mean loss of the step, nats per token of the tokenizer in use: not comparable between tokenizers.
    pub loss: f64,
    /// The same loss as bits per byte of the step's text.
    pub bits_per_byte: f64,
    /// Global gradient norm before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Tokens a second, over the last steps.
    pub tokens_per_second: f64,
    /// Seconds since training began.
    pub elapsed: f64,
    /// Peak resident memory of the process so far, bytes; 0 where it is not known.
    pub peak_memory: u64,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Directive {
    /// Go on.
    Continue,
    /// Apply no update for this batch.
    SkipBatch { because: String },
    /// Multiply the learning rate by `factor` from here on.
    Adjust { factor: f64, because: String },
    /// Go back to the last checkpoint at least `steps` back.
    Rewind { steps: u64, because: String },
    /// Stop; what was learnt is kept.
    StopEarly { because: String },
    /// Give this strategy up for another.
    Switch { to: Strategy, because: String },
    /// Restart on the original tokenizer with the emergency configuration.
    FallBack { because: String },
}

/// Looks at a run while it trains. Called once a step, before the update is applied.
pub trait Reviewer: Send {
    /// What to do about this step.
    fn review(&mut self, measurement: &Measurement) -> Directive;
}
