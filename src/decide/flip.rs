//! The smallest change of one input that changes the decision: found exactly, since between two neighbouring
//! boundaries of tables, bands, costs and tree nothing can change. What the change would take is not known here.

use super::case::{Case, Inputs, plain};
use super::rules::{Domain, RuleBook, Value, representatives};
use super::weigh::choose;
use crate::domain::decision::Flip;
use crate::domain::feature::Feature;
use crate::domain::strategy::Strategy;
use strum::IntoEnumIterator;

/// For every input the nearest change that decides otherwise, the smallest change first. Sizes of changes are
/// relative to the input's range where that is finite, else to its value; a change of name comes last.
pub(super) fn flips(rules: &RuleBook, inputs: &Inputs, case: &Case, chosen: Strategy) -> Vec<Flip> {
    let changeable = Feature::iter().filter(|feature| feature.is_changeable());
    let mut found: Vec<(f64, Flip)> =
        changeable.filter_map(|feature| flip(rules, inputs, case, chosen, feature)).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().map(|(_, flip)| flip).collect()
}

fn flip(rules: &RuleBook, inputs: &Inputs, case: &Case, chosen: Strategy, feature: Feature) -> Option<(f64, Flip)> {
    let index = rules.features().index(feature.name())?;
    let domain = &rules.features().get(index)?.domain;
    let now = inputs.get(rules, feature).clone();
    if now == Value::Null {
        return None;
    }
    let cuts = cuts(rules, inputs, case, feature, index);
    let mut candidates: Vec<(f64, String, Value)> = match (domain, now.as_number()) {
        (Domain::Names(_), _) | (_, None) => {
            let others = representatives(domain, false, std::iter::empty()).into_iter().filter(|v| *v != now);
            others.map(|v| (f64::INFINITY, plain(&v), v)).collect()
        }
        (Domain::Number { range, integer }, Some(x)) => {
            let (low, high) = (range.low.at, range.high.at);
            let size = if (high - low).is_finite() { high - low } else { x.abs().max(1e-9) };
            let points = representatives(domain, false, cuts.iter().copied().chain([x]));
            let place = |v: Value| {
                let y = v.as_number()?;
                // A representative that is no cut itself stands for the open interval behind the cut next to it.
                let (edge, text) = if *integer || cuts.contains(&y) {
                    (y, y.to_string())
                } else if y > x {
                    let edge = cuts.iter().copied().filter(|c| *c < y && *c >= x).fold(x, f64::max);
                    (edge, format!("> {edge}"))
                } else {
                    let edge = cuts.iter().copied().filter(|c| *c > y && *c <= x).fold(x, f64::min);
                    (edge, format!("< {edge}"))
                };
                // The same distance by an open interval is a hair more than by its closed end.
                let hair = if edge == y { 0.0 } else { 1e-12 };
                Some(((edge - x).abs() / size + hair, text, v))
            };
            points.into_iter().filter_map(place).collect()
        }
    };
    candidates.sort_by(|a, b| a.0.total_cmp(&b.0));
    candidates.into_iter().find_map(|(size, to, value)| {
        let mut changed = inputs.clone();
        changed.set(rules, feature, value);
        let strategy = choose(rules, &changed, case, case.scorer).ok()?.strategy;
        let flip = Flip { input: feature.to_string(), from: plain(&now), to, strategy };
        (strategy != chosen).then_some((size, flip))
    })
}

/// Every number at which something can change when this input moves.
fn cuts(rules: &RuleBook, inputs: &Inputs, case: &Case, feature: Feature, index: usize) -> Vec<f64> {
    let mut cuts: Vec<f64> = Vec::new();
    for table in rules.tables() {
        for (i, column) in table.columns.iter().enumerate() {
            if column.reads.contains(&index) {
                cuts.extend(table.rows.iter().filter_map(|r| r.cells.get(i)).flat_map(|c| c.boundaries()));
            }
        }
    }
    // Shares of time and memory change with the limit: at cost / boundary for every boundary of the share's column.
    let of_share = |share: Feature| -> Vec<f64> {
        let Some(index) = rules.features().index(share.name()) else { return Vec::new() };
        let columns = rules.tables().iter().flat_map(|t| t.columns.iter().enumerate().map(move |(i, c)| (t, i, c)));
        let asked = columns.filter(|(_, _, c)| c.reads.contains(&index));
        asked
            .flat_map(|(t, i, _)| t.rows.iter().filter_map(move |r| r.cells.get(i)).flat_map(|c| c.boundaries()))
            .collect()
    };
    let costs = || case.costs.into_iter().flat_map(|c| c.values());
    match feature {
        Feature::Similarity => {
            if let Value::Text(basis) = inputs.get(rules, Feature::SimilarityBasis) {
                cuts.extend(rules.features().thresholds(basis).into_iter().flat_map(|b| [b.medium, b.high]));
            }
        }
        Feature::BudgetHours => {
            cuts.extend(of_share(Feature::TimeShare).iter().flat_map(|b| costs().map(move |c| c.seconds / 3600.0 / b)))
        }
        Feature::MemoryGib => {
            let gib = f64::from(1u32 << 30);
            cuts.extend(
                of_share(Feature::MemoryShare).iter().flat_map(|b| costs().map(move |c| c.memory as f64 / gib / b)),
            );
        }
        _ => {}
    }
    if let Some(column) = Feature::SITUATION.iter().position(|f| *f == feature) {
        let splits = case.scorer.into_iter().flat_map(|s| s.tree.nodes.iter().filter_map(|n| n.split.as_ref()));
        cuts.extend(splits.filter(|s| s.feature == column).map(|s| s.threshold));
    }
    cuts.retain(|c| c.is_finite());
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    cuts
}
