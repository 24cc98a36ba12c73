//! Which past runs are most like a case: an index prepared once and asked for every decision. What the runs teach is
//! not known here.
//!
//! Distance: the root of the mean, over all features, of squared standardised differences. A difference counts two
//! standard deviations at most; known against unknown counts one, unknown against unknown nothing. The index is a tree
//! of bounding boxes; the search visits a box only if it can hold something nearer, so it is exact.

use crate::domain::decision::AlikeRun;
use crate::domain::feature::Feature;
use crate::domain::run::Run;
use crate::domain::scorer::Situation;
use crate::domain::strategy::Strategy;

const WIDTH: usize = Feature::SITUATION.len();
/// Points of a leaf: below this a scan is as fast as more boxes.
const LEAF: usize = 32;
/// The most a known difference counts, in standard deviations.
const CAP: f64 = 2.0;
/// What known against unknown counts, in standard deviations.
const UNKNOWN: f64 = 1.0;

/// Past runs, indexed by situation.
#[derive(Debug, Clone, Default)]
pub struct Past {
    entries: Vec<Entry>,
    scale: [(f64, f64); WIDTH],
    boxes: Vec<Box>,
}

/// What the index keeps of a run.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The run's id.
    pub run: String,
    /// Its situation.
    pub situation: Situation,
    /// What was done.
    pub strategy: Strategy,
    /// How it ended.
    pub bits_per_byte: Option<f64>,
    /// Against keep.
    pub saved_against_keep: Option<f64>,
}

impl Entry {
    /// From a run; `None` while it has no outcome. Numbers that are not finite are taken as not known.
    pub fn of(run: &Run) -> Option<Self> {
        let outcome = run.outcome.as_ref()?;
        Some(Self {
            run: run.id.clone(),
            situation: Situation::new(&run.profile, Some(run.request.train_bytes)),
            strategy: outcome.strategy,
            bits_per_byte: outcome.bits_per_byte.map(|b| b.get()).filter(|b| b.is_finite()),
            saved_against_keep: outcome.saved_against_keep.filter(|s| s.is_finite()),
        })
    }
}

/// The smallest box around some entries.
#[derive(Debug, Clone)]
struct Box {
    sides: [Side; WIDTH],
    /// Entries, as a range.
    range: (usize, usize),
    /// Boxes inside; `None` for a leaf.
    children: Option<(usize, usize)>,
}

/// A feature's extent in a box.
#[derive(Debug, Clone, Copy)]
struct Side {
    low: f64,
    high: f64,
    /// Whether some entry does not know the feature, and whether some does.
    holes: bool,
    known: bool,
}

impl Past {
    /// Indexes all runs that have ended.
    pub fn of<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Self {
        Self::new(runs.into_iter().filter_map(Entry::of).collect())
    }

    /// Indexes entries. A run that occurs twice counts once: the later entry.
    pub fn new(mut entries: Vec<Entry>) -> Self {
        let mut seen = std::collections::HashSet::new();
        entries.reverse();
        entries.retain(|e| seen.insert(e.run.clone()));
        entries.reverse();
        let scale: [(f64, f64); WIDTH] =
            std::array::from_fn(|f| spread(entries.iter().map(|e| feature(&e.situation, f))));
        for entry in &mut entries {
            entry.situation = standardise(&entry.situation, &scale);
        }
        let mut past = Self { entries, scale, boxes: Vec::new() };
        if !past.entries.is_empty() {
            past.grow(0, past.entries.len());
        }
        past
    }

    /// How many runs it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The `count` most alike runs, nearest first; equally near ones by id.
    pub fn nearest(&self, situation: &Situation, count: usize) -> Vec<AlikeRun> {
        let wanted = standardise(situation, &self.scale);
        let mut best: Vec<(f64, &Entry)> = Vec::with_capacity(count + 1);
        if count > 0 && !self.boxes.is_empty() {
            self.search(0, &wanted, count, &mut best);
        }
        let alike = |(squared, entry): (f64, &Entry)| AlikeRun {
            run: entry.run.clone(),
            distance: (squared / WIDTH as f64).sqrt(),
            strategy: entry.strategy,
            bits_per_byte: entry.bits_per_byte,
            saved_against_keep: entry.saved_against_keep,
        };
        best.into_iter().map(alike).collect()
    }

    /// Adds the box of a range of entries and all boxes inside; returns its index.
    fn grow(&mut self, from: usize, to: usize) -> usize {
        let entries = self.entries.get_mut(from..to).unwrap_or_default();
        let nothing = Side { low: f64::INFINITY, high: f64::NEG_INFINITY, holes: false, known: false };
        let mut sides = [nothing; WIDTH];
        for entry in entries.iter() {
            for (x, side) in entry.situation.0.iter().zip(&mut sides) {
                side.holes |= x.is_nan();
                side.known |= !x.is_nan();
                side.low = side.low.min(*x);
                side.high = side.high.max(*x);
            }
        }
        let width = |f: &usize| sides.get(*f).map_or(0.0, Side::width);
        let widest = (0..WIDTH).max_by(|a, b| width(a).total_cmp(&width(b))).unwrap_or(0);
        let splits = to - from > LEAF && width(&widest) > 0.0;
        if splits {
            // Unknown values sort last, so they gather in one half.
            let key = |e: &Entry| feature(&e.situation, widest);
            entries.select_nth_unstable_by(entries.len() / 2, |a, b| key(a).total_cmp(&key(b)));
        }
        let index = self.boxes.len();
        self.boxes.push(Box { sides, range: (from, to), children: None });
        if splits {
            let middle = from + (to - from) / 2;
            let children = (self.grow(from, middle), self.grow(middle, to));
            if let Some(b) = self.boxes.get_mut(index) {
                b.children = Some(children);
            }
        }
        index
    }

