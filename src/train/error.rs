//! What can go wrong while training, said in one sentence each.

use crate::domain::fault::{Fault, Kind};
use crate::files::FileError;
use crate::kernels::KernelError;
use crate::model::ModelError;
use crate::tokenizer::TokenizerError;
use std::path::PathBuf;

/// Training that cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A checkpoint that cannot be gone on from.
    #[error("the checkpoint {} {what}", path.display())]
    Checkpoint { path: PathBuf, what: String },
    /// A text or a setting that nothing can be trained with.
    #[error("{0}")]
    Data(String),
    /// A model, a batch or a state that do not belong together.
    #[error("{0}")]
    Mismatch(String),
    /// A file that cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The device.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer's side of it.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

impl Fault for TrainError {
    fn kind(&self) -> Kind {
        match self {
            Self::Checkpoint { .. } | Self::Data(_) => Kind::Input,
            Self::Mismatch(_) => Kind::Failed,
            Self::File(e) => e.kind(),
            Self::Kernel(e) => e.kind(),
            Self::Model(e) => e.kind(),
            Self::Tokenizer(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Checkpoint { .. } => {
                Some("start without --resume, in another folder, to train from the beginning".into())
            }
            Self::Data(_) | Self::Mismatch(_) => None,
            Self::File(e) => e.hint(),
            Self::Kernel(e) => e.hint(),
            Self::Model(e) => e.hint(),
            Self::Tokenizer(e) => e.hint(),
        }
    }
}

impl TrainError {
    /// What the device said, where it is the device that failed; on a GPU most often that it has no room.
    pub(super) fn of_device(&self) -> Option<&str> {
        match self {
            Self::Kernel(KernelError::Backend { what, .. })
            | Self::Model(ModelError::Kernel(KernelError::Backend { what, .. })) => Some(what),
            _ => None,
        }
    }
}
