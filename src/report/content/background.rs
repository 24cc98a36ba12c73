//! What was expected of each strategy, and what did past runs measure? Beside a decision: the matrix of expectations
//! with measured figures, the situations a person may be in, the risk factors, and what counts as success.

use super::decision;
use crate::domain::decision::Decision;
use crate::domain::outcome::{Branch, Evaluation, IncidentKind};
use crate::domain::profile::Profile;
use crate::domain::resources::Priority;
use crate::domain::run::Run;
use crate::domain::strategy::{SeedExpectation, Strategy};
use crate::report::numbers::{count, duration, exact, fixed, whole_percent};
use crate::report::page::{Block, Cell, Chart, Page, Span, Table, Tone, left, right};
use crate::report::words::{Words, say};
use std::collections::BTreeMap;
use strum::IntoEnumIterator;

/// What a decision is shown beside.
#[derive(Debug, Clone, Copy)]
pub struct Background<'a> {
    /// What the seed expects of each strategy, from the rules.
    pub seed: &'a BTreeMap<Strategy, SeedExpectation>,
    /// Past runs.
    pub runs: &'a [Run],
}

/// The seed's risk factors and conditions, as numbers.
const RISKY_COVERAGE: f64 = 0.30;
const SEQUENTIAL_COVERAGE: f64 = 0.40;
const EXPLODING_NORM: f64 = 10.0;
/// The seed's success criteria on the equivalent loss.
const CRITERIA: [(&str, f64); 3] = [("criteria-excellent", 2.0), ("criteria-good", 3.0), ("criteria-minimum", 4.0)];

/// The whole report: the decision, its evidence, and its background.
pub(in crate::report) fn dossier(
    profile: &Profile,
    made: &Decision,
    background: Background<'_>,
    words: &Words,
) -> Page {
    let mut page = decision::page(profile, made, background, words);
    page.blocks.push(Block::Heading(say!(words, "background")));
    page.blocks.push(Block::Table(matrix(background, words)));
    let (n, runs) = (background.runs.len(), count(background.runs.len() as u64, words.lang));
    page.blocks.push(Block::Note(say!(words, "background-note", n = n, count = runs)));
    page.blocks.push(Block::Chart(losses(made, background, words)));
    page.blocks.push(Block::Heading(say!(words, "situations")));
    page.blocks.push(Block::List(situations(made.resources.priority, words)));
    page.blocks.push(Block::Heading(say!(words, "risks")));
    page.blocks.push(Block::Table(risks(profile, background.runs, words)));
    page.blocks.push(Block::Heading(say!(words, "criteria")));
    let criteria =
        CRITERIA.iter().map(|(key, limit)| words.say(key, &[("limit", fixed(*limit, 1, words.lang).into())]));
    page.blocks.push(Block::List(criteria.collect()));
    page.blocks.push(Block::Note(say!(words, "criteria-note")));
    page
}

/// What past runs measured of a strategy.
#[derive(Debug, Default, PartialEq)]
struct Measured {
    tries: u64,
    successes: u64,
    losses: Vec<f64>,
    seconds: Vec<f64>,
}

impl Measured {
    fn of(strategy: Strategy, runs: &[Run]) -> Self {
        let mut measured = Self::default();
        for outcome in runs.iter().filter_map(|r| r.outcome.as_ref()) {
            for branch in outcome.branches.iter().filter(|b| b.strategy == strategy) {
                measured.count(branch, outcome.base.as_ref());
            }
        }
        measured
    }

    fn count(&mut self, branch: &Branch, base: Option<&Evaluation>) {
        self.tries += 1;
        self.seconds.push(branch.seconds);
        if let Some(after) = &branch.after {
            self.losses.push(after.equivalent_loss.get());
            let better = base.is_none_or(|base| after.bits_per_byte < base.bits_per_byte);
            self.successes += u64::from(better);
        }
    }
}

fn matrix(background: Background<'_>, words: &Words) -> Table {
    let measured = || right(say!(words, "background-measured"));
    let columns = vec![
        left(say!(words, "strategy")),
        right(say!(words, "background-success")),
        measured(),
        right(say!(words, "background-loss")),
        measured(),
        right(say!(words, "background-time")),
        measured(),
        right(say!(words, "background-complexity")),
        left(say!(words, "background-resources")),
    ];
    let rows = Strategy::iter().map(|strategy| {
        let seed = background.seed.get(&strategy);
        let got = Measured::of(strategy, background.runs);
        let unknown = || say!(words, "unknown");
        let success = seed.and_then(|s| s.success).map_or_else(unknown, |s| range(s, |v| whole_percent(v, words.lang)));
        let share = got.successes as f64 / got.tries as f64;
        let tried = if got.tries == 0 {
            unknown()
        } else {
            let (share, tries) = (whole_percent(share, words.lang), count(got.tries, words.lang));
            say!(words, "background-of", share = share, n = got.tries, count = tries)
        };
        let loss = seed.and_then(|s| s.loss).map_or_else(unknown, |s| range(s, |v| fixed(v, 1, words.lang)));
        let hours = seed
            .and_then(|s| s.hours)
            .map_or_else(unknown, |s| say!(words, "background-hours", hours = range(s, |v| exact(v, words.lang))));
        let complexity = seed.and_then(|s| s.complexity).map_or_else(unknown, |c| format!("{c}/5"));
        let needs = seed.map_or_else(unknown, |s| words.needs(s));
        let lost = ends(&got.losses).map_or_else(unknown, |e| range(e, |v| fixed(v, 2, words.lang)));
        let took = ends(&got.seconds).map_or_else(unknown, |e| range(e, |v| duration(v, words)));
        let strong = |text: String| Cell::toned(text, if got.tries > 0 { Tone::Strong } else { Tone::Plain });
        vec![
            strategy.to_string().into(),
            success.into(),
            strong(tried),
            loss.into(),
            strong(lost),
            hours.into(),
            strong(took),
            complexity.into(),
            needs.into(),
        ]
    });
    Table { columns, rows: rows.collect() }
}

