//! A checked table and its evaluation: which rows answer an input. That every input is answered is shown by `lint`.

use super::cell::{Cell, CellError, Unary};
use super::diagnostic::{Code, Diagnostic, Source};
use super::feature::{Domain, Features};
use super::raw::{Hit, RawColumn, RawRow, RawTable, RawTest};
use super::value::Value;
use crate::domain::decision::Action;
use crate::domain::language::Wording;
use crate::domain::outcome::Level;
use crate::domain::strategy::Strategy;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// What the rows of a table say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// A strategy.
    Strategy,
    /// A strategy, or `decision` to leave it to the matrix.
    Preference,
    /// `veto`.
    Veto,
    /// An action.
    Action,
    /// A success level.
    Level,
    /// Expected savings by strategy.
    Savings,
}

/// What a row says.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// This strategy.
    Strategy(Strategy),
    /// The matrix decides.
    Defer,
    /// Not this one.
    Veto,
    /// Go about it like this.
    Action(Action),
    /// It is this good.
    Level(Level),
    /// Expect this, by strategy.
    Savings(BTreeMap<Strategy, Saving>),
}

/// What a strategy is expected to save against `keep`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saving {
    /// Bits per byte saved; positive is better.
    pub saved: f64,
    /// Standard deviation of what is saved, bits per byte.
    pub spread: f64,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Strategy(s) => write!(f, "{s}"),
            Output::Defer => write!(f, "decision"),
            Output::Veto => write!(f, "veto"),
            Output::Action(a) => write!(f, "{a}"),
            Output::Level(l) => write!(f, "{l}"),
            Output::Savings(map) => {
                let parts: Vec<String> = map.iter().map(|(s, e)| format!("{s} {:+} ± {}", e.saved, e.spread)).collect();
                write!(f, "{}", parts.join(", "))
            }
        }
    }
}

impl Output {
    fn read(says: Says, value: toml::Value) -> Result<Self, String> {
        let name =
            |value: &toml::Value| value.as_str().map(str::to_string).ok_or("a name is expected here".to_string());
        let unknown = |name: &str, what: &str| format!("\"{name}\" is not {what}");
        match says {
            Says::Strategy | Says::Preference => match name(&value)? {
                n if n == "decision" && says == Says::Preference => Ok(Output::Defer),
                n => n.parse().map(Output::Strategy).map_err(|_| unknown(&n, "a strategy")),
            },
            Says::Veto => match name(&value)? {
                n if n == "veto" => Ok(Output::Veto),
                n => Err(format!("a veto says \"veto\", not \"{n}\"")),
            },
            Says::Action => {
                name(&value).and_then(|n| n.parse().map(Output::Action).map_err(|_| unknown(&n, "an action")))
            }
            Says::Level => name(&value).and_then(|n| n.parse().map(Output::Level).map_err(|_| unknown(&n, "a level"))),
            Says::Savings => {
                let map: BTreeMap<Strategy, Saving> =
                    value.try_into().map_err(|e: toml::de::Error| e.message().to_string())?;
                for (strategy, s) in &map {
                    if !s.saved.is_finite() || !s.spread.is_finite() || s.spread < 0.0 {
                        return Err(format!("{strategy}: `saved` must be finite and `spread` finite and not below 0"));
                    }
                }
                let missing: Vec<String> = <Strategy as strum::IntoEnumIterator>::iter()
                    .filter(|s| !map.contains_key(s))
                    .map(|s| s.to_string())
                    .collect();
                if missing.is_empty() {
                    Ok(Output::Savings(map))
                } else {
                    Err(format!("nothing is said of {}", missing.join(", ")))
                }
            }
        }
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name in the rows.
    pub name: String,
    /// Indices of the features it reads; the first known one counts.
    pub reads: Vec<usize>,
    /// Why these.
    pub because: Option<String>,
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// A cell a column.
    pub cells: Vec<Cell>,
    /// What it says.
    pub output: Output,
    /// Why.
    pub because: Wording,
    /// Where its name stands in the file.
    pub span: Range<usize>,
}

/// A test of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// What it shows.
    pub name: String,
    /// Values by feature index.
    pub given: Vec<Value>,
    /// Names of the rows that must answer.
    pub rows: Vec<String>,
    /// Where its name stands in the file.
    pub span: Range<usize>,
}

/// A checked table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// What it answers.
    pub about: String,
    /// How matching rows become the answer.
    pub hit: Hit,
    /// For `priority`: outputs by their text, the most important first.
    pub order: Vec<String>,
    /// Why its numbers are provisional, while they are.
    pub provisional: Option<String>,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
    /// Its own tests.
    pub tests: Vec<Test>,
}

impl Column {
    /// What the column sees: the first known of its features, and which one that was.
    pub fn sees<'a>(&self, facts: &'a [Value]) -> (&'a Value, Option<usize>) {
        let known = self.reads.iter().find_map(|i| facts.get(*i).filter(|v| **v != Value::Null).map(|v| (v, Some(*i))));
        known.unwrap_or((&Value::Null, self.reads.first().copied()))
    }

    /// The values the column can see.
    pub fn domain<'a>(&self, features: &'a Features) -> Option<&'a Domain> {
        self.reads.first().and_then(|i| features.get(*i)).map(|f| &f.domain)
    }
}

