//! The learned scorer as it is stored: an inert tree over situation and strategy, with what it was grown from.
//! Also a situation as it sees it, so that `learn` and `decide` see it the same way.

use super::feature::Feature;
use super::profile::Profile;
use super::strategy::Strategy;
use super::tree::{PathStep, Tree};
use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator;

/// A situation as numbers; NaN where unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Situation(pub [f64; Feature::SITUATION.len()]);

impl Situation {
    /// From a profile and the training text's size in bytes, where it is known.
    pub fn new(profile: &Profile, train_bytes: Option<u64>) -> Self {
        Self(Feature::SITUATION.map(|feature| feature.measured(profile, train_bytes).unwrap_or(f64::NAN)))
    }

    /// The scorer's input row for a strategy: the features, unknown ones as -1, then one column a strategy.
    pub fn row(&self, strategy: Strategy) -> Vec<f64> {
        let known = self.0.iter().map(|v| if v.is_finite() { *v } else { -1.0 });
        known.chain(Strategy::iter().map(|s| f64::from(u8::from(s == strategy)))).collect()
    }

    /// Names of the columns of [`Situation::row`].
    pub fn columns() -> Vec<String> {
        let strategies = Strategy::iter().map(|s| format!("strategy={s}"));
        Feature::SITUATION.iter().map(ToString::to_string).chain(strategies).collect()
    }
}

/// Whether there is anything to learn about a strategy. `keep` is what utilities are measured against; `emergency` does
/// what `keep` does with less: what candidates turn out to be worth says nothing of it.
pub fn learnable(strategy: Strategy) -> bool {
    !matches!(strategy, Strategy::Keep | Strategy::Emergency)
}

/// A scorer, ready to be consulted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scorer {
    /// First 12 hex digits of `grown_from`, and the count.
    pub id: String,
    /// sha256 over the evidence it was grown from.
    pub grown_from: String,
    /// Branches of past runs it was grown from.
    pub evidence: u64,
    /// Groups (model, tokenizer pair, corpus) among them.
    pub groups: u64,
    /// Shrinkage; `None` is infinity: the rules alone.
    pub lambda: Option<f64>,
    /// Correction common to all (mu_0, shrunken).
    pub offset: f64,
    /// The residual tree; its values are shrunken already and relative to `offset`.
    pub tree: Tree,
    /// Absolute out-of-fold residuals, ascending: conformal half-widths are read from here.
    pub residuals: Vec<f64>,
    /// Grouped closed gap of this scorer, where it could be computed.
    pub closed_gap: Option<f64>,
}

impl Scorer {
    /// What to add to the rules' utility for a strategy in a situation, and why. Nothing for a strategy that there is
    /// nothing to learn about ([`learnable`]).
    pub fn residual(&self, situation: &Situation, strategy: Strategy) -> (f64, Vec<PathStep>) {
        if !learnable(strategy) {
            return (0.0, Vec::new());
        }
        let (value, path) = self.tree.predict(&situation.row(strategy));
        (self.offset + value, path)
    }

    /// Conformal half-width at miscoverage `alpha`: the ceil((n+1)(1-alpha))-th smallest absolute residual;
    /// `None` where there is too little evidence for one.
    pub fn half_width(&self, alpha: f64) -> Option<f64> {
        let n = self.residuals.len();
        let k = ((n as f64 + 1.0) * (1.0 - alpha)).ceil() as usize;
        (k >= 1).then(|| self.residuals.get(k - 1).copied()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_interval_below_nineteen_residuals_at_five_percent() {
        let scorer = |n: usize| Scorer {
            id: String::new(),
            grown_from: String::new(),
            evidence: n as u64,
            groups: 1,
            lambda: Some(30.0),
            offset: 0.0,
            tree: Tree { features: vec![], nodes: vec![] },
            residuals: (0..n).map(|i| i as f64).collect(),
            closed_gap: None,
        };
        assert_eq!(scorer(18).half_width(0.05), None);
        assert_eq!(scorer(19).half_width(0.05), Some(18.0));
        assert_eq!(scorer(9).half_width(0.1), Some(8.0));
        assert_eq!(scorer(0).half_width(0.1), None);
    }

    #[test]
    fn a_row_has_a_column_for_every_feature_and_strategy() {
        let row = Situation([f64::NAN; Feature::SITUATION.len()]).row(Strategy::Keep);
        assert_eq!(row.len(), Situation::columns().len());
        assert_eq!(row[0], -1.0);
    }
}
