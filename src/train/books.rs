//! What is written down of a run while it goes on: how much was seen, the learning curve, the speed, the trouble. What
//! follows from any of it is not known here.

use crate::domain::directive::{Directive, Measurement};
use crate::domain::outcome::{CurvePoint, Evaluation, Incident, IncidentKind};
use crate::domain::reason::{ReviewReason, StepSignals};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Points of the learning curve, about, besides those with an evaluation.
const CURVE_POINTS: u64 = 200;

/// Steps over which the speed is taken.
const SPEED_STEPS: usize = 16;

/// The books of a run. A checkpoint keeps them, but for the speed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Books {
    /// Targets predicted, skipped batches included.
    pub(super) tokens_seen: u64,
    /// UTF-8 bytes of text seen, skipped batches included.
    pub(super) bytes_seen: u64,
    /// Nats and bytes since the last point of the curve.
    since: (f64, u64),
    pub(super) curve: Vec<CurvePoint>,
    pub(super) incidents: Vec<Incident>,
    /// Tokens and seconds of the last steps.
    #[serde(skip)]
    speed: VecDeque<(u64, f64)>,
}

impl Books {
    /// A batch was measured: its nats, targets, bytes of text, and the seconds it took.
    pub(super) fn saw(&mut self, nats: f64, predicted: u64, bytes: u64, seconds: f64) {
        self.tokens_seen += predicted;
        self.bytes_seen += bytes;
        self.since = (self.since.0 + nats, self.since.1 + bytes);
        self.speed.push_back((predicted, seconds));
        if self.speed.len() > SPEED_STEPS {
            self.speed.pop_front();
        }
    }

    /// Targets a second over the last steps.
    pub(super) fn tokens_per_second(&self) -> f64 {
        let (tokens, seconds) = self.speed.iter().fold((0, 0.0), |(t, s), x| (t + x.0, s + x.1));
        tokens as f64 / seconds.max(1e-9)
    }

    /// Whether the curve gets a point at this step of a run of `planned`.
    pub(super) fn is_due(step: u64, planned: u64) -> bool {
        step == planned || step.is_multiple_of(planned.div_ceil(CURVE_POINTS).max(1))
    }

    /// A point of the curve; the training loss since the last one goes into it.
    pub(super) fn point(&mut self, step: u64, elapsed: f64, evaluation: Option<&Evaluation>) -> CurvePoint {
        let (nats, bytes) = std::mem::take(&mut self.since);
        let train = (bytes > 0).then(|| nats / (std::f64::consts::LN_2 * bytes as f64)).filter(|x| x.is_finite());
        let point = CurvePoint {
            step,
            bytes_seen: self.bytes_seen,
            elapsed,
            train_bits_per_byte: train,
            eval_bits_per_byte: evaluation.map(|e| e.bits_per_byte.get()),
        };
        self.curve.push(point);
        point
    }

    /// Notes a directive that followed from a measurement, where it is an incident.
    pub(super) fn trouble(&mut self, m: &Measurement, directive: &Directive) -> Option<Incident> {
        let (because, otherwise) = match directive {
            Directive::Continue | Directive::Adjust { .. } | Directive::StopEarly { .. } => return None,
            Directive::SkipBatch { because } => (because, IncidentKind::Spike),
            Directive::Rewind { because, .. } | Directive::Switch { because, .. } | Directive::FallBack { because } => {
                (because, IncidentKind::Divergence)
            }
        };
        let finite = m.loss.is_finite() && m.gradient_norm.is_finite();
        let kind = match because.known() {
            _ if !finite => IncidentKind::NonFinite,
            Some(reason) => reason.incident(),
            None => otherwise,
        };
        let detail = format!("loss {:.4}, gradient norm {:.4}: {because}", m.loss, m.gradient_norm);
        let measured = Some(StepSignals { loss: m.loss, gradient_norm: m.gradient_norm });
        Some(self.note(Incident { step: m.step, kind, detail, measured, directive: directive.clone() }))
    }

    /// The device had no room in this step, and it is tried again.
    pub(super) fn out_of_memory(&mut self, step: u64, error: String, lighter: String) -> Incident {
        let reason = ReviewReason::OutOfMemory { error, lighter };
        let (kind, detail) = (reason.incident(), reason.to_string());
        let directive = Directive::Adjust { factor: 1.0, because: reason.into() };
        self.note(Incident { step, kind, detail, measured: None, directive })
    }

    fn note(&mut self, incident: Incident) -> Incident {
        self.incidents.push(incident.clone());
        incident
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::Because;

    #[test]
    fn a_point_holds_the_loss_since_the_last_one_and_a_run_has_about_two_hundred() {
        let mut books = Books::default();
        books.saw(8.0 * std::f64::consts::LN_2, 2, 4, 0.5);
        books.saw(4.0 * std::f64::consts::LN_2, 2, 2, 0.5);
        let (first, empty) = (books.point(2, 1.0, None), books.point(3, 1.5, None));
        assert_eq!((first.train_bits_per_byte, empty.train_bits_per_byte), (Some(2.0), None));
        assert_eq!((books.curve.len(), books.bytes_seen, books.tokens_per_second()), (2, 6, 4.0));
        let points = (1..=1001).filter(|step| Books::is_due(*step, 1001)).count();
        assert!((160..=201).contains(&points), "{points}");
    }

    #[test]
    fn the_speed_is_that_of_the_last_steps() {
        let mut books = Books::default();
        books.saw(1.0, 1000, 1, 1000.0);
        (0..SPEED_STEPS).for_each(|_| books.saw(1.0, 10, 1, 1.0));
        assert_eq!(books.tokens_per_second(), 10.0);
    }

    #[test]
    fn an_incident_is_of_the_kind_that_its_reason_says() {
        let measured = |loss: f64| Measurement {
            step: 7,
            steps_planned: 10,
            bytes_seen: 0,
            tokens_seen: 0,
            loss,
            bits_per_byte: 1.0,
            gradient_norm: 1.0,
            learning_rate: 0.0,
            tokens_per_second: 0.0,
            elapsed: 0.0,
            peak_memory: 0,
        };
        let non_finite = || ReviewReason::NonFinite { loss: f64::NAN, gradient_norm: 1.0 };
        let skip = |reason: ReviewReason| Directive::SkipBatch { because: reason.into() };
        let many = ReviewReason::TooManySkips { skipped: 4, window: 64, last: Box::new(non_finite()) };
        let unpromising = ReviewReason::Unpromising { held_out: 2.0, expected: 1.9, incumbent: 1.0, chance: 0.0 };
        let kind = |loss, directive: Directive| {
            Books::default().trouble(&measured(loss), &directive).map(|incident| incident.kind.to_string())
        };
        for (loss, directive, expected) in [
            (f64::NAN, skip(non_finite()), Some("non_finite")),
            (9.0, skip(ReviewReason::Explosion { gradient_norm: 99.0, limit: 10.0 }), Some("explosion")),
            (9.0, skip(many), Some("divergence")),
            (2.0, Directive::FallBack { because: unpromising.into() }, Some("hopeless")),
            (2.0, Directive::SkipBatch { because: Because::Said("a reviewer of its own".into()) }, Some("spike")),
            (2.0, Directive::Adjust { factor: 0.5, because: ReviewReason::AfterIncident { step: 3 }.into() }, None),
        ] {
            assert_eq!(kind(loss, directive.clone()).as_deref(), expected, "{directive:?}");
        }
    }
}