impl Table {
    /// The rows that answer: by the hit policy, in the file's order; none where there is a gap.
    pub fn answer(&self, facts: &[Value]) -> Vec<&Row> {
        let seen: Vec<&Value> = self.columns.iter().map(|c| c.sees(facts).0).collect();
        let matching =
            self.rows.iter().filter(|row| row.cells.iter().zip(&seen).all(|(cell, value)| cell.matches(value)));
        match self.hit {
            Hit::Collect => matching.collect(),
            Hit::Unique | Hit::Any | Hit::First => matching.take(1).collect(),
            Hit::Priority => matching.min_by_key(|row| self.rank(row)).into_iter().collect(),
        }
    }

    /// The row that wins among matching ones; for all policies but `collect`.
    pub fn winner(&self, matching: &[usize]) -> Option<&Row> {
        let mut rows = matching.iter().filter_map(|r| self.rows.get(*r));
        if self.hit == Hit::Priority { rows.min_by_key(|row| self.rank(row)) } else { rows.next() }
    }

    /// The one row that answers; for tables that always have one.
    pub fn first(&self, facts: &[Value]) -> Option<&Row> {
        self.answer(facts).into_iter().next()
    }

    /// Rows that miss by exactly one cell, with that column.
    pub fn near(&self, facts: &[Value]) -> Vec<(&Row, usize)> {
        let seen: Vec<&Value> = self.columns.iter().map(|c| c.sees(facts).0).collect();
        self.rows
            .iter()
            .filter_map(|row| {
                let mut missed =
                    row.cells.iter().zip(&seen).enumerate().filter(|(_, (cell, value))| !cell.matches(value));
                match (missed.next(), missed.next()) {
                    (Some((column, _)), None) => Some((row, column)),
                    _ => None,
                }
            })
            .collect()
    }

    /// The place of a row's output in `order`.
    pub fn rank(&self, row: &Row) -> usize {
        let output = row.output.to_string();
        self.order.iter().position(|o| *o == output).unwrap_or(usize::MAX)
    }
}

impl RawTable {
    /// The table with everything resolved; findings go to `found`, and what they touch is left out.
    pub fn check(
        self,
        name: &str,
        says: Says,
        features: &Features,
        source: &Source,
        found: &mut Vec<Diagnostic>,
    ) -> Table {
        if self.table.get_ref() != name {
            let message = format!("the file is read as table \"{name}\" but calls itself \"{}\"", self.table.get_ref());
            found.push(source.at(self.table.span(), Code::Missing, message));
        }
        let columns = check_columns(self.column, features, source, found);
        let mut rows: Vec<Row> = Vec::new();
        for raw in self.row {
            if rows.iter().any(|r| r.name == *raw.name.get_ref()) {
                let message = format!("two rows are called \"{}\"", raw.name.get_ref());
                found.push(source.at(raw.name.span(), Code::DuplicateName, message));
            }
            rows.extend(check_row(raw, says, &columns, features, source, found));
        }
        let (hit, hit_span) = (*self.hit.get_ref(), self.hit.span());
        let order: Vec<String> = self.order.iter().map(|o| o.get_ref().clone()).collect();
        if hit == Hit::Priority {
            for row in &rows {
                let output = row.output.to_string();
                if !order.contains(&output) {
                    let message = format!("row \"{}\" says {output}, which has no place in `order`", row.name);
                    found.push(source.at(hit_span.clone(), Code::BadOutput, message).hint("add it to `order`"));
                }
            }
        }
        let tests = self.test.into_iter().filter_map(|t| check_test(t, features, source, found)).collect();
        let (about, provisional) = (self.about, self.provisional);
        Table { name: name.to_string(), about, hit, order, provisional, columns, rows, tests }
    }
}

fn check_columns(
    raw: Vec<RawColumn>,
    features: &Features,
    source: &Source,
    found: &mut Vec<Diagnostic>,
) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for column in raw {
        let (span, name) = (column.name.span(), column.name.get_ref().clone());
        if columns.iter().any(|c| c.name == name) {
            found.push(source.at(span, Code::DuplicateName, format!("two columns are called \"{name}\"")));
            continue;
        }
        let mut reads = Vec::new();
        for read in column.reads.unwrap_or_else(|| vec![column.name]) {
            match features.index(read.get_ref()) {
                Some(index) => reads.push(index),
                None => {
                    let message =
                        format!("column \"{name}\" reads \"{}\", which features.toml does not declare", read.get_ref());
                    found.push(source.at(read.span(), Code::UnknownFeature, message));
                }
            }
        }
        let domains: Vec<&Domain> = reads.iter().filter_map(|i| features.get(*i)).map(|f| &f.domain).collect();
        if domains.windows(2).any(|pair| pair.first() != pair.last()) {
            let message = format!("column \"{name}\" reads features with different ranges");
            found.push(
                source.at(span.clone(), Code::TypeMismatch, message).hint("a column's features must have one range"),
            );
        }
        if reads.is_empty() {
            found.push(source.at(span, Code::Missing, format!("column \"{name}\" reads no feature")));
            continue;
        }
        columns.push(Column { name, reads, because: column.because });
    }
    columns
}

