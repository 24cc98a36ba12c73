//! What the past teaches: where the rules' expectations were wrong, by how much, and how sure that is. Answers with a
//! [`Scorer`](crate::domain::scorer::Scorer), an inert tree that `decide` consults. Deliberately knows nothing of how
//! runs are stored, nor of how a decision is made.
//!
//! - [`evidence`]: what past runs say, as rows: strategy, situation, what the rules expected, what came out;
//! - [`grow`]: a tree whose splits linfa-trees chooses, on what the rules got wrong;
//! - [`shrink`]: its values recounted and shrunk towards "the rules are right";
//! - [`validate`]: how far to shrink, judged on cases the tree has not seen;
//! - [`evaluate`]: how good the choices would have been, beside the rules alone and others;
//! - [`simulate`]: what that is worth where the truth is known;
//! - [`promote`]: whether a new scorer may go live;
//! - [`replay`]: what other decisions would have earned on past ones;
//! - [`explain`]: the tree in words, and which inputs matter.
//!
//! The rules always come first: without evidence, or with shrinkage at infinity, a scorer adds exactly nothing.

mod error;
mod evaluate;
mod evidence;
mod explain;
mod grow;
mod imitate;
mod promote;
mod replay;
mod shrink;
mod simulate;
mod validate;

pub use error::LearnError;
pub use evaluate::{CalibrationBin, Chosen, ConfidenceBin, Evaluated, closed_gap, evaluate, evaluate_scorer};
pub use evidence::{CLIP, Evidence, FAILURE, Notice, Row, VERDICT_SHIFT};
pub use explain::{Importance, explain, importance};
pub use grow::{GrowOptions, Grown, Growth, LambdaScore, MIN_GROUPS, MIN_ROWS, grow};
pub use promote::{Promotion, gate};
pub use replay::{LEAST_EFFECTIVE, OffPolicy, Replayed, off_policy, propensity};
pub use shrink::{Direction, Monotone};
pub use simulate::{RulesQuality, SimulateOptions, SimulatedRow, Simulation, simulate};

#[cfg(test)]
mod tests;
