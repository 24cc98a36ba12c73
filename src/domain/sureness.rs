//! How sure a choice is: one formula for what decides and for what checks afterwards whether it was right to be so sure.
//! Where its numbers come from is not known here.
//!
//! With u the utility of a choice (bits per byte expected to be saved against `keep`) and v the variance of its outcome:
//! the chance of a choice that leaves the original is Phi(u / sqrt v), the normal probability that it ends no worse than
//! `keep`; of one that stays, the probability that not even its most dangerous rival b would have ended better,
//! min_b Phi((u - u_b) / sqrt(v + v_b)).
//!
//! The rules' chance (from their own expectation and spread) and that of past runs (from what was learnt, with the scatter
//! of what was predicted for cases not seen) are pooled linearly, each counting as many cases as stand behind it: an
//! opinion pool, in which neither side's certainty can drown the other's. What past runs say may not exceed (n + 1) /
//! (n + 2), Laplace's rule of succession: after n cases that all went well nobody can be surer of the next one, whatever
//! a bell curve says of its tail.

use statrs::function::erf::erfc;

/// A strategy as it is weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stake {
    /// Whether it stays on the original tokenizer: the yardstick.
    pub stays: bool,
    /// Bits per byte expected to be saved against `keep`.
    pub utility: f64,
    /// Variance of the outcome around that.
    pub variance: f64,
}

/// The chance of `pick` against `rivals`, 0..=1.
pub fn chance(pick: Stake, rivals: impl IntoIterator<Item = Stake>) -> f64 {
    if pick.stays {
        let beats = |b: Stake| above_zero(pick.utility - b.utility, (pick.variance + b.variance).sqrt());
        rivals.into_iter().map(beats).fold(1.0, f64::min)
    } else {
        above_zero(pick.utility, pick.variance.sqrt())
    }
}

/// How sure a choice is: the rules' chance of it, counted as `weight` cases, pooled with what past runs say in `cases`.
pub fn sureness(by_rules: f64, weight: f64, learned: f64, cases: f64) -> f64 {
    let (weight, cases) = (weight.max(0.0), cases.max(0.0));
    if weight + cases <= 0.0 {
        return by_rules;
    }
    (weight * by_rules + cases * learned.min(succession(cases))) / (weight + cases)
}

/// Variance of an outcome: what an expert holds for its spread, counted as `weight` cases, pooled with the mean square of
/// what was learnt to be wrong in so many `cases`. The runs of one case are too alike to count apart.
pub fn pooled_variance(spread: f64, weight: f64, mean_square: f64, cases: f64) -> f64 {
    if weight + cases > 0.0 { (weight * spread * spread + cases * mean_square) / (weight + cases) } else { 0.0 }
}

/// The most that `cases` without an exception can make sure: Laplace's rule of succession.
pub fn succession(cases: f64) -> f64 {
    let cases = cases.max(0.0);
    (cases + 1.0) / (cases + 2.0)
}

/// Phi(x / sigma), the probability that a normal quantity with mean x and deviation sigma is above 0.
pub fn above_zero(x: f64, sigma: f64) -> f64 {
    if sigma > 0.0 {
        (0.5 * erfc(-x / (sigma * std::f64::consts::SQRT_2))).clamp(0.0, 1.0)
    } else {
        (1.0 + x.partial_cmp(&0.0).map_or(0.0, |o| f64::from(o as i8))) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(utility: f64, deviation: f64) -> Stake {
        Stake { stays: false, utility, variance: deviation * deviation }
    }

    const KEEP: Stake = Stake { stays: true, utility: 0.0, variance: 0.0 };

    /// Phi(1) = 0.841345, from any table of the normal distribution; erfc is good to 1e-10.
    #[test]
    fn one_deviation_above_keep_is_84_percent_sure() {
        assert!((chance(leaves(0.1, 0.1), []) - 0.841_344_746).abs() < 1e-8);
        assert!((chance(KEEP, [leaves(-0.1, 0.1), leaves(-0.3, 0.1)]) - 0.841_344_746).abs() < 1e-8);
    }

    /// By hand: (10 x 0.8 + 3 x 4/5) / 13, and (10 x 0.3 + 98 x 99/100) / 108.
    #[test]
    fn three_cases_hardly_move_what_the_rules_say_and_a_hundred_do() {
        assert_eq!(sureness(0.8, 10.0, 1.0, 0.0), 0.8);
        assert!((sureness(0.8, 10.0, 1.0, 3.0) - 0.8).abs() < 1e-12);
        assert!((sureness(0.3, 10.0, 1.0, 98.0) - (3.0 + 97.02) / 108.0).abs() < 1e-12);
        assert_eq!(sureness(0.7, 0.0, 1.0, 0.0), 0.7);
    }

    #[test]
    fn what_was_learnt_outweighs_the_expert_case_by_case() {
        assert_eq!(pooled_variance(0.1, 30.0, 0.0, 0.0), 0.1 * 0.1 * 30.0 / 30.0);
        assert!((pooled_variance(0.0, 30.0, 1.0, 30.0) - 0.5).abs() < 1e-12);
        assert_eq!(pooled_variance(0.0, 0.0, 0.0, 0.0), 0.0);
    }
}
