//! What the user does with rules and the scorer: check, test, show, compare, replay, evaluate, explain, promote,
//! simulate.

use super::{AppError, Settings};
use crate::decide::rules::inspect::{self, CheckReport, DiffReport, Grid};
use crate::decide::rules::{RuleBook, TestResult};
use crate::domain::event::Observer;
use crate::domain::scorer::Scorer;
use crate::learn::{self, Evaluated, Evidence, GrowOptions, Growth, Promotion, SimulateOptions, Simulation};
use std::path::{Path, PathBuf};

/// Every finding about the rules.
pub fn check_rules(settings: &Settings) -> Result<CheckReport, AppError> {
    Ok(inspect::check(settings.rules.as_deref())?)
}

/// The tables' own tests.
pub fn test_rules(settings: &Settings) -> Result<Vec<TestResult>, AppError> {
    Ok(inspect::test(&settings.rules()?))
}

/// Tables as grids: the named one, or all.
pub fn show_rules(settings: &Settings, table: Option<&str>) -> Result<Vec<Grid>, AppError> {
    let book = settings.rules()?;
    let wanted: Vec<Grid> = book
        .tables()
        .iter()
        .filter(|t| table.is_none_or(|name| t.name == name))
        .map(|t| inspect::show(&book, t))
        .collect();
    match table {
        Some(name) if wanted.is_empty() => Err(AppError::NoTable {
            name: name.into(),
            known: book.tables().iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", "),
        }),
        _ => Ok(wanted),
    }
}

/// Where two sets of rules answer differently; `None` stands for the built-in ones.
pub fn diff_rules(a: Option<&Path>, b: Option<&Path>) -> Result<DiffReport, AppError> {
    Ok(inspect::diff(&RuleBook::load(a)?, &RuleBook::load(b)?))
}

/// Writes the JSON Schemas of the rule files and of what `--json` prints into a folder; which files there are now.
pub fn write_schemas(into: &Path, printed: &serde_json::Value) -> Result<Vec<PathBuf>, AppError> {
    let mut written = Vec::new();
    let mut write = |name: &str, schema: &serde_json::Value| {
        let path = into.join(name);
        super::write_whole(&path, format!("{schema:#}\n").as_bytes())?;
        written.push(path);
        Ok::<(), AppError>(())
    };
    for (name, schema) in inspect::schemas() {
        write(&format!("{}.schema.json", name.trim_end_matches(".toml")), &schema)?;
    }
    write("hibrit.schema.json", printed)?;
    Ok(written)
}

/// How scorers are grown and judged under these rules.
fn growing(rules: &RuleBook) -> GrowOptions {
    let weighing = rules.weighing();
    GrowOptions {
        standard_errors: weighing.standard_errors,
        spread_weight: weighing.spread_weight,
        ..GrowOptions::default()
    }
}

fn evidence(settings: &Settings) -> Result<Evidence, AppError> {
    let runs = match settings.existing_history()? {
        Some(history) => history.all()?,
        None => Vec::new(),
    };
    Ok(Evidence::from_runs(&runs, jiff::Timestamp::now()))
}

/// How good choices would have been; `None` where there is too little history to say.
pub fn evaluate_scorer(settings: &Settings) -> Result<Option<Evaluated>, AppError> {
    Ok(learn::evaluate(&evidence(settings)?, &growing(&settings.rules()?))?)
}

/// The live scorer and its explanation; `None` where there is none.
pub fn explain_scorer(settings: &Settings) -> Result<Option<(Scorer, String)>, AppError> {
    let Some(history) = settings.existing_history()? else { return Ok(None) };
    Ok(history.live_scorer()?.map(|scorer| {
        let text = learn::explain(&scorer);
        (scorer, text)
    }))
}

/// Grows a scorer from the whole history and puts it to the gate; it goes live if the gate lets it.
pub fn promote_scorer(settings: &Settings) -> Result<(Growth, Option<Promotion>), AppError> {
    let evidence = evidence(settings)?;
    let options = growing(&settings.rules()?);
    let growth = learn::grow(&evidence, &options)?;
    let Growth::Grown(grown) = &growth else { return Ok((growth, None)) };
    let history = settings.history()?;
    let promotion = learn::gate(grown, history.live_scorer()?.as_ref(), &evidence, &options)?;
    history.keep_scorer(&grown.scorer)?;
    if promotion.granted {
        history.promote(&grown.scorer)?;
    }
    Ok((growth, Some(promotion)))
}

/// What the scorer is worth where the truth is known.
pub fn simulate_scorer(
    settings: &Settings,
    worlds: Option<usize>,
    runs: &[usize],
    seed: u64,
    observer: &mut dyn Observer,
) -> Result<Simulation, AppError> {
    let grow = growing(&settings.rules()?);
    let mut options = SimulateOptions { seed, grow, ..SimulateOptions::default() };
    options.worlds = worlds.unwrap_or(options.worlds);
    if !runs.is_empty() {
        options.runs = runs.to_vec();
    }
    Ok(learn::simulate(&options, observer)?)
}
