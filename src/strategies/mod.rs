//! Roads, one a file, behind one trait: which stages a strategy trains, in which order, on which tokenizer. Which
//! strategy is right, and which branch wins, is decided elsewhere.
//!
//! A stage ([`stage`]) always goes the same way: a model (the base, or what an earlier stage left), rows for the
//! candidate's vocabulary where the stage uses it, an evaluation, training with adapters, another evaluation, a folder.
//! A stage that fails is a branch that says so, not an error of the run: other branches may still give a model. A stage
//! that is done is never done again: whoever resumes a run finds it in its folder.

mod adaptive;
mod budget;
pub mod cost;
mod direct;
mod emergency;
mod extend;
mod folder;
mod keep;
mod mapping;
mod parallel;
mod race;
mod sequential;
mod stage;
mod structural;

use crate::domain::directive::{Directive, Referee, Reviewer};
use crate::domain::event::{Event, Observer};
use crate::domain::injection::Injection;
use crate::domain::lesson::Lesson;
use crate::domain::outcome::{Branch, Evaluation, Incident, Status, Vocab};
use crate::domain::profile::Profile;
use crate::domain::strategy::{StageConfig, Strategy};
use crate::domain::vocabulary::Mapping;
use crate::model::ExecuteError;
use crate::model::evaluate::HeldOut;
use crate::model::{Decoder, ModelFolder};
use crate::tokenizer::Tokens;
use crate::train::data::equal_bytes_length;
use crate::transplant::Method;
use burn::tensor::Device;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub use budget::Budget;
pub use folder::export;

/// What a reviewer is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Commission<'a> {
    /// The branch.
    pub branch: &'a str,
    /// Where to go when it is given up.
    pub switch_to: Option<Strategy>,
    /// Bits per byte that can be had without it: a branch that will not get there is not worth its time.
    pub incumbent: Option<f64>,
    /// What went wrong in earlier branches of the same road.
    pub trouble: &'a [Incident],
}

/// Makes a reviewer for a branch.
pub type Reviewers<'a> = dyn FnMut(&Commission<'_>) -> Box<dyn Reviewer> + 'a;

/// The original tokenizer, grown.
pub struct Grown<'a> {
    /// The grown tokenizer.
    pub tokens: Tokens<'a>,
    /// Where its rows come from.
    pub mapping: &'a Mapping,
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
    /// The original tokenizer with new tokens, where `extend` may be taken.
    pub grown: Option<Grown<'a>>,
    /// The candidate with its ids behind the original's rows, where `structural` may be taken.
    pub both: Option<Tokens<'a>>,
    /// How rows are made for another vocabulary; the default where absent.
    pub method: Option<Method>,
    /// What is known of the two tokenizers.
    pub profile: &'a Profile,
    /// Training documents and conversations.
    pub train: &'a [Lesson],
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
    /// Memory there is for training, bytes; where it is known a batch is held in pieces that fit.
    pub memory: Option<u64>,
    /// A second device, where two branches may be trained at once.
    pub second: Option<&'a Device>,
    /// Seed of everything random.
    pub seed: u64,
    /// The run's folder.
    pub out: &'a Path,
    /// Set by a signal.
    pub stop: &'a AtomicBool,
    /// Who reviews.
    pub reviewers: &'a mut Reviewers<'a>,
    /// Who looks at a race.
    pub referee: &'a mut (dyn FnMut() -> Box<dyn Referee> + 'a),
    /// Who watches.
    pub observer: &'a mut dyn Observer,
    /// Seconds that earlier processes spent on a branch, by its name.
    pub earlier: &'a BTreeMap<String, f64>,
    /// Wall time there is.
    pub budget: Option<Budget>,
    /// Trouble to make on purpose.
    pub injected: &'a [Injection],
    /// The strategy that was decided on, and what to go to, in this order, when it is given up: for `adaptive`.
    pub course: &'a [Strategy],
    /// The base on the held-out text.
    pub before: Option<Evaluation>,
    /// What went wrong so far on this road.
    pub trouble: Vec<Incident>,
    /// Where the stage in hand may switch to.
    pub switch_to: Option<Strategy>,
}

