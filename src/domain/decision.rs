//! A decision and everything it rests on. Making one is `decide`'s business; here it is inert, so that it can be
//! stored, shown and made again.

use super::language::Wording;
use super::metric::Share;
use super::outcome::Level;
use super::profile::Profile;
use super::reason::{Because, DecisionReason, Rejection, ScorerReason};
use super::resources::{Cost, Resources};
use super::run::Run;
use super::strategy::Strategy;
use super::tree::PathStep;
use serde::{Deserialize, Serialize};

/// The recommendation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Decision {
    /// What to do.
    pub strategy: Strategy,
    /// How sure, 0..=1.
    pub confidence: Share,
    /// How the confidence says to go about it.
    pub action: Action,
    /// Why.
    #[serde(flatten)]
    pub because: Because<DecisionReason>,
    /// What there was to work with.
    pub resources: Resources,
    /// The inputs the tables saw, by name, as text (numbers with full precision).
    pub inputs: Vec<(String, String)>,
    /// Rows that fired, over all tables.
    pub matched_rows: Vec<MatchedRow>,
    /// The matrix around the case; `None` in decisions of before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<DecisionMatrix>,
    /// Rows that nearly fired: one cell away.
    pub near_rows: Vec<NearRow>,
    /// Every strategy with its score, the chosen one first.
    pub alternatives: Vec<Alternative>,
    /// The smallest change of one input that would change the strategy.
    pub flips: Vec<Flip>,
    /// The most alike past runs.
    pub alike: Vec<AlikeRun>,
    /// sha256 of the rules it was made with.
    pub rules_sha256: String,
    /// What the learned scorer contributed.
    pub scorer: ScorerNote,
}

/// How a choice is executed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, strum::Display, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    /// Execute as decided.
    Execute,
    /// Execute, and review twice as often.
    ExecuteWatched,
    /// Take the safest feasible choice.
    Safest,
}

/// A row of a table that fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MatchedRow {
    /// The table's name.
    pub table: String,
    /// The row's name.
    pub row: String,
    /// What it says.
    pub output: String,
    /// Why it says so.
    #[serde(flatten)]
    pub because: Wording,
}

/// Where a case stands in the table that decides: what the table says for other values of two of its inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DecisionMatrix {
    /// The input that is a number.
    pub input: String,
    /// Its value.
    pub value: f64,
    /// The input that is a name.
    pub band_input: String,
    /// Its value.
    pub band: String,
    /// All of its values, in order.
    pub bands: Vec<String>,
    /// What the table says elsewhere, ascending by number, then in the order of `bands`.
    pub cells: Vec<MatrixCell>,
}

/// A part of a matrix on which it says the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MatrixCell {
    /// From this number; whether it belongs to the part is the row's business.
    pub from: f64,
    /// To this one.
    pub to: f64,
    /// The name.
    pub band: String,
    /// What the table says.
    pub strategy: Strategy,
}

/// Rows of `vetoes.toml` that hibrit asks for by name: what cannot be executed or does not fit, whatever is wished for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, strum::EnumIter, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum HardVeto {
    /// This build cannot execute it.
    NotExecutable,
    /// There is no device.
    NoDevice,
    /// It does not end within the budget.
    TimeDoesNotFit,
    /// It does not fit into the device's memory.
    MemoryDoesNotFit,
    /// The candidate cannot write the text.
    CandidateLosesText,
}

impl MatchedRow {
    /// The hard veto that it is, if it is one.
    pub fn hard_veto(&self) -> Option<HardVeto> {
        self.row.parse().ok().filter(|_| self.table == "vetoes")
    }
}

/// A row that would have fired but for one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NearRow {
    /// The table's name.
    pub table: String,
    /// The row's name.
    pub row: String,
    /// What it would have said.
    pub output: String,
    /// The input that kept it from firing.
    pub input: String,
    /// Its value.
    pub value: String,
    /// The cell it missed.
    pub cell: String,
}

/// A strategy as it was weighed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Alternative {
    /// The strategy.
    pub strategy: Strategy,
    /// Utility by the rules: bits per byte expected to be saved against `keep` (positive: better).
    pub prior: f64,
    /// Standard deviation of the outcome around `prior`, by the rules; `None` in decisions of before it was kept.
    #[serde(default)]
    pub spread: Option<f64>,
    /// What the learned scorer adds; 0 without one.
    pub learned: f64,
    /// prior + learned.
    pub utility: f64,
    /// Interval of the utility, where the scorer has evidence enough for one.
    pub interval: Option<(f64, f64)>,
    /// What it would cost, where that could be estimated.
    pub cost: Option<Cost>,
    /// Level to expect, from the rules.
    pub level: Option<Level>,
    /// Why it cannot be taken here; empty if it can.
    pub vetoes: Vec<MatchedRow>,
    /// Why it was not taken; nothing for the chosen one.
    #[serde(flatten)]
    pub rejected: Because<Rejection>,
    /// The scorer's way to its contribution.
    pub path: Vec<PathStep>,
}

/// A change of one input that changes the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Flip {
    /// The input.
    pub input: String,
    /// Its value now.
    pub from: String,
    /// The nearest value that decides otherwise.
    pub to: String,
    /// What would be decided then.
    pub strategy: Strategy,
}

/// A past run like this case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AlikeRun {
    /// The run.
    pub run: String,
    /// Distance in standardised features; 0 is the same case.
    pub distance: f64,
    /// What was done.
    pub strategy: Strategy,
    /// How it ended: bits per byte.
    pub bits_per_byte: Option<f64>,
    /// Against keep, where it is known.
    pub saved_against_keep: Option<f64>,
}

/// What the learned scorer contributed to a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScorerNote {
    /// The scorer's id; `None` where the rules decided alone.
    pub id: Option<String>,
    /// Branches it was grown from.
    pub evidence: u64,
    /// Whether the decision would have been another without it.
    pub changed_the_decision: bool,
    /// What it did, or why the rules decided alone.
    #[serde(flatten)]
    pub note: Because<ScorerReason>,
}

/// A decision as it was logged: with all that is needed to make it again under other rules or another scorer. What became
/// of it is found through the run it led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LoggedDecision {
    /// Unique: time and eight hex digits.
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
    /// Probability with which what was taken would be taken again: 1 for a decision without exploration. Off-policy
    /// estimates divide by it.
    pub propensity: Share,
    /// What was taken, where it was something else than decided: a person insisted, or chance explored.
    #[serde(default)]
    pub taken: Option<Strategy>,
    /// Inputs, rows, scores, versions of rules and scorer.
    pub decision: Decision,
}

/// A recommendation that a service gave, in short: it follows from profile, resources, rules and scorer, and led to no run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Recommendation {
    /// Unique: time and eight hex digits.
    pub id: String,
    /// When (UTC, RFC 3339).
    pub at: String,
    /// Name of the profile that it rests on.
    pub profile: String,
    /// The original and the candidate tokenizer, by name; absent in lines from before they were kept.
    #[serde(default)]
    pub pair: Option<[String; 2]>,
    /// What there was to work with.
    pub resources: Resources,
    /// What was recommended.
    pub strategy: Strategy,
    /// How sure, 0..=1.
    pub confidence: f64,
    /// sha256 of the rules.
    pub rules_sha256: String,
    /// The live scorer's id.
    pub scorer: Option<String>,
    /// hibrit's version.
    pub version: String,
}

/// The decision log: what was decided here, with what became of it, and what services recommended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DecisionLog {
    /// The newest first, each with the run it led to.
    pub decisions: Vec<(LoggedDecision, Option<Run>)>,
    /// The newest first.
    pub recommendations: Vec<Recommendation>,
}
