//! What a strategy works with: the run's inputs, which no stage changes; its environment (where to train, whom to ask and
//! to tell); and its state, which stages hand on to one another. What is done with them is not known here.

use super::Budget;
use super::error::StrategyError;
use crate::domain::directive::{Referee, Reviewer};
use crate::domain::event::{Event, Observer};
use crate::domain::injection::Injection;
use crate::domain::lesson::Lesson;
use crate::domain::outcome::{Evaluation, Incident, Vocab};
use crate::domain::profile::Profile;
use crate::domain::stage::Stage;
use crate::domain::strategy::{StageConfig, Strategy};
use crate::domain::vocabulary::Mapping;
use crate::model::{Decoder, ModelFolder};
use crate::tokenizer::Tokens;
use crate::transplant::Method;
use burn::tensor::Device;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The original tokenizer, grown.
pub struct GrownVocab<'a> {
    /// The grown tokenizer.
    pub tokens: Tokens<'a>,
    /// Where its rows come from.
    pub mapping: &'a Mapping,
}

/// What a run is made from; nothing of it changes.
pub struct RunInputs<'a> {
    /// The base model.
    pub base: &'a ModelFolder,
    /// The original tokenizer.
    pub source: Tokens<'a>,
    /// The candidate tokenizer.
    pub candidate: Tokens<'a>,
    /// Where the candidate's rows come from.
    pub mapping: &'a Mapping,
    /// The original tokenizer with new tokens, where `extend` may be taken.
    pub grown: Option<GrownVocab<'a>>,
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
    /// How each stage trains.
    pub stages: &'a BTreeMap<Stage, StageConfig>,
    /// The strategy that was decided on, and those to switch to, in this order: for `adaptive`.
    pub fallback_order: &'a [Strategy],
    /// Trouble to make on purpose.
    pub injected: &'a [Injection],
    /// Seconds that earlier processes spent on a branch, by its name.
    pub earlier: &'a BTreeMap<String, f64>,
}

impl RunInputs<'_> {
    pub(super) fn tokens(&self, on: Vocab) -> Result<&Tokens<'_>, StrategyError> {
        match on {
            Vocab::Source => Ok(&self.source),
            Vocab::Candidate => Ok(&self.candidate),
            Vocab::Grown => self.grown.as_ref().map(|g| &g.tokens).ok_or_else(no_growth),
            Vocab::Both => self
                .both
                .as_ref()
                .ok_or_else(|| StrategyError::Mismatch("there is no second vocabulary beside the original's".into())),
        }
    }

    pub(super) fn mapping(&self, on: Vocab) -> Result<&Mapping, StrategyError> {
        match on {
            Vocab::Source | Vocab::Candidate | Vocab::Both => Ok(self.mapping),
            Vocab::Grown => self.grown.as_ref().map(|g| g.mapping).ok_or_else(no_growth),
        }
    }

    /// How a stage trains.
    pub(super) fn config(&self, stage: Stage) -> Result<&StageConfig, StrategyError> {
        let none = || StrategyError::Mismatch(format!("the rules hold no configuration named `{stage}`"));
        self.stages.get(&stage).ok_or_else(none)
    }

    /// UTF-8 bytes that `sequence` tokens of the original tokenizer cover on the held-out text.
    pub(super) fn bytes_of(&self, sequence: usize) -> usize {
        let per_token = self.eval_bytes as f64 / self.source_tokens.max(1) as f64;
        (sequence as f64 * per_token).round() as usize
    }
}

fn no_growth() -> StrategyError {
    StrategyError::Mismatch("there is no grown tokenizer: the original's merges could not be continued".into())
}

/// What a reviewer is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ReviewerRequest<'a> {
    /// The stage that it will review.
    pub stage: Stage,
    /// Where to go when the branch is abandoned.
    pub switch_to: Option<Strategy>,
    /// Bits per byte that can be had without it: a branch that will not get there is not worth its time.
    pub incumbent: Option<f64>,
    /// What went wrong in earlier branches of the same strategy.
    pub incidents: &'a [Incident],
}

/// Makes a reviewer for a branch.
pub type Reviewers<'a> = dyn Fn(&ReviewerRequest<'_>) -> Box<dyn Reviewer> + 'a;

/// Where a run trains, whom it asks and whom it tells.
pub struct RunEnv<'a> {
    /// Where to train.
    pub device: &'a Device,
    /// A second device, where two branches may be trained at once.
    pub second: Option<&'a Device>,
    /// Memory there is for training, bytes; where it is known a batch is held in pieces that fit.
    pub memory: Option<u64>,
    /// The run's folder.
    pub out: &'a Path,
    /// Seed of everything random.
    pub seed: u64,
    /// Set by a signal.
    pub stop: &'a AtomicBool,
    /// Makes who reviews.
    pub reviewers: &'a Reviewers<'a>,
    /// Makes who looks at a race.
    pub referee: &'a (dyn Fn() -> Box<dyn Referee> + 'a),
    /// Who watches.
    pub observer: &'a mut dyn Observer,
}

impl RunEnv<'_> {
    /// Whether a signal asked to stop.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn note(&mut self, text: String) {
        self.observer.observe(&Event::Note { text });
    }
}

/// What changes from stage to stage.
#[derive(Default)]
pub struct RunState {
    /// Wall time there is.
    pub budget: Option<Budget>,
    /// The base on the held-out text, once it was evaluated.
    pub base: Option<Evaluation>,
    /// What went wrong so far in the branches of this strategy.
    pub incidents: Vec<Incident>,
}

/// A run on its way through its stages.
pub struct RunContext<'a> {
    /// What it is made from.
    pub inputs: &'a RunInputs<'a>,
    /// Where it trains, whom it asks and tells.
    pub env: RunEnv<'a>,
    /// What changes.
    pub state: RunState,
}

/// The weights that training begins with.
#[derive(Default)]
pub enum InitialWeights {
    /// The base's.
    #[default]
    Base,
    /// What an earlier stage left, adapters merged.
    Trained(Box<Decoder>),
}

/// Where a strategy begins, and where it may lead.
#[derive(Default)]
pub struct Start {
    /// The weights it begins with; on the original vocabulary where it is not the base.
    pub weights: InitialWeights,
    /// What a reviewer may switch to when it abandons a branch.
    pub switch_to: Option<Strategy>,
}
