//! What goes into a training run beside its plan, and what comes out of it.

use crate::domain::directive::{Directive, Measurement, Reviewer};
use crate::domain::event::Observer;
use crate::domain::outcome::{CurvePoint, Incident};
use crate::domain::reason::{Because, ReviewReason};
use crate::domain::strategy::Strategy;
use crate::model::Decoder;
use crate::model::evaluate::Scores;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// How training ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainingEnd {
    /// All planned steps were taken.
    Done,
    /// The time was up.
    TimeUp,
    /// The reviewer had enough; what was learnt is kept.
    StoppedEarly { because: Because<ReviewReason> },
    /// The reviewer gave the strategy up for another.
    Switch { to: Strategy, because: Because<ReviewReason> },
    /// The reviewer gave up for the emergency configuration.
    FallBack { because: Because<ReviewReason> },
    /// The stop flag was raised.
    Interrupted,
}

/// A trained model and how it came about.
#[derive(Debug)]
pub struct Fitted {
    /// The model as it is now.
    pub model: Decoder,
    /// How it ended.
    pub ending: TrainingEnd,
    /// Held-out text before the first step.
    pub before: Option<Scores>,
    /// Held-out text at the end; absent after an interruption.
    pub after: Option<Scores>,
    /// The learning curve.
    pub curve: Vec<CurvePoint>,
    /// Trouble, in order.
    pub incidents: Vec<Incident>,
    /// Steps done.
    pub steps: u64,
    /// Targets predicted, skipped batches included.
    pub tokens_seen: u64,
    /// UTF-8 bytes of text seen, skipped batches included.
    pub bytes_seen: u64,
    /// Wall seconds, evaluations included.
    pub seconds: f64,
    /// Numbers that were trained.
    pub trainable: u64,
}

/// Everything is in order, always.
pub struct NoopReviewer;

impl Reviewer for NoopReviewer {
    fn review(&mut self, _: &Measurement) -> Directive {
        Directive::Continue
    }
}

/// Who is asked and told while training.
pub struct TrainCallbacks<'a> {
    /// Asked once a step, before the update.
    pub reviewer: &'a mut dyn Reviewer,
    /// Told everything.
    pub observer: &'a mut dyn Observer,
    /// Raised by a signal.
    pub stop: &'a AtomicBool,
    /// Tells how long the run has been training.
    pub clock: &'a dyn Clock,
}

/// A run's own time: a budget, a schedule and a learning curve go by it.
pub trait Clock {
    /// Seconds since some moment, without those that the run stood still.
    fn seconds(&self) -> f64;
}

/// The time on the wall, since this moment: of a run that never stands still.
impl Clock for Instant {
    fn seconds(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}
