//! Mid-training: what is measured, what may be directed, and who decides. The executor measures and obeys;
//! what a measurement means is known to the reviewer alone.

use super::outcome::{CurvePoint, Side};
use super::reason::{Because, LookReason, ReviewReason};
use super::strategy::Strategy;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    SkipBatch {
        #[serde(flatten)]
        because: Because<ReviewReason>,
    },
    /// Multiply the learning rate by `factor` from here on.
    Adjust {
        factor: f64,
        #[serde(flatten)]
        because: Because<ReviewReason>,
    },
    /// Go back to the last checkpoint at least `steps` back.
    Rewind {
        steps: u64,
        #[serde(flatten)]
        because: Because<ReviewReason>,
    },
    /// Stop; what was learnt is kept.
    StopEarly {
        #[serde(flatten)]
        because: Because<ReviewReason>,
    },
    /// Give this strategy up for another.
    Switch {
        to: Strategy,
        #[serde(flatten)]
        because: Because<ReviewReason>,
    },
    /// Restart on the original tokenizer with the emergency configuration.
    FallBack {
        #[serde(flatten)]
        because: Because<ReviewReason>,
    },
}

impl Directive {
    /// Why, where it is not simply to continue.
    pub fn because(&self) -> Option<&Because<ReviewReason>> {
        match self {
            Self::Continue => None,
            Self::SkipBatch { because }
            | Self::Adjust { because, .. }
            | Self::Rewind { because, .. }
            | Self::StopEarly { because }
            | Self::Switch { because, .. }
            | Self::FallBack { because } => Some(because),
        }
    }
}

/// Looks at a run while it trains. Called once a step, before the update is applied.
pub trait Reviewer: Send {
    /// What to do about this step.
    fn review(&mut self, measurement: &Measurement) -> Directive;

    /// Held-out text was evaluated: `documents` are (nats, bytes) in the order of the text.
    fn evaluated(&mut self, at: &CurvePoint, documents: &[(f64, u64)]) {
        let _ = (at, documents);
    }

    /// Everything it must be told after a restart to stand where it stands now; kept with the checkpoint. What it
    /// means is its own business.
    fn save_state(&self) -> Value {
        Value::Null
    }

    /// Takes back what [`Reviewer::save_state`] gave before a restart.
    ///
    /// # Errors
    /// What is wrong with the state, in words.
    fn load_state(&mut self, state: &Value) -> Result<(), String> {
        let _ = state;
        Ok(())
    }
}

/// How a race of a branch on the original tokenizer (safe) and one on the candidate stands when both have come as far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// Share of the plan that both have seen, 0..=1.
    pub share: f64,
    /// Looks taken before.
    pub looks_taken: usize,
    /// Whether the warm-up of the candidate's rows is over.
    pub warmed_up: bool,
    /// The safe branch.
    pub safe: Pace,
    /// The candidate's branch.
    pub candidate: Pace,
}

/// A branch of a race at a look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pace {
    /// Bits per byte by held-out document; the same documents for both, in the same order.
    pub documents: Vec<f64>,
    /// Of all held-out documents.
    pub held_out: f64,
    /// (bytes seen, training bits per byte) of every step so far.
    pub course: Vec<(f64, f64)>,
    /// Bytes it will have seen at the end.
    pub end: f64,
}

/// What a look at a race says.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// The branch to give up now, if any.
    pub give_up: Option<Side>,
    /// Two-sided p of the paired signed-rank test; `None` where it was not taken.
    pub p: Option<f64>,
    /// Why.
    pub because: LookReason,
}

/// Looks at a race on the way.
pub trait Referee: Send {
    /// Shares of the plan at which to look, ascending.
    fn looks(&self) -> Vec<f64>;
    /// Whether to give a branch up.
    fn look(&mut self, standing: &Standing) -> Look;
}
