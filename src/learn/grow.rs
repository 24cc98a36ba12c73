//! A tree on what the rules got wrong, and the scorer made of it. linfa-trees chooses the splits; how far its values
//! are believed is [`shrink`](super::shrink)'s and [`validate`](super::validate)'s business.
//!
//! linfa-trees classifies. So each node asks it for one split between the rows whose residual is above the node's mean
//! and those below, each weighing its distance from that mean. Both sides then weigh the same (deviations sum to 0), and
//! with S the sum of deviations of a side and W that of their absolute values, the Gini decrease is proportional to
//! S_left^2 / W_left + S_right^2 / W_right: what a regression tree maximises, with the mean absolute deviation in the
//! place of the count. One split a call also keeps the labels right further down, where the mean is another, and two
//! labels keep it reproducible: linfa sums them in the order of a hash map, which for two numbers does not matter.

use super::error::LearnError;
use super::evaluate::{self, Evaluated};
use super::evidence::{Evidence, Row};
use super::shrink::{Monotone, RawNode, RawTree, respect, shrink};
use super::validate::{self, Folds};
use crate::domain::feature::Feature;
use crate::domain::scorer::{Scorer, Situation};
use crate::domain::tree::{Split, Tree};
use data_encoding::HEXLOWER;
use linfa::DatasetBase;
use linfa::prelude::*;
use linfa_trees::DecisionTree;
use ndarray::{Array1, Array2};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Fewest lessons a scorer is grown from: below nine out-of-fold residuals there is not even a 90% interval.
pub const MIN_ROWS: usize = 9;
/// Fewest groups: with fewer than three, a fold is judged by a tree that has seen a single case.
pub const MIN_GROUPS: usize = 3;
/// Splits that leave too few rows on a side are sought again without those rows, so often at most.
const RETRIES: usize = 8;
/// A side of a split must weigh at least this share of the node, lest rounding leave it weightless.
const LEAST_WEIGHT: f32 = 1e-3;
/// Deviations below this, in bits per byte, are rounding: there is nothing left to split.
const NO_DEVIATION: f64 = 1e-9;

/// How to grow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GrowOptions {
    /// Shrinkages to choose from; `None` is infinity: the rules alone. Default {3, 10, 30, 100, infinity}.
    pub lambdas: Vec<Option<f64>>,
    /// Splits from the root to a leaf, at most: 1..=4. Default 4.
    pub depth: usize,
    /// Rows in a leaf, at least: 2 or more. Default 2.
    pub leaf: usize,
    /// Folds of the grouped cross-validation, at most; never more than groups: 2 or more. Default 10.
    pub folds: usize,
    /// Seed of the folds. Default 0.
    pub seed: u64,
    /// Directions that the correction must respect. Default none: where the rules promise too much, the correction has to
    /// go the other way.
    pub monotone: Vec<Monotone>,
    /// What the scorer must show before it moves the rules' choice, where choices are judged: by so many standard errors
    /// of the two expectations its choice must be ahead. Default 0.25, as in `rules/weighing.toml`.
    pub standard_errors: f64,
    /// The rules' own spread counts like this many cases where confidence is judged. Default 10, as in
    /// `rules/weighing.toml`.
    pub spread_weight: f64,
}

impl Default for GrowOptions {
    fn default() -> Self {
        let lambdas = vec![Some(3.0), Some(10.0), Some(30.0), Some(100.0), None];
        Self {
            lambdas,
            depth: 4,
            leaf: 2,
            folds: 10,
            seed: 0,
            monotone: Vec::new(),
            standard_errors: 0.25,
            spread_weight: 10.0,
        }
    }
}

impl GrowOptions {
    fn check(&self) -> Result<(), LearnError> {
        let fault = |option, range, value: String| Err(LearnError::Option { option, range, value });
        if !(1..=4).contains(&self.depth) {
            return fault("depth", "between 1 and 4", self.depth.to_string());
        }
        if self.leaf < 2 {
            return fault("leaf", "at least 2", self.leaf.to_string());
        }
        if self.folds < 2 {
            return fault("folds", "at least 2", self.folds.to_string());
        }
        if self.lambdas.is_empty() {
            return fault("lambdas", "at least one shrinkage", "none".into());
        }
        if !(self.standard_errors.is_finite() && self.standard_errors >= 0.0) {
            return fault("standard_errors", "a finite number of at least 0", self.standard_errors.to_string());
        }
        if !(self.spread_weight.is_finite() && self.spread_weight >= 0.0) {
            return fault("spread_weight", "a finite number of at least 0", self.spread_weight.to_string());
        }
        if let Some(unknown) =
            self.monotone.iter().find(|m| !m.feature.parse().is_ok_and(|f| Feature::SITUATION.contains(&f)))
        {
            return fault("monotone", "the name of a feature", unknown.feature.clone());
        }
        match self.lambdas.iter().flatten().find(|l| !(l.is_finite() && **l > 0.0)) {
            Some(bad) => fault("lambda", "a finite number above 0, or infinity", bad.to_string()),
            None => Ok(()),
        }
    }
}

