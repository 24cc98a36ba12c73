//! A linfa tree that imitates what was decided in the past, good or bad: the obvious way to learn from a history, and
//! what the combined engine must beat. Nothing but `evaluate` and `simulate` uses it.
//!
//! As in [`grow`](super::grow), linfa-trees is asked for one split at a time, here between the node's most frequent choice
//! and all others: with more than two labels its answers depend on the order of a hash map.

use super::error::LearnError;
use super::evidence::Row;
use super::grow::{GrowOptions, Sample, stump};
use crate::domain::scorer::Situation;
use crate::domain::strategy::Strategy;
use std::collections::BTreeMap;

/// What would have been decided.
pub(super) enum Imitator {
    /// Here always this; `None` where nothing was ever decided.
    Leaf(Option<Strategy>),
    /// Below the threshold of this feature as the first, else as the second.
    Split(usize, f64, Box<Imitator>, Box<Imitator>),
}

impl Imitator {
    /// From the rows that were decided.
    pub(super) fn learn(rows: &[&Row], options: &GrowOptions) -> Result<Self, LearnError> {
        let decided: Vec<&Row> = rows.iter().copied().filter(|r| r.decided).collect();
        Self::grow(&decided, options.depth, options.leaf)
    }

    fn grow(rows: &[&Row], depth: usize, leaf: usize) -> Result<Self, LearnError> {
        let mut counts: BTreeMap<Strategy, usize> = BTreeMap::new();
        for row in rows {
            *counts.entry(row.strategy).or_default() += 1;
        }
        // Of equally frequent ones the first, which is the safest.
        let frequent = counts.iter().rev().max_by_key(|(_, n)| **n).map(|(s, n)| (*s, *n));
        let Some((strategy, n)) = frequent else { return Ok(Self::Leaf(None)) };
        let sample = |row| Sample::of(row, known(&row.situation), f64::from(u8::from(row.strategy == strategy)));
        let samples: Vec<Sample> = rows.iter().copied().map(sample).collect();
        let cut = match depth {
            0 => None,
            _ => stump(&samples.iter().collect::<Vec<_>>(), n as f64 / rows.len() as f64, leaf)?,
        };
        let Some((feature, threshold)) = cut else { return Ok(Self::Leaf(Some(strategy))) };
        let (below, above): (Vec<&Row>, Vec<&Row>) =
            rows.iter().copied().partition(|r| is_below(&r.situation, feature, threshold));
        let side = |rows: &[&Row]| Self::grow(rows, depth - 1, leaf).map(Box::new);
        Ok(Self::Split(feature, threshold, side(&below)?, side(&above)?))
    }

    /// What would have been decided here.
    pub(super) fn choose(&self, situation: &Situation) -> Option<Strategy> {
        match self {
            Self::Leaf(strategy) => *strategy,
            Self::Split(feature, threshold, below, above) => {
                if is_below(situation, *feature, *threshold) { below } else { above }.choose(situation)
            }
        }
    }
}

/// The situation with unknown features as -1, without the strategy's columns.
fn known(situation: &Situation) -> Vec<f64> {
    situation.0.iter().map(|v| if v.is_finite() { *v } else { -1.0 }).collect()
}

fn is_below(situation: &Situation, feature: usize, threshold: f64) -> bool {
    known(situation).get(feature).is_some_and(|v| *v < threshold)
}
