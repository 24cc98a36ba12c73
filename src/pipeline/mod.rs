//! analyse -> decide -> execute -> record -> learn, wired together. The stages do not know each other; whoever
//! needs two of them comes here. What a user typed and how results look is not known here.

mod auto;
mod demo;
mod evidence;
mod model;
mod past;
mod tables;

pub use crate::corpus::CorpusOptions;
pub use crate::decide::rules::inspect::Grid;
pub use crate::learn::Growth;
pub use auto::{AutoRequest, auto};
pub use demo::{Effort, PretrainRequest, Sample, demo, pretrain};
pub use evidence::{Advice, Inputs, analyze, decide};
pub use model::{
    EvalRequest, GenerateRequest, MergeRequest, TokenizerRequest, TransplantRequest, evaluate, generate, merge,
    methods, train_tokenizer, transplant,
};
pub use past::{describe, export, give_feedback, import, repair, run, runs, verify};
pub use tables::{
    check_rules, diff_rules, evaluate_scorer, explain_scorer, promote_scorer, replay, show_rules, simulate_scorer,
    test_rules,
};

use crate::analyze::AnalyzeError;
use crate::corpus::CorpusError;
use crate::decide::DecideError;
use crate::decide::rules::RuleBook;
use crate::domain::fault::{Fault, Kind};
use crate::execute::ExecuteError;
use crate::learn::LearnError;
use crate::record::{History, RecordError};
use std::path::{Path, PathBuf};

/// Where rules and history are.
#[derive(Debug, Clone)]
pub struct Settings {
    rules: Option<PathBuf>,
    history: PathBuf,
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
        Self { rules, history }
    }

    fn rules(&self) -> Result<RuleBook, PipelineError> {
        Ok(RuleBook::load(self.rules.as_deref())?)
    }

    /// The history where there is one already: looking must not make one.
    fn existing_history(&self) -> Result<Option<History>, PipelineError> {
        if self.history.exists() { Ok(Some(self.history()?)) } else { Ok(None) }
    }

    /// The history, which must be there.
    fn known_history(&self) -> Result<History, PipelineError> {
        self.existing_history()?.ok_or_else(|| PipelineError::NoHistory { path: self.history.clone() })
    }

    fn history(&self) -> Result<History, PipelineError> {
        Ok(History::open(&self.history)?)
    }
}

/// The time now (UTC, RFC 3339, seconds).
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What can go wrong on the way, by stage.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// Reading text.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// Measuring.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    /// Rules and deciding.
    #[error(transparent)]
    Decide(#[from] DecideError),
    /// Models and training.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The history.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The scorer.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// The output folder is taken.
    #[error("the output folder {} {}", path.display(), if *run { "already holds a run" } else { "is not empty" })]
    Occupied { path: PathBuf, run: bool },
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
    /// A table that is not there.
    #[error("there is no table `{name}`")]
    NoTable { name: String, known: String },
    /// An override names nothing.
    #[error("`{name}` is no value of a strategy's configuration")]
    Override { name: String, known: String },
    /// An override does not fit.
    #[error("`{name}` cannot be {value}: {reason}")]
    OverrideValue { name: String, value: String, reason: String },
}

impl Fault for PipelineError {
    fn kind(&self) -> Kind {
        match self {
            Self::Corpus(e) => e.kind(),
            Self::Analyze(e) => e.kind(),
            Self::Decide(e) => e.kind(),
            Self::Execute(e) => e.kind(),
            Self::Record(e) => e.kind(),
            Self::Learn(e) => e.kind(),
            Self::Occupied { .. } | Self::NoTable { .. } | Self::Override { .. } | Self::OverrideValue { .. } => {
                Kind::Usage
            }
            Self::TooFewRows { .. } | Self::NoHistory { .. } => Kind::Input,
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
            Self::Analyze(e) => e.hint(),
            Self::Decide(e) => e.hint(),
            Self::Execute(e) => e.hint(),
            Self::Record(e) => e.hint(),
            Self::Learn(e) => e.hint(),
            Self::Occupied { .. } => Some("name another folder with --out, or remove this one".into()),
            Self::File { .. } => Some("check that the path is right and may be written".into()),
            Self::TooFewRows { .. } => Some("give the tokenizer that the model was trained with, with --source".into()),
            Self::Override { known, .. } => Some(format!("write STAGE.FIELD=VALUE or FIELD=VALUE; known: {known}")),
            Self::NoHistory { .. } => {
                Some("run `hibrit demo` or `hibrit auto` first, or name another with --history".into())
            }
            Self::NoTable { known, .. } => Some(format!("the tables are {known}")),
            Self::Interrupted => None,
            Self::Saved { .. } => Some("the same command with --resume goes on from there".into()),
            Self::Unfinished { .. } => Some("go on with --resume, or remove that folder to begin anew".into()),
            Self::OverrideValue { .. } => Some("see `hibrit run --help`, option --set".into()),
        }
    }
}

/// Refuses a folder that holds anything.
fn must_be_free(out: &Path) -> Result<(), PipelineError> {
    match std::fs::read_dir(out) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(PipelineError::File { verb: "use", path: out.into(), source }),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(PipelineError::Occupied { path: out.into(), run: out.join("run.json").is_file() }),
        },
    }
}

/// Writes beside and renames, so that a reader never sees half a file.
fn write_whole(path: &Path, contents: &[u8]) -> Result<(), PipelineError> {
    let fail = |source| PipelineError::File { verb: "write", path: path.into(), source };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(fail)?;
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    std::io::Write::write_all(&mut beside, contents).map_err(fail)?;
    beside.as_file().sync_all().map_err(fail)?;
    beside.persist(path).map_err(|e| fail(e.error))?;
    Ok(())
}
