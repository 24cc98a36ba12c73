//! A run's numbers at a step, and putting them back. Where snapshots are kept is not known here.

use super::error::TrainError;
use super::optimizer::{Optimizer, OptimizerState};
use super::params::TrainableParams;
use crate::model::Decoder;

/// A run as it lives.
pub(super) struct Live<'a> {
    pub(super) model: &'a Decoder,
    pub(super) params: &'a TrainableParams,
    pub(super) optimizer: &'a dyn Optimizer,
}

/// A run at a step: what is trained, the optimizer's state, the place in the text.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Steps done.
    pub step: u64,
    /// Updates applied: steps less skipped batches.
    pub updates: u64,
    /// Trained parameters, in the order of [`TrainableParams`].
    pub values: Vec<Vec<f32>>,
    /// The optimizer's state, in the same order.
    pub state: Vec<OptimizerState>,
}

impl Snapshot {
    /// Of a run as it stands.
    ///
    /// # Errors
    /// [`TrainError::Kernel`] where parameters cannot be read back.
    pub(super) fn take(step: u64, live: &Live<'_>) -> Result<Self, TrainError> {
        let values = live.params.values(live.model)?;
        Ok(Self { step, updates: live.optimizer.updates(), values, state: live.optimizer.state().to_vec() })
    }

    /// Puts parameters and state back.
    ///
    /// # Errors
    /// [`TrainError::Mismatch`] where it is of another model, [`TrainError::Kernel`] where the device fails.
    pub fn put_back(
        &self,
        model: Decoder,
        params: &TrainableParams,
        optimizer: &mut dyn Optimizer,
    ) -> Result<Decoder, TrainError> {
        let buffers = optimizer.buffers().len();
        let kept = params.parameters().iter().zip(&self.state);
        optimizer.load_state(self.updates, kept.map(|(p, own)| own.clone().placed(p, params, buffers)).collect());
        params.map(model, |index, values| match self.values.get(index) {
            Some(kept) if kept.len() == values.len() => {
                values.copy_from_slice(kept);
                Ok(())
            }
            _ => Err(TrainError::Mismatch("a snapshot of another model cannot be put back".into())),
        })
    }
}
