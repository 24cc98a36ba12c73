//! What can be wrong with the input of an analysis, said in one sentence each, and what to do about it.

use crate::corpus::CorpusError;
use crate::domain::fault::{Fault, Kind};
use crate::domain::metric::OutOfRange;
use std::path::PathBuf;

/// An analysis that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// No such file, or a folder without a tokenizer.
    #[error("there is no tokenizer at {}", .path.display())]
    NotFound {
        /// What was asked for.
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
    /// Damaged, or another kind of file.
    #[error("{} is not JSON: {reason}", .path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// JSON, but no tokenizer.
    #[error("{} has no vocabulary", .path.display())]
    NoVocabulary {
        /// The file.
        path: PathBuf,
    },
    /// A kind of tokenizer that is not known.
    #[error("{} is a tokenizer of the unknown kind \"{model}\"", .path.display())]
    UnknownModel {
        /// The file.
        path: PathBuf,
        /// What it calls itself.
        model: String,
    },
    /// A tokenizer that contradicts itself or is larger than any real one.
    #[error("{} does not make a tokenizer: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A repository of the Hub that cannot be had.
    #[error("{id} cannot be had from the Hub: {reason}")]
    Hub {
        /// The repository.
        id: String,
        /// Why not.
        reason: String,
    },
    /// Two texts that should be translations line by line and are not.
    #[error("the parallel texts have {left} and {right} lines")]
    NotParallel {
        /// Lines of the first that are not blank.
        left: u64,
        /// Lines of the second that are not blank.
        right: u64,
    },
    /// A text that the tokenizer refuses.
    #[error("the tokenizer {name} cannot encode a text of the corpus: {reason}")]
    Encode {
        /// The tokenizer's name.
        name: String,
        /// What it says.
        reason: String,
    },
    /// A result that cannot be written.
    #[error("{} cannot be written: {reason}", .path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
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
            Self::Measurement(_) | Self::Output { .. } => Kind::Failed,
            _ => Kind::Input,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Corpus(error) => error.hint(),
            Self::Measurement(_) => None,
            Self::Output { .. } => {
                Some("give a path ending in .parquet, .csv or .jsonl, in a folder that may be written to".into())
            }
            Self::NotFound { .. } => Some(
                "give a tokenizer.json, a SentencePiece .model, a folder that holds one, or a Hub id (owner/name)".into()
            ),
            Self::Hub { .. } => Some(
                "check the name and the network; without one, copy the repository into the cache (HF_HOME) or give a folder"
                    .into(),
            ),
            Self::Io { .. } => Some("check that the file may be read".into()),
            Self::NotJson { .. } => {
                Some("the file may be cut short or be a pointer to a large file; fetch it again".into())
            }
            Self::NoVocabulary { .. } => {
                Some("give the tokenizer.json that lies beside the model, not another .json file".into())
            }
            Self::UnknownModel { .. } => Some("BPE, Unigram, WordPiece and WordLevel are known".into()),
            Self::Malformed { .. } => Some("save it again with the library that made it".into()),
            Self::NotParallel { .. } => {
                Some("each line of one must be the translation of the same line of the other".into())
            }
            Self::Encode { .. } => {
                Some("give the tokenizer an unknown token, or leave the text out of the corpus".into())
            }
        }
    }
}
