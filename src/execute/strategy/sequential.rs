//! `sequential`: a foundation on the original tokenizer, then the candidate from the foundation's weights. What the
//! foundation learnt of the language is in the layers when the embeddings are mapped.

use super::{Plan, Road, Work, stage};
use crate::domain::outcome::{Branch, Side};
use crate::domain::strategy::Strategy;
use crate::execute::ExecuteError;

/// See the module.
pub struct Sequential;

impl Road for Sequential {
    fn strategy(&self) -> Strategy {
        Strategy::Sequential
    }

    fn stages(&self) -> &'static [(&'static str, Side)] {
        &[("sequential.foundation", Side::Source), ("sequential.adaptation", Side::Candidate)]
    }

    fn carry_out(&self, work: &mut Work<'_>) -> Result<Vec<Branch>, ExecuteError> {
        let foundation = Plan {
            name: "foundation",
            stage: "sequential.foundation",
            strategy: Strategy::Sequential,
            side: Side::Source,
        };
        let first = stage(work, &foundation, None)?;
        // A foundation that gave no model has nothing to hand on; whoever called falls back.
        let Some(model) = first.model.filter(|_| !work.stopped()) else { return Ok(vec![first.branch]) };
        let adaptation = Plan {
            name: "adaptation",
            stage: "sequential.adaptation",
            strategy: Strategy::Sequential,
            side: Side::Candidate,
        };
        let second = stage(work, &adaptation, Some(model))?;
        Ok(vec![first.branch, second.branch])
    }
}
