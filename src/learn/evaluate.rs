//! How good choices would have been on cases nobody had seen: the combined engine beside the rules alone, the best
//! single strategy, a tree that imitates past choices, and an oracle. Knows nothing of vetoes or budgets: only
//! strategies whose outcome in a run is known can be chosen there.
//!
//! closed gap = (m - m_SBS) / (m_VBS - m_SBS), with m the mean bits per byte saved, SBS the best single strategy on the
//! other folds and VBS the oracle: 1 is always the best, 0 no better than always the same (ASlib's measure).

use super::error::LearnError;
use super::evidence::{Evidence, Row};
use super::grow::{GrowOptions, samples};
use super::validate::{self, Folds, Trial};
use crate::domain::scorer::{FEATURES, Situation};
use crate::domain::strategy::Strategy;
use linfa::DatasetBase;
use linfa::prelude::*;
use linfa_trees::DecisionTree;
use ndarray::{Array1, Array2};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use strum::IntoEnumIterator;

/// How one way of choosing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Chosen {
    /// Mean bits per byte saved against `keep`.
    pub saved: f64,
    /// Mean bits per byte lost against the oracle.
    pub regret: f64,
    /// `None` where the oracle is no better than the best single strategy.
    pub closed_gap: Option<f64>,
    /// Share of cases in which the best was chosen.
    pub best: f64,
}

/// Predicted against measured, for a fifth of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Mean predicted bits per byte saved.
    pub predicted: f64,
    /// Mean measured.
    pub measured: f64,
    /// Rows.
    pub rows: u64,
}

/// All ways of choosing on the same cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluated {
    /// Runs with at least two known outcomes (`keep` counted).
    pub cases: u64,
    /// Folds.
    pub folds: u64,
    /// The best single strategy on all cases.
    pub single_strategy: Strategy,
    /// Always the best single strategy of the other folds.
    pub single: Chosen,
    /// The highest expectation of the rules.
    pub rules: Chosen,
    /// A linfa tree that imitates past choices.
    pub imitation: Chosen,
    /// The highest of rules plus scorer.
    pub combined: Chosen,
    /// Always the best.
    pub oracle: Chosen,
    /// By fifths of the predicted utility.
    pub calibration: Vec<CalibrationBin>,
    /// Share of outcomes inside the 90% interval made from the other folds; `None` where there is too little for one.
    pub covered: Option<f64>,
}

/// `None` where the oracle is no better than the best single strategy: there is no gap to close.
pub fn closed_gap(single: f64, chosen: f64, oracle: f64) -> Option<f64> {
    // Below a millionth of a bit the gap is rounding.
    (oracle - single > 1e-6).then(|| (chosen - single) / (oracle - single))
}

/// Miscoverage of the interval that is checked.
const ALPHA: f64 = 0.1;

/// The rows of one run: the strategies that can be chosen there.
struct Case<'a> {
    fold: usize,
    rows: Vec<&'a Row>,
}

/// How good the choices of a scorer grown with these options would have been. `None` where there is too little history
/// to grow one, or no run with two outcomes to choose between.
///
/// # Errors
/// As [`grow`](super::grow()).
pub fn evaluate(evidence: &Evidence, options: &GrowOptions) -> Result<Option<Evaluated>, LearnError> {
    let folds = Folds::new(evidence, options);
    let samples = samples(evidence);
    let trial = validate::cross_validate(&samples, &folds, options)?;
    evaluate_with(evidence, &folds, options, Some(&trial))
}

/// The same with folds and out-of-fold predictions at hand; without a trial the rules stand for the combined engine.
pub(super) fn evaluate_with(
    evidence: &Evidence,
    folds: &Folds,
    options: &GrowOptions,
    trial: Option<&Trial>,
) -> Result<Option<Evaluated>, LearnError> {
    let cases = cases(evidence, folds);
    if cases.is_empty() || folds.count < 2 {
        return Ok(None);
    }
    let added: HashMap<(&str, Strategy), f64> = match trial {
        Some(trial) => {
            evidence.lessons().zip(&trial.predictions).map(|(r, p)| ((r.run.as_str(), r.strategy), *p)).collect()
        }
        None => HashMap::new(),
    };
    let utility = |row: &Row| row.prior + added.get(&(row.run.as_str(), row.strategy)).copied().unwrap_or(0.0);
    let mut singles = Vec::new();
    let mut imitators = Vec::new();
    for fold in 0..folds.count {
        let outside: Vec<&Row> = evidence.rows.iter().filter(|r| folds.of(&r.group) != fold).collect();
        singles.push(ranked(&outside));
        imitators.push(Imitator::learn(&outside, options)?);
    }
    let single = |case: &Case| {
        let ranking = singles.get(case.fold)?;
        ranking.iter().find_map(|s| case.rows.iter().find(|r| r.strategy == *s).map(|r| r.saved))
    };
    let imitation = |case: &Case| {
        let wanted = imitators.get(case.fold)?.as_ref()?.choose(&case.rows.first()?.situation);
        let keep = || case.rows.iter().find(|r| r.strategy == Strategy::Keep);
        case.rows.iter().find(|r| Some(r.strategy) == wanted).or_else(keep).map(|r| r.saved)
    };
    let saved = |choose: &dyn Fn(&Case) -> Option<f64>| mean(cases.iter().filter_map(choose));
    let oracle = saved(&|c| most(&c.rows, |r| r.saved).map(|r| r.saved));
    let sbs = saved(&single);
    let judge = |pick: &dyn Fn(&Case) -> Option<f64>| {
        let m = saved(pick);
        let is_best = |c: &Case| {
            let best = most(&c.rows, |r| r.saved)?.saved;
            Some(f64::from(u8::from(pick(c)? >= best)))
        };
        Chosen {
            saved: m,
            regret: oracle - m,
            closed_gap: closed_gap(sbs, m, oracle),
            best: mean(cases.iter().filter_map(is_best)),
        }
    };
    let all: Vec<&Row> = evidence.rows.iter().collect();
    Ok(Some(Evaluated {
        cases: cases.len() as u64,
        folds: folds.count as u64,
        single_strategy: ranked(&all).first().copied().unwrap_or(Strategy::Keep),
        single: judge(&single),
        rules: judge(&|c| most(&c.rows, |r| r.prior).map(|r| r.saved)),
        imitation: judge(&imitation),
        combined: judge(&|c| most(&c.rows, utility).map(|r| r.saved)),
        oracle: judge(&|c| most(&c.rows, |r| r.saved).map(|r| r.saved)),
        calibration: calibration(evidence.lessons().map(|r| (utility(r), r.saved)).collect()),
        covered: covered(evidence, folds, &utility),
    }))
}

