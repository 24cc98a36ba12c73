//! What can go wrong while a strategy is carried out, said in one sentence each.

use crate::domain::fault::{Fault, Kind};
use crate::domain::strategy::Strategy;
use crate::files::FileError;
use crate::kernels::KernelError;
use crate::model::ModelError;
use crate::tokenizer::TokenizerError;
use crate::train::TrainError;
use crate::transplant::TransplantError;

/// A strategy that cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum StrategyError {
    /// A strategy that this build cannot execute.
    #[error("this build cannot execute the strategy {strategy}")]
    NotBuilt { strategy: Strategy, built: String },
    /// A text that cannot be used.
    #[error("{0}")]
    Data(String),
    /// Configurations, vocabularies and models that do not belong together.
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
    /// Training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Rows for another vocabulary.
    #[error(transparent)]
    Transplant(#[from] TransplantError),
}

impl Fault for StrategyError {
    fn kind(&self) -> Kind {
        match self {
            Self::Data(_) => Kind::Input,
            Self::NotBuilt { .. } => Kind::Infeasible,
            Self::Mismatch(_) => Kind::Failed,
            Self::File(e) => e.kind(),
            Self::Kernel(e) => e.kind(),
            Self::Model(e) => e.kind(),
            Self::Tokenizer(e) => e.kind(),
            Self::Train(e) => e.kind(),
            Self::Transplant(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotBuilt { built, .. } => Some(format!("it can execute {built}")),
            Self::Data(_) | Self::Mismatch(_) => None,
            Self::File(e) => e.hint(),
            Self::Kernel(e) => e.hint(),
            Self::Model(e) => e.hint(),
            Self::Tokenizer(e) => e.hint(),
            Self::Train(e) => e.hint(),
            Self::Transplant(e) => e.hint(),
        }
    }
}
