//! What past runs say, as rows: one for each strategy of a run whose end can be compared with `keep`'s. Also what was
//! left out or changed on the way, and why: a history is written by many hands, and some of its rows are poison.
//!
//! The outcome of a row is the bits per byte it saved against `keep` (positive: better), a paired difference: the same
//! held-out text, the same base, the same training text, so that what is hard about a case drops out. `keep` itself
//! saves 0 by definition.

use crate::domain::outcome::{Branch, Outcome, Status, Vocab};
use crate::domain::run::Run;
use crate::domain::scorer::{Situation, learnable};
use crate::domain::strategy::Strategy;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use strum::IntoEnumIterator;

/// What a branch that failed or diverged is charged, in bits per byte: ten budgets (as PAR10) at 0.2 bits per byte a
/// budget. It equals [`CLIP`], so that nothing is worse than having failed.
pub const FAILURE: f64 = -CLIP;
/// Outcomes beyond this many bits per byte, on either side, are cut to it: one freak may not move a tree.
pub const CLIP: f64 = 2.0;
/// What a person's verdict (mean over the run's, -1..=1) moves the outcome of the model that came out, at most: bits
/// per byte. Enough to turn a near tie, never a clear result.
pub const VERDICT_SHIFT: f64 = 0.1;
/// Outcomes of the same case and strategy that differ by more bits per byte than this contradict each other; each is
/// replaced by their median.
const CONTRADICTION: f64 = 1.0;
/// Seconds a run may begin in the future: clocks differ.
const CLOCK_SKEW: i64 = 86_400;

/// How one strategy ended in one run.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The run.
    pub run: String,
    /// Which rows may not stand on both sides of a fold.
    pub group: String,
    /// The strategy.
    pub strategy: Strategy,
    /// The case, as numbers.
    #[serde(skip)]
    pub situation: Situation,
    /// What the rules expected: bits per byte saved against `keep`.
    pub prior: f64,
    /// Standard deviation around it, by the rules; 0 where it was not recorded.
    pub spread: f64,
    /// What came out, in the same unit.
    pub saved: f64,
    /// Whether it failed and was charged [`FAILURE`].
    pub failed: bool,
    /// Whether this is what was decided then.
    pub decided: bool,
}

impl Row {
    /// What the rules got wrong.
    pub fn residual(&self) -> f64 {
        self.saved - self.prior
    }
}

/// Something left out or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The run.
    pub run: String,
    /// What was done and why, in a sentence.
    pub what: String,
}

/// All that past runs say.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Evidence {
    /// The rows, in an order that does not depend on the runs' order.
    pub rows: Vec<Row>,
    /// Runs that were looked at.
    pub runs: u64,
    /// Runs and branches left out.
    pub left_out: Vec<Notice>,
    /// Outcomes cut, moved or charged.
    pub changed: Vec<Notice>,
}

/// What must be equal for two branches to be comparable across runs: group, held-out text, training bytes.
type Case = (String, String, u64);

impl Evidence {
    /// From past runs, as seen at `now`.
    ///
    /// A row stands for a strategy in a run. Where several branches of a run stand for the same strategy (stages), the
    /// winner counts, else the last; the two branches of a race stand for `keep` and `direct` as well. `keep` is looked for in the same run, then in runs of the same case (the median),
    /// then in what the run itself says it saved. Branches that are running or were interrupted say nothing.
    pub fn from_runs(runs: &[Run], now: jiff::Timestamp) -> Self {
        let mut evidence = Self { runs: runs.len() as u64, ..Self::default() };
        let mut sorted: Vec<&Run> = runs.iter().collect();
        sorted.sort_by(|a, b| (&a.id, &a.started).cmp(&(&b.id, &b.started)));
        let sound = evidence.sound(sorted, now);
        let keeps = keeps(&sound);
        for (run, outcome) in &sound {
            evidence.add(run, outcome, &keeps);
        }
        evidence.reconcile(&sound);
        evidence.hear(&sound);
        evidence.rows.sort_by(order);
        evidence
    }

