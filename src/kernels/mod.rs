//! The decoder's operations behind one small interface. On Flex (the CPU) each is one fused operation with a backward
//! pass of its own; on any other backend its plain twin, made of the tensor library's operations, serves. What the
//! operations are for is not known here.
use burn::tensor::{Device, Tensor};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

mod error;
mod fused;
mod plain;

pub use error::KernelError;
pub use plain::CHUNK as REFERENCE_CHUNK;

#[cfg(test)]
mod twin_tests;

/// The low-rank side path of a linear map.
pub struct LoraAdapter {
    /// `[rank, in]`
    pub a: Tensor<2>,
    /// `[out, rank]`
    pub b: Tensor<2>,
    /// Factor of the side path's output.
    pub scale: f32,
    /// Dropout on its input.
    pub dropout: Option<Dropout>,
}

/// Dropout that can be made again: the mask follows from the seed and an element's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Share of elements dropped, in 0..1; the rest is scaled by 1 / (1 - rate).
    pub rate: f32,
    /// Differs by step and by map.
    pub seed: u64,
    /// Elements of the same step that came before.
    pub first: usize,
}

/// What a chunked linear + cross-entropy gave.
pub struct Loss {
    /// Nats of each row, not multiplied by any factor; 0 for ignored rows.
    pub nats: Vec<f32>,
    /// Gradient with respect to the input `[n, d]`; absent without factors.
    pub d_hidden: Option<Tensor<2>>,
    /// Gradient with respect to the matrix `[v, d]`; absent unless asked for.
    pub d_weight: Option<Tensor<2>>,
}

/// One linear map of an input, with its side path.
pub struct Map {
    /// `[out, in]`; a frozen one may be of 16 bits (bf16).
    pub weight: Tensor<2>,
    /// `[out]`
    pub bias: Option<Tensor<1>>,
    /// The low-rank side path.
    pub side: Option<LoraAdapter>,
}

/// What an input goes through before its maps; made again by the backward pass, not kept.
#[expect(clippy::large_enum_variant, reason = "there is one of it, for one call")]
pub enum Before {
    /// Nothing.
    Nothing,
    /// A root-mean-square norm (see [`rms_norm`]).
    Norm {
        /// `[in]`
        weight: Tensor<1>,
        /// Added to the mean of squares.
        epsilon: f32,
    },
    /// The gate of an MLP: f(gate) · up, the two side by side, of half the input's width.
    Gate(Activation),
}

/// What bends the gate of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::EnumString, strum::Display, strum::EnumIter)]
pub enum Activation {
    /// x · sigmoid(x), also called swish (Ramachandran 2017).
    #[default]
    #[strum(serialize = "silu")]
    Silu,
    /// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x³))) (Hendrycks & Gimpel 2016).
    #[strum(serialize = "gelu_pytorch_tanh")]
    GeluTanh,
}

/// What the maps' outputs are added to.
pub enum After {
    /// Nothing.
    Nothing,
    /// A residual of the outputs' shape.
    Residual(Tensor<3>),
    /// The same in a pass that is made again for its gradients: the outputs are known, their numbers may be anything, and
    /// the operation has them only as a place that gradients come from.
    Known(Tensor<3>),
}

impl Map {
    /// Whether any of it is under autodiff.
    fn is_autodiff(&self) -> bool {
        self.weight.is_autodiff()
            || self.bias.as_ref().is_some_and(Tensor::is_autodiff)
            || self.side.as_ref().is_some_and(|s| s.a.is_autodiff() || s.b.is_autodiff())
    }
}

/// How attention's heads are arranged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    /// Heads of queries.
    pub query: usize,
    /// Heads of keys and of values; divides `query`.
    pub key_value: usize,
    /// How many positions a position sees, itself the last; all before it where absent.
    pub window: Option<usize>,
    /// What q kᵀ is multiplied by; 1 / sqrt(head_dim) where absent.
    pub scale: Option<f32>,
}

/// Norms of queries and keys by head.
pub struct HeadNorms {
    /// `[head_dim]`
    pub query: Tensor<1>,
    /// `[head_dim]`
    pub key: Tensor<1>,
    /// Epsilon of both.
    pub epsilon: f32,
}

/// Calls `steps` on one of the threads that share the CPU's work, where `device` is the CPU: each operation in it then begins
/// at once, and need not wake them from outside and be woken. It is the same one for each call from a thread: what a step
/// gave back lies where the next one on that thread looks first. `steps` must not wait for another call of this.
pub fn among_threads<T: Send>(device: &Device, steps: impl FnOnce() -> T + Send) -> T {
    if !are_fused(device) || rayon::current_thread_index().is_some() {
        return steps();
    }
    let home = HOME.with(|home| *home) % rayon::current_num_threads();
    let steps = Mutex::new(Some(steps));
    let taken = |thread: rayon::BroadcastContext<'_>| {
        let steps = (thread.index() == home).then(|| steps.lock().unwrap_or_else(PoisonError::into_inner).take());
        steps.flatten().map(|steps| steps())
    };
    rayon::broadcast(taken).into_iter().flatten().next().expect("one thread of the pool has this index")
}

/// Threads that have asked for one of the pool's.
static ASKED: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    static HOME: usize = ASKED.fetch_add(1, Ordering::Relaxed);
}

/// Whether the operations on a device are the fused ones.
pub fn are_fused(device: &Device) -> bool {
    *device == Device::flex()
}

/// y = x / sqrt(mean(x²) + eps) · weight over the last dimension. `x`: `[.., d]`, `weight`: `[d]`.
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f32) -> Tensor<D> {
    if fused::fits(&x) { fused::rms_norm(x, weight, epsilon) } else { plain::rms_norm(x, weight, epsilon) }
}

