//! What can go wrong while rows are made for another vocabulary, said in one sentence each.

use crate::domain::fault::{Fault, Kind};
use crate::kernels::KernelError;
use crate::model::ModelError;
use crate::tokenizer::TokenizerError;

/// Rows that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TransplantError {
    /// A text or a setting that no rows can be made from.
    #[error("{0}")]
    Data(String),
    /// Matrices and vocabularies that do not belong together.
    #[error("{0}")]
    Mismatch(String),
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

impl Fault for TransplantError {
    fn kind(&self) -> Kind {
        match self {
            Self::Data(_) => Kind::Input,
            Self::Mismatch(_) => Kind::Failed,
            Self::Kernel(e) => e.kind(),
            Self::Model(e) => e.kind(),
            Self::Tokenizer(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Data(_) | Self::Mismatch(_) => None,
            Self::Kernel(e) => e.hint(),
            Self::Model(e) => e.hint(),
            Self::Tokenizer(e) => e.hint(),
        }
    }
}
