//! Past decisions made again under other rules or another scorer: which would have been others. How the runs ended is
//! not judged here.

use super::alike::Past;
use super::case::Case;
use super::explain::decide;
use super::rules::RuleBook;
use crate::domain::resources::Costs;
use crate::domain::run::Run;
use crate::domain::scorer::Scorer;
use crate::domain::strategy::Strategy;
use serde::Serialize;

/// A past decision made again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replayed {
    /// The run.
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

/// Decides past runs again, each with the evidence, resources, costs and executable strategies that it had then.
pub fn replay<'a>(rules: &RuleBook, runs: impl IntoIterator<Item = &'a Run>, scorer: Option<&Scorer>) -> Vec<Replayed> {
    let past = Past::default();
    let again = |run: &Run| {
        let was = &run.decision;
        let costs: Costs = was.alternatives.iter().filter_map(|a| Some((a.strategy, a.cost?))).collect();
        let executable: Vec<Strategy> = was
            .alternatives
            .iter()
            .filter(|a| !a.vetoes.iter().any(|v| v.table == "vetoes" && v.row == "not-executable"))
            .map(|a| a.strategy)
            .collect();
        let case = Case {
            profile: &run.profile,
            resources: &was.resources,
            costs: (!costs.is_empty()).then_some(&costs),
            executable: &executable,
            past: &past,
            scorer,
            train_bytes: Some(run.request.train_bytes),
        };
        let (now, because) = match decide(rules, &case) {
            Ok(decision) => (Some(decision.strategy), decision.because),
            Err(error) => (None, error.to_string()),
        };
        Replayed { run: run.id.clone(), was: was.strategy, now, flips: now != Some(was.strategy), because }
    };
    runs.into_iter().map(again).collect()
}
