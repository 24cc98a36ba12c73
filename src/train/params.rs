//! The parameters that are trained, in a fixed order: which they are, where their gradients and the optimizer's state are
//! kept, how their numbers are read and changed. How they change is the optimizer's business.
//!
//! For a CPU, gradients and state are plain numbers and nothing is copied; rows that no batch touched have none. On an
//! accelerator they stay where they are, as tensors: the way to the host and back would take longer than the update.

use super::error::TrainError;
use crate::kernels::{self, numbers};
use crate::model::{Decoder, Group, Parameter};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::HashMap;

/// The parameters that are trained, in a fixed order.
#[derive(Debug, Clone)]
pub struct TrainableParams {
    parameters: Vec<Parameter>,
    index: HashMap<ParamId, usize>,
    /// Whether the embeddings are only looked up: then a batch touches but few of their rows. As a tied head they get
    /// gradients everywhere.
    looked_up: bool,
    /// The device that keeps gradients and state; `None`: the host.
    state_device: Option<Device>,
}

impl TrainableParams {
    /// Those of a decoder. Where operations are fused, on a CPU, gradients and state are kept by the host, else by the
    /// device.
    pub fn of(model: &Decoder) -> Self {
        let device = model.device();
        Self::kept(model, !kernels::are_fused(&device))
    }

    /// Those of a decoder, their gradients and state kept on the device or not.
    pub(super) fn kept(model: &Decoder, on_device: bool) -> Self {
        let all = model.parameters();
        let looked_up = all.iter().any(|p| p.group == Group::Head);
        let parameters: Vec<Parameter> = all.into_iter().filter(|p| p.trained).collect();
        let index = parameters.iter().enumerate().map(|(i, p)| (p.id, i)).collect();
        Self { parameters, index, looked_up, state_device: on_device.then(|| model.device()) }
    }

    /// The device that keeps gradients and state; `None`: the host.
    pub(super) fn state_device(&self) -> Option<&Device> {
        self.state_device.as_ref()
    }

    /// Whether a batch touches but few rows of a parameter.
    pub(super) fn is_looked_up(&self, p: &Parameter) -> bool {
        self.looked_up && p.group == Group::Embedding
    }

    /// In order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Their numbers as they are now, in order.
    ///
    /// # Errors
    /// [`TrainError::Kernel`] where they cannot be read back.
    pub fn values(&self, model: &Decoder) -> Result<Vec<Vec<f32>>, TrainError> {
        (0..self.parameters.len()).map(|index| self.value(model, index)).collect()
    }

    /// The numbers of one of them as they are now; none where there is no such parameter.
    ///
    /// # Errors
    /// [`TrainError::Kernel`] where they cannot be read back.
    pub fn value(&self, model: &Decoder, index: usize) -> Result<Vec<f32>, TrainError> {
        let Some(parameter) = self.parameters.get(index) else { return Ok(vec![]) };
        let mut read = Read { wanted: parameter.id, found: Ok(vec![]) };
        model.visit(&mut read);
        read.found
    }

    /// The decoder with every trained parameter passed through `change`: its index and its numbers, to be changed in
    /// place.
    ///
    /// # Errors
    /// [`TrainError::Kernel`] where a parameter cannot be read back, and whatever `change` says.
    pub fn map(
        &self,
        model: Decoder,
        mut change: impl FnMut(usize, &mut [f32]) -> Result<(), TrainError>,
    ) -> Result<Decoder, TrainError> {
        self.map_tensors(model, |index, tensor| in_place(tensor, |values| change(index, values)))
    }

    /// The same with a parameter's numbers, row-major, as a tensor.
    pub(super) fn map_tensors(
        &self,
        model: Decoder,
        change: impl FnMut(usize, Tensor<1>) -> Result<Tensor<1>, TrainError>,
    ) -> Result<Decoder, TrainError> {
        let mut mapper = Change { params: self, change, fault: None };
        let model = model.map(&mut mapper);
        mapper.fault.map_or(Ok(model), Err)
    }
}

/// A tensor whose numbers are changed by the host.
pub(super) fn in_place(
    tensor: Tensor<1>,
    change: impl FnOnce(&mut [f32]) -> Result<(), TrainError>,
) -> Result<Tensor<1>, TrainError> {
    let device = tensor.device();
    let mut values = numbers(tensor)?;
    change(&mut values)?;
    let count = values.len();
    Ok(Tensor::from_data(TensorData::new(values, [count]), &device))
}

struct Read {
    wanted: ParamId,
    found: Result<Vec<f32>, TrainError>,
}

impl ModuleVisitor for Read {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.id == self.wanted {
            self.found = numbers(param.val().inner()).map_err(TrainError::from);
        }
    }
}

struct Change<'a, F> {
    params: &'a TrainableParams,
    change: F,
    fault: Option<TrainError>,
}

impl<F: FnMut(usize, Tensor<1>) -> Result<Tensor<1>, TrainError>> ModuleMapper for Change<'_, F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(&index) = self.params.index.get(&param.id) else { return param };
        if self.fault.is_some() {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let (shape, device) = (tensor.dims(), tensor.device().inner());
        match (self.change)(index, tensor.inner().reshape([-1])) {
            Ok(changed) => {
                let tensor = changed.reshape(shape).autodiff().require_grad();
                Param::from_mapped_value(id, tensor, mapper)
            }
            Err(e) => {
                // The caller gets the fault and no model: what stands here is never seen.
                self.fault = Some(e);
                Param::from_mapped_value(id, Tensor::zeros(shape, &device), mapper)
            }
        }
    }
}
