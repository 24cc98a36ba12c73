//! What the user does with past runs: look, judge, carry over, learn from.

use super::{AppError, Settings};
use crate::domain::run::{Feedback, Run};
use crate::learn::{self, Growth, Promotion};
use crate::store::{Health, ImportReport, Repairs};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// All runs, the newest first.
pub fn runs(settings: &Settings) -> Result<Vec<Run>, AppError> {
    let Some(history) = settings.existing_history()? else { return Ok(Vec::new()) };
    let mut runs = history.all()?;
    runs.sort_by(|a, b| (&b.started, &b.id).cmp(&(&a.started, &a.id)));
    Ok(runs)
}

/// A run by its id, or by the beginning of it where that is unique.
pub fn run(settings: &Settings, id: &str) -> Result<Run, AppError> {
    Ok(settings.known_history()?.get(id)?)
}

/// Some runs by their ids, in the order asked for.
pub fn compare(settings: &Settings, ids: &[String]) -> Result<Vec<Run>, AppError> {
    let history = settings.known_history()?;
    ids.iter().map(|id| Ok(history.get(id)?)).collect()
}

/// Adds a verdict or an outside metric to a run.
pub fn give_feedback(settings: &Settings, id: &str, feedback: Feedback) -> Result<Run, AppError> {
    Ok(settings.known_history()?.feedback(id, feedback)?)
}

/// Writes every record as JSON lines; how many there were.
pub fn export(settings: &Settings, to: &Path) -> Result<u64, AppError> {
    let (lines, count) = export_lines(settings)?;
    super::write_whole(to, &lines)?;
    Ok(count)
}

/// Every record as JSON lines, and how many there are.
pub fn export_lines(settings: &Settings) -> Result<(Vec<u8>, u64), AppError> {
    let mut lines = Vec::new();
    let count = settings.known_history()?.export(&mut lines)?;
    Ok((lines, count))
}

/// Writes what an export elsewhere has given.
pub fn write_export(to: &Path, lines: &[u8]) -> Result<(), AppError> {
    super::write_whole(to, lines)
}

/// Reads records that export wrote.
pub fn import(settings: &Settings, from: &Path) -> Result<ImportReport, AppError> {
    let file = File::open(from).map_err(|source| AppError::File { verb: "read", path: from.into(), source })?;
    Ok(settings.history()?.import(&mut BufReader::new(file))?)
}

/// Reads every page and every record back.
pub fn verify(settings: &Settings) -> Result<Health, AppError> {
    Ok(settings.known_history()?.verify()?)
}

/// Puts records that cannot be read aside.
pub fn repair(settings: &Settings) -> Result<Repairs, AppError> {
    Ok(settings.known_history()?.repair()?)
}

/// What growing came to, for a person.
pub fn describe(growth: &Growth, promotion: Option<&Promotion>) -> String {
    let grown = match growth {
        Growth::Grown(grown) => grown,
        Growth::TooLittle { because, .. } => return format!("No scorer was grown: {because}"),
    };
    let word = match promotion {
        Some(p) if p.granted => format!("A scorer was grown and is live, the next decision consults it: {}", p.because),
        Some(p) => format!("A scorer was grown and does not go live: {}", p.because),
        None => "A scorer was grown.".into(),
    };
    format!("{word}\n\n{}", learn::explain(&grown.scorer))
}
