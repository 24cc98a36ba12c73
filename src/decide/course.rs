//! Where a run's held-out loss is going, from its steps: training losses are gathered into a few points, extrapolated
//! by [`curve`](super::curve), and shifted to where the held-out text was last seen. What follows is not decided here.

use super::curve::{Forecast, extrapolate};
use super::rules::Curve;

/// Points that the steps are gathered into.
const POINTS: usize = 40;

/// The held-out bits per byte at `end` bytes, of a run with these steps (bytes seen, training bits per byte) that now
/// has `held_out` bits per byte. `None` where the course is too short or too odd to say.
pub fn forecast(rules: &Curve, steps: &[(f64, f64)], held_out: f64, end: f64, seed: u64) -> Option<Forecast> {
    if !held_out.is_finite() {
        return None;
    }
    let sound: Vec<(f64, f64)> = steps.iter().copied().filter(|(_, loss)| loss.is_finite()).collect();
    let size = sound.len().div_ceil(POINTS).max(1);
    let points: Vec<(f64, f64)> = sound
        .chunks(size)
        .filter_map(|chunk| {
            let n = chunk.len() as f64;
            // A chunk stands at its middle: what it averages was learnt there.
            Some((chunk.get(chunk.len() / 2)?.0, chunk.iter().map(|p| p.1).sum::<f64>() / n))
        })
        .collect();
    let last = points.last().copied()?;
    let mut forecast = extrapolate(rules, &points, end.max(last.0), seed).ok()?;
    let shift = held_out - forecast.law.at(last.0);
    forecast.law.limit += shift;
    forecast.samples.iter_mut().for_each(|s| *s += shift);
    Some(forecast)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::RuleBook;

    fn steps(limit: f64, n: usize) -> Vec<(f64, f64)> {
        (1..=n)
            .map(|i| {
                let ripple = if i % 2 == 0 { 0.02 } else { -0.02 };
                (i as f64 * 100.0, limit + 2.0 * (i as f64 / 10.0).powf(-0.5) + ripple)
            })
            .collect()
    }

    #[test]
    fn the_course_of_the_training_loss_is_shifted_to_the_held_out_text() {
        let rules = RuleBook::embedded().unwrap().review().curve.clone();
        // After 200 of 400 steps; the law says what the training loss will be, the held-out text is 0.3 above it.
        let seen = steps(1.0, 200);
        let now = 1.0 + 2.0 * 20f64.powf(-0.5);
        let end = 1.0 + 2.0 * 40f64.powf(-0.5);
        let f = forecast(&rules, &seen, now + 0.3, 40_000.0, 1).unwrap();
        // The ripple is averaged away and the law is the fit's own; 0.03 is the width of a chunk.
        assert!((f.expected() - (end + 0.3)).abs() < 0.03, "{} {}", f.expected(), end + 0.3);
        assert!(f.chance_below(end + 0.1) < 0.2 && f.chance_below(end + 0.5) > 0.8);
    }

    #[test]
    fn too_few_steps_say_nothing() {
        let rules = RuleBook::embedded().unwrap().review().curve.clone();
        assert!(forecast(&rules, &steps(1.0, 5), 3.0, 4000.0, 1).is_none());
        assert!(forecast(&rules, &steps(1.0, 100), f64::NAN, 40_000.0, 1).is_none());
    }
}
