//! How does a run's loss go? Series of points from its journal, while it runs and afterwards; from its outcome where the
//! journal is elsewhere. How they are drawn is not known here.

use crate::app::{JournalEntry, read_journal};
use crate::domain::event::Event;
use crate::domain::run::Run;
use serde::Serialize;
use std::path::Path;
use utoipa::ToSchema;

/// Points of a series at most; more are not told apart on a screen.
const POINTS: usize = 400;

/// A point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Point {
    /// Optimiser step.
    pub step: u64,
    /// Bytes of text seen.
    pub bytes: u64,
    /// Seconds since this training began.
    pub seconds: f64,
    /// Bits per byte.
    pub bits_per_byte: f64,
}

/// The points of one training, or of its evaluations.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Series {
    /// The branch; empty for what comes before any branch.
    pub branch: String,
    /// Whether it was measured on held-out text, and not on the text it was trained on.
    pub held_out: bool,
    /// In order.
    pub points: Vec<Point>,
}

/// From a journal; nothing where there is none yet.
pub fn of_journal(path: &Path) -> Vec<Series> {
    read_journal(path).map(|replay| of_entries(&replay.entries)).unwrap_or_default()
}

/// The branch that a note announces.
fn announced(note: &str) -> Option<&str> {
    note.strip_prefix("Branch ")?.split_once(':').map(|(name, _)| name)
}

fn of_entries(entries: &[JournalEntry]) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    let mut branch = String::new();
    for entry in entries {
        let (held_out, point) = match &entry.event {
            Event::Note { text } => {
                if let Some(name) = announced(text) {
                    branch = name.to_string();
                }
                continue;
            }
            Event::Step(m) => {
                let (step, bytes, seconds) = (m.step, m.bytes_seen, m.elapsed);
                (false, Point { step, bytes, seconds, bits_per_byte: m.bits_per_byte })
            }
            Event::Evaluated { at, evaluation } => {
                let bits_per_byte = evaluation.bits_per_byte.get();
                (true, Point { step: at.step, bytes: at.bytes_seen, seconds: at.elapsed, bits_per_byte })
            }
            Event::Began(_)
            | Event::Ended { .. }
            | Event::Phase { .. }
            | Event::Progress { .. }
            | Event::Directed { .. }
            | Event::Incident(_)
            | Event::Finished { .. } => continue,
        };
        if !point.bits_per_byte.is_finite() || !point.seconds.is_finite() {
            continue;
        }
        let name = entry.branch.clone().unwrap_or_else(|| branch.clone());
        let place = all.iter().position(|s| s.branch == name && s.held_out == held_out);
        let series = match place.and_then(|i| all.get_mut(i)) {
            Some(series) => series,
            None => {
                all.push(Series { branch: name, held_out, points: Vec::new() });
                let Some(last) = all.last_mut() else { continue };
                last
            }
        };
        // A rewind, or a run that was resumed: what lies ahead of it was taken back.
        series.points.retain(|p| p.step < point.step);
        series.points.push(point);
    }
    all.iter_mut().for_each(thin);
    all
}

/// From the outcome of a run that has ended.
pub fn of_run(run: &Run) -> Vec<Series> {
    let mut all = Vec::new();
    for branch in run.outcome.iter().flat_map(|o| &o.branches) {
        for held_out in [false, true] {
            let points = branch.curve.iter().filter_map(|p| {
                let value = if held_out { p.eval_bits_per_byte } else { p.train_bits_per_byte };
                let bits_per_byte = value.filter(|v| v.is_finite())?;
                Some(Point { step: p.step, bytes: p.bytes_seen, seconds: p.elapsed, bits_per_byte })
            });
            let mut series = Series { branch: branch.name.clone(), held_out, points: points.collect() };
            thin(&mut series);
            if !series.points.is_empty() {
                all.push(series);
            }
        }
    }
    all
}

/// Averages neighbours where there are too many; the last point stays as it is.
fn thin(series: &mut Series) {
    let group = series.points.len().div_ceil(POINTS);
    if group < 2 {
        return;
    }
    let last = series.points.last().copied();
    let mean = |points: &[Point]| {
        let mut middle = points.get(points.len() / 2).copied()?;
        middle.bits_per_byte = points.iter().map(|p| p.bits_per_byte).sum::<f64>() / points.len() as f64;
        Some(middle)
    };
    series.points = series.points.chunks(group).filter_map(mean).collect();
    if let (Some(last), Some(slot)) = (last, series.points.last_mut()) {
        *slot = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::directive::Measurement;

    fn entry(n: u64, event: Event) -> JournalEntry {
        JournalEntry { v: 1, n, t: None, branch: None, event }
    }

    fn step(n: u64, step: u64, bits_per_byte: f64) -> JournalEntry {
        let measured = Measurement {
            step,
            steps_planned: 9_999,
            bytes_seen: step * 10,
            tokens_seen: 0,
            loss: 1.0,
            bits_per_byte,
            gradient_norm: 1.0,
            learning_rate: 1.0,
            tokens_per_second: 1.0,
            elapsed: step as f64,
            peak_memory: 0,
        };
        entry(n, Event::Step(measured))
    }

    #[test]
    fn branches_are_told_apart_and_what_a_rewind_took_back_is_left_out() {
        let note = |n, text: &str| entry(n, Event::Note { text: text.into() });
        let entries = [
            step(0, 1, 5.0),
            note(1, "Branch direct: direct on the candidate tokenizer"),
            step(2, 1, 4.0),
            step(3, 2, 3.0),
            step(4, 3, f64::NAN),
            step(5, 2, 3.5),
        ];
        let series = of_entries(&entries);
        let shape: Vec<(&str, Vec<f64>)> =
            series.iter().map(|s| (s.branch.as_str(), s.points.iter().map(|p| p.bits_per_byte).collect())).collect();
        assert_eq!(shape, [("", vec![5.0]), ("direct", vec![4.0, 3.5])]);
    }

    #[test]
    fn a_long_curve_is_thinned_and_keeps_its_end() {
        let entries: Vec<JournalEntry> = (1..=5_000).map(|i| step(i, i, i as f64)).collect();
        let series = of_entries(&entries);
        assert!(series[0].points.len() <= POINTS);
        assert_eq!(series[0].points.last().map(|p| p.step), Some(5_000));
    }
}