fn cases<'a>(evidence: &'a Evidence, folds: &Folds) -> Vec<Case<'a>> {
    let mut runs: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in &evidence.rows {
        runs.entry(row.run.as_str()).or_default().push(row);
    }
    let case = |rows: Vec<&'a Row>| Some(Case { fold: folds.of(&rows.first()?.group), rows });
    runs.into_values().filter(|rows| rows.len() > 1).filter_map(case).collect()
}

/// The row with the highest value; of equals the first, which is the safest: strategies are ordered so.
fn most<'a>(rows: &[&'a Row], value: impl Fn(&Row) -> f64) -> Option<&'a Row> {
    rows.iter().copied().reduce(|best, r| if value(r) > value(best) { r } else { best })
}

/// Strategies by their mean outcome, the best first.
fn ranked(rows: &[&Row]) -> Vec<Strategy> {
    let mut sums: BTreeMap<Strategy, (f64, f64)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(row.strategy).or_default();
        *sum = (sum.0 + row.saved, sum.1 + 1.0);
    }
    let mut means: Vec<(Strategy, f64)> = sums.into_iter().map(|(s, (sum, n))| (s, sum / n)).collect();
    means.sort_by(|a, b| b.1.total_cmp(&a.1));
    means.into_iter().map(|(s, _)| s).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    if n > 0.0 { sum / n } else { 0.0 }
}

fn calibration(mut pairs: Vec<(f64, f64)>) -> Vec<CalibrationBin> {
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bin = |rows: &[(f64, f64)]| CalibrationBin {
        predicted: mean(rows.iter().map(|p| p.0)),
        measured: mean(rows.iter().map(|p| p.1)),
        rows: rows.len() as u64,
    };
    pairs.chunks(pairs.len().div_ceil(5).max(1)).map(bin).collect()
}

/// Share of a fold's outcomes inside the interval that the other folds' residuals give.
fn covered(evidence: &Evidence, folds: &Folds, utility: &dyn Fn(&Row) -> f64) -> Option<f64> {
    let (mut inside, mut all) = (0_u64, 0_u64);
    for fold in 0..folds.count {
        let away = |r: &&Row| folds.of(&r.group) != fold;
        let mut residuals: Vec<f64> = evidence.lessons().filter(away).map(|r| (r.saved - utility(r)).abs()).collect();
        residuals.sort_by(f64::total_cmp);
        let rank = ((residuals.len() as f64 + 1.0) * (1.0 - ALPHA)).ceil() as usize;
        let half = *residuals.get(rank.checked_sub(1)?)?;
        for row in evidence.lessons().filter(|r| !away(r)) {
            all += 1;
            inside += u64::from((row.saved - utility(row)).abs() <= half);
        }
    }
    (all > 0).then(|| inside as f64 / all as f64)
}

/// A linfa tree that imitates what was decided in the past, good or bad: the obvious way to learn from a history, and
/// what the combined engine must beat.
pub(super) struct Imitator(DecisionTree<f64, usize>);

impl Imitator {
    pub(super) fn learn(rows: &[&Row], options: &GrowOptions) -> Result<Option<Self>, LearnError> {
        let decided: Vec<&&Row> = rows.iter().filter(|r| r.decided).collect();
        let n = decided.len();
        if n == 0 {
            return Ok(None);
        }
        let columns = FEATURES.len();
        let x = Array2::from_shape_vec((n, columns), decided.iter().flat_map(|r| known(&r.situation)).collect())
            .map_err(|source| LearnError::Shape { rows: n, columns, source })?;
        let y: Array1<usize> = decided.iter().map(|r| r.strategy as usize).collect();
        let tree = DecisionTree::params()
            .max_depth(Some(options.depth))
            .min_weight_leaf(options.leaf as f32)
            .fit(&DatasetBase::new(x, y))
            .map_err(|source| LearnError::Tree { rows: n, source })?;
        Ok(Some(Self(tree)))
    }

    /// What would have been decided here.
    pub(super) fn choose(&self, situation: &Situation) -> Option<Strategy> {
        let x = Array2::from_shape_vec((1, FEATURES.len()), known(situation).to_vec()).ok()?;
        let label = *self.0.predict(&x).first()?;
        Strategy::iter().find(|s| *s as usize == label)
    }
}

/// The situation with unknown features as -1, without the strategy's columns.
fn known(situation: &Situation) -> [f64; FEATURES.len()] {
    situation.0.map(|v| if v.is_finite() { v } else { -1.0 })
}
