//! Which strategy to take: rules first, then the learned scorer where its evidence is strong enough, never past a
//! veto. How the choice is explained is not known here.
//!
//! Utility of a strategy a: u_a = m_a + r_a, bits per byte saved against `keep`; m_a from `expectations.toml`, r_a
//! from the scorer. `keep` is the yardstick: u = 0 by definition. Spread of an outcome: the rules' spread s_a, pooled
//! with the scorer's n out-of-fold residuals e: sigma_a^2 = (w s_a^2 + sum e^2) / (w + n), w = `spread_weight`.
//!
//! Confidence: for a strategy that leaves `keep`, the normal probability that it ends no worse than `keep`,
//! Phi(u_a / sigma_a); for `keep` (and `emergency`) the probability that not even the most dangerous feasible rival
//! would have ended better, min_b Phi((u_a - u_b) / sqrt(sigma_a^2 + sigma_b^2)).
//!
//! The scorer moves the rules' choice a to the best b only if the scorer itself favours b over a, and u_b - u_a exceeds
//! `standard_errors` x sqrt(sigma_a^2 / N_a + sigma_b^2 / N_b), N the training rows in the leaf that spoke: what
//! overlaps must be the expectations, not single outcomes, which scatter however well they are known.

use super::case::{Case, Inputs};
use super::error::DecideError;
use super::rules::{Output, Row, RuleBook, Table, Value};
use crate::domain::decision::Action;
use crate::domain::resources::Cost;
use crate::domain::scorer::Scorer;
use crate::domain::strategy::Strategy;
use crate::domain::tree::PathStep;
use statrs::function::erf::erfc;
use strum::IntoEnumIterator;

/// A strategy with everything that speaks for and against it.
#[derive(Debug, Clone)]
pub(super) struct Weighed<'a> {
    pub strategy: Strategy,
    pub cost: Option<Cost>,
    /// By the rules, bits per byte.
    pub prior: f64,
    /// By the scorer.
    pub learned: f64,
    /// Pooled standard deviation of its outcome.
    pub sigma: f64,
    /// Squared standard error of its expectation.
    pub error: f64,
    pub path: Vec<PathStep>,
    pub vetoes: Vec<&'a Row>,
}

impl Weighed<'_> {
    pub fn utility(&self) -> f64 {
        self.prior + self.learned
    }
    pub fn feasible(&self) -> bool {
        self.vetoes.is_empty()
    }
    /// Whether it is weighed against the others: `adaptive` is a way of going about it and `emergency` a last resort.
    fn contends(&self) -> bool {
        self.feasible() && !matches!(self.strategy, Strategy::Adaptive | Strategy::Emergency)
    }
}

/// Where a choice came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The user's priority asked for it.
    Situation,
    /// The matrix says so.
    Matrix,
    /// The matrix' choice is vetoed and this is the best of the rest.
    Rest,
    /// The scorer moved it.
    Scorer,
}

/// A choice with its reasons.
#[derive(Debug, Clone)]
pub(super) struct Choice<'a> {
    /// What is done in the end.
    pub strategy: Strategy,
    /// What would be done if it were sure enough.
    pub pick: Strategy,
    pub origin: Origin,
    pub confidence: f64,
    pub action: Action,
    pub situation: &'a Row,
    pub matrix: &'a Row,
    pub expectation: &'a Row,
    pub sureness: &'a Row,
    pub options: Vec<Weighed<'a>>,
    /// What the rules alone would pick.
    pub rules_pick: Strategy,
}

impl<'a> Choice<'a> {
    pub fn option(&self, strategy: Strategy) -> Option<&Weighed<'a>> {
        self.options.iter().find(|o| o.strategy == strategy)
    }
}