    /// From rows that were made elsewhere (a simulation). Rows that are not finite are left out.
    pub fn from_rows(rows: Vec<Row>) -> Self {
        let runs = rows.iter().map(|r| r.run.as_str()).collect::<HashSet<_>>().len() as u64;
        let (mut rows, bad): (Vec<Row>, Vec<Row>) =
            rows.into_iter().partition(|r| r.prior.is_finite() && r.saved.is_finite());
        rows.sort_by(order);
        let notice = |r: Row| Notice { run: r.run, what: format!("{} is not finite", r.strategy) };
        Self { rows, runs, left_out: bad.into_iter().map(notice).collect(), ..Self::default() }
    }

    /// The rows a tree can learn from: those of strategies that there is something to learn about.
    pub fn lessons(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|r| learnable(r.strategy))
    }

    /// Number of different groups among the lessons.
    pub fn groups(&self) -> usize {
        self.lessons().map(|r| r.group.as_str()).collect::<HashSet<_>>().len()
    }

    /// Runs that ended, each once, at a time that can be.
    fn sound<'a>(&mut self, runs: Vec<&'a Run>, now: jiff::Timestamp) -> Vec<(&'a Run, &'a Outcome)> {
        let (mut ids, mut twins) = (HashSet::new(), HashSet::new());
        let mut sound = Vec::new();
        for run in runs {
            let Some(outcome) = &run.outcome else {
                let why = if run.ended.is_some() { "it broke off without an outcome" } else { "it has not ended" };
                self.leave_out(run, why);
                continue;
            };
            let ends: Vec<_> = outcome.branches.iter().map(|b| (b.strategy, b.seconds.to_bits(), bits(b))).collect();
            match run.started.parse::<jiff::Timestamp>() {
                Err(_) => self.leave_out(run, "the time it began cannot be read"),
                Ok(t) if t.as_second() > now.as_second().saturating_add(CLOCK_SKEW) => {
                    self.leave_out(run, "it began in the future");
                }
                Ok(_) if !ids.insert(&run.id) => self.leave_out(run, "its id occurs twice"),
                Ok(t) if !twins.insert((t, run.group(), format!("{ends:?}"))) => {
                    self.leave_out(run, "another run began at the same moment and ended the same: a copy");
                }
                Ok(_) => sound.push((run, outcome)),
            }
        }
        sound
    }

    /// The rows of one run.
    fn add(&mut self, run: &Run, outcome: &Outcome, keeps: &HashMap<Case, f64>) {
        let mut rows = Vec::new();
        let own = standing_for(outcome, Strategy::Keep).and_then(measured);
        let keep = own.or_else(|| keeps.get(&case(run)).copied());
        for strategy in Strategy::iter() {
            let end = match standing_for(outcome, strategy) {
                Some(branch) => {
                    let won = outcome.winner.as_deref() == Some(branch.name.as_str());
                    let claimed = outcome.saved_against_keep.filter(|_| won);
                    end_of(branch, strategy, keep, claimed)
                }
                // A way of going about it: it has no branch of its own and earns what came out of it.
                None if strategy == Strategy::Adaptive && outcome.strategy == strategy => {
                    match (outcome.status, outcome.saved_against_keep) {
                        (Status::Done | Status::Stopped, Some(saved)) => Ok((saved, false)),
                        (Status::Failed, _) => Ok((FAILURE, true)),
                        (Status::Done | Status::Stopped | Status::Interrupted, _) => continue,
                    }
                }
                None => continue,
            };
            let (saved, failed) = match end {
                Ok((saved, failed)) if saved.is_finite() => (saved, failed),
                Ok(_) => {
                    self.leave_out(run, &format!("what {strategy} saved is not a finite number"));
                    continue;
                }
                Err(why) => {
                    self.leave_out(run, &why);
                    continue;
                }
            };
            let expected = run.decision.alternatives.iter().find(|a| a.strategy == strategy);
            let spread = expected.and_then(|a| a.spread).filter(|s| s.is_finite()).unwrap_or(0.0);
            let Some(prior) = expected.map(|a| a.prior).filter(|p| p.is_finite()) else {
                self.leave_out(run, &format!("the rules' expectation of {strategy} is not recorded"));
                continue;
            };
            if failed {
                self.change(run, format!("{strategy} gave no usable model: charged {FAILURE} bits per byte"));
            }
            let cut = saved.clamp(-CLIP, CLIP);
            if cut.to_bits() != saved.to_bits() {
                self.change(run, format!("{strategy} saved {saved:.3} bits per byte: cut to {cut}"));
            }
            rows.push(Row {
                run: run.id.clone(),
                group: run.group(),
                strategy,
                situation: Situation::new(&run.profile, Some(run.request.train_bytes)),
                prior: prior.clamp(-CLIP, CLIP),
                spread,
                saved: cut,
                failed,
                decided: run.decision.strategy == strategy,
            });
        }
        // The yardstick stands beside every row, also where another run's `keep` was used.
        if !rows.is_empty()
            && !rows.iter().any(|r| r.strategy == Strategy::Keep)
            && let Some(first) = rows.first().cloned()
        {
            let prior =
                run.decision.alternatives.iter().find(|a| a.strategy == Strategy::Keep).map_or(0.0, |a| a.prior);
            let decided = run.decision.strategy == Strategy::Keep;
            rows.push(Row {
                strategy: Strategy::Keep,
                prior,
                spread: 0.0,
                saved: 0.0,
                failed: false,
                decided,
                ..first
            });
        }
        self.rows.extend(rows);
    }

    /// Outcomes of the same case and strategy that contradict each other become their median. Failures are no
    /// contradiction: that something fails sometimes is worth knowing.
    fn reconcile(&mut self, sound: &[(&Run, &Outcome)]) {
        let cases: HashMap<&str, Case> = sound.iter().map(|(run, _)| (run.id.as_str(), case(run))).collect();
        let mut cells: BTreeMap<(Case, Strategy), Vec<usize>> = BTreeMap::new();
        for (i, row) in self.rows.iter().enumerate().filter(|(_, r)| !r.failed && r.strategy != Strategy::Keep) {
            if let Some(case) = cases.get(row.run.as_str()) {
                cells.entry((case.clone(), row.strategy)).or_default().push(i);
            }
        }
        for ((_, strategy), members) in cells {
            let mut values: Vec<f64> = members.iter().filter_map(|i| Some(self.rows.get(*i)?.saved)).collect();
            values.sort_by(f64::total_cmp);
            let (Some(low), Some(high), Some(median)) = (values.first(), values.last(), median(&values)) else {
                continue;
            };
            if high - low <= CONTRADICTION {
                continue;
            }
            for i in members {
                if let Some(row) = self.rows.get_mut(i) {
                    let what = format!(
                        "{strategy} saved {:.3} bits per byte, other runs of the same case between {low:.3} and \
                         {high:.3}: taken as their median {median:.3}",
                        row.saved
                    );
                    row.saved = median;
                    self.changed.push(Notice { run: row.run.clone(), what });
                }
            }
        }
    }

    /// People's verdicts move the outcome of the model that came out, by at most [`VERDICT_SHIFT`].
    fn hear(&mut self, sound: &[(&Run, &Outcome)]) {
        for (run, outcome) in sound {
            let verdicts: Vec<f64> = run.feedback.iter().filter_map(|f| f.verdict).filter(|v| v.is_finite()).collect();
            if verdicts.is_empty() {
                continue;
            }
            let mean = verdicts.iter().map(|v| v.clamp(-1.0, 1.0)).sum::<f64>() / verdicts.len() as f64;
            let judged = self.rows.iter_mut().find(|r| r.run == run.id && r.strategy == outcome.strategy && !r.failed);
            // A verdict on `keep` has nothing to move: the yardstick is 0 by definition.
            if let Some(row) = judged.filter(|r| r.strategy != Strategy::Keep) {
                row.saved = (row.saved + VERDICT_SHIFT * mean).clamp(-CLIP, CLIP);
                let what =
                    format!("people's verdict {mean:+.2} moved {} by {:+.3}", row.strategy, VERDICT_SHIFT * mean);
                self.changed.push(Notice { run: run.id.clone(), what });
            }
        }
    }

    fn leave_out(&mut self, run: &Run, what: &str) {
        self.left_out.push(Notice { run: run.id.clone(), what: what.into() });
    }

    fn change(&mut self, run: &Run, what: String) {
        self.changed.push(Notice { run: run.id.clone(), what });
    }
}