/// The seed's ranges of the equivalent loss, and what past runs measured on the average.
fn losses(made: &Decision, background: Background<'_>, words: &Words) -> Chart {
    let spans = Strategy::iter().filter_map(|strategy| {
        let measured = Measured::of(strategy, background.runs).losses;
        let at = measured.iter().sum::<f64>() / measured.len() as f64;
        let expected = background.seed.get(&strategy).and_then(|s| s.loss);
        let [low, high] = expected.or_else(|| ends(&measured))?;
        Some(Span { label: strategy.to_string(), low, at, high, chosen: strategy == made.strategy })
    });
    Chart::Intervals { title: say!(words, "chart-losses"), axis: say!(words, "loss"), spans: spans.collect() }
}

/// The equivalent loss to expect of a strategy: what past runs measured, else what was expected in the beginning.
pub(super) fn expected_loss(strategy: Strategy, background: Background<'_>, words: &Words) -> String {
    if let Some(measured) = ends(&Measured::of(strategy, background.runs).losses) {
        return range(measured, |v| fixed(v, 2, words.lang));
    }
    let expected = background.seed.get(&strategy).and_then(|s| s.loss);
    expected.map_or_else(|| say!(words, "unknown"), |s| range(s, |v| fixed(v, 1, words.lang)))
}

/// The least and the greatest.
fn ends(values: &[f64]) -> Option<[f64; 2]> {
    let low = values.iter().copied().filter(|v| v.is_finite()).reduce(f64::min)?;
    let high = values.iter().copied().filter(|v| v.is_finite()).reduce(f64::max)?;
    Some([low, high])
}

/// "from–to", or one of them where both read the same.
fn range([from, to]: [f64; 2], written: impl Fn(f64) -> String) -> String {
    let (from, to) = (written(from), written(to));
    if from == to { from } else { format!("{from}–{to}") }
}

fn situations(asked: Priority, words: &Words) -> Vec<String> {
    let coverage = fixed(SEQUENTIAL_COVERAGE, 2, words.lang);
    let known = [Priority::Fastest, Priority::Quality, Priority::Tight, Priority::Research];
    let line = |priority: Priority| {
        let situation = words.say(&format!("situation-{priority}"), &[("coverage", coverage.as_str().into())]);
        if priority == asked { say!(words, "situation-yours", situation = situation) } else { situation }
    };
    known.into_iter().map(line).collect()
}

fn risks(profile: &Profile, runs: &[Run], words: &Words) -> Table {
    let incidents = || runs.iter().filter_map(|r| r.outcome.as_ref()).flat_map(|o| &o.incidents);
    let seen = |kinds: &[IncidentKind]| {
        let n = incidents().filter(|i| kinds.contains(&i.kind)).count() as u64;
        let text = say!(words, "risk-seen", n = n, count = count(n, words.lang));
        Cell::toned(text, if n > 0 { Tone::Bad } else { Tone::Plain })
    };
    // The matrix reads coverage of the text where there is one.
    let coverage = profile.coverage.corpus.unwrap_or(profile.coverage.vocabulary).get();
    let tone = if coverage < RISKY_COVERAGE { Tone::Bad } else { Tone::Good };
    let rows = vec![
        vec![
            say!(words, "risk-coverage").into(),
            say!(words, "risk-coverage-when", limit = fixed(RISKY_COVERAGE, 2, words.lang)).into(),
            Cell::toned(fixed(coverage, 4, words.lang), tone),
        ],
        vec![
            say!(words, "risk-explosion").into(),
            say!(words, "risk-explosion-when", limit = exact(EXPLODING_NORM, words.lang)).into(),
            seen(&[IncidentKind::Explosion]),
        ],
        vec![
            say!(words, "risk-memory").into(),
            say!(words, "risk-memory-when").into(),
            seen(&[IncidentKind::OutOfMemory]),
        ],
        vec![
            say!(words, "risk-instability").into(),
            say!(words, "risk-instability-when").into(),
            seen(&[IncidentKind::Spike, IncidentKind::Divergence, IncidentKind::NonFinite]),
        ],
    ];
    Table {
        columns: vec![left(say!(words, "risk")), left(say!(words, "risk-when")), left(say!(words, "risk-here"))],
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases;

    #[test]
    fn a_branch_that_gave_no_model_is_a_try_without_success() {
        let runs = [cases::direct_run(), cases::failed_run(), cases::open_run()];
        let direct = Measured::of(Strategy::Direct, &runs);
        assert_eq!((direct.tries, direct.successes, direct.losses.len()), (2, 1, 1));
        assert_eq!(Measured::of(Strategy::Keep, &runs).tries, 1);
        assert_eq!(Measured::of(Strategy::Structural, &runs), Measured::default());
    }

    #[test]
    fn a_range_of_one_value_is_written_once() {
        assert_eq!(range([1.5, 2.5], |v| format!("{v:.1}")), "1.5–2.5");
        assert_eq!(range([1.51, 1.52], |v| format!("{v:.1}")), "1.5");
        assert_eq!(ends(&[]), None);
        assert_eq!(ends(&[2.0, f64::NAN, 1.0]), Some([1.0, 2.0]));
    }
}
