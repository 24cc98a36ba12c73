//! analyse -> decide -> execute -> record -> learn, wired together. The stages do not know each other; whoever
//! needs two of them comes here. What a user typed and how results look is not known here.

mod auto;
mod cost_estimate;
mod decision;
mod decision_context;
mod decision_log;
mod demo;
mod device;
mod grow;
mod history;
mod model;
mod profile;
mod tables;
mod transplant;

pub use crate::corpus::CorpusOptions;
pub use crate::decide::rules::inspect::Grid;
pub use crate::learn::Growth;
pub use crate::model::device_check::Checked;
pub use crate::store::{
    Cancelled, JOURNAL, Job, JobEnd, Journal, JournalEntry, Queue, State, Submitted, Sync as JournalSync, read_journal,
    run_id,
};
pub use crate::train::timing::Timed;
pub use auto::{AutoRequest, Comparison, RunPlan, StagePlan, SweepRow, auto, has_begun, plan, resume, run_all};
pub use decision::{Advice, AdviceRequest, decide};
pub use decision_context::{DecisionContext, Stamp};
pub use decision_log::{Replay, decision, decision_log, hindsight, recommendation, replay, rotated};
pub use demo::{Effort, PretrainRequest, Sample, demo, pretrain};
pub use device::{TimeRequest, check_device, checkpointing, devices, time_device};
pub use grow::{Changed, ExtendRequest, Extended, extend_tokenizer};
pub use history::{
    compare, describe, export, export_lines, give_feedback, import, repair, run, runs, verify, write_export,
};
pub use model::{
    EvalRequest, ExportRequest, GenerateRequest, Measured, MergeRequest, TokenizerRequest, evaluate, export_side,
    generate, merge, train_tokenizer,
};
pub use profile::{ProfileOptions, ProfileRequest, analyze, measure};
pub use tables::{
    check_rules, diff_rules, evaluate_scorer, explain_scorer, promote_scorer, show_rules, simulate_scorer, test_rules,
    write_schemas,
};

pub use crate::model::Dtype;
pub use crate::model::structural_folder::View;
pub use transplant::{Padding, TransplantRequest, Transplanted, Which, default_method, methods, transplant};

use crate::analyze::AnalyzeError;
use crate::corpus::CorpusError;
use crate::decide::DecideError;
use crate::decide::rules::RuleBook;
use crate::domain::fault::{Fault, Kind};
use crate::learn::LearnError;
use crate::model::ModelError;
use crate::store::{History, StoreError};
use crate::strategies::StrategyError;
use crate::tokenizer::TokenizerError;
use crate::train::TrainError;
use crate::transplant::TransplantError;
use std::path::{Path, PathBuf};

/// Where rules and history are.
#[derive(Debug, Clone)]
pub struct Settings {
    rules: Option<PathBuf>,
    history: PathBuf,
    run_id: Option<String>,
    journal: Option<PathBuf>,
}

impl Settings {
    /// `rules`: a folder that replaces built-in rule files. `history`: the database; by default
    /// `history/hibrit.redb` where a folder `history` stands in the current one, else in the user's data folder.
    pub fn new(rules: Option<PathBuf>, history: Option<PathBuf>) -> Self {
        let history = history.unwrap_or_else(|| {
            let here = Path::new("history");
            match directories::ProjectDirs::from("", "", "hibrit") {
                Some(dirs) if !here.is_dir() => dirs.data_dir().join("history.redb"),
                _ => here.join("hibrit.redb"),
            }
        });
        Self { rules, history, run_id: None, journal: None }
    }

    /// The same for one run, whose id in the history is settled beforehand: carried out again after a crash, it takes
    /// the place of what the crash has left, and never stands there twice. The observer writes the run's journal to
    /// `journal`, from before the run begins; no other is written.
    pub fn for_run(&self, id: &str, journal: PathBuf) -> Self {
        Self { run_id: Some(id.into()), journal: Some(journal), ..self.clone() }
    }

    /// The journal that the observer writes, where it does.
    fn journal(&self) -> Option<&Path> {
        self.journal.as_deref()
    }

    /// Refuses a folder that holds anything but the journal that the observer writes.
    fn must_be_free(&self, out: &Path) -> Result<(), AppError> {
        must_be_free_but(out, self.journal())
    }

    /// The id of a run that begins.
    fn new_run_id(&self) -> String {
        self.run_id.clone().unwrap_or_else(|| run_id(jiff::Timestamp::now(), rand::random()))
    }

    /// Writes down that a run begins.
    fn begin(&self, history: &History, run: &crate::domain::run::Run) -> Result<(), AppError> {
        match history.begin(run) {
            Err(StoreError::Exists { .. }) if self.run_id.is_some() => Ok(history.update(run)?),
            other => Ok(other?),
        }
    }

    /// The history without waiting for whoever else has it open.
    fn history_at_once(&self) -> Result<History, AppError> {
        Ok(History::open_waiting(&self.history, std::time::Duration::ZERO)?)
    }

