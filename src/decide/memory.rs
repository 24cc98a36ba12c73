//! What a reviewer has seen of a run: the last losses and gradient norms, where the smoothed loss stands, what was
//! skipped, the course so far. It can be written down and read back, so that a restart forgets nothing. What follows
//! from it is the review's business.

use super::review::ReviewState;
use crate::domain::directive::{Directive, Measurement};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Everything a reviewer knows that its rules and its plan do not say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) state: ReviewState,
    pub(super) losses: Window,
    pub(super) norms: Window,
    pub(super) trend: Trend,
    /// Steps that were skipped lately.
    pub(super) skipped: VecDeque<u64>,
    /// A directive that goes with the one before: a rewind is followed by a lower learning rate.
    pub(super) next: Option<Directive>,
    /// Bytes seen and training bits per byte of every step with a finite loss.
    pub(super) course: Vec<(f64, f64)>,
    pub(super) last: Option<Reached>,
}

impl Memory {
    /// Of a run that has not begun, after what is counted already; windows of `window` steps.
    pub(super) fn new(state: ReviewState, window: usize) -> Self {
        Self {
            state,
            losses: Window::new(window),
            norms: Window::new(window),
            trend: Trend::default(),
            skipped: VecDeque::new(),
            next: None,
            course: Vec::new(),
            last: None,
        }
    }

    /// A step was measured.
    pub(super) fn saw(&mut self, m: &Measurement) {
        if m.bits_per_byte.is_finite() {
            self.course.push((m.bytes_seen as f64, m.bits_per_byte));
        }
        self.last = Some(Reached { step: m.step, steps_planned: m.steps_planned, bytes_seen: m.bytes_seen });
    }

    /// After a rewind or a switch the past is another one: what steps are compared with is forgotten.
    pub(super) fn forget(&mut self) {
        (self.losses, self.norms) = (Window::new(self.losses.most), Window::new(self.norms.most));
        self.trend = Trend::default();
        self.skipped.clear();
    }
}

/// How far the run has come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Reached {
    pub(super) step: u64,
    pub(super) steps_planned: u64,
    pub(super) bytes_seen: u64,
}

/// The last values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    values: VecDeque<f64>,
    most: usize,
}

impl Window {
    fn new(most: usize) -> Self {
        Self { values: VecDeque::with_capacity(most), most }
    }
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
    pub(super) fn add(&mut self, value: f64) {
        if self.values.len() == self.most {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }
    pub(super) fn mean(&self) -> f64 {
        if self.values.is_empty() { 0.0 } else { self.values.iter().sum::<f64>() / self.values.len() as f64 }
    }
    pub(super) fn deviation(&self) -> f64 {
        let (mean, n) = (self.mean(), self.values.len().max(1) as f64);
        (self.values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt()
    }
}

/// The smoothed loss, its best, and the scatter of single losses around it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trend {
    smooth: Option<f64>,
    /// `None` until the window is warm.
    pub(super) best: Option<f64>,
    /// Standard deviation of a step's loss around the smoothed one, at the time of the best.
    pub(super) noise: f64,
    variance: f64,
    /// Steps in a row that the smoothed loss has been too far above its best.
    pub(super) above: u64,
}

impl Trend {
    /// Takes a loss in; the best is only kept once the window is warm, so that no lucky first step becomes it. The
    /// noise is that of the best's time: a loss that runs away must not widen its own limit.
    pub(super) fn add(&mut self, loss: f64, weight: f64, warm: bool) -> f64 {
        let before = self.smooth.unwrap_or(loss);
        let smooth = weight * before + (1.0 - weight) * loss;
        self.variance = weight * self.variance + (1.0 - weight) * (loss - before).powi(2);
        self.smooth = Some(smooth);
        if warm && self.best.is_none_or(|best| smooth < best) {
            (self.best, self.noise) = (Some(smooth), self.variance.sqrt());
        }
        smooth
    }
}
