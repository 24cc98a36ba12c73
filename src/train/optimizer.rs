//! What the trainer knows of an optimizer: it makes new parameters of gradients, and keeps a state that can be saved and
//! put back. A new optimizer is a file beside `adamw.rs` and a line in `run.rs`.

use super::error::TrainError;
use super::gradient::Gradient;
use super::params::TrainableParams;
use crate::model::{Decoder, Group, Parameter};
use burn::tensor::{Device, Tensor, TensorData};

/// Updates parameters by their gradients. It knows parameters by name, group and shape, not what they do.
pub trait Optimizer: std::fmt::Debug + Send {
    /// Names of the buffers that it keeps of every parameter, each of the parameter's shape. They name its tensors in a
    /// checkpoint.
    fn buffers(&self) -> &'static [&'static str];

    /// Updates applied so far.
    fn updates(&self) -> u64;

    /// Its state, in the order of [`TrainableParams`].
    fn state(&self) -> &[OptimizerState];

    /// Continues from a state that was kept, after so many updates.
    fn load_state(&mut self, updates: u64, state: Vec<OptimizerState>);

    /// One update: `rate` gives the learning rate of a group, `factor` multiplies the gradient (clipping).
    ///
    /// # Errors
    /// [`TrainError::Kernel`] where a parameter cannot be read back.
    fn update(
        &mut self,
        model: Decoder,
        params: &TrainableParams,
        gradient: &Gradient,
        factor: f64,
        rate: &dyn Fn(Group) -> f64,
    ) -> Result<Decoder, TrainError>;
}

/// An optimizer's state of one parameter: its buffers, in the order of [`Optimizer::buffers`].
#[derive(Debug, Clone)]
pub enum OptimizerState {
    /// Buffers of all of it; none before the first gradient.
    Whole(Vec<Vec<f32>>),
    /// By row, only of rows that some batch touched. Exact where an update without a gradient leaves a row as it is.
    Rows(Vec<Option<Vec<Vec<f32>>>>),
    /// Buffers of all of it, row-major, on the device.
    OnDevice(Vec<Tensor<1>>),
}

impl OptimizerState {
    /// Of a parameter before its first gradient, in the form that suits it.
    pub(super) fn blank(p: &Parameter, params: &TrainableParams, buffers: usize) -> Self {
        match (params.state_device(), p.shape.first()) {
            (Some(device), _) => Self::zeros_on_device(p, device, buffers),
            (None, Some(rows)) if params.is_looked_up(p) => Self::Rows(vec![None; *rows]),
            _ => Self::Whole(vec![]),
        }
    }

    fn zeros_on_device(p: &Parameter, device: &Device, buffers: usize) -> Self {
        Self::OnDevice((0..buffers).map(|_| Tensor::zeros([p.count()], device)).collect())
    }

    /// The same, kept where [`TrainableParams`] want it: a run that was saved on one kind of device continues on another.
    pub(super) fn placed(self, p: &Parameter, params: &TrainableParams, buffers: usize) -> Self {
        let Some(device) = params.state_device() else { return self };
        let (count, width) = (p.count(), p.width());
        let there = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [count]), device);
        match self {
            Self::OnDevice(_) => self,
            Self::Whole(all) if all.is_empty() => Self::zeros_on_device(p, device, buffers),
            Self::Whole(all) => Self::OnDevice(all.into_iter().map(there).collect()),
            Self::Rows(rows) => {
                let mut whole = zeros(buffers, count);
                for (i, row) in rows.iter().enumerate() {
                    for (all, own) in whole.iter_mut().zip(row.iter().flatten()) {
                        all[i * width..(i + 1) * width].copy_from_slice(own);
                    }
                }
                Self::OnDevice(whole.into_iter().map(there).collect())
            }
        }
    }
}

/// Buffers before the first gradient.
pub(super) fn zeros(buffers: usize, count: usize) -> Vec<Vec<f32>> {
    vec![vec![0.0; count]; buffers]
}
