//! How good choices would have been on cases nobody had seen: the combined engine beside the rules alone, the best
//! single strategy, a tree that imitates past choices, and an oracle. Knows nothing of vetoes or budgets: only
//! strategies whose outcome in a run is known can be chosen there.
//!
//! closed gap = (m - m_SBS) / (m_VBS - m_SBS), with m the mean bits per byte saved, SBS the best single strategy on the
//! other folds and VBS the oracle: 1 is always the best, 0 no better than always the same (ASlib's measure).

use super::error::LearnError;
use super::evidence::{Evidence, Row};
use super::grow::{GrowOptions, samples};
use super::imitate::Imitator;
use super::validate::{self, Contribution, Contributions, Folds};
use crate::domain::scorer::{Scorer, Situation, learnable};
use crate::domain::strategy::Strategy;
use crate::domain::sureness::{Stake, chance, sureness};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

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

/// How sure choices were, against how often they were right: for a range of confidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ConfidenceBin {
    /// Confidence from here on ...
    pub from: f64,
    /// ... up to here.
    pub to: f64,
    /// Mean confidence of the choices in the range.
    pub stated: f64,
    /// Share of them that ended as well as was stated: no worse than `keep`, or, where `keep` was chosen, with no rival
    /// that ended better.
    pub right: f64,
    /// Choices in the range.
    pub choices: u64,
}

/// Where confidence is told apart: where `rules/confidence.toml` acts otherwise, and the ends.
const BANDS: [f64; 4] = [0.0, 0.70, 0.85, 1.0];

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
    /// The same, but the rules' choice stands unless the scorer's is ahead by more than the standard errors asked for:
    /// how a decision is made.
    pub cautious: Chosen,
    /// Always the best.
    pub oracle: Chosen,
    /// By fifths of the predicted utility.
    pub calibration: Vec<CalibrationBin>,
    /// By ranges of the confidence that decisions would have had, made from the other folds; empty ranges left out.
    pub confidence: Vec<ConfidenceBin>,
    /// Share of outcomes inside the 90% interval made from the other folds; `None` where there is too little for one.
    pub covered: Option<f64>,
}

impl Evaluated {
    /// All ways of choosing as a Markdown table, then calibration and coverage.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} runs with a choice, {} folds that never part a case (model, tokenizers, text).\n\n\
             | way of choosing | bits/byte saved | regret | closed gap | chose the best |\n\
             | --- | ---: | ---: | ---: | ---: |\n",
            self.cases, self.folds
        );
        let single = format!("always the best single one ({})", self.single_strategy);
        let ways: [(&str, &Chosen); 6] = [
            (&single, &self.single),
            ("rules alone", &self.rules),
            ("tree that imitates past choices", &self.imitation),
            ("rules + scorer, the highest", &self.combined),
            ("rules + scorer, as decided", &self.cautious),
            ("oracle", &self.oracle),
        ];
        // Writing to a String cannot fail.
        for (name, c) in ways {
            let gap = c.closed_gap.map_or("-".to_string(), |g| format!("{g:.2}"));
            let _ = writeln!(text, "| {name} | {:+.4} | {:.4} | {gap} | {:.0}% |", c.saved, c.regret, c.best * 100.0);
        }
        let _ = writeln!(text, "\n| predicted | measured | rows |\n| ---: | ---: | ---: |");
        for bin in &self.calibration {
            let _ = writeln!(text, "| {:+.3} | {:+.3} | {} |", bin.predicted, bin.measured, bin.rows);
        }
        let _ = writeln!(text, "\n| confidence | stated | right | choices |\n| --- | ---: | ---: | ---: |");
        for bin in &self.confidence {
            let ConfidenceBin { from, to, stated, right, choices } = bin;
            let _ = writeln!(
                text,
                "| {:.0}% to {:.0}% | {:.0}% | {:.0}% | {choices} |",
                from * 100.0,
                to * 100.0,
                stated * 100.0,
                right * 100.0
            );
        }
        let _ = match self.covered {
            Some(share) => writeln!(text, "\n{:.0}% of outcomes lie inside their 90% interval.", share * 100.0),
            None => writeln!(text, "\nThere is too little history for an interval."),
        };
        text
    }
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
    evaluate_with(evidence, &folds, options, &trial.contributions(&samples))
}

