//! What can be wrong with the input of an analysis, said in one sentence each, and what to do about it.

use crate::corpus::CorpusError;
use crate::domain::fault::{Fault, Kind};
use crate::domain::metric::OutOfRange;
use crate::tokenizer::TokenizerError;
use std::path::PathBuf;

/// An analysis that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// Two texts that should be translations line by line and are not.
    #[error("the parallel texts have {left} and {right} lines")]
    NotParallel {
        /// Lines of the first that are not blank.
        left: u64,
        /// Lines of the second that are not blank.
        right: u64,
    },
    /// A result that cannot be written.
    #[error("{} cannot be written: {reason}", .path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The corpus cannot be read.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A measurement outside its range.
    #[error("a measurement makes no sense: {0}")]
    Measurement(#[from] OutOfRange),
}

impl Fault for AnalyzeError {
    fn kind(&self) -> Kind {
        match self {
            Self::Corpus(error) => error.kind(),
            Self::Tokenizer(error) => error.kind(),
            Self::Measurement(_) | Self::Output { .. } => Kind::Failed,
            _ => Kind::Input,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Corpus(error) => error.hint(),
            Self::Tokenizer(error) => error.hint(),
            Self::Measurement(_) => None,
            Self::Output { .. } => {
                Some("give a path ending in .parquet, .csv or .jsonl, in a folder that may be written to".into())
            }
            Self::NotParallel { .. } => {
                Some("each line of one must be the translation of the same line of the other".into())
            }
        }
    }
}
