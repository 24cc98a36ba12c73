//! All inputs of some tables, cut into finitely many parts on which every table answers alike. Exact: the boundaries
//! in all cells that ask about a feature cut its values into points and open intervals on which every cell is
//! constant, so one value of each stands for all. What is wrong with the answers is not known here.

use super::feature::{Domain, Features};
use super::table::Table;
use super::value::Value;
use std::collections::HashSet;

/// One value for every part of a domain on which no test with these boundaries changes its answer. For numbers: each
/// boundary that is possible, and one value between each two neighbours.
pub fn representatives(domain: &Domain, null: bool, boundaries: impl Iterator<Item = f64>) -> Vec<Value> {
    let mut points = match domain {
        Domain::Names(names) => names.iter().map(Value::text).collect(),
        Domain::Number { range, integer } => {
            let mut cuts: Vec<f64> = boundaries.chain(range.boundaries()).filter(|b| b.is_finite()).collect();
            cuts.sort_by(f64::total_cmp);
            cuts.dedup();
            let between = |a: f64, b: f64| {
                if *integer {
                    Some(a.floor() + 1.0).filter(|x| *x < b)
                } else {
                    Some(a + (b - a) / 2.0).filter(|x| a < *x && *x < b)
                }
            };
            let mut numbers = Vec::new();
            numbers.extend(cuts.first().map(|first| first.ceil() - 1.0));
            for (i, cut) in cuts.iter().enumerate() {
                numbers.push(*cut);
                numbers.extend(cuts.get(i + 1).map_or(Some(cut.floor() + 1.0), |next| between(*cut, *next)));
            }
            if numbers.is_empty() {
                numbers.push(0.0);
            }
            numbers.into_iter().map(Value::Number).filter(|v| domain.contains(v)).collect::<Vec<_>>()
        }
    };
    if null {
        points.push(Value::Null);
    }
    points
}

/// A part of the space: an input in it, and the rows of each table that match all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// An input of the part, by feature index.
    pub facts: Vec<Value>,
    /// Matching rows, by table.
    pub rows: Vec<Vec<usize>>,
}

/// The product of the features that some tables read.
pub struct Space<'a> {
    tables: &'a [&'a Table],
    axes: Vec<Axis>,
    width: usize,
}

struct Axis {
    feature: usize,
    values: Vec<Value>,
    /// Columns, as (table, column), all of whose features are known once this axis is.
    completes: Vec<(usize, usize)>,
    /// Features before and with this axis that a later axis' column still reads.
    pending: Vec<usize>,
}

impl<'a> Space<'a> {
    /// Of the tables' common inputs.
    pub fn new(tables: &'a [&'a Table], features: &Features) -> Self {
        let columns = || {
            let of_table = |(t, table): (usize, &&'a Table)| (0..table.columns.len()).map(move |c| (t, c));
            tables.iter().enumerate().flat_map(of_table)
        };
        let reads = |(t, c): (usize, usize)| {
            tables.get(t).and_then(|table| table.columns.get(c)).map_or(&[][..], |column| column.reads.as_slice())
        };
        let mut order: Vec<usize> = Vec::new();
        for feature in columns().flat_map(reads) {
            if !order.contains(feature) {
                order.push(*feature);
            }
        }
        let last =
            |column: (usize, usize)| reads(column).iter().filter_map(|f| order.iter().position(|o| o == f)).max();
        let axis = |(place, feature): (usize, &usize)| {
            let asking = columns().filter(|column| reads(*column).contains(feature));
            let cells = asking.flat_map(|(t, c)| {
                tables.get(t).into_iter().flat_map(move |table| table.rows.iter().filter_map(move |r| r.cells.get(c)))
            });
            let boundaries = cells.flat_map(|cell| cell.boundaries());
            let values =
                features.get(*feature).map_or_else(Vec::new, |f| representatives(&f.domain, f.optional, boundaries));
            let completes = columns().filter(|column| last(*column) == Some(place)).collect();
            let known = |f: &usize| order.iter().position(|o| o == f).is_some_and(|p| p <= place);
            let open = columns().filter(|column| last(*column) > Some(place));
            let mut pending: Vec<usize> = open.flat_map(reads).copied().filter(|f| known(f)).collect();
            pending.sort_unstable();
            pending.dedup();
            Axis { feature: *feature, values, completes, pending }
        };
        let axes = order.iter().enumerate().map(axis).collect();
        Self { tables, axes, width: features.len() }
    }

    /// Parts that together are the whole space; the same rows may come again in another part.
    pub fn parts(&self) -> Vec<Part> {
        let rows = self.tables.iter().map(|t| (0..t.rows.len()).collect()).collect();
        let mut parts = Vec::new();
        self.descend(0, rows, &mut vec![Value::Null; self.width], &mut parts);
        parts
    }

    fn descend(&self, depth: usize, rows: Vec<Vec<usize>>, facts: &mut Vec<Value>, parts: &mut Vec<Part>) {
        let Some(axis) = self.axes.get(depth) else {
            parts.push(Part { facts: facts.clone(), rows });
            return;
        };
        let mut seen = HashSet::new();
        for value in &axis.values {
            if let Some(slot) = facts.get_mut(axis.feature) {
                *slot = value.clone();
            }
            let mut left = rows.clone();
            for (t, c) in &axis.completes {
                let Some((table, kept)) = self.tables.get(*t).zip(left.get_mut(*t)) else { continue };
                let Some(column) = table.columns.get(*c) else { continue };
                let value = column.sees(facts).0;
                kept.retain(|r| {
                    table.rows.get(*r).and_then(|row| row.cells.get(*c)).is_some_and(|cell| cell.matches(value))
                });
            }
            // Two values that leave the same rows, and that no later column asks about, stand for each other.
            let pending: Vec<String> =
                axis.pending.iter().filter_map(|f| facts.get(*f)).map(Value::to_string).collect();
            if seen.insert((left.clone(), pending)) {
                self.descend(depth + 1, left, facts, parts);
            }
        }
        if let Some(slot) = facts.get_mut(axis.feature) {
            *slot = Value::Null;
        }
    }
}

/// An input in words: `coverage_corpus = 0.8, similarity_band = "low"`; what is not known is left out.
pub fn words(features: &Features, facts: &[Value]) -> String {
    let known = features.iter().zip(facts).filter(|(_, v)| **v != Value::Null);
    let parts: Vec<String> = known.map(|(f, v)| format!("{} = {v}", f.name)).collect();
    if parts.is_empty() { "nothing known".to_string() } else { parts.join(", ") }
}