/// Chooses; `scorer` apart from the case, so that the same case can be chosen without one.
pub(super) fn choose<'a>(
    rules: &'a RuleBook,
    inputs: &Inputs,
    case: &Case,
    scorer: Option<&Scorer>,
) -> Result<Choice<'a>, DecideError> {
    let situation = the_row(rules, "situations", &inputs.facts)?;
    let matrix = the_row(rules, "decision", &inputs.facts)?;
    let expectation = the_row(rules, "expectations", &inputs.facts)?;
    let options = weigh(rules, inputs, case, scorer, expectation);
    let feasible = |s: Strategy| options.iter().any(|o| o.strategy == s && o.feasible());

    let named = |row: &Row| if let Output::Strategy(s) = row.output { Some(s).filter(|s| feasible(*s)) } else { None };
    let best = |value: fn(&Weighed) -> f64| {
        let contenders = options.iter().filter(|o| o.contends());
        contenders.max_by(|a, b| value(a).total_cmp(&value(b)).then(safety(rules, b).cmp(&safety(rules, a))))
    };
    let rest = || best(|o| o.prior).or_else(|| options.iter().find(|o| o.feasible())).map(|o| o.strategy);
    let by_rules = match (named(situation), named(matrix)) {
        (Some(s), _) => Some((s, Origin::Situation)),
        (None, Some(s)) => Some((s, Origin::Matrix)),
        (None, None) => rest().map(|s| (s, Origin::Rest)),
    };
    let Some((rules_pick, origin)) = by_rules else { return Err(infeasible(&options)) };

    let (mut pick, mut origin) = (rules_pick, origin);
    let evidence = scorer.is_some_and(|s| s.evidence >= rules.weighing().least_evidence);
    if evidence
        && origin != Origin::Situation
        && let (Some(b), Some(a)) = (best(|o| o.utility()), options.iter().find(|o| o.strategy == pick))
        && b.strategy != pick
        && b.learned > a.learned
        && b.utility() - a.utility() > rules.weighing().standard_errors * (a.error + b.error).sqrt()
    {
        (pick, origin) = (b.strategy, Origin::Scorer);
    }

    let confidence = confidence(pick, &options);
    let mut facts = inputs.clone();
    facts.set(rules, "confidence", Value::number(Some(confidence)));
    let sureness = the_row(rules, "confidence", &facts.facts)?;
    let action = if let Output::Action(action) = sureness.output { action } else { Action::Safest };
    let strategy = match action {
        Action::Execute | Action::ExecuteWatched => pick,
        Action::Safest => rules.weighing().safest.iter().copied().find(|s| feasible(*s)).unwrap_or(pick),
    };
    Ok(Choice {
        strategy,
        pick,
        origin,
        confidence,
        action,
        situation,
        matrix,
        expectation,
        sureness,
        options,
        rules_pick,
    })
}

/// All strategies with utilities and vetoes.
fn weigh<'a>(
    rules: &'a RuleBook,
    inputs: &Inputs,
    case: &Case,
    scorer: Option<&Scorer>,
    expectation: &Row,
) -> Vec<Weighed<'a>> {
    let situation = inputs.situation(rules);
    let weight = rules.weighing().spread_weight;
    let squares: f64 = scorer.map_or(0.0, |s| s.residuals.iter().filter(|e| e.is_finite()).map(|e| e * e).sum());
    let residuals = scorer.map_or(0, |s| s.residuals.iter().filter(|e| e.is_finite()).count()) as f64;
    let evidence = scorer.map_or(0, |s| s.evidence);
    let weigh_one = |strategy: Strategy| {
        let cost = case.costs.and_then(|c| c.get(&strategy)).copied();
        let facts = inputs.of_strategy(rules, strategy, case.executable.contains(&strategy), cost.as_ref());
        let vetoes = rules.table("vetoes").map_or_else(Vec::new, |t| t.answer(&facts));
        let saving = match &expectation.output {
            Output::Savings(map) => map.get(&strategy).copied(),
            _ => None,
        };
        let (prior, spread) = saving.map_or((0.0, 0.0), |s| (s.saved, s.spread));
        if strategy == Strategy::Keep {
            return Weighed { strategy, cost, prior, learned: 0.0, sigma: 0.0, error: 0.0, path: Vec::new(), vetoes };
        }
        let (learned, path) = scorer.map_or((0.0, Vec::new()), |s| s.residual(&situation, strategy));
        let learned = if learned.is_finite() { learned } else { 0.0 };
        let sigma = ((weight * spread * spread + squares) / (weight + residuals)).sqrt();
        let rows = path.last().map_or(evidence, |step| step.count).max(1) as f64;
        Weighed { strategy, cost, prior, learned, sigma, error: sigma * sigma / rows, path, vetoes }
    };
    Strategy::iter().map(weigh_one).collect()
}

