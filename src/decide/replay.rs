//! Past decisions made again under other rules or another scorer: which would have been others. How the runs ended is
//! not judged here.

use super::alike::Past;
use super::case::Case;
use super::explain::decide;
use super::rules::RuleBook;
use crate::domain::decision::{Decision, HardVeto, LoggedDecision};
use crate::domain::profile::Profile;
use crate::domain::resources::Costs;
use crate::domain::run::Run;
use crate::domain::scorer::Scorer;
use crate::domain::strategy::Strategy;
use serde::Serialize;

/// A past decision with what it was made from.
#[derive(Debug, Clone, Copy)]
pub struct PastDecision<'a> {
    /// Of the run, or of the decision where advice was all that was asked for.
    pub id: &'a str,
    /// The evidence.
    pub profile: &'a Profile,
    /// UTF-8 bytes of training text, where they were known.
    pub train_bytes: Option<u64>,
    /// What was decided.
    pub decision: &'a Decision,
}

impl<'a> From<&'a Run> for PastDecision<'a> {
    fn from(run: &'a Run) -> Self {
        let train_bytes = Some(run.request.train_bytes);
        Self { id: &run.id, profile: &run.profile, train_bytes, decision: &run.decision }
    }
}

impl<'a> From<&'a LoggedDecision> for PastDecision<'a> {
    fn from(logged: &'a LoggedDecision) -> Self {
        let LoggedDecision { id, profile, train_bytes, decision, .. } = logged;
        Self { id, profile, train_bytes: *train_bytes, decision }
    }
}

/// A past decision made again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replayed {
    /// The run, or the decision where advice was all that was asked for.
    pub run: String,
    /// What was decided.
    pub was: Strategy,
    /// What would be decided; `None` where that is not possible.
    pub now: Option<Strategy>,
    /// Whether it would be another.
    pub flips: bool,
    /// Why, or why it is not possible.
    pub because: String,
}

/// Decides again, each with the evidence, resources, costs and executable strategies that there were then.
pub fn replay(rules: &RuleBook, decisions: &[PastDecision], scorer: Option<&Scorer>) -> Vec<Replayed> {
    let past = Past::default();
    let again = |made: &PastDecision| {
        let was = made.decision;
        let costs: Costs = was.alternatives.iter().filter_map(|a| Some((a.strategy, a.cost?))).collect();
        let executable: Vec<Strategy> = was
            .alternatives
            .iter()
            .filter(|a| !a.vetoes.iter().any(|v| v.hard_veto() == Some(HardVeto::NotExecutable)))
            .map(|a| a.strategy)
            .collect();
        let case = Case {
            profile: made.profile,
            resources: &was.resources,
            costs: (!costs.is_empty()).then_some(&costs),
            executable: &executable,
            past: &past,
            scorer,
            train_bytes: made.train_bytes,
        };
        let (now, because) = match decide(rules, &case) {
            Ok(decision) => (Some(decision.strategy), decision.because.to_string()),
            Err(error) => (None, error.to_string()),
        };
        Replayed { run: made.id.to_string(), was: was.strategy, now, flips: now != Some(was.strategy), because }
    };
    decisions.iter().map(again).collect()
}
