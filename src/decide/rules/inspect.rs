//! Rules made visible to a person: all findings with their source, the tables' own tests, a table as a grid, and what
//! two rule books answer differently. Data first; the text is made from it.

use super::diagnostic::{Diagnostics, Severity, Source};
use super::lint::{TestResult, run_tests};
use super::space::{Space, words};
use super::table::Table;
use super::{RuleBook, read};
use crate::decide::error::DecideError;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What `rules check` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// Files that were read.
    pub files: usize,
    /// Tables among them, and their rows.
    pub tables: usize,
    /// Rows in all tables.
    pub rows: usize,
    /// Tests in all tables.
    pub tests: usize,
    /// Whether the rules can be used.
    pub usable: bool,
    /// Everything found.
    pub findings: Diagnostics,
    #[serde(skip)]
    sources: Vec<Source>,
}

/// Checks the embedded rules, with a folder's in their place where it has them.
///
/// # Errors
/// [`DecideError::Read`] when the folder or a file cannot be read; what is wrong with the rules is in the report.
pub fn check(folder: Option<&Path>) -> Result<CheckReport, DecideError> {
    let sources = read(folder)?;
    let (book, findings) = RuleBook::check(sources.clone());
    let count = |of: fn(&Table) -> usize| book.tables().iter().map(of).sum();
    Ok(CheckReport {
        files: sources.len(),
        tables: book.tables().len(),
        rows: count(|t| t.rows.len()),
        tests: count(|t| t.tests.len()),
        usable: !findings.has_errors(),
        findings,
        sources,
    })
}

impl CheckReport {
    /// Every finding with its place in the source, and a line that sums up.
    pub fn text(&self, colour: bool) -> String {
        let mut text = render(&self.findings, &self.sources, colour);
        let errors = self.findings.0.iter().filter(|d| d.severity == Severity::Error).count();
        let warnings = self.findings.0.len() - errors;
        let Self { files, tables, rows, tests, .. } = self;
        text += &format!(
            "{files} files, {tables} tables, {rows} rows, {tests} tests: {errors} errors, {warnings} warnings\n"
        );
        text
    }
}

/// Findings with the lines they are about.
pub fn render(findings: &Diagnostics, sources: &[Source], colour: bool) -> String {
    use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100);
    let mut text = String::new();
    for finding in &findings.0 {
        let mut shown = MietteDiagnostic::new(finding.message.clone()).with_code(finding.code.number());
        shown = shown.with_severity(match finding.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        });
        let help = [finding.witness.as_ref().map(|w| format!("witness: {w}")), finding.hint.clone()];
        let help: Vec<String> = help.into_iter().flatten().collect();
        if !help.is_empty() {
            shown = shown.with_help(help.join("\n"));
        }
        let source = sources.iter().find(|s| s.name == finding.file);
        let report = match source.filter(|s| finding.span.0 + finding.span.1 <= s.text.len() && finding.span.1 > 0) {
            Some(source) => {
                let label = LabeledSpan::new_primary_with_span(None, finding.span);
                Report::new(shown.with_label(label))
                    .with_source_code(NamedSource::new(&source.name, source.text.clone()))
            }
            None => Report::new(shown),
        };
        if handler.render_report(&mut text, report.as_ref()).is_err() {
            text += &finding.to_string();
        }
        text.push('\n');
    }
    text
}

/// Runs the tests of all tables.
pub fn test(book: &RuleBook) -> Vec<TestResult> {
    book.tables().iter().flat_map(run_tests).collect()
}

/// A table as a grid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grid {
    /// The table's name.
    pub table: String,
    /// What it answers, and how.
    pub about: String,
    /// Headings: the row's name, the columns with what they read, the answer, why.
    pub headings: Vec<String>,
    /// Rows of cells.
    pub rows: Vec<Vec<String>>,
}

/// A table as a grid.
pub fn show(book: &RuleBook, table: &Table) -> Grid {
    let reads = |column: &super::Column| {
        let names: Vec<&str> =
            column.reads.iter().filter_map(|i| book.features().get(*i)).map(|f| f.name.as_str()).collect();
        let names = names.join(", else ");
        if names == column.name { names } else { format!("{} ({names})", column.name) }
    };
    let mut headings = vec!["row".to_string()];
    headings.extend(table.columns.iter().map(reads));
    headings.extend(["says".to_string(), "because".to_string()]);
    let row = |row: &super::Row| {
        let mut cells = vec![row.name.clone()];
        cells.extend(row.cells.iter().map(|c| c.source.clone()));
        cells.extend([row.output.to_string(), row.because.text.clone()]);
        cells
    };
    let provisional = table.provisional.as_ref().map_or_else(String::new, |p| format!("; provisional: {p}"));
    let about = format!("{} (hit policy: {}{provisional})", table.about, table.hit);
    Grid { table: table.name.clone(), about, headings, rows: table.rows.iter().map(row).collect() }
}

