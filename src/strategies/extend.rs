//! `extend`: the original vocabulary, grown. Old ids and old rows stay bit for bit; new rows are put together from their
//! pieces and trained beside the adapters. How the vocabulary is grown is the tokenizer's business.

use super::stage::{Plan, stage};
use super::{Road, Start, Work};
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::strategy::Strategy;
use crate::model::ExecuteError;

/// See the module.
pub struct Extend;

impl Road for Extend {
    fn strategy(&self) -> Strategy {
        Strategy::Extend
    }

    fn stages(&self) -> &'static [(&'static str, Vocab)] {
        &[("extend", Vocab::Grown)]
    }

    fn carry_out(&self, work: &mut Work<'_>, start: Start) -> Result<Vec<Branch>, ExecuteError> {
        let plan = Plan { name: "extend", stage: "extend", strategy: Strategy::Extend, on: Vocab::Grown };
        Ok(vec![stage(work, &plan, start)?.branch])
    }
}
