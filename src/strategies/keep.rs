//! `keep`: the original tokenizer, LoRA only, embeddings untouched.

use super::stage::{Plan, stage};
use super::{Road, Start, Work};
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::strategy::Strategy;
use crate::model::ExecuteError;

/// See the module.
pub struct Keep;

impl Road for Keep {
    fn strategy(&self) -> Strategy {
        Strategy::Keep
    }

    fn stages(&self) -> &'static [(&'static str, Vocab)] {
        &[("keep", Vocab::Source)]
    }

    fn carry_out(&self, work: &mut Work<'_>, start: Start) -> Result<Vec<Branch>, ExecuteError> {
        let plan = Plan { name: "keep", stage: "keep", strategy: Strategy::Keep, on: Vocab::Source };
        Ok(vec![stage(work, &plan, start)?.branch])
    }
}
