//! Roads, one a file, behind one trait: which stages a strategy trains, in which order, on which tokenizer. Which
//! strategy is right, and which branch wins, is decided elsewhere.
//!
//! A stage always goes the same way: a model (the base, or what an earlier stage left), rows for the candidate's
//! vocabulary where the stage uses it, an evaluation, training with adapters, another evaluation, a folder. A stage
//! that fails is a branch that says so, not an error of the run: other branches may still give a model.

mod direct;
mod emergency;
mod folder;
mod keep;
mod parallel;
mod sequential;

use super::ExecuteError;
use super::embed::{Method, Named, Norms, Request, transplant};
use super::evaluate::HeldOut;
use super::model::{Decoder, LoraConfig, ModelFolder};
use super::tokenizer::Coder;
use super::train::data::equal_bytes_length;
use super::train::{self, Company, Ending, Packed};
use crate::domain::directive::Reviewer;
use crate::domain::event::{Event, Observer};
use crate::domain::outcome::{Branch, Evaluation, Side, Status};
use crate::domain::strategy::{StageConfig, Strategy};
use crate::domain::vocabulary::{Mapping, Vocabulary};
use burn::tensor::Device;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub use folder::{TokenizerFiles, export, with_specials, write_companions, write_complete};

/// Makes a reviewer for a branch, by the branch's name.
pub type Reviewers<'a> = dyn FnMut(&str) -> Box<dyn Reviewer> + 'a;

/// A tokenizer as a stage needs it.
pub struct Tokens<'a> {
    /// Encodes.
    pub coder: &'a Coder,
    /// What its tokens stand for.
    pub vocabulary: &'a Vocabulary,
    /// Its files, for the folders that are written.
    pub files: &'a TokenizerFiles,
}

/// Everything a strategy works with.
pub struct Work<'a> {
    /// The base model.
    pub base: &'a ModelFolder,
    /// The original tokenizer.
    pub source: Tokens<'a>,
    /// The candidate tokenizer.
    pub candidate: Tokens<'a>,
    /// Where the candidate's rows come from.
    pub mapping: &'a Mapping,
    /// Training documents.
    pub train: &'a [String],
    /// Held-out documents.
    pub eval: &'a [String],
    /// Tokens the original tokenizer needs for the held-out documents.
    pub source_tokens: u64,
    /// UTF-8 bytes of the held-out documents.
    pub eval_bytes: u64,
    /// Configurations by name.
    pub stages: &'a BTreeMap<String, StageConfig>,
    /// Where to train.
    pub device: &'a Device,
    /// Seed of everything random.
    pub seed: u64,
    /// The run's folder.
    pub out: &'a Path,
    /// Set by a signal.
    pub stop: &'a AtomicBool,
    /// Who reviews.
    pub reviewers: &'a mut Reviewers<'a>,
    /// Who watches.
    pub observer: &'a mut dyn Observer,
}

impl Work<'_> {
    /// Whether a signal asked to stop.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn tokens(&self, side: Side) -> &Tokens<'_> {
        match side {
            Side::Source => &self.source,
            Side::Candidate => &self.candidate,
        }
    }

    /// UTF-8 bytes that `sequence` tokens of the original tokenizer cover on the held-out text.
    fn bytes_of(&self, sequence: usize) -> usize {
        let per_token = self.eval_bytes as f64 / self.source_tokens.max(1) as f64;
        (sequence as f64 * per_token).round() as usize
    }
}

/// A strategy's way of training.
pub trait Road: Sync {
    /// Which strategy it is.
    fn strategy(&self) -> Strategy;
    /// The stages it may train: name of the configuration, and the tokenizer in use.
    fn stages(&self) -> &'static [(&'static str, Side)];
    /// Trains, and says how each branch ended.
    ///
    /// # Errors
    /// Only what concerns the whole run: an output folder that cannot be written, a configuration that is missing.
    fn carry_out(&self, work: &mut Work<'_>) -> Result<Vec<Branch>, ExecuteError>;
}

/// Every road this build can take.
pub const ROADS: &[&dyn Road] =
    &[&keep::Keep, &direct::Direct, &sequential::Sequential, &parallel::Parallel, &emergency::Emergency];

/// The road of a strategy.
///
/// # Errors
/// [`ExecuteError::NotBuilt`] for a strategy this build cannot execute.
pub fn road(strategy: Strategy) -> Result<&'static dyn Road, ExecuteError> {
    ROADS.iter().copied().find(|r| r.strategy() == strategy).ok_or_else(|| ExecuteError::NotBuilt {
        strategy,
        built: ROADS.iter().map(|r| r.strategy().to_string()).collect::<Vec<_>>().join(", "),
    })
}

/// What a stage is.
struct Plan {
    /// The branch's name: a folder's name too.
    name: &'static str,
    /// Name of its configuration.
    stage: &'static str,
    /// The strategy it belongs to.
    strategy: Strategy,
    /// The tokenizer in use.
    side: Side,
}

/// How a stage ended, with its model (adapters merged) where it gave one.
struct Staged {
    branch: Branch,
    model: Option<Decoder>,
}

/// The base model on the held-out text.
///
/// # Errors
/// As loading and evaluating.
pub fn evaluate_base(work: &mut Work<'_>) -> Result<Evaluation, ExecuteError> {
    work.observer.observe(&Event::Note { text: "Evaluating the base on the held-out text".into() });
    let held_out = held_out(work, Side::Source)?;
    Ok(held_out.evaluate(&work.base.load(work.device)?)?.evaluation)
}

