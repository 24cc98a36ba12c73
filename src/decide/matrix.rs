//! Where a case stands in the table that decides: what that table says for other values of its number and its name,
//! everything else being as it is. How it is drawn is not known here.

use super::case::{Inputs, plain};
use super::rules::{DeclaredFeature, Domain, Output, RuleBook, Value};
use crate::domain::decision::{DecisionMatrix, MatrixCell};

/// The table `decision` around a case; `None` where it reads no number of a finite range, or no name, that is known.
pub(super) fn matrix(rules: &RuleBook, inputs: &Inputs) -> Option<DecisionMatrix> {
    let table = rules.table("decision")?;
    // The first column of the kind, with the feature that it sees: (column, feature's index, its declaration).
    let first = |of_kind: fn(&Domain) -> bool| {
        table.columns.iter().enumerate().find_map(|(i, column)| {
            let (value, index) = column.sees(&inputs.facts);
            let declared = rules.features().get(index?)?;
            (of_kind(&declared.domain) && *value != Value::Null).then_some((i, index?, declared))
        })
    };
    let (column, across, number) = first(|domain| matches!(domain, Domain::Number { .. }))?;
    let (_, up, name) = first(|domain| matches!(domain, Domain::Names(_)))?;
    let (Domain::Number { range, .. }, Domain::Names(bands)) = (&number.domain, &name.domain) else { return None };
    let cells = table.rows.iter().filter_map(|row| row.cells.get(column));
    let mut edges: Vec<f64> = cells.flat_map(|cell| cell.boundaries()).chain(range.boundaries()).collect();
    edges.retain(|edge| edge.is_finite() && (range.low.at..=range.high.at).contains(edge));
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let says = |at: f64, band: &str| {
        let mut facts = inputs.facts.clone();
        *facts.get_mut(across)? = Value::Number(at);
        *facts.get_mut(up)? = Value::text(band);
        match table.first(&facts)?.output {
            Output::Strategy(strategy) => Some(strategy),
            _ => None,
        }
    };
    let mut cells = Vec::new();
    for (from, to) in edges.iter().copied().zip(edges.iter().copied().skip(1)) {
        for band in bands {
            let strategy = says(from + (to - from) / 2.0, band);
            cells.extend(strategy.map(|strategy| MatrixCell { from, to, band: band.clone(), strategy }));
        }
    }
    let seen =
        |index: usize, declared: &DeclaredFeature| Some((declared.name.clone(), inputs.facts.get(index)?.clone()));
    let ((input, value), (band_input, band)) = (seen(across, number)?, seen(up, name)?);
    let (value, band) = (value.as_number()?, plain(&band));
    (!cells.is_empty()).then(|| DecisionMatrix { input, value, band_input, band, bands: bands.clone(), cells })
}
