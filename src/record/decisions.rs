//! The decision log: every decision that was made, with all that is needed to make it again under other rules or
//! another scorer. What became of it is found through the run it led to.

use crate::domain::decision::Decision;
use crate::domain::metric::Share;
use crate::domain::profile::Profile;
use serde::{Deserialize, Serialize};

/// A decision as it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedDecision {
    /// Unique: time and eight hex digits, as from [`run_id`](super::run_id).
    pub id: String,
    /// When (UTC, RFC 3339).
    pub at: String,
    /// hibrit's version.
    pub version: String,
    /// The run it led to; `None` where advice was all that was asked for. What became of it stands there.
    pub run: Option<String>,
    /// The evidence.
    pub profile: Profile,
    /// UTF-8 bytes of training text, where they were known.
    pub train_bytes: Option<u64>,
    /// Probability with which this strategy would be chosen again: 1 for a decision without exploration. Off-policy
    /// estimates divide by it.
    pub propensity: Share,
    /// Inputs, rows, scores, versions of rules and scorer.
    pub decision: Decision,
}
