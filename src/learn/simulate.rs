//! What the combined engine is worth where the truth is known: made-up worlds, histories of every size, rules of every
//! quality. The table in docs/scorer.md comes from here. Knows nothing of real runs.
//!
//! A world: six features, uniform in 0..1; five strategies, `keep` among them. What a strategy saves against `keep` is
//! a smooth part (an offset and three linear terms), a threshold and an interaction, scaled to a spread of 1 over cases.
//! The rules expect a mixture of that truth and of another function of the same kind: mostly the truth (good), mostly
//! the other (mediocre), or the truth upside down (wrong). A past run is a case, what was done there with `keep` beside
//! it, and outcomes with noise of 0.5: what the rules prefer in seven of ten, anything in three (people insist); where
//! the rules' two best are closer than the noise, the two race. Runs that did nothing but `keep` teach nothing about the
//! others: they are in the history, but not counted. Each engine then chooses for 500 fresh cases, and is paid the
//! noiseless truth.
//!
//! How sure the engine is of a choice is held against how likely it really is to end no worse than `keep` (noise
//! included), which is known here. All rules claim the spread that is true of the good ones: nobody knows how wrong they are.

use super::error::LearnError;
use super::evaluate::{ConfidenceBin, Learnt, closed_gap, contribution, decided, finished, no_bins, sure_of, tally};
use super::evidence::{Evidence, Row};
use super::grow::{GrowOptions, Growth, grow};
use super::imitate::Imitator;
use super::validate::Contribution;
use crate::domain::event::{Event, Observer};
use crate::domain::feature::Feature;
use crate::domain::scorer::{Scorer, Situation};
use crate::domain::strategy::Strategy;
use crate::domain::sureness::above_zero;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;
use std::fmt::Write;

/// The strategies of a world, `keep` first.
const STRATEGIES: [Strategy; 5] =
    [Strategy::Keep, Strategy::Direct, Strategy::Sequential, Strategy::Parallel, Strategy::Extend];
/// Features that matter, of those a situation has.
const INPUTS: usize = 6;
/// Standard deviation of an outcome, where the spread of utilities is 1.
const NOISE: f64 = 0.5;
/// What an expert with good rules holds for the standard deviation of an outcome: what the mixture misses, and noise:
/// sqrt((1 - 0.66)^2 + 0.56^2 + 0.5^2).
const SPREAD: f64 = 0.824;
/// How often a past run did something else than the rules prefer.
const INSISTENCE: f64 = 0.3;
/// Strategies that the rules expect to differ by less than this race.
const RACE: f64 = 0.5;
/// Fresh cases a world is judged on.
const FRESH: usize = 500;

/// What to simulate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimulateOptions {
    /// Worlds a cell of the table. Default 60.
    pub worlds: usize,
    /// Sizes of history. Default 20, 100, 300, 1,000 runs.
    pub runs: Vec<usize>,
    /// Seed of everything. Default 0.
    pub seed: u64,
    /// How scorers are grown.
    pub grow: GrowOptions,
}

impl Default for SimulateOptions {
    fn default() -> Self {
        Self { worlds: 60, runs: vec![20, 100, 300, 1_000], seed: 0, grow: GrowOptions::default() }
    }
}

/// How good the rules are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display, strum::EnumIter)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RulesQuality {
    /// Mostly the truth.
    Good,
    /// Mostly something else.
    Mediocre,
    /// The truth upside down.
    Wrong,
}

impl RulesQuality {
    /// Weights of the truth and of the other function in what the rules expect.
    fn mixture(self) -> (f64, f64) {
        match self {
            Self::Good => (0.66, 0.56),
            Self::Mediocre => (0.35, 0.9),
            Self::Wrong => (-0.5, 0.5),
        }
    }
}