    /// Where a service writes what it recommends, beside the history: too often for the history itself.
    pub fn recommendations(&self) -> PathBuf {
        self.history.with_file_name("decisions.jsonl")
    }

    fn rules(&self) -> Result<RuleBook, AppError> {
        Ok(RuleBook::load(self.rules.as_deref())?)
    }

    /// The history where there is one already: looking must not make one.
    fn existing_history(&self) -> Result<Option<History>, AppError> {
        if self.history.exists() { Ok(Some(self.history()?)) } else { Ok(None) }
    }

    /// The history, which must be there.
    fn known_history(&self) -> Result<History, AppError> {
        self.existing_history()?.ok_or_else(|| AppError::NoHistory { path: self.history.clone() })
    }

    fn history(&self) -> Result<History, AppError> {
        Ok(History::open(&self.history)?)
    }
}

/// The time now (UTC, RFC 3339, seconds).
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What can go wrong on the way, by stage.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Reading text.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// Tokenizers.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// Measuring.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    /// Rules and deciding.
    #[error(transparent)]
    Decide(#[from] DecideError),
    /// Models.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Rows for another vocabulary.
    #[error(transparent)]
    Transplant(#[from] TransplantError),
    /// Training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Strategies.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// The history.
    #[error(transparent)]
    Record(#[from] StoreError),
    /// The scorer.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// The output folder is taken.
    #[error("the output folder {} {}", path.display(), if *run { "already holds a run" } else { "is not empty" })]
    Occupied { path: PathBuf, run: bool },
    /// A folder that no run can be gone on from.
    #[error("there is no run to resume in {}: {why}", path.display())]
    NoRun { path: PathBuf, why: String },
    /// The candidate has no tokens for the text.
    #[error(
        "the candidate {candidate} loses {:.1}% of the held-out text's bytes to unknown tokens, and {:.0}% is the most",
        100.0 * share, 100.0 * most
    )]
    Unwritable { candidate: String, share: f64, most: f64 },
    /// A budget in which nothing can be learnt.
    #[error("{strategy} needs about {needed:.0} s and the budget is {budget:.0} s: too little for any training")]
    TooLittleTime { strategy: crate::domain::strategy::Strategy, budget: f64, needed: f64 },
    /// A file could not be read or written.
    #[error("cannot {verb} {}", path.display())]
    File { verb: &'static str, path: PathBuf, source: std::io::Error },
    /// The tokenizer does not belong to the model.
    #[error("the original tokenizer needs {tokens} rows and the embedding matrix of {} has {rows}", model.display())]
    TooFewRows { model: PathBuf, rows: usize, tokens: usize },
    /// A signal came before there was anything worth keeping.
    #[error("stopped by a signal before anything was written")]
    Interrupted,
    /// A signal came; the state is saved.
    #[error("stopped by a signal; the state is saved in {}", checkpoints.display())]
    Saved { checkpoints: PathBuf },
    /// An interrupted run is in the way of a new one.
    #[error("{} holds an interrupted run", checkpoints.display())]
    Unfinished { checkpoints: PathBuf },
    /// There are no past runs.
    #[error("there is no history at {} yet", path.display())]
    NoHistory { path: PathBuf },
    /// No logged decision, or several, fit.
    #[error("{} logged decisions have an id that begins with `{wanted}`", if *matching == 0 { "no".to_string() } else { matching.to_string() })]
    NoDecision { wanted: String, matching: usize, known: String },
    /// A table that is not there.
    #[error("there is no table `{name}`")]
    NoTable { name: String, known: String },
    /// An override names nothing.
    #[error("`{name}` is not a setting of a strategy")]
    Override { name: String, known: String },
    /// An override does not fit.
    #[error("`{name}` cannot be {value}: {reason}")]
    OverrideValue { name: String, value: String, reason: String },
    /// Conversations that nothing can lay out.
    #[error("the training text contains conversations, and neither {} nor the candidate has a chat template", .model.display())]
    NoTemplate { model: PathBuf },
    /// The weights of the training texts make no mixture.
    #[error("the training texts cannot be mixed: {why}")]
    Weights { why: String },
}

/// Expected refusals of queue and history, for whoever answers them in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedError {
    /// There is no such job.
    NoJob,
    /// There is no such run, or no history at all.
    NoRun,
    /// The job is not in the state that is needed.
    WrongState,
    /// Somebody else holds the history.
    Busy,
}

impl AppError {
    /// Which expected refusal it is, if it is one.
    pub fn snag(&self) -> Option<ExpectedError> {
        match self {
            Self::Record(StoreError::NoJob { .. }) => Some(ExpectedError::NoJob),
            Self::Record(StoreError::WrongState { .. }) => Some(ExpectedError::WrongState),
            Self::Record(StoreError::Unknown { .. } | StoreError::Ambiguous { .. }) | Self::NoHistory { .. } => {
                Some(ExpectedError::NoRun)
            }
            Self::Record(StoreError::Busy { .. }) => Some(ExpectedError::Busy),
            _ => None,
        }
    }
}

