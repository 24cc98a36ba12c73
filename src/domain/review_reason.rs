//! Why a step is not applied, a run goes back or elsewhere, or a branch of a race is given up.

use super::reason::{Reason, or_nan};
use crate::domain::outcome::{IncidentKind, Side};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is measured at every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The training loss.
    #[strum(serialize = "loss")]
    Loss,
    /// The global gradient norm before clipping.
    #[strum(serialize = "gradient norm")]
    GradientNorm,
}

/// Loss and gradient norm of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepSignals {
    /// Mean loss, nats per token.
    #[serde(deserialize_with = "or_nan")]
    pub loss: f64,
    /// Global gradient norm before clipping.
    #[serde(deserialize_with = "or_nan")]
    pub gradient_norm: f64,
}

/// Why a reviewer directs something other than to continue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReviewReason {
    /// The loss or the gradient norm is not finite.
    NonFinite {
        #[serde(deserialize_with = "or_nan")]
        loss: f64,
        #[serde(deserialize_with = "or_nan")]
        gradient_norm: f64,
    },
    /// The reviewer would have applied a loss or a gradient that is not finite.
    NeverApplied,
    /// The gradient explodes.
    Explosion { gradient_norm: f64, limit: f64 },
    /// A leap above `limit`, the last steps' mean and `sigmas` standard deviations.
    Spike { signal: Signal, value: f64, limit: f64, sigmas: f64 },
    /// The smoothed loss is above `factor` times its best.
    LeftBest { smooth: f64, factor: f64, best: f64 },
    /// The smoothed loss stays above `limit`, its best and `sigmas` standard deviations.
    AboveBest { smooth: f64, limit: f64, sigmas: f64, steps: u64 },
    /// Too many steps of the last `window` were skipped.
    TooManySkips { skipped: u64, window: u64, last: Box<ReviewReason> },
    /// The `nth` incident of a run, which `stranded` has nowhere to switch to.
    Incident { nth: u64, stranded: bool, reason: Box<ReviewReason> },
    /// What goes with a rewind.
    AfterIncident { step: u64 },
    /// The branch will hardly get to what can be had without it; bits per byte.
    #[serde(rename = "hopeless")]
    Unpromising { held_out: f64, expected: f64, incumbent: f64, chance: f64 },
    /// The device has no room: what it said, and what the step is tried with instead.
    OutOfMemory { error: String, lighter: String },
    /// The branch lost a race on the way.
    Race { look: LookReason },
}

impl ReviewReason {
    /// The kind of incident that a directive for this reason is.
    pub fn incident(&self) -> IncidentKind {
        match self {
            Self::NonFinite { .. } | Self::NeverApplied => IncidentKind::NonFinite,
            Self::Explosion { .. } => IncidentKind::Explosion,
            Self::Spike { .. } => IncidentKind::Spike,
            Self::Unpromising { .. } => IncidentKind::Unpromising,
            Self::OutOfMemory { .. } => IncidentKind::OutOfMemory,
            Self::LeftBest { .. }
            | Self::AboveBest { .. }
            | Self::TooManySkips { .. }
            | Self::Incident { .. }
            | Self::AfterIncident { .. }
            | Self::Race { .. } => IncidentKind::Divergence,
        }
    }
}

impl Reason for ReviewReason {
    const KEYS: &'static [&'static str; 2] = &["because", "reason"];
}

impl fmt::Display for ReviewReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NonFinite { loss, gradient_norm } => {
                write!(f, "non-finite: loss {loss}, gradient norm {gradient_norm}")
            }
            Self::NeverApplied => write!(f, "a loss or gradient that is not finite is never applied"),
            Self::Explosion { gradient_norm, limit } => {
                write!(f, "explosion: gradient norm {gradient_norm:.3} is above {limit:.3}")
            }
            Self::Spike { signal, value, limit, sigmas } => {
                write!(f, "spike: {signal} {value:.4} is above {limit:.4}, the last steps' mean + {sigmas} sigma")
            }
            Self::LeftBest { smooth, factor, best } => {
                write!(f, "divergence: smoothed loss {smooth:.4} is above {factor} x its best {best:.4}")
            }
            Self::AboveBest { smooth, limit, sigmas, steps } => write!(
                f,
                "divergence: smoothed loss {smooth:.4} has been above {limit:.4} (best + {sigmas} sigma) for {steps} steps"
            ),
            Self::TooManySkips { skipped, window, last } => {
                write!(f, "{skipped} steps of the last {window} had to be skipped, the last for {last}")
            }
            Self::Incident { nth, stranded: false, reason } => write!(f, "incident {nth}: {reason}"),
            Self::Incident { nth, stranded: true, reason } => {
                write!(f, "incident {nth}, and nowhere to switch to: {reason}")
            }
            Self::AfterIncident { step } => write!(f, "after the incident at step {step}"),
            Self::Unpromising { held_out, expected, incumbent, chance } => write!(
                f,
                "hopeless: {held_out:.4} bits per byte now, {expected:.4} expected at the end, where {incumbent:.4} can \
                 be had without it (chance {chance:.2})"
            ),
            Self::OutOfMemory { error, lighter } => write!(f, "{error}; tried again with {lighter}"),
            Self::Race { look } => write!(f, "the race: {look}"),
        }
    }
}

/// What a look at a race goes by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "look", rename_all = "snake_case")]
pub enum LookReason {
    /// All looks are taken.
    NoneLeft,
    /// The next look is due at this share of the budget.
    NotDue { share: f64 },
    /// New embeddings are still warming up.
    WarmingUp,
    /// There are no documents on which the branches differ.
    NoDifference,
    /// The branches do not differ by enough: p of the signed-rank test, and the level it had to be below.
    NotSignificant { p: f64, documents: u64, level: f64 },
    /// The branch behind has a curve too short to extrapolate.
    TooShort { loser: Side, p: f64 },
    /// The branch behind may still win.
    MayWin { loser: Side, p: f64, chance: f64 },
    /// The branch behind will hardly win: it is given up.
    Lost { loser: Side, p: f64, chance: f64 },
    /// Looked at before reasons were values.
    Said { sentence: String },
}

/// What a branch of a race is called.
fn branch(side: Side) -> &'static str {
    match side {
        Side::Source => "safe",
        Side::Candidate => "candidate",
    }
}

impl fmt::Display for LookReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneLeft => write!(f, "all looks are taken"),
            Self::NotDue { share } => write!(f, "the next look is due at {share} of the budget"),
            Self::WarmingUp => write!(f, "new embeddings are still warming up"),
            Self::NoDifference => write!(f, "there are no documents on which the branches differ"),
            Self::NotSignificant { p, documents, level } => {
                write!(f, "p = {p:.4} on {documents} documents is not below {level}")
            }
            Self::TooShort { loser, p } => {
                write!(f, "{} is behind (p = {p:.4}), but its curve is too short to extrapolate", branch(*loser))
            }
            Self::MayWin { loser, p, chance } => {
                write!(f, "{} is behind (p = {p:.4}), but may still win with a chance of {chance:.2}", branch(*loser))
            }
            Self::Lost { loser, p, chance } => write!(
                f,
                "{} is behind (p = {p:.4}) and wins in the end with a chance of only {chance:.2}",
                branch(*loser)
            ),
            Self::Said { sentence } => f.write_str(sentence),
        }
    }
}
