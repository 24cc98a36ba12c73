//! Why a branch's model came out of a run, or none did.

use super::reason::Reason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why one of the two branches of a race won. Losses are comparable ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum WinReason {
    /// The candidate's loss is at most `tolerance` times the safe branch's.
    Within { candidate: f64, tolerance: f64, safe: f64 },
    /// The candidate's loss is above `limit`, `tolerance` times the safe branch's.
    Above { candidate: f64, limit: f64, tolerance: f64, safe: f64 },
    /// The candidate's branch failed.
    CandidateFailed,
    /// The safe branch failed.
    SafeFailed,
    /// Both failed.
    BothFailed,
}

impl fmt::Display for WinReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within { candidate, tolerance, safe } => {
                write!(f, "the candidate's loss {candidate:.4} is at most {tolerance} x the safe branch's {safe:.4}")
            }
            Self::Above { candidate, limit, tolerance, safe } => write!(
                f,
                "the candidate's loss {candidate:.4} is above {limit:.4}, {tolerance} x the safe branch's {safe:.4}"
            ),
            Self::CandidateFailed => write!(f, "the candidate branch failed"),
            Self::SafeFailed => write!(f, "the safe branch failed"),
            Self::BothFailed => write!(f, "both branches failed"),
        }
    }
}

/// Why a run ended with the model it ended with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum VerdictReason {
    /// A branch won a race.
    Race { winner: String, reason: WinReason },
    /// A branch is what was trained; others failed.
    Trained { branch: String, failed: Vec<String> },
    /// A step on the way is all that is usable.
    OnlyStep { branch: String },
    /// No branch gave a usable model.
    NoModel,
    /// What came out does not beat the base; bits per byte.
    BelowBase { reason: Box<VerdictReason>, after: f64, base: f64 },
    /// The run ended in an error.
    Failed { error: String },
    /// A signal stopped the run.
    Interrupted,
}

impl Reason for VerdictReason {
    const KEYS: &'static [&'static str; 2] = &["verdict", "reason"];
}

impl fmt::Display for VerdictReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Race { winner, reason } => write!(f, "{winner} wins: {reason}"),
            Self::Trained { branch, failed } if failed.is_empty() => write!(f, "{branch} is what was trained"),
            Self::Trained { branch, failed } => {
                write!(f, "{branch} is what was trained; {} failed", failed.join(", "))
            }
            Self::OnlyStep { branch } => write!(f, "{branch} is the only step that gave a usable model"),
            Self::NoModel => write!(f, "no branch gave a usable model"),
            Self::BelowBase { reason, after, base } => {
                write!(f, "{reason}; it does not beat the untouched base: {after:.4} bits per byte against {base:.4}")
            }
            Self::Failed { error } => write!(f, "the run ended in an error: {error}"),
            Self::Interrupted => write!(f, "stopped by a signal; it can be resumed"),
        }
    }
}
