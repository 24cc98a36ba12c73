//! Whether a table answers every input exactly as its hit policy promises: gaps, overlaps, unreachable and duplicate
//! rows, failing tests, idle columns. Exact: the boundaries in a column's cells cut its values into points and open
//! intervals on which every cell is constant, so one value of each stands for all.

use super::cell::Unary;
use super::diagnostic::{Code, Diagnostic, Source};
use super::feature::{Domain, Features};
use super::raw::Hit;
use super::table::{Column, Table};
use super::value::Value;
use std::collections::BTreeSet;

/// Findings of one kind that are listed before the rest is only counted.
const LISTED: usize = 8;

/// One value for every part of a column's domain on which no given test changes its answer. For numbers: each
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

/// The product of a table's columns, by representatives, with what each row answers to each of them.
struct Space {
    /// Representatives, by column.
    axes: Vec<Vec<Value>>,
    /// `passes[row][column][representative]`.
    passes: Vec<Vec<Vec<bool>>>,
}

impl Space {
    fn new(table: &Table, features: &Features) -> Self {
        let axes: Vec<Vec<Value>> =
            table.columns.iter().enumerate().map(|(i, column)| axis(table, i, column, features)).collect();
        let passes = table
            .rows
            .iter()
            .map(|row| {
                let cells = row.cells.iter().zip(&axes);
                cells.map(|(cell, axis)| axis.iter().map(|v| cell.matches(v)).collect()).collect()
            })
            .collect();
        Self { axes, passes }
    }

    /// Visits every part of the space on which the set of matching rows is one and the same: a witness and the rows.
    /// Neighbouring parts may come apart, but every point of the space lies in some visited part.
    fn visit(&self, visitor: &mut dyn FnMut(&[Value], &[usize])) {
        let all: Vec<usize> = (0..self.passes.len()).collect();
        self.descend(0, &all, &mut Vec::new(), visitor);
    }

    fn descend(
        &self,
        column: usize,
        rows: &[usize],
        witness: &mut Vec<Value>,
        visitor: &mut dyn FnMut(&[Value], &[usize]),
    ) {
        let Some(axis) = self.axes.get(column) else {
            visitor(witness, rows);
            return;
        };
        let mut seen: BTreeSet<Vec<usize>> = BTreeSet::new();
        for (point, value) in axis.iter().enumerate() {
            let passes = |row: &usize| {
                self.passes.get(*row).and_then(|r| r.get(column)).and_then(|c| c.get(point)).copied().unwrap_or(false)
            };
            let left: Vec<usize> = rows.iter().copied().filter(passes).collect();
            if seen.insert(left.clone()) {
                witness.push(value.clone());
                self.descend(column + 1, &left, witness, visitor);
                witness.pop();
            }
        }
    }
}

fn axis(table: &Table, index: usize, column: &Column, features: &Features) -> Vec<Value> {
    let boundaries = table.rows.iter().filter_map(|r| r.cells.get(index)).flat_map(|c| c.boundaries());
    let null = column.optional(features);
    column.domain(features).map_or_else(Vec::new, |domain| representatives(domain, null, boundaries))
}

/// A witness in words: `coverage = 0.8, similarity = "low"`.
fn words(table: &Table, witness: &[Value]) -> String {
    let parts: Vec<String> = table.columns.iter().zip(witness).map(|(c, v)| format!("{} = {v}", c.name)).collect();
    parts.join(", ")
}

/// An input of a table, as facts by feature index, from a witness by column.
pub fn facts_of(table: &Table, features: &Features, witness: &[Value]) -> Vec<Value> {
    let mut facts = vec![Value::Null; features.len()];
    for (column, value) in table.columns.iter().zip(witness) {
        if let Some(slot) = column.reads.first().and_then(|i| facts.get_mut(*i)) {
            *slot = value.clone();
        }
    }
    facts
}

/// A witness for each set of rows that can match together, over the whole space; the union of the parts is the space.
pub fn parts(table: &Table, features: &Features) -> Vec<(Vec<Value>, Vec<usize>)> {
    let mut parts = Vec::new();
    Space::new(table, features).visit(&mut |witness, rows| parts.push((witness.to_vec(), rows.to_vec())));
    parts
}

