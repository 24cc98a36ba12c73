//! What another way of deciding would have earned on past decisions, without running anything: off-policy estimates
//! from propensities. How those other decisions are made is not known here.

use super::error::LearnError;
use serde::Serialize;

/// Below this effective sample size there is no verdict.
pub const LEAST_EFFECTIVE: f64 = 10.0;

/// A past decision, as the other way of deciding sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replayed {
    /// Probability with which the logged decision was taken, above 0 and at most 1.
    pub propensity: f64,
    /// Probability with which the other way would take it: 1 or 0 without exploration.
    pub wanted: f64,
    /// What it earned: bits per byte saved against `keep`.
    pub saved: f64,
}

/// An off-policy estimate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OffPolicy {
    /// Self-normalised inverse propensity score: mean bits per byte saved. `None` where no past decision agrees.
    pub estimate: Option<f64>,
    /// (sum w)^2 / sum w^2 of the weights w = wanted / propensity: so many decisions it is worth.
    pub effective: f64,
    /// Whether that is enough for a verdict.
    pub verdict: bool,
}

/// SNIPS: sum w y / sum w (Swaminathan and Joachims, 2015).
///
/// # Errors
/// [`LearnError::Option`] for a propensity outside 0..=1 (0 excluded), a probability outside 0..=1 or an outcome that is
/// not finite.
pub fn off_policy(past: &[Replayed]) -> Result<OffPolicy, LearnError> {
    let fault = |option, range, v: f64| Err(LearnError::Option { option, range, value: v.to_string() });
    for p in past {
        if !(p.propensity > 0.0 && p.propensity <= 1.0) {
            return fault("propensity", "above 0 and at most 1", p.propensity);
        }
        if !(0.0..=1.0).contains(&p.wanted) {
            return fault("wanted", "between 0 and 1", p.wanted);
        }
        if !p.saved.is_finite() {
            return fault("saved", "a finite number", p.saved);
        }
    }
    let weighted = past.iter().map(|p| (p.wanted / p.propensity, p.saved));
    let (sum, squares, earned) = weighted.fold((0.0, 0.0, 0.0), |(s, q, e), (w, y)| (s + w, q + w * w, e + w * y));
    let effective = if squares > 0.0 { sum * sum / squares } else { 0.0 };
    Ok(OffPolicy { estimate: (sum > 0.0).then(|| earned / sum), effective, verdict: effective >= LEAST_EFFECTIVE })
}

/// Probability of a choice under epsilon-greedy exploration over `feasible` strategies: log it beside the decision.
/// Without exploration (epsilon 0) it is 1 for what is preferred.
pub fn propensity(preferred: bool, feasible: usize, epsilon: f64) -> f64 {
    let epsilon = epsilon.clamp(0.0, 1.0);
    let share = epsilon / feasible.max(1) as f64;
    if preferred { 1.0 - epsilon + share } else { share }
}