impl Grid {
    /// The grid in characters, at most `width` wide, with the reasons below it.
    pub fn text(&self, width: u16) -> String {
        let but_last =
            |cells: &Vec<String>| cells.iter().take(cells.len().saturating_sub(1)).cloned().collect::<Vec<_>>();
        let mut grid = comfy_table::Table::new();
        grid.load_style(comfy_table::presets::UTF8_BORDERS_ONLY)
            .set_content_arrangement(comfy_table::ContentArrangement::Dynamic)
            .set_width(width)
            .set_header(but_last(&self.headings))
            .add_rows(self.rows.iter().map(but_last));
        let mut text = format!("{}: {}\n{grid}\n", self.table, self.about);
        for row in &self.rows {
            if let (Some(name), Some(because)) = (row.first(), row.last()) {
                text += &format!("  {name}: {because}\n");
            }
        }
        text
    }
}

/// What two rule books answer or set differently.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiffReport {
    /// Inputs that are answered differently, one for each pair of rows.
    pub answers: Vec<Difference>,
    /// Numbers that differ in the files that are no tables.
    pub settings: Vec<SettingDifference>,
}

/// An input that is answered differently.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// An input.
    pub witness: String,
    /// Rows and what they say, in the one book.
    pub a: Vec<String>,
    /// And in the other.
    pub b: Vec<String>,
}

/// A number that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingDifference {
    /// The file.
    pub file: String,
    /// The key, with dots.
    pub key: String,
    /// In the one book; `None` where it is not there.
    pub a: Option<String>,
    /// In the other.
    pub b: Option<String>,
}

/// Compares two rule books by what they answer, not by how they are written.
pub fn diff(a: &RuleBook, b: &RuleBook) -> DiffReport {
    let mut answers: Vec<Difference> = Vec::new();
    for (ours, theirs) in a.tables().iter().filter_map(|t| Some((t, b.table(&t.name)?))) {
        for features in [a.features(), b.features()] {
            for part in Space::new(&[ours, theirs], features).parts() {
                let told = |table: &Table| {
                    let rows = table.answer(&part.facts);
                    let mut outputs: Vec<String> = rows.iter().map(|r| r.output.to_string()).collect();
                    outputs.sort();
                    outputs.dedup();
                    (outputs, rows.iter().map(|r| format!("{}: {}", r.name, r.output)).collect::<Vec<_>>())
                };
                let ((said, rows), (says, others)) = (told(ours), told(theirs));
                if said != says && !answers.iter().any(|d| (&d.table, &d.a, &d.b) == (&ours.name, &rows, &others)) {
                    let witness = words(features, &part.facts);
                    answers.push(Difference { table: ours.name.clone(), witness, a: rows, b: others });
                }
            }
        }
    }
    let mut settings = Vec::new();
    for source in a.sources() {
        let Some(other) = b.sources().iter().find(|s| s.name == source.name) else { continue };
        if a.tables().iter().any(|t| format!("{}.toml", t.name) == source.name) || source.text == other.text {
            continue;
        }
        let (ours, theirs) = (leaves(source), leaves(other));
        let mut keys: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let (a, b) = (ours.get(key).cloned(), theirs.get(key).cloned());
            if a != b {
                settings.push(SettingDifference { file: source.name.clone(), key: key.clone(), a, b });
            }
        }
    }
    DiffReport { answers, settings }
}

impl DiffReport {
    /// Whether both books always answer alike and set the same numbers.
    pub fn equivalent(&self) -> bool {
        self.answers.is_empty() && self.settings.is_empty()
    }

    /// One line a difference, or `equivalent`.
    pub fn text(&self) -> String {
        if self.equivalent() {
            return "equivalent\n".to_string();
        }
        let rows = |rows: &[String]| if rows.is_empty() { "no row".to_string() } else { rows.join(" and ") };
        let mut text = String::new();
        for d in &self.answers {
            text += &format!("{}: {} -> {}; for example {}\n", d.table, rows(&d.a), rows(&d.b), d.witness);
        }
        for s in &self.settings {
            let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "nothing".into());
            text += &format!("{}: {} {} -> {}\n", s.file, s.key, value(&s.a), value(&s.b));
        }
        text
    }
}

/// All values of a file by dotted key; entries of lists by their name where they have one, else by place.
fn leaves(source: &Source) -> BTreeMap<String, String> {
    fn walk(key: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
        let under = |part: &str| if key.is_empty() { part.to_string() } else { format!("{key}.{part}") };
        match value {
            toml::Value::Table(table) => table.iter().for_each(|(k, v)| walk(&under(k), v, into)),
            toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
                for (place, item) in items.iter().enumerate() {
                    let name = ["name", "basis"].iter().find_map(|k| item.get(k).and_then(toml::Value::as_str));
                    walk(&under(&name.map_or_else(|| place.to_string(), str::to_string)), item, into);
                }
            }
            leaf => {
                into.insert(key.to_string(), leaf.to_string());
            }
        }
    }
    let mut into = BTreeMap::new();
    if let Ok(value) = toml::from_str::<toml::Value>(&source.text) {
        walk("", &value, &mut into);
    }
    into
}