/// Causal attention from raw projections. `qkv`: `[batch, length, (heads + 2 kv_heads) * head_dim]`, queries, keys and
/// values side by side; queries and keys are normed by head where norms are given, then turned by position (`cos` and
/// `sin`: `[length, head_dim / 2]`, element i turning with element i + head_dim / 2); then
/// softmax(scale · q kᵀ) v with key heads shared by groups of query heads ->
/// `[batch, length, heads * head_dim]`.
pub fn attention(
    qkv: Tensor<3>,
    norms: Option<HeadNorms>,
    cos: &Tensor<2>,
    sin: &Tensor<2>,
    heads: Heads,
) -> Tensor<3> {
    if fused::fits(&qkv) {
        fused::attention(qkv, norms, cos, sin, heads)
    } else {
        plain::attention(qkv, norms, cos, sin, heads)
    }
}

/// Keys and values of the positions so far, for attention that goes on from them.
#[derive(Debug, Clone, Default)]
pub struct KvCache {
    /// Turned keys and values, each `[batch, kv_heads, positions, head_dim]`.
    held: Option<(Tensor<4>, Tensor<4>)>,
}

impl KvCache {
    /// Positions held.
    pub fn positions(&self) -> usize {
        self.held.as_ref().map_or(0, |(k, _)| k.dims()[2])
    }
}

/// [`attention`] of new positions that also sees the past, which grows by them. `cos` and `sin` are those of the new
/// positions. Without gradients; the same operations on every backend.
pub fn attention_onwards(
    qkv: Tensor<3>,
    norms: Option<HeadNorms>,
    cos: &Tensor<2>,
    sin: &Tensor<2>,
    heads: Heads,
    past: &mut KvCache,
) -> Tensor<3> {
    plain::attention_onwards(qkv, norms, cos, sin, heads, past)
}

/// Up to three linear maps of one input, their outputs side by side, plus what is in `after`:
/// x weightᵀ + bias + scale · (dropout(x) aᵀ) bᵀ, x being what comes out of `before`.
/// `x`: `[batch, length, in]` (twice as wide before a gate) -> `[batch, length, sum of outs]`.
/// Maps of one input share one dropout mask.
pub fn linears(x: Tensor<3>, before: Before, maps: Vec<Map>, after: After) -> Tensor<3> {
    if fused::fits(&x) && maps.iter().all(|m| fused::reads(&m.weight)) {
        fused::linears(x, before, maps, after)
    } else {
        plain::linears(x, before, maps, after)
    }
}

/// Cross-entropy of `hidden weightᵀ` against `targets`, by parts: the `[n, v]` logits never exist whole.
/// `hidden`: `[n, d]`, `weight`: `[v, d]` (of 16 bits where its gradient is not wanted), both without autodiff. Targets beyond `v` are ignored. The gradients are
/// those of sum(factor · nats); without factors none are made.
///
/// # Errors
/// [`KernelError::Backend`] where results cannot be read back.
pub fn linear_cross_entropy(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    factors: Option<&[f32]>,
    want_weight: bool,
) -> Result<Loss, KernelError> {
    if fused::fits(&hidden) && fused::reads(&weight) {
        return Ok(fused::linear_cross_entropy(hidden, weight, targets, factors, want_weight));
    }
    plain::linear_cross_entropy(hidden, weight, targets, factors, want_weight)
}

/// Rows of a table `[v, d]` by id -> `[ids, d]` of 32 bits, without autodiff.
pub fn gather_rows(table: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    if fused::reads(&table) { fused::gather_rows(table, ids) } else { plain::gather_rows(table, ids) }
}

/// `table` `[v, d]` with each row of `rows` `[ids, d]` added to the row its id names; without autodiff.
pub fn scatter_rows(table: Tensor<2>, rows: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    if fused::fits(&table) { fused::scatter_rows(table, rows, ids) } else { plain::scatter_rows(table, rows, ids) }
}

/// All numbers of a tensor, row-major.
///
/// # Errors
/// [`KernelError::Backend`] where they cannot be read back.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, KernelError> {
    let device = format!("{:?}", tensor.device());
    let fault = |what: String| KernelError::Backend { device: device.clone(), what };
    let data = tensor.try_into_data().map_err(|e| fault(format!("{e:?}")))?;
    data.convert::<f32>().try_into_vec().map_err(|e| fault(format!("{e:?}")))
}

/// Waits until a device has done what it was asked for.
///
/// # Errors
/// [`KernelError::Backend`] where it could not do it.
pub fn wait_for(device: &Device) -> Result<(), KernelError> {
    device.sync().map_err(|e| KernelError::Backend { device: format!("{device:?}"), what: format!("{e:?}") })
}

impl Dropout {
    /// What element `i` is multiplied by: 0, or 1 / (1 - rate). A hash of seed and place decides (the finaliser of
    /// MurmurHash3), so that a backward pass makes the same mask again instead of keeping it.
    #[inline(always)]
    pub(super) fn factor(self, i: usize) -> f32 {
        let mut x = (self.first.wrapping_add(i) as u32).wrapping_mul(0x9E37_79B1)
            ^ (self.seed as u32)
            ^ ((self.seed >> 32) as u32);
        x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        x ^= x >> 16;
        // 24 bits are what an f32 can tell apart in 0..1.
        let uniform = (x >> 8) as f32 * (1.0 / (1 << 24) as f32);
        if uniform < self.rate { 0.0 } else { 1.0 / (1.0 - self.rate) }
    }
}
