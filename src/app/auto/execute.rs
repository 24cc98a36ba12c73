//! Executes a strategy, with the yardstick and, if all else fails, the fallback; then chooses and exports.

use super::super::AppError;
use crate::decide::race::{self, Finish};
use crate::decide::rules::RuleBook;
use crate::domain::directive::Directive;
use crate::domain::outcome::{Branch, Evaluation, Outcome, Status, Vocab};
use crate::domain::reason::VerdictReason;
use crate::domain::stage::Stage;
use crate::domain::strategy::Strategy;
use crate::strategies::{self, RunContext, Start, abandonment_reason};
use std::path::Path;

/// A run that ended in an error.
pub(super) fn failed(chosen: Strategy, out: &Path, error: String) -> Outcome {
    let branches = written_down(out);
    Outcome {
        strategy: chosen,
        status: Status::Failed,
        base: None,
        bits_per_byte: None,
        equivalent_loss: None,
        level: None,
        saved_against_keep: None,
        winner: None,
        verdict: VerdictReason::Failed { error }.into(),
        incidents: branches.iter().flat_map(|b| b.incidents.iter().cloned()).collect(),
        branches,
        seconds: 0.0,
        energy_joules: None,
    }
}

/// Branches that had ended before the error, as their folders tell.
fn written_down(out: &Path) -> Vec<Branch> {
    let folders = std::fs::read_dir(out.join("branches")).into_iter().flatten().flatten();
    let mut branches: Vec<Branch> = folders
        .filter_map(|f| serde_json::from_slice(&std::fs::read(f.path().join("branch.json")).ok()?).ok())
        .collect();
    branches.sort_by(|a, b| a.name.cmp(&b.name));
    branches
}

/// Executes the strategy, the yardstick and, if all else fails, the fallback; then chooses and exports.
pub(super) fn execute(
    rules: &RuleBook,
    chosen: Strategy,
    with_keep: bool,
    run: &mut RunContext<'_>,
) -> Result<Outcome, AppError> {
    let base = strategies::evaluate_base(run)?;
    let mut trained = strategies::runner(chosen)?.run(run, Start::default())?;
    let safe_is_keep = run.inputs.stages.get(&Stage::ParallelA) == run.inputs.stages.get(&Stage::Keep);
    // A branch is only a step on the way where a later one went on from it.
    let fell_back = trained.last().is_some_and(|b| matches!(abandonment_reason(b), Some(Directive::FallBack { .. })));
    let nothing = trained.iter().all(|b| b.after.is_none());
    if (fell_back || nothing) && chosen != Strategy::Emergency && !run.env.stopped() {
        let why = if fell_back { "The reviewer fell back" } else { "Nothing usable came out; falling back" };
        run.env.observer.observe(&crate::domain::event::Event::Note { text: format!("{why} to emergency.") });
        trained.extend(strategies::runner(Strategy::Emergency)?.run(run, Start::default())?);
    }
    let yardstick_wanted = with_keep && !trained.iter().any(|b| is_keep(b, safe_is_keep)) && !run.env.stopped();
    let yardstick = match yardstick_wanted {
        true => strategies::runner(Strategy::Keep)?.run(run, Start::default())?,
        false => Vec::new(),
    };
    if run.env.stopped() {
        return Ok(interrupted(chosen, base, trained, yardstick));
    }
    let (winner, mut verdict) = race::choose(rules.tolerance(), &finishes(&trained));
    let keep = trained.iter().chain(&yardstick).find(|b| is_keep(b, safe_is_keep)).and_then(|b| b.after.clone());
    let winner = match winner.and_then(|i| trained.get_mut(i)) {
        Some(branch) => {
            strategies::export(branch, run)?;
            Some(branch.clone())
        }
        None => None,
    };
    let after: Option<Evaluation> = winner.as_ref().and_then(|b| b.after.clone());
    if let Some(after) = &after
        && after.bits_per_byte.get() > base.bits_per_byte.get()
    {
        let (after, base) = (after.bits_per_byte.get(), base.bits_per_byte.get());
        verdict = VerdictReason::BelowBase { reason: Box::new(verdict), after, base };
    }
    let saved = match (&keep, &after) {
        (Some(keep), Some(after)) => Some(keep.bits_per_byte.get() - after.bits_per_byte.get()),
        _ => None,
    };
    let mut branches = trained;
    branches.extend(yardstick);
    Ok(Outcome {
        strategy: winner.as_ref().map_or(chosen, |b| b.strategy),
        status: winner.as_ref().map_or(Status::Failed, |branch| match branch.status {
            // Abandoned on the way, and still the best there is.
            Status::Failed => Status::Stopped,
            other => other,
        }),
        base: Some(base),
        bits_per_byte: after.as_ref().map(|e| e.bits_per_byte),
        equivalent_loss: after.as_ref().map(|e| e.equivalent_loss),
        level: after.as_ref().map(|e| rules.level(e.equivalent_loss)),
        saved_against_keep: saved,
        winner: winner.map(|b| b.name),
        verdict: verdict.into(),
        incidents: branches.iter().flat_map(|b| b.incidents.iter().cloned()).collect(),
        branches,
        seconds: 0.0,
        energy_joules: None,
    })
}

/// A run that a signal stopped: it can be resumed, so nothing is chosen yet.
fn interrupted(chosen: Strategy, base: Evaluation, mut branches: Vec<Branch>, yardstick: Vec<Branch>) -> Outcome {
    branches.extend(yardstick);
    Outcome {
        strategy: chosen,
        status: Status::Interrupted,
        base: Some(base),
        bits_per_byte: None,
        equivalent_loss: None,
        level: None,
        saved_against_keep: None,
        winner: None,
        verdict: VerdictReason::Interrupted.into(),
        incidents: branches.iter().flat_map(|b| b.incidents.iter().cloned()).collect(),
        branches,
        seconds: 0.0,
        energy_joules: None,
    }
}

/// Whether a branch did what `keep` does: the safe branch of a race does, where it is configured alike.
fn is_keep(branch: &Branch, safe_is_keep: bool) -> bool {
    match branch.strategy {
        Strategy::Keep => true,
        Strategy::Parallel => branch.tokenizer == Vocab::Source && safe_is_keep,
        _ => false,
    }
}

/// Whether what went on from the foundation was abandoned, so that the foundation is what is left of the strategy.
fn stayed(branches: &[Branch]) -> bool {
    branches.iter().any(|b| b.name == Stage::SequentialAdaptation.branch() && abandonment_reason(b).is_some())
}

fn finishes(branches: &[Branch]) -> Vec<Finish<'_>> {
    branches
        .iter()
        .map(|b| Finish {
            name: &b.name,
            side: b.tokenizer.side(),
            equivalent_loss: b.after.as_ref().map(|e| e.equivalent_loss),
            intermediate: b.name == Stage::SequentialFoundation.branch() && !stayed(branches),
        })
        .collect()
}