impl Work<'_> {
    /// Whether a signal asked to stop.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn tokens(&self, on: Vocab) -> Result<&Tokens<'_>, ExecuteError> {
        match on {
            Vocab::Source => Ok(&self.source),
            Vocab::Candidate => Ok(&self.candidate),
            Vocab::Grown => self.grown.as_ref().map(|g| &g.tokens).ok_or_else(no_growth),
            Vocab::Both => self
                .both
                .as_ref()
                .ok_or_else(|| ExecuteError::Mismatch("there is no second vocabulary beside the original's".into())),
        }
    }

    fn mapping(&self, on: Vocab) -> Result<&Mapping, ExecuteError> {
        match on {
            Vocab::Source | Vocab::Candidate | Vocab::Both => Ok(self.mapping),
            Vocab::Grown => self.grown.as_ref().map(|g| g.mapping).ok_or_else(no_growth),
        }
    }

    /// UTF-8 bytes that `sequence` tokens of the original tokenizer cover on the held-out text.
    fn bytes_of(&self, sequence: usize) -> usize {
        let per_token = self.eval_bytes as f64 / self.source_tokens.max(1) as f64;
        (sequence as f64 * per_token).round() as usize
    }

    fn note(&mut self, text: String) {
        self.observer.observe(&Event::Note { text });
    }
}

fn no_growth() -> ExecuteError {
    ExecuteError::Mismatch("there is no grown tokenizer: the original's merges could not be continued".into())
}

/// Where a road begins: the base, or a model that an earlier road left on the original tokenizer.
#[derive(Default)]
pub struct Start {
    /// The model, adapters merged.
    pub model: Option<Decoder>,
}

/// A strategy's way of training.
pub trait Road: Sync {
    /// Which strategy it is.
    fn strategy(&self) -> Strategy;
    /// The stages it may train: name of the configuration, and the vocabulary in use.
    fn stages(&self) -> &'static [(&'static str, Vocab)];
    /// Whether its stages are there at once, and take turns where there is one device.
    fn races(&self) -> bool {
        false
    }
    /// Trains, and says how each branch ended.
    ///
    /// # Errors
    /// Only what concerns the whole run: an output folder that cannot be written, a configuration that is missing.
    fn carry_out(&self, work: &mut Work<'_>, start: Start) -> Result<Vec<Branch>, ExecuteError>;
}

/// Every road this build can take.
pub const ROADS: &[&dyn Road] = &[
    &keep::Keep,
    &direct::Direct,
    &sequential::Sequential,
    &parallel::Parallel,
    &extend::Extend,
    &structural::Structural,
    &adaptive::Adaptive,
    &emergency::Emergency,
];

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

/// What a branch was given up for, if it was: a switch or the fallback.
pub fn given_up(branch: &Branch) -> Option<&Directive> {
    let last = branch.incidents.last().map(|i| &i.directive)?;
    let up = matches!(last, Directive::Switch { .. } | Directive::FallBack { .. });
    (up && branch.status == Status::Failed).then_some(last)
}

/// The base model on the held-out text; remembered as what every branch has to beat.
///
/// # Errors
/// As loading and evaluating.
pub fn evaluate_base(work: &mut Work<'_>) -> Result<Evaluation, ExecuteError> {
    work.note("Evaluating the base on the held-out text".into());
    let clock = std::time::Instant::now();
    let held_out = held_out(work, Vocab::Source)?;
    let evaluation = held_out.evaluate(&work.base.load(work.device)?)?.evaluation;
    if let Some(budget) = &mut work.budget {
        budget.evaluation = clock.elapsed().as_secs_f64();
    }
    work.before = Some(evaluation.clone());
    Ok(evaluation)
}

/// The held-out text in the same windows of bytes for every branch: the longest sequence that any stage trains on.
fn held_out(work: &Work<'_>, on: Vocab) -> Result<HeldOut, ExecuteError> {
    let longest = work.stages.values().map(|s| s.sequence).max().unwrap_or(1);
    let window = work.bytes_of(longest.min(work.base.config().size.positions));
    HeldOut::new(work.tokens(on)?.coder, work.eval, work.source_tokens, window)
}

/// Tokens a sequence: as many as cover the bytes that the configured length covers in the original's tokens.
fn sequence_length(work: &Work<'_>, on: Vocab, sequence: usize) -> Result<usize, ExecuteError> {
    let limit = work.base.config().size.positions;
    let per_token = |tokens: u64| work.eval_bytes as f64 / tokens.max(1) as f64;
    if on == Vocab::Source {
        return Ok(sequence.min(limit));
    }
    let tokens = work.tokens(on)?.coder.count(work.eval)?;
    Ok(equal_bytes_length(sequence, per_token(work.source_tokens), per_token(tokens), limit))
}