fn check_row(
    raw: RawRow,
    says: Says,
    columns: &[Column],
    features: &Features,
    source: &Source,
    found: &mut Vec<Diagnostic>,
) -> Option<Row> {
    let (span, name) = (raw.name.span(), raw.name.into_inner());
    let before = found.len();
    for (column, cell) in &raw.when {
        if !columns.iter().any(|c| c.name == *column) {
            let known: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
            let message = format!("row \"{name}\" asks about \"{column}\", which is not a column");
            found.push(
                source
                    .at(cell.span(), Code::UnknownColumn, message)
                    .hint(format!("the columns are {}", known.join(", "))),
            );
        }
    }
    let mut cells = Vec::new();
    for column in columns {
        let Some(raw_cell) = raw.when.get(&column.name) else {
            cells.push(Cell::any());
            continue;
        };
        match Cell::parse(raw_cell.get_ref()) {
            Ok(cell) => {
                if let Some(domain) = column.domain(features) {
                    check_cell(&cell, domain, column, &name, source, raw_cell.span(), found);
                }
                cells.push(cell);
            }
            Err(e) => {
                let code = if matches!(e, CellError::Empty { .. }) { Code::EmptyInterval } else { Code::BadCell };
                found.push(source.at(
                    raw_cell.span(),
                    code,
                    format!("row \"{name}\", column \"{}\": {e}", column.name),
                ));
            }
        }
    }
    if raw.because.get_ref().trim().is_empty() {
        found.push(source.at(raw.because.span(), Code::NoReason, format!("row \"{name}\" does not say why")));
    }
    let output_span = raw.then.span();
    match Output::read(says, raw.then.into_inner()) {
        Ok(output) if found.len() == before => {
            let because = Wording { text: raw.because.into_inner(), translated: raw.translated };
            Some(Row { name, cells, output, because, span })
        }
        Ok(_) => None,
        Err(problem) => {
            found.push(source.at(output_span, Code::BadOutput, format!("row \"{name}\": {problem}")));
            None
        }
    }
}

/// Whether a cell asks what its column can answer.
fn check_cell(
    cell: &Cell,
    domain: &Domain,
    column: &Column,
    row: &str,
    source: &Source,
    span: Range<usize>,
    found: &mut Vec<Diagnostic>,
) {
    for test in cell.tests() {
        let (code, problem) = match (test, domain) {
            (Unary::Null, _) => continue,
            (Unary::Name(n), Domain::Names(names)) if names.contains(n) => continue,
            (Unary::Name(n), Domain::Names(_)) => {
                (Code::OutsideDomain, format!("\"{n}\" is not {}", domain.describe()))
            }
            (Unary::Name(n), Domain::Number { .. }) => {
                (Code::TypeMismatch, format!("asks for the name \"{n}\" where numbers are"))
            }
            (Unary::Within(_), Domain::Names(_)) => {
                (Code::TypeMismatch, "asks for a number where names are".to_string())
            }
            (Unary::Within(interval), Domain::Number { range, .. }) => {
                match interval.boundaries().find(|b| *b < range.low.at || *b > range.high.at) {
                    None => continue,
                    Some(outside) => (Code::OutsideDomain, format!("{outside} is not {}", domain.describe())),
                }
            }
        };
        found.push(source.at(span.clone(), code, format!("row \"{row}\", column \"{}\": {problem}", column.name)));
    }
}

fn check_test(raw: RawTest, features: &Features, source: &Source, found: &mut Vec<Diagnostic>) -> Option<Test> {
    let mut given = vec![Value::Null; features.len()];
    let before = found.len();
    for (name, value) in raw.given {
        let span = value.span();
        let value = match value.into_inner() {
            toml::Value::Integer(i) => Value::number(Some(i as f64)),
            toml::Value::Float(x) => Value::number(Some(x)),
            toml::Value::String(s) => Value::text(s),
            _ => Value::Null,
        };
        let Some(index) = features.index(&name) else {
            let message = format!("test \"{}\" gives \"{name}\", which is not a feature", raw.name.get_ref());
            found.push(source.at(span, Code::UnknownFeature, message));
            continue;
        };
        if let Some(feature) = features.get(index)
            && !feature.domain.contains(&value)
        {
            let message =
                format!("test \"{}\": {name} must be {}, not {value}", raw.name.get_ref(), feature.domain.describe());
            found.push(source.at(span, Code::OutsideDomain, message));
        }
        if let Some(slot) = given.get_mut(index) {
            *slot = value;
        }
    }
    let span = raw.name.span();
    (found.len() == before).then(|| Test { name: raw.name.into_inner(), given, rows: raw.rows, span })
}