/// What came of growing.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "growth", rename_all = "snake_case")]
pub enum Growth {
    /// A scorer.
    Grown(Box<Grown>),
    /// Too little history: the rules decide alone, and why, in a sentence.
    TooLittle { lessons: u64, groups: u64, because: String },
}

/// A scorer and how it came about.
#[derive(Debug, Clone, Serialize)]
pub struct Grown {
    /// Ready to be consulted.
    pub scorer: Scorer,
    /// Every shrinkage that was tried, in the order given.
    pub lambdas: Vec<LambdaScore>,
    /// How good its choices would have been on cases it had not seen, where that can be said.
    pub evaluated: Option<Evaluated>,
}

/// How a shrinkage did on cases the tree had not seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LambdaScore {
    /// The shrinkage; `None` is infinity.
    pub lambda: Option<f64>,
    /// Mean over groups of the mean squared error of the utility, in squared bits per byte.
    pub error: f64,
    /// Standard error over groups of the difference from the rules alone.
    pub standard_error: f64,
    /// Whether it was chosen.
    pub chosen: bool,
}

/// A row as a tree sees it.
#[derive(Debug, Clone)]
pub(super) struct Sample<'a> {
    pub row: &'a Row,
    pub x: Vec<f64>,
    pub residual: f64,
}

impl<'a> Sample<'a> {
    pub(super) fn of(row: &'a Row, x: Vec<f64>, residual: f64) -> Self {
        Self { row, x, residual }
    }
}

/// Samples of all lessons, in the evidence's order.
pub(super) fn samples(evidence: &Evidence) -> Vec<Sample<'_>> {
    evidence.lessons().map(|row| Sample::of(row, row.situation.row(row.strategy), row.residual())).collect()
}

/// Grows a scorer, or says why there is too little to grow one from. The same evidence, in whatever order, gives the
/// same scorer.
///
/// # Errors
/// [`LearnError::Option`] for an option outside its range; else a fault of the tree library.
pub fn grow(evidence: &Evidence, options: &GrowOptions) -> Result<Growth, LearnError> {
    options.check()?;
    let samples = samples(evidence);
    let groups = evidence.groups();
    if samples.len() < MIN_ROWS || groups < MIN_GROUPS {
        return Ok(too_little(evidence, samples.len(), groups));
    }
    let folds = Folds::new(evidence, options);
    let trial = validate::cross_validate(&samples, &folds, options)?;
    let raw = grow_tree(&samples.iter().collect::<Vec<_>>(), options)?;
    let (offset, tree) = believe(&raw, trial.lambda, options);
    let evaluated = evaluate::evaluate_with(evidence, &folds, options, &trial.contributions(&samples))?;
    let grown_from = fingerprint(evidence);
    let scorer = Scorer {
        id: format!("{}-{}", grown_from.get(..12).unwrap_or(&grown_from), samples.len()),
        grown_from,
        evidence: samples.len() as u64,
        groups: groups as u64,
        lambda: trial.lambda,
        offset,
        tree,
        residuals: trial.absolute_residuals(&samples),
        closed_gap: evaluated.as_ref().and_then(|e| e.cautious.closed_gap),
    };
    Ok(Growth::Grown(Box::new(Grown { scorer, lambdas: trial.scores, evaluated })))
}

/// The common correction and the tree as they are consulted: shrunken, with declared directions respected.
pub(super) fn believe(raw: &RawTree, lambda: Option<f64>, options: &GrowOptions) -> (f64, Tree) {
    let (offset, mut tree) = shrink(raw, lambda, Situation::columns());
    respect(&mut tree, &options.monotone);
    (offset, tree)
}

