//! How the learning rate moves over a run: a factor of the peak rate for every share of the run. It knows neither
//! steps nor rates.

use crate::domain::strategy::LrSchedule;

/// The share of a run over which `wsd` decays.
pub const WSD_DECAY: f64 = 0.2;

/// A warm-up and what follows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Share of the run spent rising linearly to the peak, in 0..1.
    pub warmup: f64,
    /// What follows.
    pub then: LrSchedule,
    /// What a cosine or a decay ends at, as a share of the peak.
    pub floor: f64,
}

impl Schedule {
    /// Factor of the peak rate when `progress` of the run (0..=1) will be over after the step.
    pub fn factor(&self, progress: f64) -> f64 {
        let progress = progress.clamp(0.0, 1.0);
        if progress < self.warmup {
            return progress / self.warmup;
        }
        let rest = if self.warmup < 1.0 { (progress - self.warmup) / (1.0 - self.warmup) } else { 1.0 };
        let above_floor = |share: f64| self.floor + (1.0 - self.floor) * share;
        match self.then {
            LrSchedule::Cosine => above_floor(0.5 * (1.0 + (std::f64::consts::PI * rest).cos())),
            LrSchedule::Constant => 1.0,
            LrSchedule::Wsd => above_floor(((1.0 - progress) / WSD_DECAY).min(1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_rises_linearly_to_the_peak_and_the_cosine_falls_to_its_floor() {
        let s = Schedule { warmup: 0.1, then: LrSchedule::Cosine, floor: 0.2 };
        let cases = [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.55, 0.6), (1.0, 0.2)];
        for (progress, factor) in cases {
            // Closed-form values; 1e-12 is double rounding.
            assert!((s.factor(progress) - factor).abs() < 1e-12, "{progress}: {}", s.factor(progress));
        }
    }

    #[test]
    fn a_wsd_schedule_holds_the_peak_until_its_decay_begins() {
        let s = Schedule { warmup: 0.1, then: LrSchedule::Wsd, floor: 0.0 };
        for (progress, factor) in [(0.1, 1.0), (0.8, 1.0), (0.9, 0.5), (1.0, 0.0)] {
            assert!((s.factor(progress) - factor).abs() < 1e-12, "{progress}: {}", s.factor(progress));
        }
        assert_eq!(Schedule { warmup: 0.0, then: LrSchedule::Constant, floor: 0.0 }.factor(0.0), 1.0);
    }
}
