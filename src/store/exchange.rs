//! A history as JSON lines, to be carried elsewhere, kept safe, or read by other programs. One enveloped record a line,
//! the same envelope as in the file. What a record means is not known here.

use super::decisions::LoggedDecision;
use super::error::StoreError;
use super::format::{self, DecodeError, Form};
use super::history::History;
use super::store::{DECISIONS, RUNS, SCORERS, Table};
use crate::domain::run::Run;
use crate::domain::scorer::Scorer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, Write};

/// The tables that travel, each with its form. Profiles stay: they can be measured again.
const EXPORTED: [(Table, Form); 3] = [(RUNS, Form::Run), (SCORERS, Form::Scorer), (DECISIONS, Form::Decision)];

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Records that were new.
    pub added: u64,
    /// Runs that were there already and got feedback they did not have.
    pub extended: u64,
    /// Records that were there already, the same.
    pub unchanged: u64,
    /// Lines that were left out, each with why: what cannot be read, and what contradicts the history.
    pub left_out: Vec<LineFault>,
}

/// A line that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineFault {
    /// Its number, from 1.
    pub line: u64,
    /// Why, in a sentence.
    pub why: String,
}

/// What to do with a record that came in.
enum MergeOutcome {
    New(Vec<u8>),
    Extended(Vec<u8>),
    Same,
    Contradicts,
}

impl History {
    /// Writes runs, scorers and decisions as JSON lines; gives their number. Nothing is written where a record cannot
    /// be read.
    ///
    /// # Errors
    /// Trouble with the file, or with `to`.
    pub fn export(&self, to: &mut dyn Write) -> Result<u64, StoreError> {
        fn lines<T: Serialize + DeserializeOwned>(
            form: Form,
            all: &[T],
            lines: &mut Vec<Vec<u8>>,
        ) -> Result<(), StoreError> {
            for value in all {
                let line = format::encode(form, value);
                let flawed =
                    |f: DecodeError| StoreError::Unstorable { what: format!("a {form}"), detail: f.to_string() };
                lines.push(line.map_err(flawed)?);
            }
            Ok(())
        }
        let mut all = Vec::new();
        lines(Form::Run, &self.all()?, &mut all)?;
        lines(Form::Scorer, &self.scorers()?, &mut all)?;
        let decisions: Vec<LoggedDecision> = self.decisions()?.into_iter().map(|(d, _)| d).collect();
        lines(Form::Decision, &decisions, &mut all)?;
        let write = |to: &mut dyn Write| {
            for line in &all {
                to.write_all(line)?;
                to.write_all(b"\n")?;
            }
            to.flush()
        };
        write(to).map_err(|source| StoreError::Exchange { what: "the export".into(), source })?;
        Ok(all.len() as u64)
    }

    /// Takes in JSON lines of [`History::export`], all in one transaction. Taking in the same lines twice changes
    /// nothing; what is in the history already is never overwritten, only given feedback that it lacks. Lines that
    /// cannot be read or contradict the history are left out and reported.
    ///
    /// # Errors
    /// Trouble with the file, or with `from`; then nothing was taken in.
    pub fn import(&self, from: &mut dyn BufRead) -> Result<ImportReport, StoreError> {
        let mut lines = Vec::new();
        for line in from.split(b'\n') {
            lines.push(line.map_err(|source| StoreError::Exchange { what: "the import".into(), source })?);
        }
        self.store.write(|t| {
            let mut report = ImportReport::default();
            for (line, number) in lines.iter().zip(1..) {
                let line = line.trim_ascii();
                if line.is_empty() {
                    continue;
                }
                let mut leave_out = |why: String| report.left_out.push(LineFault { line: number, why });
                let (table, key) = match key_of(line) {
                    Ok(found) => found,
                    Err(flaw) => {
                        leave_out(flaw.to_string());
                        continue;
                    }
                };
                let stored = self.raw(t, table.0, &key)?;
                match arrival(table.1, line, stored.as_deref()) {
                    Ok(MergeOutcome::New(bytes)) => {
                        self.put(t, table.0, &key, &bytes)?;
                        report.added += 1;
                    }
                    Ok(MergeOutcome::Extended(bytes)) => {
                        self.put(t, table.0, &key, &bytes)?;
                        report.extended += 1;
                    }
                    Ok(MergeOutcome::Same) => report.unchanged += 1,
                    Ok(MergeOutcome::Contradicts) => {
                        leave_out(format!("the history holds another {} with the id {key}", table.1));
                    }
                    Err(flaw) => leave_out(flaw.to_string()),
                }
            }
            Ok(report)
        })
    }
}

/// The table and key a line belongs under.
fn key_of(line: &[u8]) -> Result<((Table, Form), String), DecodeError> {
    let (form, _) = format::head(line)?;
    let key = match form {
        Form::Run => format::decode::<Run>(form, line)?.id,
        Form::Scorer => format::decode::<Scorer>(form, line)?.id,
        Form::Decision => format::decode::<LoggedDecision>(form, line)?.id,
        Form::Profile => {
            return Err(DecodeError::Malformed("profiles are not taken in: they can be measured again".into()));
        }
    };
    let table = EXPORTED.into_iter().find(|(_, f)| *f == form);
    table.map(|table| (table, key)).ok_or_else(|| DecodeError::Malformed(format!("a {form} does not travel")))
}

fn arrival(form: Form, line: &[u8], stored: Option<&[u8]>) -> Result<MergeOutcome, DecodeError> {
    fn compare<T: Serialize + DeserializeOwned + PartialEq>(
        form: Form,
        line: &[u8],
        stored: Option<&[u8]>,
        extend: impl FnOnce(&T, &T) -> Option<T>,
    ) -> Result<MergeOutcome, DecodeError> {
        let incoming: T = format::decode(form, line)?;
        let Some(stored) = stored else { return Ok(MergeOutcome::New(format::encode(form, &incoming)?)) };
        let stored: T = format::decode(form, stored)?;
        if stored == incoming {
            return Ok(MergeOutcome::Same);
        }
        match extend(&stored, &incoming) {
            Some(longer) if longer == stored => Ok(MergeOutcome::Same),
            Some(longer) => Ok(MergeOutcome::Extended(format::encode(form, &longer)?)),
            None => Ok(MergeOutcome::Contradicts),
        }
    }
    match form {
        Form::Run => compare::<Run>(form, line, stored, with_feedback_of_both),
        Form::Scorer => compare::<Scorer>(form, line, stored, |_, _| None),
        Form::Decision => compare::<LoggedDecision>(form, line, stored, |_, _| None),
        Form::Profile => compare::<serde_json::Value>(form, line, stored, |_, _| None),
    }
}

/// The stored run with the incoming one's feedback added, where the two agree in everything else.
fn with_feedback_of_both(stored: &Run, incoming: &Run) -> Option<Run> {
    let mut longer = stored.clone();
    longer.feedback.extend(incoming.feedback.iter().filter(|f| !stored.feedback.contains(f)).cloned());
    let alike = Run { feedback: stored.feedback.clone(), ..incoming.clone() } == *stored;
    alike.then_some(longer)
}
