//! How far to shrink, judged on cases the tree has not seen: cross-validation whose folds never part a group (model,
//! tokenizers, text), for rows of one group are too alike to be each other's test.

use super::error::LearnError;
use super::evidence::Evidence;
use super::grow::{GrowOptions, LambdaScore, Sample, believe, grow_tree};
use crate::domain::strategy::Strategy;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Which fold a group is in.
#[derive(Debug, Clone)]
pub(super) struct Folds {
    of: HashMap<String, usize>,
    /// Number of folds; none is empty.
    pub count: usize,
}

impl Folds {
    /// Groups dealt out to folds in a seeded order.
    pub(super) fn new(evidence: &Evidence, options: &GrowOptions) -> Self {
        let groups: BTreeSet<&str> = evidence.rows.iter().map(|r| r.group.as_str()).collect();
        let mut groups: Vec<&str> = groups.into_iter().collect();
        groups.shuffle(&mut ChaCha8Rng::seed_from_u64(options.seed));
        let count = options.folds.min(groups.len()).max(1);
        let of = groups.into_iter().enumerate().map(|(i, g)| (g.to_string(), i % count)).collect();
        Self { of, count }
    }

    /// The fold of a group.
    pub(super) fn of(&self, group: &str) -> usize {
        self.of.get(group).copied().unwrap_or(0)
    }
}

/// What cross-validation found.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    /// The shrinkage to use: `None` is infinity.
    pub lambda: Option<f64>,
    /// Every shrinkage, in the order given.
    pub scores: Vec<LambdaScore>,
    /// For every sample, what would have been added to the rules' utility by a scorer that had not seen its fold,
    /// with the shrinkage that the *other* folds prefer.
    pub predictions: Vec<f64>,
    /// For every sample, the rows behind the leaf that spoke.
    pub counts: Vec<u64>,
}

impl Trial {
    /// Absolute out-of-fold residuals, ascending.
    pub(super) fn absolute_residuals(&self, samples: &[Sample]) -> Vec<f64> {
        let mut all: Vec<f64> = samples.iter().zip(&self.predictions).map(|(s, p)| (s.residual - p).abs()).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    /// What would have been added to the rules' utility of every sample, and how sure that was.
    pub(super) fn contributions<'a>(&self, samples: &[Sample<'a>]) -> Contributions<'a> {
        let square = |(s, p): (&Sample, &f64)| (s.residual - p).powi(2);
        let variance = samples.iter().zip(&self.predictions).map(square).sum::<f64>() / samples.len().max(1) as f64;
        let spoken = samples.iter().zip(self.predictions.iter().zip(&self.counts));
        spoken
            .map(|(s, (added, count))| {
                let error = variance / (*count).max(1) as f64;
                ((s.row.run.as_str(), s.row.strategy), Contribution { added: *added, error })
            })
            .collect()
    }
}

/// What a scorer adds to the rules' utility of a strategy in a case.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Contribution {
    /// Bits per byte.
    pub added: f64,
    /// Squared standard error of the expectation: the outcomes' variance over the rows behind it.
    pub error: f64,
}

/// By run and strategy.
pub(super) type Contributions<'a> = HashMap<(&'a str, Strategy), Contribution>;

