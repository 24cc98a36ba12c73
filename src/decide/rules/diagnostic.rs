//! What is wrong with a rules file: every finding with its place, its code, a witness and a remedy. Finding them is
//! not known here.

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The rules cannot be used.
    Error,
    /// The rules can be used, but this is worth a look.
    Warning,
}

/// Kinds of findings; each has a code that stays the same for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, strum::EnumIter)]
pub enum Code {
    /// HB001: not TOML, or a field that does not belong.
    Syntax,
    /// HB002: a row asks about a column that the table does not have.
    UnknownColumn,
    /// HB003: a cell is not a unary test.
    BadCell,
    /// HB004: a cell asks a number about a name, or a name about a number.
    TypeMismatch,
    /// HB005: an interval that holds no number.
    EmptyInterval,
    /// HB006: a value that the feature cannot have.
    OutsideDomain,
    /// HB007: a row says something that the table cannot say.
    BadOutput,
    /// HB008: two things have the same name.
    DuplicateName,
    /// HB009: a row does not say why.
    NoReason,
    /// HB010: an input that no row answers.
    Gap,
    /// HB011: an input that several rows answer although one must.
    Overlap,
    /// HB012: a row that can never be the answer.
    Unreachable,
    /// HB013: two rows ask the same and say the same.
    DuplicateRow,
    /// HB014: one of the file's own tests fails.
    TestFailed,
    /// HB015: a column that never matters.
    IdleColumn,
    /// HB016: two tables contradict each other.
    Contradiction,
    /// HB017: a feature that is not declared, or declared and not measured.
    UnknownFeature,
    /// HB018: a number outside what makes sense.
    BadNumber,
    /// HB019: a file or an entry that must be there is missing.
    Missing,
    /// HB020: rows that do not say why in a language of the reports.
    Untranslated,
}

impl Code {
    /// `HB001` and so on.
    pub fn number(self) -> String {
        format!("HB{:03}", self as u16 + 1)
    }
}

/// A finding.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// What kind.
    pub code: Code,
    /// The file's name.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Byte offset and length in the file.
    pub span: (usize, usize),
    /// One sentence.
    pub message: String,
    /// An input that shows it.
    pub witness: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, code, message, .. } = self;
        write!(f, "{file}:{line}:{column} {} {message}", code.number())?;
        if let Some(witness) = &self.witness {
            write!(f, "; witness: {witness}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// All findings about a set of rules.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Whether the rules cannot be used.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// The findings of a code.
    pub fn of(&self, code: Code) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(move |d| d.code == code)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.0.iter();
        if let Some(first) = lines.next() {
            write!(f, "{first}")?;
        }
        lines.try_for_each(|d| write!(f, "\n{d}"))
    }
}

/// A file's name and text; turns byte offsets into places.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The file's name.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// A finding at a byte range.
    pub fn at(&self, span: std::ops::Range<usize>, code: Code, message: impl Into<String>) -> Diagnostic {
        let start = (0..=span.start.min(self.text.len())).rev().find(|i| self.text.is_char_boundary(*i)).unwrap_or(0);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Diagnostic {
            severity: Severity::Error,
            code,
            file: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            span: (start, span.end.saturating_sub(span.start)),
            message: message.into(),
            witness: None,
            hint: None,
        }
    }
}

impl Diagnostic {
    /// With an input that shows it.
    pub fn witness(mut self, witness: impl Into<String>) -> Self {
        self.witness = Some(witness.into());
        self
    }

    /// With a remedy.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As a warning.
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_line_and_column_from_one() {
        let source = Source { name: "decision.toml".into(), text: "a\nçb = 1\n".into() };
        let d = source.at(4..5, Code::Unreachable, "row \"x\" is unreachable").hint("move it up");
        assert_eq!(d.to_string(), "decision.toml:2:2 HB012 row \"x\" is unreachable; move it up");
        assert_eq!(source.at(999..1000, Code::Syntax, "x").line, 3);
    }

    #[test]
    fn codes_keep_their_numbers() {
        assert_eq!((Code::Syntax.number(), Code::Untranslated.number()), ("HB001".into(), "HB020".into()));
    }
}
