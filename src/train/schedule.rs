//! How the learning rate moves over a run: a factor of the peak rate for every share of the run. It knows neither
//! steps nor rates.

use crate::domain::strategy::Course;
use serde::{Deserialize, Serialize};

/// What follows the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "snake_case")]
pub enum Shape {
    /// Half a cosine from 1 down to `floor`.
    Cosine { floor: f64 },
    /// 1 to the end.
    Constant,
    /// 1, then a straight line down to `floor` over the last `decay` share of the run (warm-up, stable, decay).
    Wsd { decay: f64, floor: f64 },
}

impl From<Course> for Shape {
    fn from(course: Course) -> Self {
        match course {
            Course::Cosine => Self::default(),
            Course::Constant => Self::Constant,
            Course::Wsd => Self::Wsd { decay: 0.2, floor: 0.0 },
        }
    }
}

impl Default for Shape {
    /// A cosine down to nothing: short runs end best at a rate of zero.
    fn default() -> Self {
        Shape::Cosine { floor: 0.0 }
    }
}

/// A warm-up and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Share of the run spent rising linearly to the peak, in 0..1.
    pub warmup: f64,
    /// What follows.
    pub shape: Shape,
}

impl Schedule {
    /// Factor of the peak rate when `progress` of the run (0..=1) will be over after the step.
    pub fn factor(&self, progress: f64) -> f64 {
        let progress = progress.clamp(0.0, 1.0);
        if progress < self.warmup {
            return progress / self.warmup;
        }
        let rest = if self.warmup < 1.0 { (progress - self.warmup) / (1.0 - self.warmup) } else { 1.0 };
        match self.shape {
            Shape::Cosine { floor } => floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * rest).cos()),
            Shape::Constant => 1.0,
            Shape::Wsd { decay, floor } => {
                let left = if decay > 0.0 { ((1.0 - progress) / decay).min(1.0) } else { 1.0 };
                floor + (1.0 - floor) * left
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_rises_linearly_to_the_peak_and_the_cosine_falls_to_its_floor() {
        let s = Schedule { warmup: 0.1, shape: Shape::Cosine { floor: 0.2 } };
        let cases = [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.55, 0.6), (1.0, 0.2)];
        for (progress, factor) in cases {
            // Closed-form values; 1e-12 is double rounding.
            assert!((s.factor(progress) - factor).abs() < 1e-12, "{progress}: {}", s.factor(progress));
        }
    }

    #[test]
    fn a_wsd_schedule_holds_the_peak_until_its_decay_begins() {
        let s = Schedule { warmup: 0.1, shape: Shape::Wsd { decay: 0.2, floor: 0.0 } };
        for (progress, factor) in [(0.1, 1.0), (0.8, 1.0), (0.9, 0.5), (1.0, 0.0)] {
            assert!((s.factor(progress) - factor).abs() < 1e-12, "{progress}: {}", s.factor(progress));
        }
        assert_eq!(Schedule { warmup: 0.0, shape: Shape::Constant }.factor(0.0), 1.0);
    }
}
