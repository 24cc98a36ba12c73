//! What can be wrong with models, and with what is done with them, said in one sentence each.

use crate::domain::fault::{Fault, Kind};
use crate::domain::strategy::Strategy;
use crate::tokenizer::TokenizerError;
use std::path::{Path, PathBuf};

/// What can go wrong while executing. Every variant that concerns a file names it.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// A file that could not be read.
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A file that could not be written.
    #[error("{} cannot be written", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// A file that should be JSON and is not.
    #[error("{} is not valid JSON", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    /// A config.json that lacks something, contradicts itself or asks for what is not built.
    #[error("{}: {what}", path.display())]
    Config { path: PathBuf, what: String },
    /// An architecture that is not built.
    #[error("{}: the architecture {found:?} is not supported", path.display())]
    Architecture { path: PathBuf, found: String },
    /// A weights file whose structure is damaged.
    #[error("{}: {what}", path.display())]
    Weights { path: PathBuf, what: String },
    /// A tensor that is missing, extra, of another shape, or holds what it must not.
    #[error("{}: tensor {tensor} {what}", path.display())]
    Tensor { path: PathBuf, tensor: String, what: String },
    /// An adapter that does not fit.
    #[error("{}: {what}", path.display())]
    Adapter { path: PathBuf, what: String },
    /// A strategy that this build cannot execute.
    #[error("this build cannot execute the strategy {strategy}")]
    NotBuilt { strategy: Strategy, built: String },
    /// A device that is not there.
    #[error("device {asked:?} cannot be used: {why}")]
    Device { asked: String, why: String },
    /// A checkpoint that cannot be gone on from.
    #[error("the checkpoint {} {what}", path.display())]
    Checkpoint { path: PathBuf, what: String },
    /// The tokenizer's side of it.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A text or a setting that nothing can be trained or evaluated with.
    #[error("{0}")]
    Data(String),
    /// Numbers handed to the model that do not fit it: ids outside the table, lengths that do not match.
    #[error("{0}")]
    Mismatch(String),
    /// The backend failed; on a GPU, running out of memory arrives here.
    #[error("the {device} backend failed: {what}")]
    Backend { device: String, what: String },
}

impl Fault for ExecuteError {
    fn kind(&self) -> Kind {
        match self {
            Self::Read { .. }
            | Self::Json { .. }
            | Self::Config { .. }
            | Self::Architecture { .. }
            | Self::Weights { .. }
            | Self::Tensor { .. }
            | Self::Adapter { .. }
            | Self::Checkpoint { .. }
            | Self::Data(_) => Kind::Input,
            Self::Tokenizer(e) => e.kind(),
            Self::NotBuilt { .. } | Self::Device { .. } => Kind::Infeasible,
            Self::Write { .. } | Self::Mismatch(_) | Self::Backend { .. } => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some(
                "check the path; a model is a Hugging Face folder with config.json, safetensors and tokenizer.json"
                    .into(),
            ),
            Self::Architecture { .. } => Some(format!("supported are: {}", super::Family::known())),
            Self::Weights { .. } => Some("the file is truncated or damaged; download or write it again".into()),
            Self::Tensor { .. } => Some("config.json and the weights do not match, or the weights are damaged".into()),
            Self::Adapter { .. } => Some("give the adapter together with the base model it was trained on".into()),
            Self::NotBuilt { built, .. } => Some(format!("it can execute {built}")),
            Self::Device { .. } => Some("use --device cpu, or --device auto to let hibrit choose".into()),
            Self::Checkpoint { .. } => {
                Some("start without --resume, in another folder, to train from the beginning".into())
            }
            Self::Write { .. } => Some("check that the folder exists, is writable and has free space".into()),
            Self::Tokenizer(e) => e.hint(),
            Self::Json { .. } | Self::Config { .. } | Self::Data(_) | Self::Mismatch(_) | Self::Backend { .. } => None,
        }
    }
}

impl ExecuteError {
    /// For `map_err` on reads.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Read { path: path.to_path_buf(), source }
    }

    /// For `map_err` on writes.
    pub(crate) fn writing(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Write { path: path.to_path_buf(), source }
    }
}
