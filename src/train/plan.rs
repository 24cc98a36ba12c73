//! What a training run is asked to do: rates, budgets, when to look and when to save. Checked before anything starts.

use super::error::TrainError;
use super::load::Load;
use super::schedule::Schedule;
use crate::domain::injection::Injection;
use crate::domain::strategy::StageConfig;
use std::path::PathBuf;

/// A run of the trainer.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Rates, batch and epochs.
    pub stage: StageConfig,
    /// Share of the peak learning rate at which the schedule ends. Default: 0, where short runs end best.
    pub floor: f64,
    /// Seed of the order and of dropout.
    pub seed: u64,
    /// Training text to see, UTF-8 bytes; `None`: the stage's epochs.
    pub bytes: Option<u64>,
    /// Wall time to take, seconds, from where a run begins or goes on; the schedule hurries so that it ends in time.
    /// `None`: no limit.
    pub seconds: Option<f64>,
    /// Shares of the run, in 0..1, at which held-out text is evaluated, besides the start and the end.
    pub evaluate_at: Vec<f64>,
    /// Steps between snapshots in memory that a reviewer can rewind to.
    pub snapshot_every: u64,
    /// How much of a batch is held at once, to begin with. Default: as the stage asks for it.
    pub load: Load,
    /// Where and how often the run is saved on disk; `None`: never.
    pub checkpoints: Option<Checkpoints>,
    /// Rows of the embeddings and the head, from the first, that stay bit for bit as they are even where the matrices
    /// are trained.
    pub frozen_rows: usize,
    /// Trouble to make on purpose.
    pub injected: Vec<Injection>,
}

/// Checkpoints on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    /// The folder they lie in; made where it is missing.
    pub folder: PathBuf,
    /// Steps between them; an interrupted run is saved besides.
    pub every: u64,
    /// Whether to go on from the youngest one there; a folder without any begins anew.
    pub resume: bool,
}

/// Largest norm of a gradient that is applied; longer ones are scaled down to it.
pub const MAX_NORM: f64 = 1.0;

/// Steps between snapshots where nobody says otherwise.
pub const SNAPSHOT_EVERY: u64 = 50;

impl Plan {
    /// A stage's epochs, a cosine, evaluations at a quarter, a half and three quarters.
    pub fn new(stage: StageConfig, seed: u64) -> Self {
        Self {
            floor: 0.0,
            seed,
            bytes: None,
            seconds: None,
            evaluate_at: vec![0.25, 0.5, 0.75],
            snapshot_every: SNAPSHOT_EVERY,
            load: Load::of(&stage),
            stage,
            checkpoints: None,
            frozen_rows: 0,
            injected: Vec::new(),
        }
    }

    /// Warm-up and what follows.
    pub fn schedule(&self) -> Schedule {
        Schedule { warmup: self.stage.warmup, then: self.stage.schedule, floor: self.floor }
    }

    /// Sequences an optimiser step.
    pub fn sequences_per_step(&self) -> usize {
        self.stage.batch * self.stage.accumulation
    }

    /// Optimiser steps for a text of `sequences` sequences and `bytes` bytes: epochs, or the budget in bytes where
    /// there is one. At least 1.
    pub fn steps(&self, sequences: usize, bytes: u64) -> u64 {
        let wanted = match self.bytes {
            Some(budget) => sequences as f64 * budget as f64 / bytes.max(1) as f64,
            None => sequences as f64 * self.stage.epochs,
        };
        ((wanted / self.sequences_per_step().max(1) as f64).ceil() as u64).max(1)
    }

    /// All that is wrong with it, at once.
    ///
    /// # Errors
    /// [`TrainError::Data`] with every setting that makes no sense, its value and its range.
    pub fn check(&self) -> Result<(), TrainError> {
        let mut wrong: Vec<String> = self.stage.faults().iter().map(ToString::to_string).collect();
        if self.bytes == Some(0) {
            wrong.push("the budget in bytes must be above 0".into());
        }
        if let Some(seconds) = self.seconds.filter(|t| !(t.is_finite() && *t > 0.0)) {
            wrong.push(format!("the time budget must be above 0, not {seconds}"));
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(TrainError::Data(format!("training cannot start: {}", wrong.join("; "))))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::strategy::{Checkpointing, LrSchedule, Precision};

    pub(crate) fn stage() -> StageConfig {
        StageConfig {
            rank: 4,
            alpha: 8.0,
            dropout: 0.0,
            learning_rate: 1e-2,
            embedding_learning_rate: None,
            head_learning_rate: None,
            warmup: 0.1,
            epochs: 2.0,
            batch: 4,
            accumulation: 2,
            weight_decay: 0.01,
            sequence: 32,
            train_embeddings: false,
            schedule: LrSchedule::default(),
            checkpointing: Checkpointing::OFF,
            base: Precision::default(),
        }
    }

    #[test]
    fn steps_follow_from_epochs_or_from_a_budget_in_bytes() {
        let mut plan = Plan::new(stage(), 0);
        assert_eq!(plan.steps(100, 10_000), 25);
        assert_eq!(plan.steps(1, 10), 1);
        plan.bytes = Some(4_000);
        assert_eq!(plan.steps(100, 10_000), 5);
    }

    #[test]
    fn a_stage_names_the_course_of_its_rate() {
        let plan = Plan::new(StageConfig { schedule: LrSchedule::Wsd, warmup: 0.1, ..stage() }, 0);
        let factors: Vec<f64> = [0.05, 0.5, 0.8, 0.9, 1.0].iter().map(|p| plan.schedule().factor(*p)).collect();
        // Half of the warm-up, the peak, the last fifth in a straight line; double rounding.
        for (factor, wanted) in factors.iter().zip([0.5, 1.0, 1.0, 0.5, 0.0]) {
            assert!((factor - wanted).abs() < 1e-12, "{factors:?}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let mut plan = Plan::new(stage(), 0);
        assert!(plan.check().is_ok());
        plan.stage.learning_rate = f64::NAN;
        plan.stage.batch = 0;
        plan.seconds = Some(0.0);
        let text = plan.check().unwrap_err().to_string();
        for part in ["learning_rate", "NaN", "batch", "time budget"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