/// The held-out text in the same windows of bytes for every branch: the longest sequence that any stage trains on.
fn held_out(work: &Work<'_>, side: Side) -> Result<HeldOut, ExecuteError> {
    let longest = work.stages.values().map(|s| s.sequence).max().unwrap_or(1);
    let window = work.bytes_of(longest.min(work.base.config().size.positions));
    HeldOut::new(work.tokens(side).coder, work.eval, work.source_tokens, window)
}

/// Rows for the candidate's vocabulary in place of the original's.
fn transplanted(model: Decoder, work: &mut Work<'_>) -> Result<Decoder, ExecuteError> {
    let tokens: Vec<u32> = work.source.vocabulary.iter().map(|(id, _)| id).collect();
    let (input, output) = model.embeddings()?;
    let request = Request {
        input: &input,
        output: output.as_ref(),
        tokens: &tokens,
        mapping: work.mapping,
        norms: Norms::Kept,
        seed: work.seed,
    };
    let (input, output) = transplant(&request, Named::Plain(Method::default()), None)?;
    let counts: Vec<String> = input.provenance.iter().map(|(name, n)| format!("{n} {name}")).collect();
    work.observer.observe(&Event::Note { text: format!("Rows for the candidate's vocabulary: {}", counts.join(", ")) });
    model.replace_embeddings(input.matrix, output.map(|m| m.matrix))
}

/// Trains one stage from `start`, or from the base.
fn stage(work: &mut Work<'_>, plan: &Plan, start: Option<Decoder>) -> Result<Staged, ExecuteError> {
    let config = work
        .stages
        .get(plan.stage)
        .cloned()
        .ok_or_else(|| ExecuteError::Mismatch(format!("the rules hold no configuration named `{}`", plan.stage)))?;
    let clock = Instant::now();
    let text = format!("Branch {}: {} on the {} tokenizer", plan.name, plan.strategy, plan.side);
    work.observer.observe(&Event::Note { text });
    let mut branch = Branch {
        name: plan.name.into(),
        strategy: plan.strategy,
        tokenizer: plan.side,
        status: Status::Failed,
        before: None,
        after: None,
        curve: Vec::new(),
        incidents: Vec::new(),
        seconds: 0.0,
        tokens_seen: 0,
        bytes_seen: 0,
        trainable_parameters: 0,
        folder: None,
        failure: None,
    };
    let model = match attempt(work, plan, &config, start, &mut branch) {
        Ok(model) => Some(model),
        Err(error) => {
            work.observer.observe(&Event::Note { text: format!("The branch {} failed: {error}", plan.name) });
            branch.failure = Some(error.to_string());
            None
        }
    };
    branch.seconds = clock.elapsed().as_secs_f64();
    Ok(Staged { branch, model })
}

fn attempt(
    work: &mut Work<'_>,
    plan: &Plan,
    config: &StageConfig,
    start: Option<Decoder>,
    branch: &mut Branch,
) -> Result<Decoder, ExecuteError> {
    let mut model = match start {
        Some(model) => model,
        None => work.base.load(work.device)?,
    };
    if plan.side == Side::Candidate {
        model = transplanted(model, work)?;
    }
    let held_out = held_out(work, plan.side)?;
    let lora = LoraConfig::everywhere(config.rank, config.alpha, config.dropout);
    let model = model.with_lora(&lora, work.seed).train_embeddings(config.train_embeddings);
    let length = sequence_length(work, plan.side, config.sequence)?;
    let data = Packed::text(work.tokens(plan.side).coder, work.train, length, work.seed)?;
    let mut reviewer = (work.reviewers)(plan.name);
    let mut company = Company { reviewer: reviewer.as_mut(), observer: work.observer, stop: work.stop };
    let fitted = train::fit(model, &data, Some(&held_out), &train::Plan::new(config.clone(), work.seed), &mut company)?;
    branch.before = fitted.before.map(|s| s.evaluation);
    branch.after = fitted.after.map(|s| s.evaluation);
    branch.curve = fitted.curve;
    branch.incidents = fitted.incidents;
    branch.tokens_seen = fitted.tokens_seen;
    branch.bytes_seen = fitted.bytes_seen;
    branch.trainable_parameters = fitted.trainable;
    branch.status = match fitted.ending {
        Ending::Done => Status::Done,
        Ending::TimeUp | Ending::StoppedEarly { .. } | Ending::Switch { .. } | Ending::FallBack { .. } => {
            Status::Stopped
        }
        Ending::Interrupted => Status::Interrupted,
    };
    if let Ending::Switch { because, .. } | Ending::FallBack { because } = &fitted.ending {
        branch.failure = Some(because.clone());
        branch.status = Status::Failed;
    }
    if plan.side == Side::Source {
        folder::write_adapter(&fitted.model, plan.name, work)?;
    }
    let merged = fitted.model.merged();
    branch.folder = Some(folder::write_model(&merged, plan.side, plan.name, work)?);
    Ok(merged)
}

/// Tokens a sequence: as many as cover the bytes that the configured length covers in the original's tokens.
fn sequence_length(work: &Work<'_>, side: Side, sequence: usize) -> Result<usize, ExecuteError> {
    let limit = work.base.config().size.positions;
    let per_token = |tokens: u64| work.eval_bytes as f64 / tokens.max(1) as f64;
    Ok(match side {
        Side::Source => sequence.min(limit),
        Side::Candidate => {
            let tokens = work.candidate.coder.count(work.eval)?;
            equal_bytes_length(sequence, per_token(work.source_tokens), per_token(tokens), limit)
        }
    })
}
