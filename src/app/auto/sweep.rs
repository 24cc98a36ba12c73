//! Every feasible strategy on the same inputs, one run each: this is how evidence is made.

use super::super::{AppError, Settings, write_whole};
use super::prepared::PreparedRun;
use super::{AutoRequest, auto, resume};
use crate::domain::event::{Event, Observer};
use crate::domain::outcome::Level;
use crate::domain::run::Run;
use crate::domain::strategy::Strategy;
use serde::Serialize;

/// A strategy's run in short.
#[derive(Debug, Clone, Serialize)]
pub struct SweepRow {
    /// What was carried out.
    pub strategy: Strategy,
    /// The run's id; `None` where it could not begin.
    pub run: Option<String>,
    /// Of the model that came out.
    pub bits_per_byte: Option<f64>,
    /// Of the model that came out.
    pub equivalent_loss: Option<f64>,
    /// By the rules.
    pub level: Option<Level>,
    /// Wall seconds.
    pub seconds: f64,
    /// How much trouble there was.
    pub incidents: usize,
    /// Why there is no result, where there is none.
    pub why: Option<String>,
}

/// All strategies, and what would have been decided.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The decision.
    pub decided: Strategy,
    /// The least bits per byte in hindsight.
    pub best: Option<Strategy>,
    /// One row a strategy, in the order they were run.
    pub rows: Vec<SweepRow>,
}

/// Runs every feasible strategy, each in a folder of its own below `request.out`. Runs that are there already are
/// resumed or taken as they are. A strategy that fails is a row that says so.
pub fn run_all(
    settings: &Settings,
    request: &AutoRequest,
    observer: &mut dyn Observer,
) -> Result<Comparison, AppError> {
    if !request.out.join("all.json").is_file() {
        settings.must_be_free(&request.out)?;
    }
    let rules = settings.rules()?;
    let prepared = PreparedRun::prepare(&rules, request, None, observer)?;
    let (decision, _) = prepared.decide(settings, &rules, request, observer)?;
    // Strategies that only vetoes of taste forbid are tried too; what cannot be executed, or does not fit, is not.
    let mut comparison = Comparison { decided: decision.strategy, best: None, rows: Vec::new() };
    let mark = serde_json::json!({ "decided": decision.strategy });
    write_whole(&request.out.join("all.json"), format!("{mark:#}\n").as_bytes())?;
    for alternative in &decision.alternatives {
        let strategy = alternative.strategy;
        if let Some(veto) = alternative.vetoes.iter().find(|v| v.hard_veto().is_some()) {
            comparison.rows.push(row(strategy, Err(veto.because.text.clone())));
            continue;
        }
        if request.stop.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(AppError::Interrupted);
        }
        observer.observe(&Event::Note { text: format!("== {strategy} ==") });
        let out = request.out.join(strategy.to_string());
        let one = AutoRequest { strategy: Some(strategy), out: out.clone(), with_keep: false, ..request.clone() };
        let run = match out.join("begun.json").is_file() {
            true => resume(settings, &out, &request.stop, observer),
            false => auto(settings, &one, observer),
        };
        comparison.rows.push(row(strategy, run.map_err(|e| e.to_string())));
    }
    let bits = |r: &SweepRow| r.bits_per_byte.unwrap_or(f64::INFINITY);
    let best = comparison.rows.iter().filter(|r| r.bits_per_byte.is_some()).min_by(|a, b| bits(a).total_cmp(&bits(b)));
    comparison.best = best.map(|r| r.strategy);
    let json = serde_json::to_vec_pretty(&comparison).map_err(|e| AppError::File {
        verb: "write",
        path: request.out.join("all.json"),
        source: e.into(),
    })?;
    write_whole(&request.out.join("all.json"), &json)?;
    Ok(comparison)
}

fn row(strategy: Strategy, run: Result<Run, String>) -> SweepRow {
    let empty = SweepRow {
        strategy,
        run: None,
        bits_per_byte: None,
        equivalent_loss: None,
        level: None,
        seconds: 0.0,
        incidents: 0,
        why: None,
    };
    match run {
        Err(why) => SweepRow { why: Some(why), ..empty },
        Ok(run) => {
            let Some(outcome) = run.outcome else { return SweepRow { run: Some(run.id), ..empty } };
            let none = outcome.bits_per_byte.is_none();
            SweepRow {
                run: Some(run.id),
                bits_per_byte: outcome.bits_per_byte.map(|b| b.get()),
                equivalent_loss: outcome.equivalent_loss.map(|l| l.get()),
                level: outcome.level,
                seconds: outcome.seconds,
                incidents: outcome.incidents.len(),
                why: none.then(|| outcome.verdict.to_string()),
                ..empty
            }
        }
    }
}
