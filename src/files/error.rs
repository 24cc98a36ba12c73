//! What can be wrong with a file as such, said in one sentence, and what to do about it.

use crate::domain::fault::{Fault, Kind};
use std::path::{Path, PathBuf};

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It could not be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It could not be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It should be JSON and is not.
    #[error("{} is not valid JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
}

impl Fault for FileError {
    fn kind(&self) -> Kind {
        match self {
            Self::Read { .. } | Self::Json { .. } => Kind::Input,
            Self::Write { .. } => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("check the path, and that the file is readable".into()),
            Self::Write { .. } => Some("check that the folder exists, is writable and has free space".into()),
            Self::Json { .. } => None,
        }
    }
}

impl FileError {
    /// For `map_err` on reads.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Read { path: path.to_path_buf(), source }
    }

    /// For `map_err` on writes.
    pub(crate) fn writing(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Write { path: path.to_path_buf(), source }
    }

    /// For `map_err` on parsing.
    pub(crate) fn parsing(path: &Path) -> impl FnOnce(serde_json::Error) -> Self + '_ {
        move |source| Self::Json { path: path.to_path_buf(), source }
    }
}
