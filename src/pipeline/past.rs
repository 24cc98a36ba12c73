//! What the user does with past runs: look, judge, carry over, learn from.

use super::{PipelineError, Settings};
use crate::domain::run::{Feedback, Run};
use crate::learn;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// All runs, the newest first.
pub fn runs(settings: &Settings) -> Result<Vec<Run>, PipelineError> {
    let mut runs = settings.history()?.all()?;
    runs.sort_by(|a, b| (&b.started, &b.id).cmp(&(&a.started, &a.id)));
    Ok(runs)
}

/// A run by its id, or by the beginning of it where that is unique.
pub fn run(settings: &Settings, id: &str) -> Result<Run, PipelineError> {
    Ok(settings.history()?.get(id)?)
}

/// Adds a verdict or an outside metric to a run.
pub fn give_feedback(settings: &Settings, id: &str, feedback: Feedback) -> Result<Run, PipelineError> {
    let history = settings.history()?;
    let run = history.get(id)?;
    history.feedback(&run.id, feedback)?;
    Ok(history.get(&run.id)?)
}

/// Writes every run as JSON lines; how many there were.
pub fn export(settings: &Settings, to: &Path) -> Result<u64, PipelineError> {
    let mut lines = Vec::new();
    let count = settings.history()?.export(&mut lines)?;
    super::write_whole(to, &lines)?;
    Ok(count)
}

/// Reads runs that export wrote.
pub fn import(settings: &Settings, from: &Path) -> Result<crate::record::Imported, PipelineError> {
    let file = File::open(from).map_err(|source| PipelineError::File { verb: "read", path: from.into(), source })?;
    Ok(settings.history()?.import(&mut BufReader::new(file))?)
}

/// Reads every record back; how many there are.
pub fn verify(settings: &Settings) -> Result<u64, PipelineError> {
    Ok(settings.history()?.verify()?)
}

/// What growing the scorer came to, for a person and for a script.
pub struct Trained {
    /// For a person.
    pub text: String,
    /// For a script.
    pub json: serde_json::Value,
}

/// Grows the scorer anew from the whole history and makes it the live one.
pub fn train_scorer(settings: &Settings) -> Result<Trained, PipelineError> {
    let history = settings.history()?;
    let evidence = learn::Evidence::from_runs(&history.all()?, &super::now());
    let growth = learn::grow(&evidence, &learn::GrowOptions::default())?;
    if let Some(scorer) = &growth.scorer {
        history.promote(scorer)?;
    }
    Ok(Trained { text: growth.text(), json: serde_json::json!({ "scorer": growth.scorer, "report": growth.report }) })
}
