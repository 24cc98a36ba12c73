//! `sequential`: a foundation on the original tokenizer, then the candidate from the foundation's weights. What the
//! foundation learnt of the language is in the layers when the embeddings are mapped. Each of the three stages (the
//! mapping is the second) leaves its folder, and none is done twice.

use super::stage::{Plan, stage};
use super::{Road, Start, Work, given_up};
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::strategy::Strategy;
use crate::model::ExecuteError;

/// See the module.
pub struct Sequential;

impl Road for Sequential {
    fn strategy(&self) -> Strategy {
        Strategy::Sequential
    }

    fn stages(&self) -> &'static [(&'static str, Vocab)] {
        &[("sequential.foundation", Vocab::Source), ("sequential.adaptation", Vocab::Candidate)]
    }

    fn carry_out(&self, work: &mut Work<'_>, start: Start) -> Result<Vec<Branch>, ExecuteError> {
        let foundation = Plan {
            name: "foundation",
            stage: "sequential.foundation",
            strategy: Strategy::Sequential,
            on: Vocab::Source,
        };
        let first = stage(work, &foundation, start)?;
        if given_up(&first.branch).is_some() || work.stopped() {
            return Ok(vec![first.branch]);
        }
        // A foundation that gave no model has nothing to hand on; whoever called falls back.
        let (first, model) = first.start(work)?;
        let Some(model) = model else { return Ok(vec![first]) };
        let adaptation = Plan {
            name: "adaptation",
            stage: "sequential.adaptation",
            strategy: Strategy::Sequential,
            on: Vocab::Candidate,
        };
        let second = stage(work, &adaptation, model)?;
        Ok(vec![first, second.branch])
    }
}
