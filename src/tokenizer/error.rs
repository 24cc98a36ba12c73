//! What can be wrong with a tokenizer's files and with a text for it, said in one sentence each, and what to do about it.

use crate::domain::fault::{Fault, Kind};
use crate::files::FileError;
use std::path::PathBuf;

/// A tokenizer that cannot be used, or a text that it cannot handle.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
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
    #[error("{} is a tokenizer of the unsupported kind \"{model}\"", .path.display())]
    UnknownModel {
        /// The file.
        path: PathBuf,
        /// What it calls itself.
        model: String,
    },
    /// A tokenizer that contradicts itself or is larger than any real one.
    #[error("{} is not a valid tokenizer: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A repository of the Hub that cannot be had.
    #[error("{id} cannot be downloaded from the Hub: {reason}")]
    Hub {
        /// The repository.
        id: String,
        /// Why not.
        reason: String,
    },
    /// A text that the tokenizer refuses.
    #[error("the tokenizer {name} cannot encode a text of the corpus: {reason}")]
    Encode {
        /// The tokenizer's name.
        name: String,
        /// What it says.
        reason: String,
    },
    /// A file that cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A tokenizer that cannot be used, or a text it cannot handle.
    #[error("the tokenizer cannot be used: {0}")]
    Unusable(String),
    /// A text or a setting that nothing can be trained with.
    #[error("{0}")]
    Data(String),
}

impl Fault for TokenizerError {
    fn kind(&self) -> Kind {
        match self {
            Self::File(e) => e.kind(),
            _ => Kind::Input,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some(
                "give a tokenizer.json, a SentencePiece .model, a folder containing one, or a Hub id (owner/name)".into()
            ),
            Self::Hub { .. } => Some(
                "check the name and the network; without one, copy the repository into the cache (HF_HOME) or give a folder"
                    .into(),
            ),
            Self::Io { .. } => Some("check that the file is readable".into()),
            Self::NotJson { .. } => {
                Some("the file may be truncated, or a pointer to a large file; download it again".into())
            }
            Self::NoVocabulary { .. } => {
                Some("give the tokenizer.json beside the model, not another .json file".into())
            }
            Self::UnknownModel { .. } => Some("BPE, Unigram, WordPiece and WordLevel are supported".into()),
            Self::Malformed { .. } => Some("save it again with the library that made it".into()),
            Self::Encode { .. } => {
                Some("give the tokenizer an unknown token, or remove the text from the corpus".into())
            }
            Self::File(e) => e.hint(),
            Self::Unusable(_) | Self::Data(_) => None,
        }
    }
}
