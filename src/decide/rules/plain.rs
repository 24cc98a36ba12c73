//! The rules files that are plain numbers: weighing of evidence, review thresholds, stage configurations, the seed's
//! expectations; each with the checks that its numbers make sense.

use super::diagnostic::{Code, Diagnostic, Source};
use crate::domain::language::Translations;
use crate::domain::stage::Stage;
use crate::domain::strategy::{SeedExpectation, StageConfig, Strategy};
use serde::Deserialize;
use std::collections::BTreeMap;
use strum::IntoEnumIterator;

/// `weighing.toml`: how the evidence of rules and scorer is weighed.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weighing {
    /// Miscoverage of outcome intervals, in 0..1.
    pub alpha: f64,
    /// The scorer moves a choice only if it was grown from at least this many branches.
    pub least_evidence: u64,
    /// The other strategy must be better by more than this many standard errors of the difference.
    pub standard_errors: f64,
    /// What the rules expect counts like this many cases in confidence and spread.
    pub spread_weight: f64,
    /// Safest choices, the safest first.
    pub safest: Vec<Strategy>,
    /// How many alike runs are shown.
    pub alike: usize,
}

/// `review.toml`: thresholds of the review while training (methods.md, section 4).
#[derive(Debug, Clone, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// When a single step is out of line.
    pub spike: Spike,
    /// When a gradient explodes.
    pub explosion: Explosion,
    /// When the loss runs away.
    pub divergence: Divergence,
    /// What an incident leads to.
    pub incident: IncidentLadder,
    /// When a branch of a race is given up, and who wins.
    pub race: Race,
    /// When extrapolation says to stop.
    pub curve: Curve,
    /// What text cannot be trained on.
    pub text: Text,
}

/// Text that a tokenizer cannot write.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// A run that needs the candidate does not begin where it loses more than this share of the text's bytes.
    pub most_unknown: f64,
}

/// A loss or norm far above the last steps'.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spike {
    /// Above mean + this many standard deviations.
    pub sigmas: f64,
    /// Over this many last steps.
    pub window: usize,
    /// Once this many have been seen.
    pub after: usize,
}

/// A gradient norm that is too large.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explosion {
    /// Above this ...
    pub norm: f64,
    /// ... and above this multiple of the window's mean ...
    pub ratio: f64,
    /// ... once this many steps have been seen.
    pub after: usize,
}

/// A smoothed loss that leaves its best.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Divergence {
    /// Weight of the past in the exponential mean, in 0..1.
    pub ema: f64,
    /// Above best + this many standard deviations ...
    pub sigmas: f64,
    /// ... for this many steps in a row,
    pub patience: u64,
    /// or above this multiple of the best at once.
    pub factor: f64,
    /// More skips than this ...
    pub skips: usize,
    /// ... within this many steps.
    pub skip_window: u64,
}

/// What incidents lead to.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentLadder {
    /// Rewind at least this many steps.
    pub rewind_steps: u64,
    /// And multiply the learning rate by this, in 0..1.
    pub learning_rate_factor: f64,
    /// The incident that switches strategy, from 1.
    pub switch_at: u64,
    /// The incident that falls back.
    pub fall_back_at: u64,
    /// Switches in a run.
    pub most_switches: u64,
}

/// The race of two branches.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Race {
    /// Shares of the byte budget at which the branches are compared, ascending, in 0..1.
    pub looks: Vec<f64>,
    /// Level of each comparison.
    pub p: f64,
    /// The candidate wins at up to this multiple of the safe branch's loss.
    pub tolerance: f64,
    /// No kill while extrapolation gives the loser more than this chance.
    pub least_chance: f64,
}

/// Extrapolation of the learning curve.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Points needed.
    pub least_points: usize,
    /// Share of the points, from the end, that is fitted.
    pub fitted_share: f64,
    /// Range of the exponent.
    pub exponent: [f64; 2],
    /// Bootstrap samples.
    pub bootstraps: usize,
    /// Stop when the chance that the end beats the incumbent is below this.
    pub stop_below: f64,
    /// No branch is given up as hopeless before this share of its plan: early curves misrank.
    pub judge_from: f64,
    /// Bits per byte that a switch costs at the very end of a run; earlier, in proportion.
    pub switch_cost: f64,
}

/// `strategies.toml`: stages by name, and what the seed expects.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Strategies {
    /// How each stage trains.
    pub stage: BTreeMap<String, StageConfig>,
    /// What the seed expects.
    #[serde(default)]
    pub seed: BTreeMap<Strategy, SeedExpectation>,
}

/// Tells of every number that makes no sense: (where, what is wanted, whether it holds).
fn demand(source: &Source, found: &mut Vec<Diagnostic>, demands: &[(&str, &str, bool)]) {
    for (field, wanted, holds) in demands {
        if !holds {
            let key = field.rsplit('.').next().unwrap_or(field);
            let table = field.rsplit_once('.').map(|(table, _)| table);
            found.push(source.at(locate(source, table, key), Code::BadNumber, format!("{field} must be {wanted}")));
        }
    }
}