/// How good the choices of this very scorer would be on the evidence, whether it was grown from it or not (then it is
/// flattered). `None` as in [`evaluate`].
///
/// # Errors
/// As [`grow`](super::grow()).
pub fn evaluate_scorer<'a>(
    evidence: &'a Evidence,
    scorer: &Scorer,
    options: &GrowOptions,
) -> Result<Option<Evaluated>, LearnError> {
    let of = |row: &'a Row| ((row.run.as_str(), row.strategy), contribution(scorer, &row.situation, row.strategy));
    evaluate_with(evidence, &Folds::new(evidence, options), options, &evidence.lessons().map(of).collect())
}

/// What a scorer adds, and how sure it is of it.
pub(super) fn contribution(scorer: &Scorer, situation: &Situation, strategy: Strategy) -> Contribution {
    if !learnable(strategy) {
        return Contribution::default();
    }
    let (added, path) = scorer.residual(situation, strategy);
    let variance = mean(scorer.residuals.iter().map(|r| r * r));
    let rows = path.last().map_or(scorer.evidence, |step| step.count).max(1);
    Contribution { added, error: variance / rows as f64 }
}

/// The place of the strategy that is decided: what the rules prefer, unless the scorer favours the best of rules plus
/// scorer and that is ahead by more than so many standard errors of the two expectations. Takes (prior, contribution) in
/// the order of safety.
pub(super) fn decided(options: &[(f64, Contribution)], standard_errors: f64) -> Option<usize> {
    let best = |value: &dyn Fn(&(f64, Contribution)) -> f64| {
        let all = options.iter().enumerate();
        all.reduce(|b, o| if value(o.1) > value(b.1) { o } else { b })
    };
    let (a, rules) = best(&|o| o.0)?;
    let (b, both) = best(&|o| o.0 + o.1.added)?;
    let ahead = (both.0 + both.1.added) - (rules.0 + rules.1.added);
    let moved = both.1.added > rules.1.added && ahead > standard_errors * (rules.1.error + both.1.error).sqrt();
    Some(if moved { b } else { a })
}

