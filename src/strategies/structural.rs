//! `structural`: the base keeps its own table and head, the candidate gets its own beside them, tied in through bridges.
//! The text is learnt through the candidate; what the original's tokens meant stays where it was, but for the layers.
//! How the two vocabularies live in one model is the model's business.

use super::stage::{Plan, stage};
use super::{Road, Start, Work};
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::strategy::Strategy;
use crate::model::ExecuteError;

/// See the module.
pub struct Structural;

impl Road for Structural {
    fn strategy(&self) -> Strategy {
        Strategy::Structural
    }

    fn stages(&self) -> &'static [(&'static str, Vocab)] {
        &[("structural", Vocab::Both)]
    }

    fn carry_out(&self, work: &mut Work<'_>, start: Start) -> Result<Vec<Branch>, ExecuteError> {
        let plan = Plan { name: "structural", stage: "structural", strategy: Strategy::Structural, on: Vocab::Both };
        Ok(vec![stage(work, &plan, start)?.branch])
    }
}
