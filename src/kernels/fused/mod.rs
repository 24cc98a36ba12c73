//! The operations for Flex, Burn's CPU backend, each fused into one autodiff operation with a backward pass of its
//! own. They hold for f32 tensors; [`fits`] says whether this room can serve.

use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::NodeGuard;
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Device, Tensor, TensorData};
use half::bf16;

mod attention;
mod cross_entropy;
mod linear;
mod norm;
#[cfg(target_arch = "x86_64")]
mod online;
mod product;
mod rows;
mod scratch;
#[cfg(target_arch = "x86_64")]
mod share;
mod simd;
mod swiglu;
#[cfg(target_arch = "x86_64")]
mod tile;

pub use attention::attention;
pub use cross_entropy::linear_cross_entropy;
pub use linear::linears;
pub use norm::rms_norm;
use product::Numbers;
pub use rows::{gather_rows, scatter_rows};

/// Flex under the tape.
type Taped = Autodiff<Flex, NoCheckpointing>;

/// Whether a tensor lives on Flex as f32.
pub fn fits<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && tensor.device().inner() == Device::flex()
}

/// Whether this room can read a matrix that nothing is added to: on Flex, of 32 bits or of 16.
pub fn reads<const D: usize>(tensor: &Tensor<D>) -> bool {
    matches!(tensor.dtype(), DType::F32 | DType::BF16) && tensor.device().inner() == Device::flex()
}

/// A tensor's storage, contiguous, and its place on the tape (an untracked place where it has none).
fn parts<const D: usize>(tensor: Tensor<D>) -> (FlexTensor, NodeGuard) {
    let taped = tensor.autodiff().try_into_primitive::<Taped>().expect("callers ask `fits` first");
    let (primitive, node) = taped.into_parts();
    (contiguous(primitive), node)
}

/// A tensor's storage, contiguous, without the tape.
fn storage<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    contiguous(tensor.inner().try_into_primitive::<Flex>().expect("callers ask `fits` first"))
}

/// A place on the tape that asks for no gradient.
fn untracked() -> NodeGuard {
    parts(Tensor::<1>::zeros([1], &Device::flex())).1
}

fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.layout().is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The numbers of a contiguous tensor.
fn slice(tensor: &FlexTensor) -> &[f32] {
    let layout = tensor.layout();
    let start = layout.start_offset();
    &tensor.storage::<f32>()[start..start + layout.num_elements()]
}

/// The numbers of a contiguous tensor, in the width they are stored in.
fn stored(tensor: &FlexTensor) -> Numbers<'_> {
    if tensor.dtype() != DType::BF16 {
        return Numbers::F32(slice(tensor));
    }
    let layout = tensor.layout();
    let start = layout.start_offset();
    Numbers::Bf16(&tensor.storage::<bf16>()[start..start + layout.num_elements()])
}

fn dims(tensor: &FlexTensor) -> Vec<usize> {
    tensor.layout().shape().to_vec()
}

/// A tensor of numbers.
fn made(numbers: Vec<f32>, shape: impl Into<Vec<usize>>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape.into()))
}

/// Room for numbers that are all written before any is read.
#[expect(clippy::uninit_vec, reason = "see the safety comment inside")]
fn uninit_buffer(count: usize) -> Vec<f32> {
    let mut numbers: Vec<f32> = Vec::with_capacity(count);
    // SAFETY: every caller writes each element before it is read, and f32 has no invalid bit patterns or destructor;
    // zeroing instead costs a pass over memory for each operation.
    unsafe {
        numbers.set_len(count);
    }
    numbers
}

/// A pointer that threads share to write disjoint places of one buffer.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: whoever makes one promises that no two threads touch the same element.
unsafe impl Send for Shared {}
unsafe impl Sync for Shared {}

impl Shared {
    /// The place `offset` elements on.
    ///
    /// # Safety
    /// `offset` lies within the buffer.
    unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: by the caller's promise.
        unsafe { self.0.add(offset) }
    }

    /// `length` elements from `offset`.
    ///
    /// # Safety
    /// The range lies within the buffer, and nobody else touches it meanwhile.
    unsafe fn row<'a>(self, offset: usize, length: usize) -> &'a mut [f32] {
        // SAFETY: by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(offset), length) }
    }
}

/// Seeded numbers in -0.5..0.5 (a linear congruential generator), for this room's tests.
#[cfg(test)]
fn test_numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}