/// One order for rows, whatever order the runs came in.
fn order(a: &Row, b: &Row) -> Ordering {
    (&a.group, &a.run, a.strategy)
        .cmp(&(&b.group, &b.run, b.strategy))
        .then_with(|| a.saved.total_cmp(&b.saved))
        .then_with(|| a.prior.total_cmp(&b.prior))
}

fn case(run: &Run) -> Case {
    (run.group(), run.request.eval_sha256.clone(), run.request.train_bytes)
}

/// Bits per byte of `keep`, by case: the median over runs.
fn keeps(runs: &[(&Run, &Outcome)]) -> HashMap<Case, f64> {
    let mut all: HashMap<Case, Vec<f64>> = HashMap::new();
    for (run, outcome) in runs {
        if let Some(b) = standing_for(outcome, Strategy::Keep).and_then(measured) {
            all.entry(case(run)).or_default().push(b);
        }
    }
    all.into_iter()
        .filter_map(|(case, mut values)| {
            values.sort_by(f64::total_cmp);
            Some((case, median(&values)?))
        })
        .collect()
}

/// The branch that stands for a strategy in a run: of its own branches the winner, else the last. The branches of a race
/// are configured as `keep` and `direct`, and stand for them where these did not run themselves: a race gives true pairs.
fn standing_for(outcome: &Outcome, strategy: Strategy) -> Option<&Branch> {
    let mut own = outcome.branches.iter().filter(|b| b.strategy == strategy);
    let won = own.clone().find(|b| outcome.winner.as_deref() == Some(b.name.as_str()));
    let racer = |on| outcome.branches.iter().find(|b| b.strategy == Strategy::Parallel && b.tokenizer == on);
    won.or_else(|| own.next_back()).or_else(|| match strategy {
        Strategy::Keep => racer(Vocab::Source),
        Strategy::Direct => racer(Vocab::Candidate),
        Strategy::Sequential
        | Strategy::Parallel
        | Strategy::Structural
        | Strategy::Extend
        | Strategy::Adaptive
        | Strategy::Emergency => None,
    })
}