/// How late a strategy stands in the list of safest choices; what is not on it is least safe.
fn safety(rules: &RuleBook, option: &Weighed) -> usize {
    rules.weighing().safest.iter().position(|s| *s == option.strategy).unwrap_or(usize::MAX)
}

fn confidence(pick: Strategy, options: &[Weighed]) -> f64 {
    let Some(chosen) = options.iter().find(|o| o.strategy == pick) else { return 0.0 };
    match pick {
        Strategy::Keep | Strategy::Emergency => {
            let rivals = options.iter().filter(|o| o.contends() && o.strategy != pick);
            let beats = |b: &Weighed| normal(chosen.utility() - b.utility(), chosen.sigma.hypot(b.sigma));
            rivals.map(beats).fold(1.0, f64::min)
        }
        Strategy::Direct
        | Strategy::Sequential
        | Strategy::Parallel
        | Strategy::Structural
        | Strategy::Extend
        | Strategy::Adaptive => normal(chosen.utility(), chosen.sigma),
    }
}

/// Phi(x / sigma), the probability that a normal quantity with mean x and deviation sigma is above 0.
fn normal(x: f64, sigma: f64) -> f64 {
    if sigma > 0.0 {
        (0.5 * erfc(-x / (sigma * std::f64::consts::SQRT_2))).clamp(0.0, 1.0)
    } else {
        (1.0 + x.partial_cmp(&0.0).map_or(0.0, |o| f64::from(o as i8))) / 2.0
    }
}

/// The one row of a table that answers.
fn the_row<'a>(rules: &'a RuleBook, table: &str, facts: &[Value]) -> Result<&'a Row, DecideError> {
    let missing = |table: &Table| {
        let unknown = table.columns.iter().filter(|c| *c.sees(facts).0 == Value::Null);
        unknown.map(|c| c.name.clone()).collect::<Vec<_>>().join(", ")
    };
    let found = rules.table(table);
    found.and_then(|t| t.first(facts)).ok_or_else(|| DecideError::MissingFeature {
        table: table.to_string(),
        missing: found.map_or_else(|| "the table".to_string(), missing),
    })
}

/// What stands in the way of every strategy, and what the least demanding would need.
fn infeasible(options: &[Weighed]) -> DecideError {
    let because = |o: &Weighed| o.vetoes.iter().map(|r| r.because.as_str()).collect::<Vec<_>>().join("; ");
    let reasons = options.iter().map(|o| format!("{}: {}", o.strategy, because(o))).collect::<Vec<_>>().join(". ");
    let least = options.iter().min_by(|a, b| {
        let time = |o: &Weighed| o.cost.map_or(f64::INFINITY, |c| c.seconds);
        a.vetoes.len().cmp(&b.vetoes.len()).then(time(a).total_cmp(&time(b)))
    });
    let need = |o: &Weighed| {
        let cost = o.cost.map_or_else(String::new, |c| {
            format!(
                " (it needs about {:.2} h and {:.2} GiB)",
                c.seconds / 3600.0,
                c.memory as f64 / f64::from(1u32 << 30)
            )
        });
        format!("{} has least in its way{cost}: {}", o.strategy, because(o))
    };
    DecideError::Infeasible { reasons, least: least.map_or_else(String::new, need) }
}