impl Fault for AppError {
    fn kind(&self) -> Kind {
        match self {
            Self::Corpus(e) => e.kind(),
            Self::Tokenizer(e) => e.kind(),
            Self::Analyze(e) => e.kind(),
            Self::Decide(e) => e.kind(),
            Self::Model(e) => e.kind(),
            Self::Transplant(e) => e.kind(),
            Self::Train(e) => e.kind(),
            Self::Strategy(e) => e.kind(),
            Self::Record(e) => e.kind(),
            Self::Learn(e) => e.kind(),
            Self::NoDecision { .. }
            | Self::Occupied { .. }
            | Self::NoTable { .. }
            | Self::Override { .. }
            | Self::OverrideValue { .. }
            | Self::Weights { .. } => Kind::Usage,
            Self::TooFewRows { .. } | Self::NoTemplate { .. } | Self::NoHistory { .. } | Self::NoRun { .. } => {
                Kind::Input
            }
            Self::Unwritable { .. } | Self::TooLittleTime { .. } => Kind::Infeasible,
            Self::Interrupted | Self::Saved { .. } => Kind::Interrupted,
            Self::Unfinished { .. } => Kind::Usage,
            Self::File { verb, .. } => {
                if *verb == "read" {
                    Kind::Input
                } else {
                    Kind::Failed
                }
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Corpus(e) => e.hint(),
            Self::Tokenizer(e) => e.hint(),
            Self::Analyze(e) => e.hint(),
            Self::Decide(e) => e.hint(),
            Self::Model(e) => e.hint(),
            Self::Transplant(e) => e.hint(),
            Self::Train(e) => e.hint(),
            Self::Strategy(e) => e.hint(),
            Self::Record(e) => e.hint(),
            Self::Learn(e) => e.hint(),
            Self::Occupied { run: true, .. } => {
                Some("resume that run with --resume, name another folder with --out, or delete this one".into())
            }
            Self::Occupied { .. } => Some("name another folder with --out, or delete this one".into()),
            Self::NoRun { .. } => Some("start a new run with `hibrit auto` in another folder".into()),
            Self::Unwritable { .. } => {
                Some("use `keep` or `extend`, or a candidate made for this language and script".into())
            }
            Self::TooLittleTime { needed, .. } => Some(format!(
                "give at least {:.0} s with --budget, or less text with --train-bytes; all of it takes about {needed:.0} s",
                (needed * 0.05).ceil()
            )),
            Self::File { .. } => Some("check that the path is right and writable".into()),
            Self::TooFewRows { .. } => Some("give the tokenizer that the model was trained with, with --source".into()),
            Self::Override { known, .. } => Some(format!("write STAGE.FIELD=VALUE or FIELD=VALUE; known: {known}")),
            Self::NoHistory { .. } => {
                Some("run `hibrit demo` or `hibrit auto` first, or name another with --history".into())
            }
            Self::NoDecision { known, .. } if known.is_empty() => {
                Some("`hibrit decide`, `hibrit auto` and `hibrit run` log their decisions".into())
            }
            Self::NoDecision { known, .. } => Some(format!("the latest are {known}")),
            Self::NoTable { known, .. } => Some(format!("the tables are {known}")),
            Self::Interrupted => None,
            Self::Saved { .. } => Some("the same command with --resume continues from there".into()),
            Self::Unfinished { .. } => Some("continue with --resume, or delete that folder to start over".into()),
            Self::OverrideValue { .. } => Some("see `hibrit run --help`, option --set".into()),
            Self::NoTemplate { .. } => Some("put a chat_template.jinja beside one of the tokenizers".into()),
            Self::Weights { .. } => Some("give --weights one number from 0 to 1000 for each --train, not all 0".into()),
        }
    }
}

/// Refuses a folder that holds anything.
fn must_be_free(out: &Path) -> Result<(), AppError> {
    must_be_free_but(out, None)
}

fn must_be_free_but(out: &Path, journal: Option<&Path>) -> Result<(), AppError> {
    match std::fs::read_dir(out) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(AppError::File { verb: "use", path: out.into(), source }),
        Ok(mut entries) => match entries.find(|e| !e.as_ref().is_ok_and(|e| Some(e.path().as_path()) == journal)) {
            None => Ok(()),
            Some(_) => Err(AppError::Occupied {
                path: out.into(),
                run: ["run.json", "begun.json"].iter().any(|f| out.join(f).is_file()),
            }),
        },
    }
}

/// A reader never sees half a file.
fn write_whole(path: &Path, contents: &[u8]) -> Result<(), AppError> {
    let fail = |source| AppError::File { verb: "write", path: path.into(), source };
    crate::files::atomic::write(path, |file| file.write_all(contents)).map_err(fail)
}
