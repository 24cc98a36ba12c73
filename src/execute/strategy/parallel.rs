//! `parallel`: a safe branch on the original tokenizer and a risky one on the candidate; who wins is decided
//! elsewhere. On one device the branches run one after the other, each with its whole budget.

use super::{Plan, Road, Work, stage};
use crate::domain::outcome::{Branch, Side};
use crate::domain::strategy::Strategy;
use crate::execute::ExecuteError;

/// See the module.
pub struct Parallel;

impl Road for Parallel {
    fn strategy(&self) -> Strategy {
        Strategy::Parallel
    }

    fn stages(&self) -> &'static [(&'static str, Side)] {
        &[("parallel.a", Side::Source), ("parallel.b", Side::Candidate)]
    }

    fn carry_out(&self, work: &mut Work<'_>) -> Result<Vec<Branch>, ExecuteError> {
        let safe = Plan { name: "a", stage: "parallel.a", strategy: Strategy::Parallel, side: Side::Source };
        let risky = Plan { name: "b", stage: "parallel.b", strategy: Strategy::Parallel, side: Side::Candidate };
        let mut branches = vec![stage(work, &safe, None)?.branch];
        if !work.stopped() {
            branches.push(stage(work, &risky, None)?.branch);
        }
        Ok(branches)
    }
}
