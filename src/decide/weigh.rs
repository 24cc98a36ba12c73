//! Which strategy to take: rules first, then the learned scorer where its evidence is strong enough, never past a
//! veto. How the choice is explained is not known here.
//!
//! Utility of a strategy a: u_a = m_a + r_a, bits per byte saved against `keep`; m_a from `expectations.toml`, r_a
//! from the scorer. `keep` is the yardstick: u = 0 by definition. Spread of an outcome: the rules' spread s_a, pooled
//! with the scorer's out-of-fold residuals e over g cases: sigma_a^2 = (w s_a^2 + g mean e^2) / (w + g), w =
//! `spread_weight`.
//!
//! Confidence: [`sureness`], which pools the rules' chance of the choice (m and s, counted as w cases) with that of the g
//! cases past runs had (u and mean e^2, widened by 1 / N_a since the expectation is uncertain too).
//!
//! The scorer moves the rules' choice a to the best b only if the scorer itself favours b over a, and u_b - u_a exceeds
//! `standard_errors` x sqrt(sigma_a^2 / N_a + sigma_b^2 / N_b), N the training rows in the leaf that spoke: what
//! overlaps must be the expectations, not single outcomes, which scatter however well they are known.

use super::case::{Case, Inputs};
use super::error::DecideError;
use super::rules::{Output, Row, RuleBook, Table, Value};
use crate::domain::decision::Action;
use crate::domain::feature::Feature;
use crate::domain::resources::Cost;
use crate::domain::scorer::{Scorer, learnable};
use crate::domain::strategy::Strategy;
use crate::domain::sureness::{Stake, chance, pooled_variance, sureness};
use crate::domain::tree::PathStep;
use strum::IntoEnumIterator;

/// A strategy with everything that speaks for and against it.
#[derive(Debug, Clone)]
pub(super) struct Weighed<'a> {
    pub strategy: Strategy,
    pub cost: Option<Cost>,
    /// By the rules, bits per byte.
    pub prior: f64,
    /// Standard deviation around it, by the rules.
    pub spread: f64,
    /// By the scorer.
    pub learned: f64,
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

    let learnt = scorer.filter(|s| evidence && s.lambda.is_some());
    let confidence = confidence(pick, &options, rules.weighing().spread_weight, learnt);
    let mut facts = inputs.clone();
    facts.set(rules, Feature::Confidence, Value::number(Some(confidence)));
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
    let mean_square = scorer.map_or(0.0, mean_square);
    let cases = scorer.map_or(0, |s| s.groups) as f64;
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
        if !learnable(strategy) {
            return Weighed { strategy, cost, prior, spread, learned: 0.0, error: 0.0, path: Vec::new(), vetoes };
        }
        let (learned, path) = scorer.map_or((0.0, Vec::new()), |s| s.residual(&situation, strategy));
        let learned = if learned.is_finite() { learned } else { 0.0 };
        let variance = pooled_variance(spread, weight, mean_square, cases);
        let rows = path.last().map_or(evidence, |step| step.count).max(1) as f64;
        // Without a scorer the rules' spread is all there is to know.
        let error = if scorer.is_some() { variance / rows } else { 0.0 };
        Weighed { strategy, cost, prior, spread, learned, error, path, vetoes }
    };
    Strategy::iter().map(weigh_one).collect()
}

/// How late a strategy stands in the list of safest choices; what is not on it is least safe.
fn safety(rules: &RuleBook, option: &Weighed) -> usize {
    rules.weighing().safest.iter().position(|s| *s == option.strategy).unwrap_or(usize::MAX)
}

/// Mean square of what was predicted wrongly for cases that were not seen; what is not finite says nothing.
fn mean_square(scorer: &Scorer) -> f64 {
    let add = |(sum, count): (f64, u64), e: &f64| if e.is_finite() { (sum + e * e, count + 1) } else { (sum, count) };
    let (sum, count) = scorer.residuals.iter().fold((0.0, 0), add);
    sum / count.max(1) as f64
}

fn confidence(pick: Strategy, options: &[Weighed], weight: f64, scorer: Option<&Scorer>) -> f64 {
    let Some(chosen) = options.iter().find(|o| o.strategy == pick) else { return 0.0 };
    let rivals = || options.iter().filter(|o| o.contends() && o.strategy != pick);
    let stays = |o: &Weighed| matches!(o.strategy, Strategy::Keep | Strategy::Emergency);
    let expected = |o: &Weighed| Stake { stays: stays(o), utility: o.prior, variance: o.spread * o.spread };
    let by_rules = chance(expected(chosen), rivals().map(expected));
    let Some(scorer) = scorer else { return by_rules };
    let square = mean_square(scorer);
    let learnt = |o: &Weighed| {
        let rows = o.path.last().map_or(scorer.evidence, |step| step.count).max(1) as f64;
        let variance = if stays(o) { expected(o).variance } else { square * (1.0 + 1.0 / rows) };
        Stake { stays: stays(o), utility: o.utility(), variance }
    };
    sureness(by_rules, weight, chance(learnt(chosen), rivals().map(learnt)), scorer.groups as f64)
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
    let because = |o: &Weighed| o.vetoes.iter().map(|r| r.because.text.as_str()).collect::<Vec<_>>().join("; ");
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
