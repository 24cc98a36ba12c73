//! A reviewer that is told, after a restart, what it had seen before: the steps the journal kept. It then stands where it
//! stood, counters and all. What it makes of them is its own business.

use crate::domain::directive::{Directive, Measurement, Reviewer};
use crate::domain::outcome::CurvePoint;

/// Wraps a reviewer.
pub(super) struct Recalling {
    inner: Box<dyn Reviewer>,
    recorded: Vec<Measurement>,
}

impl Recalling {
    /// `recorded`: all steps in the order they were written; those that a restart took back may be among them.
    pub(super) fn new(inner: Box<dyn Reviewer>, recorded: &[Measurement]) -> Self {
        let mut path: Vec<Measurement> = Vec::with_capacity(recorded.len());
        for m in recorded {
            // Text is seen in one direction only, rewinds included: where it goes back, a restart took steps back.
            while path.last().is_some_and(|last| last.bytes_seen >= m.bytes_seen) {
                path.pop();
            }
            path.push(*m);
        }
        Self { inner, recorded: path }
    }
}

impl Reviewer for Recalling {
    fn review(&mut self, measurement: &Measurement) -> Directive {
        for past in std::mem::take(&mut self.recorded) {
            if past.bytes_seen < measurement.bytes_seen {
                self.inner.review(&past);
            }
        }
        self.inner.review(measurement)
    }

    fn evaluated(&mut self, at: &CurvePoint, documents: &[(f64, u64)]) -> f64 {
        self.inner.evaluated(at, documents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    struct Listening(Arc<Mutex<Vec<u64>>>);

    impl Reviewer for Listening {
        fn review(&mut self, m: &Measurement) -> Directive {
            self.0.lock().unwrap().push(m.step);
            Directive::Continue
        }
    }

    fn step(step: u64, bytes_seen: u64) -> Measurement {
        Measurement {
            step,
            steps_planned: 100,
            bytes_seen,
            tokens_seen: bytes_seen,
            loss: 1.0,
            bits_per_byte: 1.0,
            gradient_norm: 1.0,
            learning_rate: 1e-3,
            tokens_per_second: 1.0,
            elapsed: 1.0,
            peak_memory: 0,
        }
    }

    #[test]
    fn a_reviewer_hears_its_past_once_without_what_restarts_took_back() {
        let heard = Arc::new(Mutex::new(vec![]));
        // A rewind at step 3 (text goes on), then a restart from the checkpoint at step 2, then one from before step 4.
        let recorded = [step(1, 10), step(2, 20), step(3, 30), step(2, 40), step(3, 30), step(4, 40), step(5, 50)];
        let mut reviewer = Recalling::new(Box::new(Listening(heard.clone())), &recorded);
        reviewer.review(&step(4, 40));
        reviewer.review(&step(5, 50));
        assert_eq!(*heard.lock().unwrap(), [1, 2, 3, 4, 5]);
    }
}
