//! The strategies whose stages are trained one after the other, as a table. A strategy that needs more than an order
//! (a race, a change of mind) is a file of its own.

use super::error::StrategyError;
use super::stage::train_stage;
use super::{RunContext, Start, StrategyRunner, abandonment_reason};
use crate::domain::outcome::Branch;
use crate::domain::stage::Stage;
use crate::domain::strategy::Strategy;

/// Which weights the first stage begins with; each later one begins with what the one before it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// With what an earlier strategy left, where there was one; else with the base's.
    WhatIsThere,
    /// With the base's, whatever there was before.
    Base,
}

/// A strategy that is an order of stages.
pub(super) struct StageSequence {
    strategy: Strategy,
    stages: &'static [Stage],
    first: First,
}

const fn sequence(strategy: Strategy, stages: &'static [Stage], first: First) -> StageSequence {
    StageSequence { strategy, stages, first }
}

/// The original tokenizer; adapters alone, embeddings untouched.
pub(super) const KEEP: StageSequence = sequence(Strategy::Keep, &[Stage::Keep], First::WhatIsThere);
/// The candidate tokenizer at once; embeddings and head are initialised by mapping and trained beside the adapters.
pub(super) const DIRECT: StageSequence = sequence(Strategy::Direct, &[Stage::Direct], First::WhatIsThere);
/// A foundation on the original tokenizer, then the candidate from its weights: what the foundation learnt of the
/// language is in the layers when the embeddings are mapped.
pub(super) const SEQUENTIAL: StageSequence =
    sequence(Strategy::Sequential, &[Stage::SequentialFoundation, Stage::SequentialAdaptation], First::WhatIsThere);
/// The original vocabulary, grown. Old ids and rows stay bit for bit; new rows are trained beside the adapters.
pub(super) const EXTEND: StageSequence = sequence(Strategy::Extend, &[Stage::Extend], First::WhatIsThere);
/// The base keeps its table and head; the candidate gets its own beside them, tied in through bridges.
pub(super) const STRUCTURAL: StageSequence = sequence(Strategy::Structural, &[Stage::Structural], First::WhatIsThere);
/// The fallback that always works: the original tokenizer, a small rank, a careful learning rate.
pub(super) const EMERGENCY: StageSequence = sequence(Strategy::Emergency, &[Stage::Emergency], First::Base);

impl StrategyRunner for StageSequence {
    fn strategy(&self) -> Strategy {
        self.strategy
    }

    fn stages(&self) -> &'static [Stage] {
        self.stages
    }

    fn run(&self, run: &mut RunContext<'_>, start: Start) -> Result<Vec<Branch>, StrategyError> {
        let Start { weights, switch_to } = start;
        let mut weights = match self.first {
            First::WhatIsThere => weights,
            First::Base => Default::default(),
        };
        let mut branches = Vec::new();
        for (stage, is_last) in self.stages.iter().zip((0..self.stages.len()).rev().map(|left| left == 0)) {
            let trained = train_stage(run, *stage, Start { weights, switch_to })?;
            if is_last || abandonment_reason(&trained.branch).is_some() || run.env.stopped() {
                branches.push(trained.branch);
                break;
            }
            // A stage that gave no model has nothing to hand on; whoever called falls back.
            let (branch, left) = trained.hand_on(run)?;
            branches.push(branch);
            match left {
                Some(left) => weights = left,
                None => break,
            }
        }
        Ok(branches)
    }
}

#[cfg(test)]
mod tests {
    use super::super::RUNNERS;
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn every_strategy_has_one_runner_and_every_stage_is_trained_by_its_strategy() {
        let runners = |s: Strategy| RUNNERS.iter().filter(move |r| r.strategy() == s);
        for strategy in Strategy::iter() {
            assert_eq!(runners(strategy).count(), 1, "{strategy}");
        }
        for stage in Stage::iter() {
            assert!(runners(stage.strategy()).all(|r| r.stages().contains(&stage)), "{stage}");
        }
        let all: usize = RUNNERS.iter().map(|r| r.stages().len()).sum();
        assert_eq!(all, Stage::iter().count());
    }
}
