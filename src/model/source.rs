//! Where a new decoder's numbers come from: a file, or a random generator.

use super::error::ModelError;
use super::folder::{EMBEDDINGS, HEAD};
use super::weights::Weights;
use crate::domain::strategy::Precision;
use burn::module::Param;
use burn::tensor::{DType, Device, Distribution, FloatDType, Tensor, TensorData};
use half::bf16;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Gives tensors by name. Parameters come frozen.
pub(super) trait Source {
    /// A matrix `[rows, cols]`.
    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Param<Tensor<2>>, ModelError>;
    /// A bias or norm weight.
    fn vector(&mut self, name: &str, length: usize) -> Result<Param<Tensor<1>>, ModelError>;
}

/// A frozen parameter on the autodiff side of a device.
pub(super) fn frozen<const D: usize>(data: Vec<f32>, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    let tensor = Tensor::from_data(TensorData::new(data, shape), &device.clone().autodiff());
    Param::from_tensor(tensor).set_require_grad(false)
}

/// A frozen matrix in 16 bits (bf16), narrowed on the host: it is never on the device in 32.
fn frozen_bf16(data: &[f32], shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
    let data: Vec<bf16> = data.par_iter().map(|x| bf16::from_f32(*x)).collect();
    let tensor = Tensor::from_data(TensorData::new(data, shape), (&device.clone().autodiff(), DType::BF16));
    Param::from_tensor(tensor).set_require_grad(false)
}

/// Tensors of a folder. With [`Precision::Bf16`] the layers' matrices come in 16 bits; embeddings and head, which may be
/// trained, in 32.
pub(super) struct Stored<'a> {
    pub(super) weights: &'a Weights,
    pub(super) device: &'a Device,
    pub(super) precision: Precision,
}

impl Source for Stored<'_> {
    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Param<Tensor<2>>, ModelError> {
        let data = self.weights.read(name)?;
        Ok(match self.precision {
            Precision::Bf16 if name != EMBEDDINGS && name != HEAD => frozen_bf16(&data, shape, self.device),
            Precision::Bf16 | Precision::F32 => frozen(data, shape, self.device),
        })
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Param<Tensor<1>>, ModelError> {
        Ok(frozen(self.weights.read(name)?, [length], self.device))
    }
}

/// Fresh tensors: matrices normal with the given deviation, norm weights one, biases zero.
pub(super) struct Fresh<'a> {
    pub(super) device: &'a Device,
    pub(super) deviation: f32,
    pub(super) rng: ChaCha8Rng,
}

impl<'a> Fresh<'a> {
    pub(super) fn new(device: &'a Device, deviation: f32, seed: u64) -> Self {
        Self { device, deviation, rng: ChaCha8Rng::seed_from_u64(seed) }
    }
}

impl Source for Fresh<'_> {
    fn matrix(&mut self, _: &str, shape: [usize; 2]) -> Result<Param<Tensor<2>>, ModelError> {
        let data = normals(&mut self.rng, shape[0] * shape[1], self.deviation);
        Ok(frozen(data, shape, self.device))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Param<Tensor<1>>, ModelError> {
        let value = if name.ends_with("bias") { 0.0 } else { 1.0 };
        Ok(frozen(vec![value; length], [length], self.device))
    }
}

/// As [`Fresh`], drawn by the device itself, matrices in 16 bits: for timing, where it must be quick and never in 32.
pub(super) struct DrawnThere<'a> {
    pub(super) device: &'a Device,
}

impl Source for DrawnThere<'_> {
    fn matrix(&mut self, _: &str, shape: [usize; 2]) -> Result<Param<Tensor<2>>, ModelError> {
        let tensor = Tensor::<2>::random(shape, Distribution::Normal(0.0, 0.02), self.device);
        Ok(Param::from_tensor(tensor.cast(FloatDType::BF16).autodiff()).set_require_grad(false))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Param<Tensor<1>>, ModelError> {
        let value = if name.ends_with("bias") { 0.0 } else { 1.0 };
        Ok(frozen(vec![value; length], [length], self.device))
    }
}

/// Normal numbers of mean 0 (Box and Muller 1958), two for each pair of draws.
fn normals(rng: &mut ChaCha8Rng, count: usize, deviation: f32) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(count + 1);
    while numbers.len() < count {
        // 1 - u keeps the logarithm finite: u is in 0..1.
        let (u, v): (f32, f32) = (rng.random(), rng.random());
        let radius = deviation * (-2.0 * (1.0 - u).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * v).sin_cos();
        numbers.extend([radius * cos, radius * sin]);
    }
    numbers.truncate(count);
    numbers
}

/// Uniform numbers in `-bound..bound`.
pub(super) fn uniforms(rng: &mut ChaCha8Rng, count: usize, bound: f32) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-bound..bound)).collect()
}
