//! The whole decision with everything that has to be said about it. Choosing is `weigh`'s business.

use super::case::{Case, Inputs, plain};
use super::error::DecideError;
use super::flip::flips;
use super::matrix::matrix;
use super::rules::{Band, Cell, DeclaredFeature, Domain, Row, RuleBook, Value};
use super::weigh::{Choice, Origin, Weighed, choose};
use crate::domain::decision::{Action, Alternative, Decision, MatchedRow, NearRow, ScorerNote};
use crate::domain::feature::Feature;
use crate::domain::metric::{EquivalentLoss, Share};
use crate::domain::reason::{Authority, Because, DecisionReason, Rejection, ScorerReason};
use crate::domain::scorer::learnable;
use crate::domain::strategy::Strategy;

/// Decides a case by the rules and, where its evidence is strong enough, the learned scorer. Pure: the same rules and
/// case give the same decision.
///
/// # Errors
/// [`DecideError::Infeasible`] when everything is vetoed; [`DecideError::MissingFeature`] when a table has no answer
/// because an input is not known; [`DecideError::BadFeature`] for an input that cannot be.
pub fn decide(rules: &RuleBook, case: &Case) -> Result<Decision, DecideError> {
    let inputs = Inputs::new(rules, case)?;
    let choice = choose(rules, &inputs, case, case.scorer)?;
    let alone = if case.scorer.is_some() { choose(rules, &inputs, case, None)?.strategy } else { choice.strategy };
    let confidence = Share::new(choice.confidence.clamp(0.0, 1.0)).map_err(|e| DecideError::BadFeature {
        feature: "confidence".into(),
        value: e.value.to_string(),
        range: e.range.into(),
    })?;
    Ok(Decision {
        strategy: choice.strategy,
        confidence,
        action: choice.action,
        because: because(&choice).into(),
        resources: case.resources.clone(),
        inputs: inputs.listed(rules),
        matched_rows: matched(&choice),
        matrix: matrix(rules, &inputs),
        near_rows: near(rules, &inputs, case, &choice),
        alternatives: alternatives(rules, case, &choice),
        flips: flips(rules, &inputs, case, choice.strategy),
        alike: case.past.nearest(&inputs.situation(rules), rules.weighing().alike),
        rules_sha256: rules.sha256().to_string(),
        scorer: note(rules, case, &choice, alone),
    })
}

fn because(choice: &Choice) -> DecisionReason {
    let pick = choice.pick;
    let reason = match choice.origin {
        Origin::Situation => DecisionReason::Situation { strategy: pick, row: choice.situation.because.clone() },
        Origin::Matrix => DecisionReason::Matrix { strategy: pick, row: choice.matrix.because.clone() },
        Origin::Rest => DecisionReason::MatrixVetoed { matrix: choice.matrix.output.to_string(), strategy: pick },
        Origin::Scorer => DecisionReason::Evidence { strategy: pick, rules: choice.rules_pick },
    };
    match choice.action {
        Action::Safest => DecisionReason::Unsure {
            reason: Box::new(reason),
            confidence: choice.confidence,
            safest: (choice.strategy != pick).then_some(choice.strategy),
        },
        Action::Execute | Action::ExecuteWatched => reason,
    }
}

fn say(table: &str, row: &Row, output: String) -> MatchedRow {
    MatchedRow { table: table.into(), row: row.name.clone(), output, because: row.because.clone() }
}

fn matched(choice: &Choice) -> Vec<MatchedRow> {
    let tables = [
        ("decision", choice.matrix),
        ("situations", choice.situation),
        ("expectations", choice.expectation),
        ("confidence", choice.sureness),
    ];
    let mut rows: Vec<MatchedRow> = tables.iter().map(|(table, row)| say(table, row, row.output.to_string())).collect();
    rows.extend(choice.options.iter().flat_map(vetoes));
    rows
}

fn vetoes(option: &Weighed) -> Vec<MatchedRow> {
    option.vetoes.iter().map(|row| say("vetoes", row, format!("veto {}", option.strategy))).collect()
}

/// A row is near if the input it missed by would have to move by no more than this share of its range.
const NEAR: f64 = 0.10;
/// The nearest rows that are told.
const TOLD: usize = 3;