/// A row of the table: closed gaps, means over worlds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimulatedRow {
    /// How good the rules were.
    pub rules: RulesQuality,
    /// Past runs that did more than `keep`.
    pub runs: usize,
    /// The rules alone.
    pub rules_alone: f64,
    /// A tree that imitates past choices.
    pub imitation: f64,
    /// The highest of rules plus scorer.
    pub combined: f64,
    /// As decisions are made: the rules' choice stands unless the scorer's is ahead by more than a standard error.
    pub cautious: f64,
    /// Mean difference of the last and the rules alone.
    pub gain: f64,
    /// Its standard error over worlds (each world is judged on the same cases by both).
    pub gain_error: f64,
    /// Share of worlds in which a scorer contributed (its shrinkage was finite).
    pub consulted: f64,
    /// Mean confidence of the decided choices.
    pub stated: f64,
    /// Mean probability that they are as right as that says.
    pub right: f64,
    /// The same by ranges of confidence.
    pub confidence: Vec<ConfidenceBin>,
}

/// The whole table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Simulation {
    /// What was simulated.
    pub options: SimulateOptions,
    /// Its rows.
    pub rows: Vec<SimulatedRow>,
}

impl Simulation {
    /// The table in Markdown.
    pub fn table(&self) -> String {
        let mut text = format!(
            "Closed gap (1: always the best strategy, 0: always the best single one), means over {} worlds, seed {}.\n\n\
             | rules | past runs | rules alone | imitating tree | rules + scorer | as decided | gain (standard error) | scorer consulted | sure | right |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
            self.options.worlds, self.options.seed
        );
        for r in &self.rows {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:+.3} ({:.3}) | {:.0}% | {:.0}% | {:.0}% |",
                r.rules,
                r.runs,
                r.rules_alone,
                r.imitation,
                r.combined,
                r.cautious,
                r.gain,
                r.gain_error,
                r.consulted * 100.0,
                r.stated * 100.0,
                r.right * 100.0
            );
        }
        text
    }
}

/// Simulates every quality of rules at every size of history.
///
/// # Errors
/// As [`grow`](super::grow()).
pub fn simulate(options: &SimulateOptions, observer: &mut dyn Observer) -> Result<Simulation, LearnError> {
    use strum::IntoEnumIterator;
    let name = || "simulating".to_string();
    let total = (RulesQuality::iter().count() * options.runs.len()) as u64;
    observer.observe(&Event::Phase { name: name(), total, unit: "histories".into() });
    let mut rows = Vec::new();
    for rules in RulesQuality::iter() {
        for &runs in &options.runs {
            let worlds: Result<Vec<Verdict>, LearnError> =
                (0..options.worlds as u64).into_par_iter().map(|w| live(options, rules, runs, w)).collect();
            rows.push(row(rules, runs, &worlds?));
            observer.observe(&Event::Progress { done: rows.len() as u64 });
        }
    }
    observer.observe(&Event::Finished { name: name() });
    Ok(Simulation { options: options.clone(), rows })
}

/// Closed gaps of one world.
struct Verdict {
    rules_alone: f64,
    imitation: f64,
    combined: f64,
    cautious: f64,
    consulted: bool,
    confidence: Vec<ConfidenceBin>,
}

