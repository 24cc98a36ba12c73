//! How the wall time of a run is shared out among its stages. It knows estimates and a clock, not what a stage does.

use crate::domain::stage::Stage;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Seconds that writing, packing and the like may take beyond what is reserved, as a share of what is left.
const SLACK: f64 = 0.02;

/// Wall time, and who it is for.
#[derive(Debug, Clone)]
pub struct Budget {
    /// When it is over.
    ends: Instant,
    /// Estimated seconds by stage.
    estimates: BTreeMap<Stage, f64>,
    /// Stages that have not begun.
    left: Vec<Stage>,
    /// Seconds that one evaluation of the held-out text takes, loading a model included.
    pub evaluation: f64,
    /// How many times as long one takes with the other vocabulary, at least 1.
    heavier: f64,
}

impl Budget {
    /// `seconds` from now, for these stages.
    pub fn new(seconds: f64, estimates: BTreeMap<Stage, f64>, left: Vec<Stage>) -> Self {
        let ends = Instant::now() + Duration::from_secs_f64(seconds.clamp(0.0, 1e9));
        Self { ends, estimates, left, evaluation: 0.0, heavier: 1.0 }
    }

    /// Where an evaluation with the other vocabulary takes `heavier` times as long as one of the base.
    pub fn with_evaluations(mut self, heavier: f64) -> Self {
        self.heavier = heavier.max(1.0);
        self
    }

    /// Seconds that are left.
    pub fn remaining(&self) -> f64 {
        self.ends.saturating_duration_since(Instant::now()).as_secs_f64()
    }

    /// A stage is not needed, or done.
    pub fn strike(&mut self, stage: Stage) {
        self.left.retain(|s| *s != stage);
    }

    /// Seconds that these stages may train for, each; what other stages and evaluations need is kept back.
    pub fn grant(&self, stages: &[Stage]) -> Vec<f64> {
        let estimate = |s: &Stage| self.estimates.get(s).copied().filter(|e| e.is_finite() && *e > 0.0).unwrap_or(1.0);
        let waiting: Vec<Stage> = self.left.iter().copied().filter(|s| !stages.contains(s)).collect();
        let all: f64 = stages.iter().chain(&waiting).map(estimate).sum();
        // Each stage ends with an evaluation and a folder; the winner is read back and evaluated once more. Every stage
        // that waits evaluates once before it begins.
        let ends = stages.len() + 2 * waiting.len() + 1;
        let free = (self.remaining() * (1.0 - SLACK) - ends as f64 * self.evaluation * self.heavier).max(1e-3);
        stages.iter().map(|s| free * estimate(s) / all).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Stage = Stage::ParallelA;
    const B: Stage = Stage::ParallelB;

    #[test]
    fn time_is_shared_by_the_estimates_and_evaluations_are_kept_back() {
        let estimates = [(A, 30.0), (B, 10.0)].into();
        let mut budget = Budget::new(100.0, estimates, vec![A, B]);
        let [a] = budget.grant(&[A])[..] else { panic!("one") };
        // 100 s less the slack, three quarters of it; the clock has moved on by less than a second.
        assert!((a - 73.5).abs() < 1.0, "{a}");
        budget.evaluation = 5.0;
        let [a] = budget.grant(&[A])[..] else { panic!("one") };
        assert!((a - 58.5).abs() < 1.0, "a's end, b's beginning and end, and the reading back: {a}");
        budget.strike(A);
        let [b] = budget.grant(&[B])[..] else { panic!("one") };
        assert!((b - 88.0).abs() < 1.0, "{b}");
    }

    #[test]
    fn a_budget_that_is_over_grants_next_to_nothing() {
        let budget = Budget::new(0.0, BTreeMap::new(), vec![A]);
        assert!(budget.grant(&[A]).iter().all(|s| *s > 0.0 && *s < 0.01));
    }
}