/// Rows of the matrix and of the vetoes that missed by one cell and by little, the nearest first. A band counts by the score
/// behind it; what has no distance (a veto on another strategy) is not near.
fn near(rules: &RuleBook, inputs: &Inputs, case: &Case, choice: &Choice) -> Vec<NearRow> {
    let cost = case.costs.and_then(|c| c.get(&choice.pick));
    let weighed = inputs.of_strategy(rules, choice.pick, true, cost);
    let mut rows: Vec<(f64, NearRow)> = Vec::new();
    for (name, facts) in [("decision", &inputs.facts), ("vetoes", &weighed)] {
        let Some(table) = rules.table(name) else { continue };
        for (row, missed) in table.near(facts) {
            let (Some(column), Some(cell)) = (table.columns.get(missed), row.cells.get(missed)) else { continue };
            let (value, feature) = column.sees(facts);
            let Some(feature) = feature.and_then(|i| rules.features().get(i)) else { continue };
            let Some(distance) = distance(rules, inputs, feature, value, cell).filter(|d| *d <= NEAR) else { continue };
            let near = NearRow {
                table: name.into(),
                row: row.name.clone(),
                output: row.output.to_string(),
                input: feature.name.clone(),
                value: plain(value),
                cell: cell.source.clone(),
            };
            rows.push((distance, near));
        }
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    rows.into_iter().map(|(_, row)| row).take(TOLD).collect()
}

/// How far a value is from passing a cell, as a share of its feature's range (of the value itself where that is endless);
/// a band counts by the similarity behind it. `None` where there is no distance.
fn distance(rules: &RuleBook, inputs: &Inputs, feature: &DeclaredFeature, value: &Value, cell: &Cell) -> Option<f64> {
    if let Some(x) = value.as_number() {
        let Domain::Number { range, integer } = &feature.domain else { return None };
        let width = range.high.at - range.low.at;
        let size = if width.is_finite() { width } else { x.abs().max(1e-9) };
        // A whole number is a whole step away at least.
        let step = if *integer { 1.0 } else { 0.0 };
        return cell.boundaries().map(|edge| (edge - x).abs().max(step) / size).reduce(f64::min);
    }
    if feature.name != Feature::SimilarityBand.name() {
        return None;
    }
    let (basis, score) =
        (inputs.get(rules, Feature::SimilarityBasis), inputs.get(rules, Feature::Similarity).as_number()?);
    let Value::Text(basis) = basis else { return None };
    let Band { medium, high, .. } = rules.features().thresholds(basis)?;
    let away = |band: &str| match band {
        "low" => score - medium,
        "medium" => (medium - score).max(score - high),
        _ => high - score,
    };
    let asked = ["low", "medium", "high"].into_iter().filter(|band| cell.matches(&Value::text(band)));
    asked.map(|band| away(band).max(0.0)).reduce(f64::min)
}

/// All strategies, the chosen one first, then those that may be taken by utility, then the vetoed ones.
fn alternatives(rules: &RuleBook, case: &Case, choice: &Choice) -> Vec<Alternative> {
    let half_width = case.scorer.and_then(|s| s.half_width(rules.weighing().alpha)).filter(|h| h.is_finite());
    let mut options: Vec<&Weighed> = choice.options.iter().collect();
    let place = |o: &Weighed| (o.strategy != choice.strategy, !o.feasible());
    options.sort_by(|a, b| place(a).cmp(&place(b)).then(b.utility().total_cmp(&a.utility())));
    let alternative = |o: &Weighed| {
        let utility = o.utility();
        let loss =
            rules.seed(o.strategy).and_then(|s| s.loss).and_then(|[a, b]| EquivalentLoss::new((a + b) / 2.0).ok());
        Alternative {
            strategy: o.strategy,
            prior: o.prior,
            spread: Some(o.spread),
            learned: o.learned,
            utility,
            interval: half_width.filter(|_| learnable(o.strategy)).map(|h| (utility - h, utility + h)),
            cost: o.cost,
            level: loss.map(|l| rules.level(l)),
            vetoes: vetoes(o),
            rejected: rejected(o, choice),
            path: o.path.clone(),
        }
    };
    options.into_iter().map(alternative).collect()
}

fn rejected(option: &Weighed, choice: &Choice) -> Because<Rejection> {
    if option.strategy == choice.strategy {
        return Because::NOTHING;
    }
    let chosen = choice.option(choice.strategy).map_or(0.0, Weighed::utility);
    let (difference, than) = (option.utility() - chosen, choice.strategy);
    let rejection = match option.strategy {
        _ if !option.feasible() => {
            Rejection::Vetoed { rows: option.vetoes.iter().map(|r| r.because.clone()).collect() }
        }
        strategy if strategy == choice.pick => Rejection::Unsure { confidence: choice.confidence },
        Strategy::Emergency => Rejection::LastResort,
        Strategy::Adaptive => Rejection::ForQuality,
        _ if difference < 0.0 => Rejection::Less { by: -difference, than },
        _ => {
            let against = match choice.origin {
                Origin::Situation => Authority::Situation,
                Origin::Matrix | Origin::Rest => Authority::Matrix,
                Origin::Scorer => Authority::Evidence,
            };
            Rejection::NotEnough { by: difference, than, against }
        }
    };
    rejection.into()
}

fn note(rules: &RuleBook, case: &Case, choice: &Choice, alone: Strategy) -> ScorerNote {
    let Some(scorer) = case.scorer else {
        let note = ScorerReason::NoScorer.into();
        return ScorerNote { id: None, evidence: 0, changed_the_decision: false, note };
    };
    let (changed, branches) = (choice.strategy != alone, scorer.evidence);
    let least = rules.weighing().least_evidence;
    let note = if scorer.lambda.is_none() {
        ScorerReason::RulesBest
    } else if branches < least {
        ScorerReason::TooFew { branches, least }
    } else if changed {
        ScorerReason::Moved { branches, from: alone, to: choice.strategy }
    } else if choice.origin == Origin::Situation {
        ScorerReason::SituationStands
    } else {
        let better = choice.options.iter().filter(|o| o.feasible() && o.strategy != choice.pick);
        let best = better.max_by(|a, b| a.utility().total_cmp(&b.utility()));
        match best.zip(choice.option(choice.pick)) {
            Some((b, a)) if b.utility() > a.utility() => {
                ScorerReason::WithinError { strategy: b.strategy, by: b.utility() - a.utility(), branches }
            }
            _ => ScorerReason::Agrees { branches },
        }
    };
    ScorerNote { id: Some(scorer.id.clone()), evidence: branches, changed_the_decision: changed, note: note.into() }
}
