//! What can be wrong with a corpus, said in one sentence each, and what to do about it.

use crate::domain::fault::{Fault, Kind};
use std::path::{Path, PathBuf};

/// A corpus that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// No such file, folder or pattern.
    #[error("there is no corpus at {}", .path.display())]
    NotFound {
        /// What was asked for.
        path: PathBuf,
    },
    /// A file of a kind that is not read.
    #[error("{} is not a supported kind of corpus", .path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{} cannot be read: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Bytes that are not text.
    #[error("{} is not UTF-8 at byte {offset} (line {line})", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Offset of the first bad byte in the (decompressed) file, from 0.
        offset: u64,
        /// Its line, from 1.
        line: u64,
    },
    /// A line that is not a JSON object.
    #[error("line {line} of {} is not a JSON object: {reason}", .path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What the parser says.
        reason: String,
    },
    /// An object without the text field.
    #[error("line {line} of {} has no text in a field named \"{field}\"", .path.display())]
    NoField {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The field that was looked for.
        field: String,
    },
    /// A line of JSON longer than is held in memory.
    #[error("line {line} of {} is longer than {limit} bytes", .path.display())]
    LongLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The most that is held.
        limit: usize,
    },
    /// A file compressed in a way that is not read.
    #[error("{} is compressed as .{suffix}, which is not supported", .path.display())]
    UnknownPacking {
        /// The file.
        path: PathBuf,
        /// What its name ends in.
        suffix: String,
    },
    /// A Parquet file that contradicts itself.
    #[error("{} is not a valid Parquet file: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// A Parquet file without the text column.
    #[error("{} has no column of text or messages named \"{field}\"", .path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column that was looked for.
        field: String,
        /// The columns there are.
        known: String,
    },
    /// A row that is not text.
    #[error("row {row} of {} is not UTF-8", .path.display())]
    NotUtf8Row {
        /// The file.
        path: PathBuf,
        /// The row, from 1; where rows are read together, the first of them.
        row: u64,
    },
    /// A row that is no conversation.
    #[error("row {row} of {} has no list of messages with `role` and `content` in \"{field}\"", .path.display())]
    NoTurns {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: u64,
        /// The column.
        field: String,
    },
    /// A conversation longer than is held in memory.
    #[error("row {row} of {} is longer than {limit} bytes", .path.display())]
    LongRow {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: u64,
        /// The most that is held.
        limit: usize,
    },
    /// Nothing to read.
    #[error("there is no text in {what}")]
    Empty {
        /// The files.
        what: String,
    },
}

impl CorpusError {
    /// Wraps what the operating system said about `path`.
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound { path },
            _ => Self::Io { path, source },
        }
    }
}

impl Fault for CorpusError {
    fn kind(&self) -> Kind {
        Kind::Input
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => "give a file, a folder, or a pattern in quotes such as 'data/*.txt'".into(),
            Self::UnknownKind { .. } => {
                "a corpus is .txt, .jsonl or .parquet, plain or compressed as .gz or .zst".into()
            }
            Self::UnknownPacking { .. } => "unpack it, or compress it as .gz or .zst".into(),
            Self::Damaged { .. } => "the file may be truncated; download it again".into(),
            Self::NoColumn { known, .. } => format!("name the column with --field; there are: {known}"),
            Self::NotUtf8Row { .. } => "write the column as UTF-8, or use --lossy".into(),
            Self::Io { .. } => "check that the file is complete and readable".into(),
            Self::NotUtf8 { .. } => "convert the file to UTF-8, or use --lossy (bad bytes become U+FFFD)".into(),
            Self::NotJson { .. } => "a .jsonl file has one JSON object per line; plain text must be named .txt".into(),
            Self::NoField { .. } => {
                "name the field with the text, or with a conversation's messages, using --field".into()
            }
            Self::NoTurns { .. } => "name another column with --field".into(),
            Self::LongRow { .. } => "split the conversation".into(),
            Self::LongLine { .. } => "split the document, or give the text as .txt".into(),
            Self::Empty { .. } => "give a corpus with at least one line that is not blank".into(),
        })
    }
}
