//! The whole decision with everything that has to be said about it. Choosing is `weigh`'s business; here the choice is
//! put into words.

use super::case::{Case, Inputs, plain};
use super::error::DecideError;
use super::flip::flips;
use super::rules::{Band, Cell, Domain, Feature, Row, RuleBook, Value};
use super::weigh::{Choice, Origin, Weighed, choose};
use crate::domain::decision::{Action, Alternative, Decision, MatchedRow, NearRow, ScorerNote};
use crate::domain::metric::{EquivalentLoss, Share};
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
        because: because(&choice),
        resources: case.resources.clone(),
        inputs: inputs.listed(rules),
        matched_rows: matched(&choice),
        near_rows: near(rules, &inputs, case, &choice),
        alternatives: alternatives(rules, case, &choice),
        flips: flips(rules, &inputs, case, choice.strategy),
        alike: case.past.nearest(&inputs.situation(rules), rules.weighing().alike),
        rules_sha256: rules.sha256().to_string(),
        scorer: note(rules, case, &choice, alone),
    })
}

fn because(choice: &Choice) -> String {
    let pick = choice.pick;
    let reason = match choice.origin {
        Origin::Situation => format!("the situation asks for {pick}: {}", choice.situation.because),
        Origin::Matrix => format!("the matrix says {pick}: {}", choice.matrix.because),
        Origin::Rest => format!(
            "the matrix says {}, which is vetoed here; of what is left {pick} is expected to do best",
            choice.matrix.output
        ),
        Origin::Scorer => format!("past runs speak for {pick} over the rules' {}", choice.rules_pick),
    };
    let sure = choice.confidence * 100.0;
    match choice.action {
        Action::Safest if choice.strategy != pick => {
            format!(
                "{reason}; but this is only {sure:.0}% sure, so {} is taken as the safest feasible choice",
                choice.strategy
            )
        }
        Action::Safest => format!("{reason}; this is only {sure:.0}% sure, and it is the safest feasible choice too"),
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
fn distance(rules: &RuleBook, inputs: &Inputs, feature: &Feature, value: &Value, cell: &Cell) -> Option<f64> {
    if let Some(x) = value.as_number() {
        let Domain::Number { range, integer } = &feature.domain else { return None };
        let width = range.high.at - range.low.at;
        let size = if width.is_finite() { width } else { x.abs().max(1e-9) };
        // A whole number is a whole step away at least.
        let step = if *integer { 1.0 } else { 0.0 };
        return cell.boundaries().map(|edge| (edge - x).abs().max(step) / size).reduce(f64::min);
    }
    if feature.name != "similarity_band" {
        return None;
    }
    let (basis, score) = (inputs.get(rules, "similarity_basis"), inputs.get(rules, "similarity").as_number()?);
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

fn rejected(option: &Weighed, choice: &Choice) -> String {
    if option.strategy == choice.strategy {
        return String::new();
    }
    if !option.feasible() {
        return option.vetoes.iter().map(|r| r.because.as_str()).collect::<Vec<_>>().join("; ");
    }
    let chosen = choice.option(choice.strategy).map_or(0.0, Weighed::utility);
    let difference = option.utility() - chosen;
    if option.strategy == choice.pick {
        return format!("preferred, but only {:.0}% sure to end no worse than keep", choice.confidence * 100.0);
    }
    match option.strategy {
        Strategy::Emergency => "the last resort, for when nothing else works".into(),
        Strategy::Adaptive => "re-decides while training; taken when the highest quality is asked for".into(),
        _ if difference < 0.0 => {
            format!("expected to save {:.3} bits per byte less than {}", -difference, choice.strategy)
        }
        _ => format!(
            "expected to save {difference:.3} bits per byte more than {}, which is not enough to go against {}",
            choice.strategy,
            match choice.origin {
                Origin::Situation => "what the situation asks for",
                Origin::Matrix | Origin::Rest => "the matrix",
                Origin::Scorer => "the evidence",
            }
        ),
    }
}

fn note(rules: &RuleBook, case: &Case, choice: &Choice, alone: Strategy) -> ScorerNote {
    let Some(scorer) = case.scorer else {
        let note = "the rules decided alone: there is no learned scorer yet".to_string();
        return ScorerNote { id: None, evidence: 0, changed_the_decision: false, note };
    };
    let changed = choice.strategy != alone;
    let least = rules.weighing().least_evidence;
    let note = if scorer.lambda.is_none() {
        "cross-validation found the rules alone to be best, so the scorer adds nothing yet".to_string()
    } else if scorer.evidence < least {
        format!(
            "the rules decided alone: {} past branches are fewer than the {least} it takes to move a choice",
            scorer.evidence
        )
    } else if changed {
        format!("{} past branches moved the decision from {alone} to {}", scorer.evidence, choice.strategy)
    } else if choice.origin == Origin::Situation {
        "the situation's preference stands; the scorer only shaped utilities and confidence".to_string()
    } else {
        let better = choice.options.iter().filter(|o| o.feasible() && o.strategy != choice.pick);
        let best = better.max_by(|a, b| a.utility().total_cmp(&b.utility()));
        match best.zip(choice.option(choice.pick)) {
            Some((b, a)) if b.utility() > a.utility() => format!(
                "{} looks better by {:.3} bits per byte, which is within the error of {} past branches: the rules' choice holds",
                b.strategy,
                b.utility() - a.utility(),
                scorer.evidence
            ),
            _ => format!("{} past branches agree with the rules", scorer.evidence),
        }
    };
    ScorerNote { id: Some(scorer.id.clone()), evidence: scorer.evidence, changed_the_decision: changed, note }
}
