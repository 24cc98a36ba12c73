//! The training loop: stop? -> review -> step -> log -> checkpoint. It measures and obeys; what a measurement means is the
//! reviewer's business, which strategy it serves the caller's.

use super::data::Packed;
use super::plan::Plan;
use super::run::Run;
use crate::domain::directive::{Directive, Measurement, Reviewer};
use crate::domain::event::{Event, Observer};
use crate::domain::outcome::{CurvePoint, Incident};
use crate::domain::reason::{Because, ReviewReason};
use crate::domain::strategy::Strategy;
use crate::model::Decoder;
use crate::model::ExecuteError;
use crate::model::evaluate::{HeldOut, Scores};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Largest norm of a gradient that is applied; longer ones are scaled down to it.
pub const MAX_NORM: f64 = 1.0;

/// How training ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
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
    pub ending: Ending,
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
pub struct Trusting;

impl Reviewer for Trusting {
    fn review(&mut self, _: &Measurement) -> Directive {
        Directive::Continue
    }
}

/// Who is heard while training.
pub struct Company<'a> {
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

/// Trains what of the model is trainable.
///
/// Directives are obeyed to the letter: `Adjust` multiplies all rates from this step on; `Rewind` puts parameters and
/// moments back and goes on with text not seen yet, at the same rates; `Switch`, `FallBack` and `StopEarly` end the
/// run before the step's update. A loss or gradient that is not finite is never applied, whatever the reviewer says.
///
/// # Errors
/// [`ExecuteError::Data`] for a plan that makes no sense, or sequences longer than the model's positions; [`ExecuteError::Mismatch`] for ids the model has no rows
/// for, or a model with nothing to train; [`ExecuteError::Backend`] where the device fails.
pub fn fit(
    model: Decoder,
    data: &Packed,
    held_out: Option<&HeldOut>,
    plan: &Plan,
    company: &mut Company<'_>,
) -> Result<Fitted, ExecuteError> {
    let mut run = Run::begin(model, data, held_out, plan, company.clock, company)?;
    let steps = run.steps_planned;
    company.observer.observe(&Event::Phase { name: "train".into(), total: steps, unit: "steps".into() });
    if run.step == 0 && run.position == 0 {
        run.before = run.evaluate(company)?;
    }
    run.keep_first_snapshot()?;
    let ending = loop {
        if run.step == steps {
            break Ending::Done;
        }
        if company.stop.load(Ordering::Relaxed) {
            run.save(company)?;
            break Ending::Interrupted;
        }
        if run.time_is_up() {
            break Ending::TimeUp;
        }
        let (gradient, measurement) = run.measure(company)?;
        company.observer.observe(&Event::Step(measurement));
        match run.reviewed(&measurement, company) {
            Directive::Continue => run.update(&gradient, &measurement)?,
            Directive::Adjust { factor, .. } => {
                run.rate_factor *= factor;
                run.update(&gradient, &measurement)?;
            }
            Directive::SkipBatch { .. } => run.step += 1,
            Directive::Rewind { steps, .. } => run.rewind(steps)?,
            Directive::StopEarly { because } => break Ending::StoppedEarly { because },
            Directive::Switch { to, because } => break Ending::Switch { to, because },
            Directive::FallBack { because } => break Ending::FallBack { because },
        }
        run.log(company)?;
        run.checkpoint(company);
    };
    let after = match ending {
        Ending::Interrupted => None,
        Ending::Done | Ending::TimeUp => run.evaluate(company)?,
        // What was given up may be beyond evaluation; that it was given up still counts.
        Ending::StoppedEarly { .. } | Ending::Switch { .. } | Ending::FallBack { .. } => {
            run.evaluate(company).ok().flatten()
        }
    };
    run.tell_memory(company);
    company.observer.observe(&Event::Finished { name: "train".into() });
    run.end(ending, after)
}
