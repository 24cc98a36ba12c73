//! What is written down of a run while it goes on: how much was seen, the learning curve, the speed, the trouble. What
//! follows from any of it is not known here.

use crate::domain::directive::{Directive, Measurement};
use crate::domain::outcome::{CurvePoint, Evaluation, Incident};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Points of the learning curve, about, besides those with an evaluation.
const CURVE_POINTS: u64 = 200;

/// Steps over which the speed is taken.
const SPEED_STEPS: usize = 16;

/// What an incident can be, by the domain's words.
const KINDS: [&str; 7] = ["non_finite", "explosion", "spike", "divergence", "hopeless", "out_of_memory", "crash"];

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
        let finite = m.loss.is_finite() && m.gradient_norm.is_finite();
        let (kind, because) = match directive {
            Directive::Continue => (None, ""),
            Directive::Adjust { because, .. } | Directive::StopEarly { because } => (None, because.as_str()),
            Directive::SkipBatch { because } => (Some("spike"), because.as_str()),
            Directive::Rewind { because, .. } | Directive::Switch { because, .. } | Directive::FallBack { because } => {
                (Some("divergence"), because.as_str())
            }
        };
        // A reviewer may say what it saw before a colon.
        let named = KINDS.iter().copied().find(|k| because.split(':').next() == Some(k));
        let kind = kind.map(|kind| if finite { named.unwrap_or(kind) } else { "non_finite" })?;
        let detail = format!("loss {:.4}, gradient norm {:.4}: {because}", m.loss, m.gradient_norm);
        Some(self.incident(m.step, kind, detail, directive.clone()))
    }

    /// Notes an incident.
    pub(super) fn incident(&mut self, step: u64, kind: &str, detail: String, directive: Directive) -> Incident {
        let incident = Incident { step, kind: kind.into(), detail, directive };
        self.incidents.push(incident.clone());
        incident
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
