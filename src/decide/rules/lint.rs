//! Whether a table answers every input exactly as its hit policy promises: gaps, overlaps, unreachable and duplicate
//! rows, failing tests, idle columns; and whether tables contradict each other. Exact, over the parts of `space`.

use super::diagnostic::{Code, Diagnostic, Source};
use super::feature::Features;
use super::raw::Hit;
use super::space::{Space, words};
use super::table::{Output, Row, Table};
use crate::domain::language::{Lang, Translations};
use crate::domain::strategy::Strategy;
use std::collections::BTreeSet;
use std::ops::Range;
use strum::IntoEnumIterator;

/// Findings of one kind that are listed before the rest is only counted.
const LISTED: usize = 8;

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
    for part in Space::new(&[table], features).parts() {
        let rows = part.rows.first().map_or(&[][..], Vec::as_slice);
        let Some(first) = rows.first().copied() else {
            if table.hit != Hit::Collect {
                gaps.push(words(features, &part.facts));
            }
            continue;
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
                    overlaps.push((*a, *b, words(features, &part.facts)));
                }
            }
        }
    }
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

/// What is not said in every language of the reports: (where, its name, its translations); a warning a language.
pub fn untranslated<'a>(
    texts: impl Iterator<Item = (Range<usize>, &'a str, &'a Translations)> + Clone,
    source: &Source,
) -> Vec<Diagnostic> {
    let missing = |lang: Lang| {
        let mut lacking = texts.clone().filter(|(_, _, translated)| !translated.contains_key(&lang)).peekable();
        let first = lacking.peek().map(|(span, ..)| span.clone())?;
        let names: Vec<String> = lacking.map(|(_, name, _)| format!("\"{name}\"")).collect();
        let message = format!("without `translated.{lang}`: {}", names.join(", "));
        let hint = "reports in that language show the English text";
        Some(source.at(first, Code::Untranslated, message).hint(hint).warning())
    };
    Lang::iter().filter(|lang| *lang != Lang::En).filter_map(missing).collect()
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

impl Row {
    /// Whether both rows ask the same.
    fn cells_equal(&self, other: &Self) -> bool {
        self.cells.len() == other.cells.len() && self.cells.iter().zip(&other.cells).all(|(a, b)| a.same(b))
    }
}

/// Where tables contradict each other: a row that recommends what a veto forbids on the very same inputs, or a row of
/// the matrix against expectations that rank another strategy higher. Warnings: a person may mean it.
pub fn contradictions(tables: &[Table], features: &Features, sources: &[Source]) -> Vec<Diagnostic> {
    let table = |name: &str| tables.iter().find(|t| t.name == name);
    let source = |table: &Table| sources.iter().find(|s| s.name == format!("{}.toml", table.name));
    let mut found = Vec::new();
    for (asking, vetoes) in
        ["decision", "situations"].into_iter().filter_map(table).zip(std::iter::repeat(table("vetoes")))
    {
        if let (Some(vetoes), Some(source)) = (vetoes, source(asking)) {
            found.extend(forbidden(asking, vetoes, features, source));
        }
    }
    if let (Some(matrix), Some(expectations)) = (table("decision"), table("expectations"))
        && let Some(source) = source(matrix)
    {
        found.extend(outranked(matrix, expectations, features, source));
    }
    found
}

/// Rows whose strategy is vetoed on inputs that they themselves ask about.
fn forbidden(asking: &Table, vetoes: &Table, features: &Features, source: &Source) -> Vec<Diagnostic> {
    let asked: BTreeSet<usize> = asking.columns.iter().flat_map(|c| c.reads.iter().copied()).collect();
    let of_strategy = features.index("strategy");
    // Only vetoes that follow from the strategy and from what the asking table knows contradict it.
    let mut known = vetoes.clone();
    known.rows.retain(|row| {
        row.cells.iter().zip(&known.columns).all(|(cell, column)| {
            cell.is_any() || column.reads.iter().all(|f| asked.contains(f) || Some(*f) == of_strategy)
        })
    });
    let mut found: Vec<(String, String, Diagnostic)> = Vec::new();
    for part in Space::new(&[asking, &known], features).parts() {
        let [rows, vetoing] = part.rows.as_slice() else { continue };
        let Some(row) = asking.winner(rows) else { continue };
        let strategy = of_strategy.and_then(|f| part.facts.get(f)).map(|v| v.to_string().trim_matches('"').to_string());
        if strategy.as_deref() != Some(row.output.to_string().as_str()) {
            continue;
        }
        for veto in vetoing.iter().filter_map(|r| known.rows.get(*r)) {
            if found.iter().any(|(a, b, _)| (a, b) == (&row.name, &veto.name)) {
                continue;
            }
            let message = format!(
                "row \"{}\" asks for {} where row \"{}\" of vetoes forbids it",
                row.name, row.output, veto.name
            );
            let finding = source.at(row.span.clone(), Code::Contradiction, message).warning();
            let finding =
                finding.witness(words(features, &part.facts)).hint("narrow one of them, or ask for something else");
            found.push((row.name.clone(), veto.name.clone(), finding));
        }
    }
    found.into_iter().map(|(_, _, finding)| finding).collect()
}

/// Rows of the matrix whose strategy the expectations rank below another. `adaptive` and `emergency` do not compete.
fn outranked(matrix: &Table, expectations: &Table, features: &Features, source: &Source) -> Vec<Diagnostic> {
    let mut found: Vec<(String, Diagnostic)> = Vec::new();
    for part in Space::new(&[matrix, expectations], features).parts() {
        let [rows, expected] = part.rows.as_slice() else { continue };
        let (Some(row), Some(expected)) = (matrix.winner(rows), expectations.winner(expected)) else { continue };
        let (Output::Strategy(strategy), Output::Savings(savings)) = (&row.output, &expected.output) else { continue };
        let rivals = savings.iter().filter(|(s, _)| !matches!(s, Strategy::Adaptive | Strategy::Emergency));
        let best = rivals.max_by(|a, b| a.1.saved.total_cmp(&b.1.saved));
        let (Some((better, most)), Some(own)) = (best, savings.get(strategy)) else { continue };
        if most.saved > own.saved && !found.iter().any(|(name, _)| *name == row.name) {
            let message = format!(
                "row \"{}\" says {strategy} ({:+}), but row \"{}\" of expectations expects more of {better} ({:+})",
                row.name, own.saved, expected.name, most.saved
            );
            let finding = source.at(row.span.clone(), Code::Contradiction, message).warning();
            found.push((row.name.clone(), finding.witness(words(features, &part.facts))));
        }
    }
    found.into_iter().map(|(_, finding)| finding).collect()
}