/// The same with folds and contributions at hand; a row without one gets none.
pub(super) fn evaluate_with(
    evidence: &Evidence,
    folds: &Folds,
    options: &GrowOptions,
    added: &Contributions,
) -> Result<Option<Evaluated>, LearnError> {
    let cases = cases(evidence, folds);
    if cases.is_empty() || folds.count < 2 {
        return Ok(None);
    }
    let added = |row: &Row| added.get(&(row.run.as_str(), row.strategy)).copied().unwrap_or_default();
    let utility = |row: &Row| row.prior + added(row).added;
    let picked = |case: &Case| {
        let weighed: Vec<_> = case.rows.iter().map(|r| (r.prior, added(r))).collect();
        decided(&weighed, options.standard_errors)
    };
    let cautious = |case: &Case| case.rows.get(picked(case)?).map(|r| r.saved);
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
        let wanted = imitators.get(case.fold)?.choose(&case.rows.first()?.situation);
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
        cautious: judge(&cautious),
        oracle: judge(&|c| most(&c.rows, |r| r.saved).map(|r| r.saved)),
        calibration: calibration(evidence.lessons().map(|r| (utility(r), r.saved)).collect()),
        confidence: confidence(evidence, folds, &cases, &added, &picked, options.spread_weight),
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

/// How sure the decided choices would have been, from what the other folds teach, and how often they were right.
fn confidence(
    evidence: &Evidence,
    folds: &Folds,
    cases: &[Case],
    added: &dyn Fn(&Row) -> Contribution,
    picked: &dyn Fn(&Case) -> Option<usize>,
    weight: f64,
) -> Vec<ConfidenceBin> {
    let mut bins = no_bins();
    for case in cases {
        let outside = || evidence.lessons().filter(|r| folds.of(&r.group) != case.fold);
        let square = mean(outside().map(|r| (r.residual() - added(r).added).powi(2)));
        let groups = outside().map(|r| r.group.as_str()).collect::<std::collections::HashSet<_>>().len() as f64;
        let weighed: Vec<_> = case.rows.iter().map(|r| (r.strategy, r.prior, r.spread, added(r))).collect();
        let (Some(pick), evidence) = (picked(case), Learnt { mean_square: square, cases: groups }) else { continue };
        let (Some(stated), Some(row)) = (sure_of(&weighed, pick, weight, Some(evidence)), case.rows.get(pick)) else {
            continue;
        };
        let stays = !learnable(row.strategy);
        let right = if stays { case.rows.iter().all(|r| r.saved <= row.saved) } else { row.saved >= 0.0 };
        tally(&mut bins, stated, f64::from(u8::from(right)));
    }
    finished(bins)
}

/// What past runs say of outcomes in general: how wrong predictions for cases not seen were, and in how many cases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learnt {
    pub mean_square: f64,
    pub cases: f64,
}

/// A strategy with its prior, the prior's spread and what past runs add.
pub(super) type Weighed = (Strategy, f64, f64, Contribution);

/// How sure a decision for one of these strategies would be.
pub(super) fn sure_of(weighed: &[Weighed], pick: usize, weight: f64, learnt: Option<Learnt>) -> Option<f64> {
    let of = |stake: &dyn Fn(&Weighed) -> Stake| {
        let rivals = weighed.iter().enumerate().filter(|(i, _)| *i != pick).map(|(_, o)| stake(o));
        Some(chance(stake(weighed.get(pick)?), rivals))
    };
    let expected = |(strategy, prior, spread, _): &Weighed| Stake {
        stays: !learnable(*strategy),
        utility: *prior,
        variance: spread * spread,
    };
    let by_rules = of(&expected)?;
    let Some(Learnt { mean_square, cases }) = learnt else { return Some(by_rules) };
    let predicted = |o: &Weighed| {
        let (stake, added) = (expected(o), o.3);
        let variance = if stake.stays { stake.variance } else { mean_square + added.error };
        Stake { utility: stake.utility + added.added, variance, ..stake }
    };
    Some(sureness(by_rules, weight, of(&predicted)?, cases))
}

/// Counts a choice in the range of its confidence; means are sums until [`finished`].
pub(super) fn tally(bins: &mut [ConfidenceBin], stated: f64, right: f64) {
    let inner = BANDS.iter().skip(1).take(bins.len().saturating_sub(1));
    if let Some(bin) = bins.get_mut(inner.filter(|edge| stated >= **edge).count()) {
        bin.stated += stated;
        bin.right += right;
        bin.choices += 1;
    }
}

/// Sums become means, empty ranges go.
pub(super) fn finished(bins: Vec<ConfidenceBin>) -> Vec<ConfidenceBin> {
    let edges = BANDS.iter().zip(BANDS.iter().skip(1));
    let mean = |(bin, (from, to)): (ConfidenceBin, (&f64, &f64))| {
        let n = bin.choices as f64;
        ConfidenceBin { from: *from, to: *to, stated: bin.stated / n, right: bin.right / n, choices: bin.choices }
    };
    bins.into_iter().zip(edges).filter(|(bin, _)| bin.choices > 0).map(mean).collect()
}

/// No ranges counted yet.
pub(super) fn no_bins() -> Vec<ConfidenceBin> {
    vec![ConfidenceBin::default(); BANDS.len() - 1]
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