/// All findings about a table.
pub fn lint(table: &Table, features: &Features, source: &Source) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let name = |row: usize| table.rows.get(row).map_or("?", |r| r.name.as_str());
    let span = |row: usize| table.rows.get(row).map_or(0..0, |r| r.span.clone());
    let mut gaps: Vec<String> = Vec::new();
    let mut overlaps: Vec<(usize, usize, String)> = Vec::new();
    let mut answers: BTreeSet<usize> = BTreeSet::new();
    // For a row that never answers: a row that answered where it matched.
    let mut shadow: Vec<Option<usize>> = vec![None; table.rows.len()];
    Space::new(table, features).visit(&mut |witness, rows| {
        let Some(first) = rows.first().copied() else {
            if table.hit != Hit::Collect {
                gaps.push(words(table, witness));
            }
            return;
        };
        let winner = match table.hit {
            Hit::Collect | Hit::Any | Hit::Unique => None,
            Hit::First => Some(first),
            Hit::Priority => {
                rows.iter().copied().min_by_key(|r| table.rows.get(*r).map_or(usize::MAX, |row| table.rank(row)))
            }
        };
        match winner {
            Some(w) => {
                answers.insert(w);
                rows.iter().filter(|r| **r != w).for_each(|r| {
                    if let Some(s) = shadow.get_mut(*r) {
                        s.get_or_insert(w);
                    }
                });
            }
            None => answers.extend(rows),
        }
        for (i, a) in rows.iter().enumerate() {
            for b in rows.iter().skip(i + 1) {
                let same = table.rows.get(*a).map(|r| &r.output) == table.rows.get(*b).map(|r| &r.output);
                let clash = match table.hit {
                    Hit::Unique => true,
                    Hit::Any => !same,
                    Hit::First | Hit::Priority | Hit::Collect => false,
                };
                if clash && !overlaps.iter().any(|(x, y, _)| (x, y) == (a, b)) {
                    overlaps.push((*a, *b, words(table, witness)));
                }
            }
        }
    });
    let more = |n: usize| if n > LISTED { format!(" (and {} more such gaps)", n - LISTED) } else { String::new() };
    for (i, gap) in gaps.iter().take(LISTED).enumerate() {
        let note = if i + 1 == LISTED { more(gaps.len()) } else { String::new() };
        let message = format!("table \"{}\" has no row for some input{note}", table.name);
        found.push(source.at(0..0, Code::Gap, message).witness(gap).hint("add a row, or widen one"));
    }
    for (a, b, witness) in &overlaps {
        let message = format!("rows \"{}\" and \"{}\" both answer under `{}`", name(*a), name(*b), table.hit);
        found.push(source.at(span(*b), Code::Overlap, message).witness(witness).hint("narrow one of them"));
    }
    for (i, row) in table.rows.iter().enumerate() {
        let duplicate = table.rows.iter().take(i).find(|r| r.cells_equal(row) && r.output == row.output);
        if let Some(other) = duplicate {
            let message = format!("row \"{}\" repeats row \"{}\"", row.name, other.name);
            found.push(source.at(row.span.clone(), Code::DuplicateRow, message).hint("remove one of them"));
        } else if !answers.contains(&i) {
            let (why, hint) = match shadow.get(i).copied().flatten() {
                Some(w) => {
                    (format!(": row \"{}\" answers wherever it matches", name(w)), "move it above, or narrow the other")
                }
                None => (": no possible input passes its cells".to_string(), "widen its cells"),
            };
            let message = format!("row \"{}\" is unreachable{why}", row.name);
            found.push(source.at(row.span.clone(), Code::Unreachable, message).hint(hint));
        }
    }
    for (i, column) in table.columns.iter().enumerate() {
        if table.rows.iter().all(|r| r.cells.get(i).is_none_or(|c| c.is_any())) {
            let message = format!("column \"{}\" never matters: every row answers `-` there", column.name);
            found.push(source.at(0..0, Code::IdleColumn, message).hint("remove it, or use it in a row").warning());
        }
    }
    found.extend(run_tests(table).into_iter().filter_map(|t| {
        let got = if t.got.is_empty() { "no row".to_string() } else { t.got.join(", ") };
        let wanted = if t.wanted.is_empty() { "no row".to_string() } else { t.wanted.join(", ") };
        let test = table.tests.iter().find(|x| x.name == t.name)?;
        (t.got != t.wanted).then(|| {
            source.at(test.span.clone(), Code::TestFailed, format!("test \"{}\" wants {wanted} and got {got}", t.name))
        })
    }));
    found
}

/// How one of a table's own tests went.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TestResult {
    /// The table.
    pub table: String,
    /// What the test shows.
    pub name: String,
    /// The rows that should answer.
    pub wanted: Vec<String>,
    /// The rows that do.
    pub got: Vec<String>,
}

/// Runs a table's own tests.
pub fn run_tests(table: &Table) -> Vec<TestResult> {
    let result = |test: &super::table::Test| TestResult {
        table: table.name.clone(),
        name: test.name.clone(),
        wanted: test.rows.clone(),
        got: table.answer(&test.given).into_iter().map(|r| r.name.clone()).collect(),
    };
    table.tests.iter().map(result).collect()
}

impl super::table::Row {
    /// Whether both rows ask the same.
    fn cells_equal(&self, other: &Self) -> bool {
        let tests = |row: &Self| {
            row.cells.iter().map(|c| (c.is_any(), c.tests().to_vec())).collect::<Vec<(bool, Vec<Unary>)>>()
        };
        tests(self) == tests(other)
            && self
                .cells
                .iter()
                .zip(&other.cells)
                .all(|(a, b)| a.source.starts_with("not(") == b.source.starts_with("not("))
    }
}
