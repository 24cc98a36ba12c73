//! What can go wrong with a history, in the user's words.

use crate::domain::fault::{Fault, Kind};
use std::path::PathBuf;

/// Trouble with the history.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is something else.
    #[error("{} is not a hibrit history", path.display())]
    NotAHistory { path: PathBuf },
    /// Another process has it open, and did not let go in time.
    #[error("the history {} is in use by another process", path.display())]
    Busy { path: PathBuf, waited: f64 },
    /// It cannot be opened, read or made.
    #[error("the history {} cannot be {doing}", path.display())]
    Io { path: PathBuf, doing: &'static str, source: std::io::Error },
    /// The file, its folder or its file system is read-only.
    #[error("the history {} cannot be written: it or its folder is read-only", path.display())]
    ReadOnly { path: PathBuf, source: std::io::Error },
    /// A newer hibrit wrote it.
    #[error("{what} in {} has format {found}, which is newer than this version of hibrit supports ({known})", path.display())]
    Newer { path: PathBuf, what: String, found: u32, known: u32 },
    /// The file is a database that does not hold together.
    #[error("the history {} is damaged: {detail}", path.display())]
    Damaged { path: PathBuf, detail: String },
    /// One record cannot be read.
    #[error("{what} in the history {} cannot be read: {detail}", path.display())]
    Record { path: PathBuf, what: String, detail: String },
    /// A record holds what cannot be stored (a number that is not finite).
    #[error("{what} cannot be stored: {detail}")]
    Unstorable { what: String, detail: String },
    /// There is no such record.
    #[error("there is no {what} {wanted:?} in the history {}", path.display())]
    Unknown { path: PathBuf, what: &'static str, wanted: String, known: Vec<String> },
    /// The beginning of an id fits several.
    #[error("{wanted:?} is a prefix of {} ids in the history", known.len())]
    Ambiguous { wanted: String, known: Vec<String> },
    /// The id is taken.
    #[error("the history {} already holds a run {id}", path.display())]
    Exists { path: PathBuf, id: String },
    /// A verdict or metric outside its range.
    #[error("{0}")]
    Feedback(String),
    /// The other side of an import or export, or a journal, failed.
    #[error("{what} failed")]
    Exchange { what: String, source: std::io::Error },
    /// Another process holds the queue.
    #[error("the queue {} is in use by another service", path.display())]
    QueueTaken { path: PathBuf },
    /// The queue cannot be opened, read or written.
    #[error("the queue {} failed: {detail}", path.display())]
    Queue { path: PathBuf, detail: String },
    /// There is no such job.
    #[error("there is no job {wanted:?}")]
    NoJob { wanted: String },
    /// A worker whose lease was given to another wants to write.
    #[error("the lease on job {id} has passed to another worker (fence {held}, now {now})")]
    Fenced { id: String, held: u64, now: u64 },
    /// The job is not in a state in which this can be done.
    #[error("job {id} is {state} and cannot be {wanted}")]
    WrongState { id: String, state: String, wanted: &'static str },
    /// Anything else the database says.
    #[error("the history {} failed", path.display())]
    Database { path: PathBuf, source: Box<redb::Error> },
}

impl Fault for StoreError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotAHistory { .. }
            | Self::Newer { .. }
            | Self::Damaged { .. }
            | Self::Record { .. }
            | Self::Io { .. } => Kind::Input,
            Self::Unknown { .. }
            | Self::Ambiguous { .. }
            | Self::Feedback(_)
            | Self::NoJob { .. }
            | Self::WrongState { .. } => Kind::Usage,
            Self::Busy { .. }
            | Self::ReadOnly { .. }
            | Self::Unstorable { .. }
            | Self::Exists { .. }
            | Self::Exchange { .. }
            | Self::QueueTaken { .. }
            | Self::Queue { .. }
            | Self::Fenced { .. }
            | Self::Database { .. } => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAHistory { .. } => "name the .redb file that hibrit made, or a file that does not exist yet; \
                 an exported history (.jsonl) is read with `hibrit history import`"
                .into(),
            Self::Busy { waited, .. } => format!(
                "hibrit waited {waited:.0} s; it opens the history only briefly, so look for a process that hangs"
            ),
            Self::Io { .. } => "check the path and its permissions".into(),
            Self::ReadOnly { .. } => "name a history in a folder you may write to".into(),
            Self::Newer { .. } => "use the newer hibrit, or another history; nothing was changed".into(),
            Self::Damaged { .. } => {
                "try `hibrit history repair`; if that fails, import your last export into a new history".into()
            }
            Self::Record { .. } => "`hibrit history repair` sets unreadable records aside and keeps the rest".into(),
            Self::Unstorable { .. } => "this is a bug in hibrit: please report it with the run's journal".into(),
            Self::Unknown { known, .. } if known.is_empty() => "the history is empty".into(),
            Self::Unknown { known, .. } => format!("the latest: {}", known.join(", ")),
            Self::Ambiguous { known, .. } => format!("it matches {}", known.join(", ")),
            Self::Exists { .. } => "every run needs an id of its own".into(),
            Self::QueueTaken { .. } => "stop the other service, or name another folder with --state".into(),
            Self::NoJob { .. } => "`GET /api/v1/runs` lists them".into(),
            Self::Feedback(_)
            | Self::Exchange { .. }
            | Self::Queue { .. }
            | Self::Fenced { .. }
            | Self::WrongState { .. }
            | Self::Database { .. } => return None,
        })
    }
}
