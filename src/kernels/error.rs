//! What can go wrong in an operation: the device.

use crate::domain::fault::{Fault, Kind};

/// An operation that a device could not do.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The backend failed; on a GPU, running out of memory arrives here.
    #[error("the {device} backend failed: {what}")]
    Backend {
        /// The device.
        device: String,
        /// What it says.
        what: String,
    },
}

impl Fault for KernelError {
    fn kind(&self) -> Kind {
        Kind::Failed
    }
}