fn too_little(evidence: &Evidence, lessons: usize, groups: usize) -> Growth {
    let because = format!(
        "the history has {} and {} to learn from ({} runs), and a scorer needs {MIN_ROWS} outcomes for an interval and \
         {MIN_GROUPS} cases to be judged on ones it has not seen: the rules decide alone",
        counted(lessons, "comparable outcome"),
        counted(groups, "different case"),
        evidence.runs,
    );
    Growth::TooLittle { lessons: lessons as u64, groups: groups as u64, because }
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// The tree on these samples, before shrinkage. Empty for no samples.
pub(super) fn grow_tree(samples: &[&Sample], options: &GrowOptions) -> Result<RawTree, LearnError> {
    let mut tree = RawTree::default();
    if samples.is_empty() {
        return Ok(tree);
    }
    // Node, its rows, its depth: parents come before children, as `shrink` wants it.
    let mut open = std::collections::VecDeque::from([(samples.to_vec(), 0_usize)]);
    while let Some((rows, depth)) = open.pop_front() {
        let count = rows.len() as u64;
        let mean = rows.iter().map(|s| s.residual).sum::<f64>() / count as f64;
        let cut = if depth < options.depth { stump(&rows, mean, options.leaf)? } else { None };
        let split = cut.map(|(feature, threshold)| {
            let (left, right): (Vec<_>, Vec<_>) = rows.iter().copied().partition(|s| is_below(s, feature, threshold));
            // Nodes are numbered as they leave the queue: those made, this one, those waiting.
            let next = tree.nodes.len() + 1 + open.len();
            open.extend([(left, depth + 1), (right, depth + 1)]);
            Split { feature, threshold, left: next, right: next + 1 }
        });
        tree.nodes.push(RawNode { mean, count, split });
    }
    Ok(tree)
}

fn is_below(sample: &Sample, feature: usize, threshold: f64) -> bool {
    sample.x.get(feature).is_some_and(|v| *v < threshold)
}

/// The best split of these rows, whose mean is given, with at least `leaf` of them on either side, as linfa-trees sees it.
pub(super) fn stump(rows: &[&Sample], mean: f64, leaf: usize) -> Result<Option<(usize, f64)>, LearnError> {
    let mut active = rows.to_vec();
    for _ in 0..RETRIES {
        if active.len() < 2 * leaf {
            return Ok(None);
        }
        let Some((feature, threshold)) = linfa_split(&active, mean)? else { return Ok(None) };
        let below = rows.iter().filter(|s| is_below(s, feature, threshold)).count();
        if below >= leaf && rows.len() - below >= leaf {
            return Ok(Some((feature, threshold)));
        }
        // A few freaks make the best split: look for one without them.
        active.retain(|s| is_below(s, feature, threshold) == (below >= leaf));
    }
    Ok(None)
}

fn linfa_split(rows: &[&Sample], mean: f64) -> Result<Option<(usize, f64)>, LearnError> {
    let (n, columns) = (rows.len(), rows.first().map_or(0, |s| s.x.len()));
    let total: f64 = rows.iter().map(|s| (s.residual - mean).abs()).sum();
    if total < NO_DEVIATION * n as f64 {
        return Ok(None);
    }
    let x = Array2::from_shape_vec((n, columns), rows.iter().flat_map(|s| s.x.iter().copied()).collect())
        .map_err(|source| LearnError::Shape { rows: n, columns, source })?;
    let above: Array1<bool> = rows.iter().map(|s| s.residual > mean).collect();
    let weight = |s: &&Sample| ((s.residual - mean).abs() / total * n as f64) as f32;
    let data = DatasetBase::new(x, above).with_weights(rows.iter().map(weight).collect());
    let tree = DecisionTree::params()
        .max_depth(Some(1))
        .min_weight_leaf(LEAST_WEIGHT * n as f32)
        .min_impurity_decrease(1e-6)
        .fit(&data)
        .map_err(|source| LearnError::Tree { rows: n, source })?;
    let root = tree.root_node();
    let (feature, threshold, _) = root.split();
    Ok((!root.is_leaf()).then_some((feature, threshold)))
}

/// sha256 over everything the lessons say.
fn fingerprint(evidence: &Evidence) -> String {
    let mut hash = Sha256::new();
    for row in evidence.lessons() {
        hash.update(format!("{}|{}|{}|{:?}|{:?}\n", row.group, row.run, row.strategy, row.prior, row.saved));
        hash.update(format!("{:?}\n", row.situation.0));
    }
    HEXLOWER.encode(&hash.finalize())
}
