//! The training loop: stop? -> review -> step -> log -> checkpoint. It measures and obeys; what a measurement means is the
//! reviewer's business, which strategy it serves the caller's.

use super::data::PackedDataset;
use super::error::TrainError;
use super::outcome::{Fitted, TrainCallbacks, TrainingEnd};
use super::plan::Plan;
use super::run::TrainingRun;
use crate::domain::directive::Directive;
use crate::domain::event::Event;
use crate::model::Decoder;
use crate::model::evaluate::HeldOut;
use std::sync::atomic::Ordering;

/// Trains what of the model is trainable.
///
/// Directives are obeyed to the letter: `Adjust` multiplies all rates from this step on; `Rewind` puts parameters and
/// moments back and goes on with text not seen yet, at the same rates; `Switch`, `FallBack` and `StopEarly` end the
/// run before the step's update. A loss or gradient that is not finite is never applied, whatever the reviewer says.
///
/// # Errors
/// [`TrainError::Data`] for a plan that makes no sense, or sequences longer than the model's positions; [`TrainError::Mismatch`] for ids the model has no rows
/// for, or a model with nothing to train; [`TrainError::Kernel`] where the device fails.
pub fn fit(
    model: Decoder,
    data: &PackedDataset,
    held_out: Option<&HeldOut>,
    plan: &Plan,
    callbacks: &mut TrainCallbacks<'_>,
) -> Result<Fitted, TrainError> {
    let mut run = TrainingRun::begin(model, data, held_out, plan, callbacks.clock, callbacks)?;
    let steps = run.steps_planned;
    callbacks.observer.observe(&Event::Phase { name: "train".into(), total: steps, unit: "steps".into() });
    if run.step == 0 && run.position == 0 {
        run.before = run.evaluate(callbacks)?;
    }
    run.keep_first_snapshot()?;
    let ending = loop {
        if run.step == steps {
            break TrainingEnd::Done;
        }
        if callbacks.stop.load(Ordering::Relaxed) {
            run.save(callbacks)?;
            break TrainingEnd::Interrupted;
        }
        if run.time_is_up() {
            break TrainingEnd::TimeUp;
        }
        let (gradient, measurement) = run.measure(callbacks)?;
        callbacks.observer.observe(&Event::Step(measurement));
        match run.reviewed(&measurement, callbacks) {
            Directive::Continue => run.update(&gradient, &measurement)?,
            Directive::Adjust { factor, .. } => {
                run.rate_factor *= factor;
                run.update(&gradient, &measurement)?;
            }
            Directive::SkipBatch { .. } => run.step += 1,
            Directive::Rewind { steps, .. } => run.rewind(steps)?,
            Directive::StopEarly { because } => break TrainingEnd::StoppedEarly { because },
            Directive::Switch { to, because } => break TrainingEnd::Switch { to, because },
            Directive::FallBack { because } => break TrainingEnd::FallBack { because },
        }
        run.log(callbacks)?;
        run.checkpoint(callbacks);
    };
    let after = match ending {
        TrainingEnd::Interrupted => None,
        TrainingEnd::Done | TrainingEnd::TimeUp => run.evaluate(callbacks)?,
        // What was given up may be beyond evaluation; that it was given up still counts.
        TrainingEnd::StoppedEarly { .. } | TrainingEnd::Switch { .. } | TrainingEnd::FallBack { .. } => {
            run.evaluate(callbacks).ok().flatten()
        }
    };
    run.tell_memory(callbacks);
    callbacks.observer.observe(&Event::Finished { name: "train".into() });
    run.end(ending, after)
}
