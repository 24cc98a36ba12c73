//! `direct`: the candidate tokenizer at once. Embeddings and head are initialised by mapping and trained in full
//! beside the adapters.

use super::stage::{Plan, stage};
use super::{Road, Start, Work};
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::strategy::Strategy;
use crate::model::ExecuteError;

/// See the module.
pub struct Direct;

impl Road for Direct {
    fn strategy(&self) -> Strategy {
        Strategy::Direct
    }

    fn stages(&self) -> &'static [(&'static str, Vocab)] {
        &[("direct", Vocab::Candidate)]
    }

    fn carry_out(&self, work: &mut Work<'_>, start: Start) -> Result<Vec<Branch>, ExecuteError> {
        let plan = Plan { name: "direct", stage: "direct", strategy: Strategy::Direct, on: Vocab::Candidate };
        Ok(vec![stage(work, &plan, start)?.branch])
    }
}