fn row(rules: RulesQuality, runs: usize, worlds: &[Verdict]) -> SimulatedRow {
    let n = worlds.len().max(1) as f64;
    let mean = |of: &dyn Fn(&Verdict) -> f64| worlds.iter().map(of).sum::<f64>() / n;
    let gain = mean(&|v| v.cautious - v.rules_alone);
    let variance = worlds.iter().map(|v| (v.cautious - v.rules_alone - gain).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let mut bins = no_bins();
    for world in worlds {
        for (bin, more) in bins.iter_mut().zip(&world.confidence) {
            bin.stated += more.stated;
            bin.right += more.right;
            bin.choices += more.choices;
        }
    }
    let choices = bins.iter().map(|b| b.choices).sum::<u64>().max(1) as f64;
    let share = |of: fn(&ConfidenceBin) -> f64| bins.iter().map(of).sum::<f64>() / choices;
    SimulatedRow {
        stated: share(|b| b.stated),
        right: share(|b| b.right),
        confidence: finished(bins.clone()),
        rules,
        runs,
        rules_alone: mean(&|v| v.rules_alone),
        imitation: mean(&|v| v.imitation),
        combined: mean(&|v| v.combined),
        cautious: mean(&|v| v.cautious),
        gain,
        gain_error: (variance / n).sqrt(),
        consulted: mean(&|v| f64::from(u8::from(v.consulted))),
    }
}

/// One world, its history, and what each engine earns on fresh cases. The world is the same for every size of
/// history, and the first runs of a longer history are those of a shorter one.
fn live(options: &SimulateOptions, quality: RulesQuality, runs: usize, world: u64) -> Result<Verdict, LearnError> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed.wrapping_mul(1_000_003).wrapping_add(world));
    let truth = World::new(&mut rng);
    let other = World::new(&mut rng);
    let (a, b) = quality.mixture();
    let expected = |s: usize, x: &Case| a * truth.saved(s, x) + b * other.saved(s, x);
    let fresh: Vec<Case> = (0..FRESH).map(|_| case(&mut rng)).collect();

    let mut rows = Vec::new();
    let mut taught = 0;
    for run in 0.. {
        if taught == runs {
            break;
        }
        let x = case(&mut rng);
        let done = past_choice(&mut rng, |s| expected(s, &x));
        taught += usize::from(done.iter().any(|s| *s > 0));
        // `keep` stands beside whatever was done.
        for (s, strategy) in STRATEGIES.into_iter().enumerate().filter(|(s, _)| *s == 0 || done.contains(s)) {
            let noise = NOISE * normal(&mut rng);
            rows.push(Row {
                run: run_name(run),
                group: run_name(run),
                strategy,
                situation: situation(&x),
                prior: expected(s, &x),
                spread: if s == 0 { 0.0 } else { SPREAD },
                saved: if s == 0 { 0.0 } else { truth.saved(s, &x) + noise },
                failed: false,
                decided: done.first() == Some(&s),
            });
        }
    }
    let evidence = Evidence::from_rows(rows);
    let scorer: Option<Scorer> = match grow(&evidence, &options.grow)? {
        Growth::Grown(grown) => Some(grown.scorer),
        Growth::TooLittle { .. } => None,
    };
    let imitator = Imitator::learn(&evidence.rows.iter().collect::<Vec<_>>(), &options.grow)?;
    let weigh = |x: &Case| -> Vec<(f64, Contribution)> {
        let of = |(s, strategy)| {
            let learned = scorer.as_ref().map(|scorer| contribution(scorer, &situation(x), strategy));
            (expected(s, x), learned.unwrap_or_default())
        };
        STRATEGIES.into_iter().enumerate().map(of).collect()
    };
    let learnt = scorer.as_ref().filter(|s| s.lambda.is_some()).map(|s| Learnt {
        mean_square: s.residuals.iter().map(|e| e * e).sum::<f64>() / s.residuals.len().max(1) as f64,
        cases: s.groups as f64,
    });
    let mut confidence = no_bins();
    for x in &fresh {
        let weighed = weigh(x);
        let pick = decided(&weighed, options.grow.standard_errors).unwrap_or(0);
        let of = |(s, (prior, learned)): (Strategy, &(f64, Contribution))| {
            (s, *prior, if s == Strategy::Keep { 0.0 } else { SPREAD }, *learned)
        };
        let weighed: Vec<_> = STRATEGIES.into_iter().zip(&weighed).map(of).collect();
        let Some(stated) = sure_of(&weighed, pick, options.grow.spread_weight, learnt) else { continue };
        let right = match pick {
            0 => (1..STRATEGIES.len()).map(|s| above_zero(-truth.saved(s, x), NOISE)).fold(1.0, f64::min),
            s => above_zero(truth.saved(s, x), NOISE),
        };
        tally(&mut confidence, stated, right);
    }
    let imitated = |x: &Case| {
        let wanted = imitator.choose(&situation(x));
        STRATEGIES.iter().position(|s| Some(*s) == wanted).unwrap_or(0)
    };
    let earned = |choose: &dyn Fn(&Case) -> usize| {
        fresh.iter().map(|x| truth.saved(choose(x), x)).sum::<f64>() / fresh.len() as f64
    };
    let oracle = earned(&|x| best(|s| truth.saved(s, x)));
    let single = (0..STRATEGIES.len()).map(|s| earned(&|_| s)).fold(f64::NEG_INFINITY, f64::max);
    // Five independent functions: the oracle is always better than a single strategy.
    let gap = |m: f64| closed_gap(single, m, oracle).unwrap_or(0.0);
    Ok(Verdict {
        rules_alone: gap(earned(&|x| best(|s| expected(s, x)))),
        imitation: gap(earned(&imitated)),
        combined: gap(earned(&|x| {
            let weighed = weigh(x);
            best(|s| weighed.get(s).map_or(f64::NEG_INFINITY, |(prior, learned)| prior + learned.added))
        })),
        cautious: gap(earned(&|x| decided(&weigh(x), options.grow.standard_errors).unwrap_or(0))),
        consulted: scorer.is_some_and(|s| s.lambda.is_some()),
        confidence,
    })
}