/// JSON Schemas of the files, by file name; tables share one.
pub fn schemas() -> BTreeMap<&'static str, serde_json::Value> {
    use super::{feature, plain, raw};
    let mut schemas = BTreeMap::from([
        ("features.toml", schemars::schema_for!(feature::RawFeatures).to_value()),
        ("weighing.toml", schemars::schema_for!(plain::Weighing).to_value()),
        ("review.toml", schemars::schema_for!(plain::Review).to_value()),
        ("strategies.toml", schemars::schema_for!(plain::Strategies).to_value()),
    ]);
    let table = schemars::schema_for!(raw::RawTable).to_value();
    for (name, _) in super::EMBEDDED {
        schemas.entry(name).or_insert_with(|| table.clone());
    }
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(edits: &[(&str, &str, &str)]) -> RuleBook {
        let mut sources = read(None).unwrap();
        for (file, from, to) in edits {
            let source = sources.iter_mut().find(|s| s.name == *file).unwrap();
            assert!(source.text.contains(from), "{file} has no {from}");
            source.text = source.text.replacen(from, to, 1);
        }
        RuleBook::check(sources).0
    }

    #[test]
    fn the_embedded_rules_check_clean_and_say_how_much_they_are() {
        let report = check(None).unwrap();
        assert!(report.usable);
        let text = report.text(false);
        assert!(text.starts_with("10 files, 6 tables, ") && text.ends_with(" 0 errors, 0 warnings\n"), "{text}");
        assert!(test(&book(&[])).iter().all(|t| t.got == t.wanted));
        assert_eq!(test(&book(&[])).len(), report.tests);
    }

    #[test]
    fn a_finding_is_shown_with_its_line_its_code_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let levels = include_str!("../../../rules/levels.toml").replace("< 2.0", "< 1.0");
        std::fs::write(folder.path().join("levels.toml"), levels).unwrap();
        let report = check(Some(folder.path())).unwrap();
        let text = report.text(false);
        assert!(!report.usable);
        for part in ["HB010", "witness: equivalent_loss = 1", "add a row"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let broken = include_str!("../../../rules/levels.toml").replace("< 2.0", "2.0 <");
        std::fs::write(folder.path().join("levels.toml"), broken).unwrap();
        let text = check(Some(folder.path())).unwrap().text(false);
        assert!(text.contains("HB003") && text.contains("levels.toml:") && text.contains("when = { loss"), "{text}");
    }

    #[test]
    fn the_same_rules_written_otherwise_are_equivalent() {
        let a = book(&[]);
        assert_eq!(diff(&a, &a).text(), "equivalent\n");
        let b =
            book(&[("decision.toml", "\"> 0.70\"", "\"(0.7..1.0]\""), ("levels.toml", "\"< 2.0\"", "\"not(>= 2)\"")]);
        // An unknown loss passes neither `< 2.0` nor `not(>= 2)`.
        assert_eq!(diff(&a, &b).text(), "equivalent\n");
        assert_ne!(a.sha256(), b.sha256());
    }

    #[test]
    fn other_answers_come_with_an_input_and_other_numbers_with_their_key() {
        let a = book(&[]);
        let b = book(&[
            ("levels.toml", "\"< 2.0\"", "\"< 1.5\""),
            ("levels.toml", "[2.0..3.0)", "[1.5..3.0)"),
            ("strategies.toml", "rank = 16", "rank = 8"),
            ("features.toml", "medium = 0.76", "medium = 0.78"),
        ]);
        let report = diff(&a, &b);
        assert_eq!(report.answers.len(), 1, "{}", report.text());
        assert_eq!(
            (report.answers[0].a.as_slice(), report.answers[0].b.as_slice()),
            (&["excellent: excellent".to_string()][..], &["good: good".to_string()][..])
        );
        let facts = report.answers[0].witness.strip_prefix("equivalent_loss = ").unwrap().parse::<f64>().unwrap();
        assert!((1.5..2.0).contains(&facts), "{facts}");
        let keys: Vec<&str> = report.settings.iter().map(|s| s.key.as_str()).collect();
        assert_eq!(keys, ["band.reconstruction.medium", "stage.keep.rank"]);
    }

    #[test]
    fn every_table_can_be_shown() {
        let book = book(&[]);
        for table in book.tables() {
            let grid = show(&book, table);
            assert!(grid.rows.iter().all(|r| r.len() == grid.headings.len()));
            let text = grid.text(120);
            assert!(table.rows.iter().all(|r| text.contains(&format!("{}: {}", r.name, r.because))));
            assert!(text.lines().take_while(|l| !l.starts_with("  ")).all(|l| l.chars().count() <= 160), "{text}");
        }
    }

    #[test]
    fn the_schemas_know_every_field_of_the_embedded_files() {
        let schemas = schemas();
        for source in read(None).unwrap() {
            let schema = &schemas[source.name.as_str()];
            let value: toml::Table = toml::from_str(&source.text).unwrap();
            for key in value.keys() {
                assert!(schema["properties"].get(key).is_some(), "{} {key}", source.name);
            }
        }
    }
}