/// Grows a tree for every fold, without it, and asks it about the fold at every shrinkage.
pub(super) fn cross_validate(samples: &[Sample], folds: &Folds, options: &GrowOptions) -> Result<Trial, LearnError> {
    // asked[k][i]: the answer for sample i at the k-th shrinkage.
    let mut asked = vec![vec![0.0; samples.len()]; options.lambdas.len()];
    let mut counts = vec![0; samples.len()];
    for fold in 0..folds.count {
        let outside: Vec<&Sample> = samples.iter().filter(|s| folds.of(&s.row.group) != fold).collect();
        let raw = grow_tree(&outside, options)?;
        for (lambda, answers) in options.lambdas.iter().zip(&mut asked) {
            let (offset, tree) = believe(&raw, *lambda, options);
            let inside = samples.iter().zip(answers.iter_mut().zip(&mut counts));
            for (sample, (answer, count)) in inside.filter(|(s, _)| folds.of(&s.row.group) == fold) {
                let (value, path) = tree.predict(&sample.x);
                *answer = offset + value;
                *count = path.last().map_or(outside.len() as u64, |step| step.count);
            }
        }
    }
    let errors: Vec<BTreeMap<&str, f64>> = asked.iter().map(|answers| group_errors(samples, answers)).collect();
    let alone = group_errors(samples, &vec![0.0; samples.len()]);
    let chosen = choose(&errors, &alone, &options.lambdas, |_| true);
    let mut predictions = vec![0.0; samples.len()];
    for fold in 0..folds.count {
        let preferred = choose(&errors, &alone, &options.lambdas, |group| folds.of(group) != fold);
        for (i, _) in samples.iter().enumerate().filter(|(_, s)| folds.of(&s.row.group) == fold) {
            let answer = preferred.and_then(|k| asked.get(k)).and_then(|answers| answers.get(i));
            if let (Some(prediction), Some(answer)) = (predictions.get_mut(i), answer) {
                *prediction = *answer;
            }
        }
    }
    let score = |(k, lambda): (usize, &Option<f64>)| {
        let (error, standard_error) = errors.get(k).map_or((0.0, 0.0), |of| compare(of, &alone, |_| true));
        LambdaScore { lambda: *lambda, error, standard_error, chosen: chosen == Some(k) }
    };
    let scores = options.lambdas.iter().enumerate().map(score).collect();
    let lambda = chosen.and_then(|k| options.lambdas.get(k).copied()).flatten();
    Ok(Trial { lambda, scores, predictions, counts })
}

/// Mean squared error of a group's rows, by group: every group has one voice, however many runs it has.
fn group_errors<'a>(samples: &[Sample<'a>], answers: &[f64]) -> BTreeMap<&'a str, f64> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (sample, answer) in samples.iter().zip(answers) {
        let sum = sums.entry(sample.row.group.as_str()).or_default();
        *sum = (sum.0 + (sample.residual - answer).powi(2), sum.1 + 1.0);
    }
    sums.into_iter().map(|(group, (sum, n))| (group, sum / n)).collect()
}

/// The shrinkage with the smallest error over the groups that count; of equals the one that shrinks most. `None` where
/// nothing beats the rules alone: the shrinkage is infinite.
fn choose(
    errors: &[BTreeMap<&str, f64>],
    alone: &BTreeMap<&str, f64>,
    lambdas: &[Option<f64>],
    counts: impl Fn(&str) -> bool,
) -> Option<usize> {
    let strength = |k: usize| lambdas.get(k).copied().flatten().unwrap_or(f64::INFINITY);
    let scored = errors.iter().enumerate().map(|(k, of)| (k, compare(of, alone, &counts).0));
    let best = scored.min_by(|a, b| a.1.total_cmp(&b.1).then(strength(b.0).total_cmp(&strength(a.0))))?;
    let (rules_alone, _) = compare(alone, alone, &counts);
    (best.1 < rules_alone).then_some(best.0).or_else(|| lambdas.iter().position(Option::is_none))
}

/// Mean error over the groups that count, and the standard error of its difference from the rules alone.
fn compare(of: &BTreeMap<&str, f64>, alone: &BTreeMap<&str, f64>, counts: impl Fn(&str) -> bool) -> (f64, f64) {
    let pairs: Vec<(f64, f64)> =
        of.iter().filter(|(g, _)| counts(g)).filter_map(|(g, e)| Some((*e, e - alone.get(g)?))).collect();
    let n = pairs.len() as f64;
    if pairs.is_empty() {
        return (0.0, 0.0);
    }
    let mean = pairs.iter().map(|p| p.0).sum::<f64>() / n;
    let difference = pairs.iter().map(|p| p.1).sum::<f64>() / n;
    let variance = pairs.iter().map(|p| (p.1 - difference).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, (variance / n).sqrt())
}