/// Where a key stands in its table; the beginning of the file if it cannot be told.
fn locate(source: &Source, table: Option<&str>, key: &str) -> std::ops::Range<usize> {
    let header = table.map_or(Some(0), |t| {
        let plain = source.text.find(&format!("[{t}]"));
        plain.or_else(|| t.split_once('.').and_then(|(a, b)| source.text.find(&format!("[{a}.\"{b}\"]"))))
    });
    let start = header.unwrap_or(0);
    let line = source.text.get(start..).and_then(|rest| rest.find(&format!("\n{key} ="))).map(|i| start + i + 1);
    line.map_or(start..start, |at| at..at + key.len())
}

impl Weighing {
    pub(super) fn check(&self, source: &Source, found: &mut Vec<Diagnostic>) {
        demand(
            source,
            found,
            &[
                ("alpha", "above 0 and below 1", 0.0 < self.alpha && self.alpha < 1.0),
                (
                    "standard_errors",
                    "a finite number of at least 0",
                    self.standard_errors >= 0.0 && self.standard_errors.is_finite(),
                ),
                (
                    "spread_weight",
                    "a finite number above 0",
                    self.spread_weight > 0.0 && self.spread_weight.is_finite(),
                ),
                (
                    "safest",
                    "a list with `keep` or `emergency` in it",
                    self.safest.contains(&Strategy::Keep) || self.safest.contains(&Strategy::Emergency),
                ),
            ],
        );
    }
}

impl Review {
    pub(super) fn check(&self, source: &Source, found: &mut Vec<Diagnostic>) {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let share = |x: f64| 0.0 < x && x < 1.0;
        let Self { spike, explosion, divergence, incident, race, curve, text } = self;
        demand(
            source,
            found,
            &[
                ("spike.sigmas", "above 0", positive(spike.sigmas)),
                ("spike.window", "at least 2", spike.window >= 2),
                ("spike.after", "at least 2 and at most spike.window", (2..=spike.window).contains(&spike.after)),
                ("explosion.norm", "above 0", positive(explosion.norm)),
                ("explosion.ratio", "at least 1", explosion.ratio >= 1.0 && explosion.ratio.is_finite()),
                ("divergence.ema", "above 0 and below 1", share(divergence.ema)),
                ("divergence.sigmas", "above 0", positive(divergence.sigmas)),
                ("divergence.patience", "at least 1", divergence.patience >= 1),
                ("divergence.factor", "above 1", divergence.factor > 1.0 && divergence.factor.is_finite()),
                ("incident.rewind_steps", "at least 1", incident.rewind_steps >= 1),
                ("incident.learning_rate_factor", "above 0 and below 1", share(incident.learning_rate_factor)),
                ("incident.switch_at", "at least 1", incident.switch_at >= 1),
                ("incident.fall_back_at", "above incident.switch_at", incident.fall_back_at > incident.switch_at),
                (
                    "race.looks",
                    "ascending, above 0 and below 1",
                    race.looks.iter().all(|l| share(*l)) && race.looks.is_sorted_by(|a, b| a < b),
                ),
                ("race.p", "above 0 and below 1", share(race.p)),
                ("race.tolerance", "at least 1", race.tolerance >= 1.0 && race.tolerance.is_finite()),
                ("race.least_chance", "above 0 and below 1", share(race.least_chance)),
                ("curve.least_points", "at least 4", curve.least_points >= 4),
                ("curve.fitted_share", "above 0 and at most 1", curve.fitted_share > 0.0 && curve.fitted_share <= 1.0),
                (
                    "curve.exponent",
                    "two ascending numbers above 0",
                    matches!(curve.exponent, [a, b] if 0.0 < a && a < b && b.is_finite()),
                ),
                ("curve.bootstraps", "at least 20", curve.bootstraps >= 20),
                ("curve.stop_below", "above 0 and below 1", share(curve.stop_below)),
                ("curve.judge_from", "above 0 and below 1", share(curve.judge_from)),
                (
                    "curve.switch_cost",
                    "a finite number of at least 0",
                    curve.switch_cost >= 0.0 && curve.switch_cost.is_finite(),
                ),
                ("text.most_unknown", "above 0 and below 1", share(text.most_unknown)),
            ],
        );
    }
}

impl Strategies {
    pub(super) fn check(&self, source: &Source, found: &mut Vec<Diagnostic>) {
        for stage in Stage::iter() {
            if !self.stage.contains_key(<&str>::from(stage)) {
                found.push(source.at(0..0, Code::Missing, format!("stage \"{stage}\" is missing")));
            }
        }
        for (name, s) in &self.stage {
            for fault in s.faults() {
                demand(source, found, &[(&format!("stage.{name}.{}", fault.setting), &fault.wanted, false)]);
            }
        }
        let needs: Vec<(String, &Translations)> =
            self.seed.iter().map(|(s, seed)| (format!("seed.{s}"), &seed.translated)).collect();
        let place = |name: &str| locate(source, Some(name), "resources");
        let texts = needs.iter().map(|(name, translated)| (place(name), name.as_str(), *translated));
        found.extend(super::lint::untranslated(texts, source));
        for (strategy, seed) in &self.seed {
            for (field, range, most) in
                [("success", seed.success, 1.0), ("loss", seed.loss, f64::MAX), ("hours", seed.hours, f64::MAX)]
            {
                let holds = range.is_none_or(|[a, b]| 0.0 <= a && a <= b && b <= most);
                demand(
                    source,
                    found,
                    &[(&format!("seed.{strategy}.{field}"), "two ascending numbers in range", holds)],
                );
            }
        }
    }
}
