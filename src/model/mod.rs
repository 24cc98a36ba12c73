//! A decoder as a Hugging Face folder describes it: its configuration, its weights, the pass through it, its losses
//! and gradients. What it is trained on, by which schedule and why, is not known here.

pub mod adapter;
mod attention;
mod cache;
mod complete;
mod config;
mod decoder;
pub mod device;
pub mod device_check;
mod error;
pub mod evaluate;
mod folder;
pub mod generate;
mod layer;
mod matrix;
pub mod memory;
pub mod pages;
mod parameters;
mod projection;
mod rope;
mod save;
mod source;
mod step;
mod stream;
mod structural;
pub mod structural_folder;
mod weights;

pub use cache::Cache;
pub use complete::{with_specials, write_companions, write_complete};
pub use config::{Dimensions, Family, ModelConfig, NormKind, NormOrder, RopeScaling, Specials};
pub use decoder::Decoder;
pub use error::ModelError;
pub use folder::ModelFolder;
pub use matrix::Matrix;
pub use parameters::{Group, Parameter};
pub use projection::{LoraConfig, Target};
pub use save::{Dtype, save_model, write_atomically};
pub use step::{Batch, Draw, IGNORE, RowGradient, Step, StepOptions};
pub use stream::{Filler, NewTable, write_with_tables};
pub use structural::Bridges;
pub use weights::{Storage, StoredMatrix, Weights};

pub(crate) use save::{Outgoing, held_tensor, write_tensors};
pub(crate) use structural::SECOND;

#[cfg(test)]
mod folder_tests;
#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod structural_tests;
#[cfg(test)]
mod values_tests;
