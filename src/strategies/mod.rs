//! Strategies: which stages each trains, in which order, on which tokenizer. Which strategy is right, and which branch
//! wins, is decided elsewhere.
//!
//! A stage ([`stage`]) always goes the same way: a model (the base, or what an earlier stage left), rows for the
//! candidate's vocabulary where the stage uses it, an evaluation, training with adapters, another evaluation, a folder.
//! A stage that fails is a branch that says so, not an error of the run: other branches may still give a model. A stage
//! that is done is never done again: whoever resumes a run finds it in its folder.

mod adaptive;
mod budget;
mod context;
pub mod cost;
mod error;
mod folder;
mod mapping;
mod parallel;
mod race;
mod stage;
mod stages;

use crate::domain::directive::Directive;
use crate::domain::outcome::{Branch, Evaluation, Status, Vocab};
use crate::domain::stage::Stage;
use crate::domain::strategy::Strategy;
use crate::model::evaluate::HeldOut;
use crate::train::data::equal_bytes_length;

pub use budget::Budget;
pub use context::{
    GrownVocab, InitialWeights, ReviewerRequest, Reviewers, RunContext, RunEnv, RunInputs, RunState, Start,
};
pub use error::StrategyError;
pub use folder::export;

/// A strategy's way of training.
pub trait StrategyRunner: Sync {
    /// Which strategy it is.
    fn strategy(&self) -> Strategy;
    /// The stages it may train, in order.
    fn stages(&self) -> &'static [Stage];
    /// Whether its stages are there at once, and take turns where there is one device.
    fn races(&self) -> bool {
        false
    }
    /// Trains, and says how each branch ended.
    ///
    /// # Errors
    /// Only what concerns the whole run: an output folder that cannot be written, a configuration that is missing.
    fn run(&self, run: &mut RunContext<'_>, start: Start) -> Result<Vec<Branch>, StrategyError>;
}

/// Every strategy this build can execute.
pub const RUNNERS: &[&dyn StrategyRunner] = &[
    &stages::KEEP,
    &stages::DIRECT,
    &stages::SEQUENTIAL,
    &parallel::Parallel,
    &stages::EXTEND,
    &stages::STRUCTURAL,
    &adaptive::Adaptive,
    &stages::EMERGENCY,
];

/// The runner of a strategy.
///
/// # Errors
/// [`StrategyError::NotBuilt`] for a strategy this build cannot execute.
pub fn runner(strategy: Strategy) -> Result<&'static dyn StrategyRunner, StrategyError> {
    RUNNERS.iter().copied().find(|r| r.strategy() == strategy).ok_or_else(|| StrategyError::NotBuilt {
        strategy,
        built: RUNNERS.iter().map(|r| r.strategy().to_string()).collect::<Vec<_>>().join(", "),
    })
}

/// What a branch was abandoned for, if it was: a switch or the fallback.
pub fn abandonment_reason(branch: &Branch) -> Option<&Directive> {
    let last = branch.incidents.last().map(|i| &i.directive)?;
    let abandoned = matches!(last, Directive::Switch { .. } | Directive::FallBack { .. });
    (abandoned && branch.status == Status::Failed).then_some(last)
}

/// The base model on the held-out text; kept as what every branch has to beat.
///
/// # Errors
/// As loading and evaluating.
pub fn evaluate_base(run: &mut RunContext<'_>) -> Result<Evaluation, StrategyError> {
    run.env.note("Evaluating the base on the held-out text".into());
    let clock = std::time::Instant::now();
    let held_out = held_out(run, Vocab::Source)?;
    let evaluation = held_out.evaluate(&run.inputs.base.load(run.env.device)?)?.evaluation;
    if let Some(budget) = &mut run.state.budget {
        budget.evaluation = clock.elapsed().as_secs_f64();
    }
    run.state.base = Some(evaluation.clone());
    Ok(evaluation)
}

/// The held-out text in the same windows of bytes for every branch: the longest sequence that any stage trains on.
fn held_out(run: &RunContext<'_>, on: Vocab) -> Result<HeldOut, StrategyError> {
    let inputs = run.inputs;
    let longest = inputs.stages.values().map(|s| s.sequence).max().unwrap_or(1);
    let window = inputs.bytes_of(longest.min(inputs.base.config().size.positions));
    Ok(HeldOut::new(inputs.tokens(on)?.coder, inputs.eval, inputs.source_tokens, window)?)
}

/// Tokens a sequence: as many as cover the bytes that the configured length covers in the original's tokens.
fn sequence_length(run: &RunContext<'_>, on: Vocab, sequence: usize) -> Result<usize, StrategyError> {
    let inputs = run.inputs;
    let limit = inputs.base.config().size.positions;
    let per_token = |tokens: u64| inputs.eval_bytes as f64 / tokens.max(1) as f64;
    if on == Vocab::Source {
        return Ok(sequence.min(limit));
    }
    let tokens = inputs.tokens(on)?.coder.count(inputs.eval)?;
    Ok(equal_bytes_length(sequence, per_token(inputs.source_tokens), per_token(tokens), limit))
}
