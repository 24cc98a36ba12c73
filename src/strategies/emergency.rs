//! `emergency`: the fallback that always works: the original tokenizer, a small rank, a careful learning rate. It begins
//! at the base, whatever there was before.

use super::stage::{Plan, stage};
use super::{Road, Start, Work};
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::strategy::Strategy;
use crate::model::ExecuteError;

/// See the module.
pub struct Emergency;

impl Road for Emergency {
    fn strategy(&self) -> Strategy {
        Strategy::Emergency
    }

    fn stages(&self) -> &'static [(&'static str, Vocab)] {
        &[("emergency", Vocab::Source)]
    }

    fn carry_out(&self, work: &mut Work<'_>, _: Start) -> Result<Vec<Branch>, ExecuteError> {
        let plan = Plan { name: "emergency", stage: "emergency", strategy: Strategy::Emergency, on: Vocab::Source };
        Ok(vec![stage(work, &plan, Start::default())?.branch])
    }
}