    fn search<'a>(&'a self, index: usize, wanted: &Situation, count: usize, best: &mut Vec<(f64, &'a Entry)>) {
        let Some(here) = self.boxes.get(index) else { return };
        let worst = |best: &Vec<(f64, &Entry)>| {
            if best.len() < count { f64::INFINITY } else { best.last().map_or(f64::INFINITY, |b| b.0) }
        };
        if here.least(wanted) > worst(best) {
            return;
        }
        if let Some((left, right)) = here.children {
            let least = |i: usize| self.boxes.get(i).map_or(f64::INFINITY, |b| b.least(wanted));
            let (first, second) = if least(left) <= least(right) { (left, right) } else { (right, left) };
            self.search(first, wanted, count, best);
            self.search(second, wanted, count, best);
            return;
        }
        for entry in self.entries.get(here.range.0..here.range.1).unwrap_or_default() {
            let squared = wanted.0.iter().zip(entry.situation.0).map(|(a, b)| difference(*a, b)).sum::<f64>();
            let at = best.partition_point(|(d, e)| (*d, e.run.as_str()) < (squared, entry.run.as_str()));
            if at < count {
                best.insert(at, (squared, entry));
                best.truncate(count);
            }
        }
    }
}

impl Box {
    /// The least squared distance that anything in the box can have.
    fn least(&self, wanted: &Situation) -> f64 {
        wanted.0.iter().zip(&self.sides).map(|(x, side)| side.least(*x)).sum()
    }
}

impl Side {
    /// How far apart two entries can be.
    fn width(&self) -> f64 {
        let apart = if self.known { self.high - self.low } else { 0.0 };
        apart.max(if self.holes && self.known { UNKNOWN } else { 0.0 })
    }

    /// The least squared difference to a value that an entry can have.
    fn least(&self, x: f64) -> f64 {
        if x.is_nan() {
            return if self.holes { 0.0 } else { UNKNOWN * UNKNOWN };
        }
        let away = (self.low - x).max(x - self.high).clamp(0.0, CAP).powi(2);
        if self.holes { away.min(UNKNOWN * UNKNOWN) } else { away }
    }
}

fn feature(situation: &Situation, index: usize) -> f64 {
    situation.0.get(index).copied().unwrap_or(f64::NAN)
}

/// Mean and standard deviation of the known values; a deviation of 0 counts as 1.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for x in values.filter(|x| x.is_finite()) {
        n += 1.0;
        let delta = x - mean;
        mean += delta / n;
        squares += delta * (x - mean);
    }
    let deviation = if n > 1.0 { (squares / n).sqrt() } else { 0.0 };
    (mean, if deviation > 1e-12 { deviation } else { 1.0 })
}

fn standardise(situation: &Situation, scale: &[(f64, f64); WIDTH]) -> Situation {
    let mut standard = *situation;
    for (x, (mean, deviation)) in standard.0.iter_mut().zip(scale) {
        *x = if x.is_finite() { (*x - mean) / deviation } else { f64::NAN };
    }
    standard
}

fn difference(a: f64, b: f64) -> f64 {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => 0.0,
        (false, false) => (a - b).abs().min(CAP).powi(2),
        _ => UNKNOWN * UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::strategy::Strategy;
    use proptest::prelude::{Just, prop, prop_assert_eq, prop_oneof, proptest};

    fn entry(run: usize, situation: [f64; WIDTH]) -> Entry {
        let run = format!("{run:06}");
        Entry {
            run,
            situation: Situation(situation),
            strategy: Strategy::Keep,
            bits_per_byte: None,
            saved_against_keep: None,
        }
    }

    fn feature_value() -> impl proptest::strategy::Strategy<Value = f64> {
        prop_oneof![4 => -3.0..3.0f64, 1 => Just(f64::NAN), 1 => Just(0.5)]
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_scan_of_all_runs_finds(
            points in prop::collection::vec(prop::array::uniform9(feature_value()), 1..300),
            wanted in prop::array::uniform9(feature_value()),
        ) {
            let entries: Vec<Entry> = points.iter().enumerate().map(|(i, p)| entry(i, *p)).collect();
            let past = Past::new(entries);
            let query = standardise(&Situation(wanted), &past.scale);
            let mut scan: Vec<(f64, String)> = past.entries.iter().map(|e| {
                (query.0.iter().zip(e.situation.0).map(|(a, b)| difference(*a, b)).sum::<f64>(), e.run.clone())
            }).collect();
            scan.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let found: Vec<String> = past.nearest(&Situation(wanted), 5).into_iter().map(|a| a.run).collect();
            let expected: Vec<String> = scan.into_iter().take(5).map(|s| s.1).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_same_situation_has_distance_zero_and_comes_first() {
        let points = (0..100).map(|i| entry(i, std::array::from_fn(|f| (i * (f + 3) % 17) as f64)));
        let past = Past::new(points.collect());
        let first = &past.nearest(&Situation(std::array::from_fn(|f| (42 * (f + 3) % 17) as f64)), 3)[0];
        assert_eq!(first.distance, 0.0);
    }

    #[test]
    fn no_past_gives_no_alike_runs() {
        assert!(Past::default().nearest(&Situation([0.0; WIDTH]), 5).is_empty());
    }

    #[test]
    fn a_run_that_occurs_twice_counts_once() {
        let past = Past::new(vec![entry(1, [0.0; WIDTH]), entry(1, [1.0; WIDTH]), entry(2, [0.0; WIDTH])]);
        assert_eq!(past.len(), 2);
        assert_eq!(past.nearest(&Situation([0.0; WIDTH]), 5).len(), 2);
    }
}
