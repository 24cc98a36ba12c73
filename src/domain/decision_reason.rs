//! Why a strategy was chosen, why the others were not, and what past runs contributed.

use super::reason::Reason;
use crate::domain::language::Wording;
use crate::domain::strategy::Strategy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a strategy was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DecisionReason {
    /// The situation asks for it, by this row.
    Situation { strategy: Strategy, row: Wording },
    /// The matrix says so, by this row.
    Matrix { strategy: Strategy, row: Wording },
    /// What the matrix says is vetoed; the chosen one is expected to do best of what is left.
    MatrixVetoed { matrix: String, strategy: Strategy },
    /// Past runs speak for it, over what the rules would choose.
    Evidence { strategy: Strategy, rules: Strategy },
    /// There was a reason, but it is not sure (0..=1): the safest feasible choice is taken, or was chosen anyway.
    Unsure { reason: Box<DecisionReason>, confidence: f64, safest: Option<Strategy> },
}

impl Reason for DecisionReason {
    const KEYS: &'static [&'static str; 2] = &["because", "reason"];
}

impl fmt::Display for DecisionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Situation { strategy, row } => write!(f, "the situation asks for {strategy}: {row}"),
            Self::Matrix { strategy, row } => write!(f, "the matrix says {strategy}: {row}"),
            Self::MatrixVetoed { matrix, strategy } => write!(
                f,
                "the matrix says {matrix}, which is vetoed here; of what is left {strategy} is expected to do best"
            ),
            Self::Evidence { strategy, rules } => write!(f, "past runs speak for {strategy} over the rules' {rules}"),
            Self::Unsure { reason, confidence, safest: Some(safest) } => write!(
                f,
                "{reason}; but this is only {:.0}% sure, so {safest} is taken as the safest feasible choice",
                confidence * 100.0
            ),
            Self::Unsure { reason, confidence, safest: None } => write!(
                f,
                "{reason}; this is only {:.0}% sure, and it is the safest feasible choice too",
                confidence * 100.0
            ),
        }
    }
}

/// What a better expectation did not prevail against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// What the situation asks for.
    #[strum(serialize = "what the situation asks for")]
    Situation,
    /// The matrix.
    #[strum(serialize = "the matrix")]
    Matrix,
    /// Past runs.
    #[strum(serialize = "the evidence")]
    Evidence,
}

/// Why a strategy was not chosen. Expectations are bits per byte saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rejection {
    /// These rows veto it.
    Vetoed { rows: Vec<Wording> },
    /// It was preferred, but not sure enough (0..=1).
    Unsure { confidence: f64 },
    /// The last resort.
    LastResort,
    /// Taken where the highest quality is asked for.
    ForQuality,
    /// It is expected to save less.
    Less { by: f64, than: Strategy },
    /// It is expected to save more, but not by enough.
    NotEnough { by: f64, than: Strategy, against: Authority },
}

impl Reason for Rejection {
    const KEYS: &'static [&'static str; 2] = &["rejected", "rejection"];
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vetoed { rows } => f.write_str(&rows.iter().map(|r| r.text.as_str()).collect::<Vec<_>>().join("; ")),
            Self::Unsure { confidence } => {
                write!(f, "preferred, but only {:.0}% sure to end no worse than keep", confidence * 100.0)
            }
            Self::LastResort => write!(f, "the last resort, for when nothing else works"),
            Self::ForQuality => write!(f, "re-decides while training; taken when the highest quality is asked for"),
            Self::Less { by, than } => write!(f, "expected to save {by:.3} bits per byte less than {than}"),
            Self::NotEnough { by, than, against } => write!(
                f,
                "expected to save {by:.3} bits per byte more than {than}, which is not enough to go against {against}"
            ),
        }
    }
}

/// What the learned scorer did, or why the rules decided alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ScorerReason {
    /// There is no scorer.
    NoScorer,
    /// Cross-validation found the rules alone to be best.
    RulesBest,
    /// It was grown from too little to move a choice.
    TooFew { branches: u64, least: u64 },
    /// It moved the decision.
    Moved { branches: u64, from: Strategy, to: Strategy },
    /// A situation's preference stands above it.
    SituationStands,
    /// It prefers another strategy by less than it may be wrong; bits per byte.
    WithinError { strategy: Strategy, by: f64, branches: u64 },
    /// It agrees with the rules.
    Agrees { branches: u64 },
}

impl Reason for ScorerReason {
    const KEYS: &'static [&'static str; 2] = &["note", "reason"];
}

impl fmt::Display for ScorerReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScorer => write!(f, "the rules decided alone: there is no learned scorer yet"),
            Self::RulesBest => {
                write!(f, "cross-validation found the rules alone to be best, so the scorer adds nothing yet")
            }
            Self::TooFew { branches, least } => write!(
                f,
                "the rules decided alone: {branches} past branches are fewer than the {least} it takes to move a choice"
            ),
            Self::Moved { branches, from, to } => {
                write!(f, "{branches} past branches moved the decision from {from} to {to}")
            }
            Self::SituationStands => {
                write!(f, "the situation's preference stands; the scorer only shaped utilities and confidence")
            }
            Self::WithinError { strategy, by, branches } => write!(
                f,
                "{strategy} looks better by {by:.3} bits per byte, which is within the error of {branches} past \
                 branches: the rules' choice holds"
            ),
            Self::Agrees { branches } => write!(f, "{branches} past branches agree with the rules"),
        }
    }
}