/// What a branch saved and whether it failed, or why it says nothing.
fn end_of(branch: &Branch, strategy: Strategy, keep: Option<f64>, claimed: Option<f64>) -> Result<(f64, bool), String> {
    match (branch.status, measured(branch)) {
        (Status::Interrupted, _) => Err(format!("{strategy} was interrupted")),
        (Status::Failed, _) | (Status::Done | Status::Stopped, None) => Ok((FAILURE, true)),
        (Status::Done | Status::Stopped, Some(_)) if strategy == Strategy::Keep => Ok((0.0, false)),
        (Status::Done | Status::Stopped, Some(bits)) => match keep.map(|k| k - bits).or(claimed) {
            Some(saved) => Ok((saved, false)),
            None => Err(format!("there is no keep to compare {strategy} with")),
        },
    }
}

/// Bits per byte at the end, where the branch gave a usable model.
fn measured(branch: &Branch) -> Option<f64> {
    match branch.status {
        Status::Done | Status::Stopped => branch.after.as_ref().map(|e| e.bits_per_byte.get()),
        Status::Failed | Status::Interrupted => None,
    }
}

fn bits(branch: &Branch) -> Option<u64> {
    branch.after.as_ref().map(|e| e.bits_per_byte.get().to_bits())
}

/// Of ascending values.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle)?;
    if sorted.len() % 2 == 1 { Some(*upper) } else { Some((sorted.get(middle.checked_sub(1)?)? + upper) / 2.0) }
}