/// What a past run did, the decided strategy first: what the rules prefer, or what somebody insisted on; a close second
/// races along.
fn past_choice(rng: &mut ChaCha8Rng, expected: impl Fn(usize) -> f64) -> Vec<usize> {
    let insists = rng.random_bool(INSISTENCE);
    let wish = rng.random_range(0..STRATEGIES.len());
    if insists {
        return vec![wish];
    }
    let first = best(&expected);
    let second = best(|s| if s == first { f64::NEG_INFINITY } else { expected(s) });
    if expected(first) - expected(second) < RACE { vec![first, second] } else { vec![first] }
}

type Case = [f64; INPUTS];

fn case(rng: &mut ChaCha8Rng) -> Case {
    std::array::from_fn(|_| rng.random::<f64>())
}

fn run_name(run: usize) -> String {
    format!("run-{run:06}")
}

fn situation(x: &Case) -> Situation {
    let mut features = [f64::NAN; Feature::SITUATION.len()];
    for (feature, v) in features.iter_mut().zip(x) {
        *feature = *v;
    }
    Situation(features)
}

/// The strategy with the highest value; of equals the first.
fn best(value: impl Fn(usize) -> f64) -> usize {
    (0..STRATEGIES.len()).map(|s| (s, value(s))).fold((0, f64::NEG_INFINITY), |b, v| if v.1 > b.1 { v } else { b }).0
}

/// A standard normal number (Box-Muller).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// What every strategy saves in every case.
struct World([Terms; STRATEGIES.len() - 1]);

/// A function of a case.
#[derive(Default, Clone, Copy)]
struct Terms {
    offset: f64,
    linear: [(usize, f64); 3],
    threshold: (usize, f64, f64),
    interaction: (usize, usize, f64),
    /// Brings the spread over cases to 1.
    scale: f64,
}

impl World {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        Self(std::array::from_fn(|_| Terms::new(rng)))
    }

    fn saved(&self, strategy: usize, x: &Case) -> f64 {
        strategy.checked_sub(1).and_then(|s| self.0.get(s)).map_or(0.0, |t| t.of(x))
    }
}

impl Terms {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        let mut terms = Self { scale: 1.0, ..Self::default() };
        terms.linear = std::array::from_fn(|_| (rng.random_range(0..INPUTS), normal(rng)));
        terms.threshold = (rng.random_range(0..INPUTS), rng.random_range(0.25..0.75), normal(rng));
        terms.interaction = (rng.random_range(0..INPUTS), rng.random_range(0..INPUTS), 2.0 * normal(rng));
        let sample: Vec<f64> = (0..200).map(|_| terms.of(&case(rng))).collect();
        let mean = sample.iter().sum::<f64>() / sample.len() as f64;
        let spread = (sample.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / sample.len() as f64).sqrt();
        terms.scale = 1.0 / spread.max(1e-3);
        terms.offset = 0.3 * normal(rng) / terms.scale - mean;
        terms
    }

    fn of(&self, x: &Case) -> f64 {
        let at = |i: usize| x.get(i).copied().unwrap_or(0.0);
        let linear: f64 = self.linear.iter().map(|(i, w)| w * at(*i)).sum();
        let (i, limit, step) = self.threshold;
        let threshold = if at(i) > limit { step } else { 0.0 };
        let (i, j, w) = self.interaction;
        self.scale * (self.offset + linear + threshold + w * at(i) * at(j))
    }
}
