//! What can be wrong with a model's folder and with what is done with a model, said in one sentence each.

use crate::domain::fault::{Fault, Kind};
use crate::files::FileError;
use crate::kernels::KernelError;
use crate::tokenizer::TokenizerError;
use std::path::PathBuf;

/// A model that cannot be used. Every variant that concerns a file names it.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
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
    /// A device that is not there.
    #[error("device {asked:?} cannot be used: {why}")]
    Device { asked: String, why: String },
    /// A text or a setting that nothing can be evaluated with.
    #[error("{0}")]
    Data(String),
    /// Numbers handed to the model that do not fit it: ids outside the table, lengths that do not match.
    #[error("{0}")]
    Mismatch(String),
    /// A file that cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The device.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The tokenizer's side of it.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

impl Fault for ModelError {
    fn kind(&self) -> Kind {
        match self {
            Self::Config { .. }
            | Self::Architecture { .. }
            | Self::Weights { .. }
            | Self::Tensor { .. }
            | Self::Adapter { .. }
            | Self::Data(_) => Kind::Input,
            Self::Device { .. } => Kind::Infeasible,
            Self::Mismatch(_) => Kind::Failed,
            Self::File(e) => e.kind(),
            Self::Kernel(e) => e.kind(),
            Self::Tokenizer(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(FileError::Read { .. }) => Some(
                "check the path; a model is a Hugging Face folder with config.json, safetensors and tokenizer.json"
                    .into(),
            ),
            Self::Architecture { .. } => Some(format!("supported are: {}", super::Family::known())),
            Self::Weights { .. } => Some("the file is truncated or damaged; download or write it again".into()),
            Self::Tensor { .. } => Some("config.json and the weights do not match, or the weights are damaged".into()),
            Self::Adapter { .. } => Some("give the adapter together with the base model it was trained on".into()),
            Self::Device { .. } => Some("use --device cpu, or --device auto to let hibrit choose".into()),
            Self::Config { .. } | Self::Data(_) | Self::Mismatch(_) => None,
            Self::File(e) => e.hint(),
            Self::Kernel(e) => e.hint(),
            Self::Tokenizer(e) => e.hint(),
        }
    }
}
