//! The decoder's operations behind one small interface. On Flex (the CPU) each is one fused operation with a backward
//! pass of its own; on any other backend its plain twin, made of the tensor library's operations, serves. What the
//! operations are for is not known here.

use super::ExecuteError;
use burn::tensor::Tensor;

mod plain;

/// The low-rank side path of a linear map.
pub struct Side {
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

/// y = x / sqrt(mean(x²) + eps) · weight over the last dimension. `x`: `[.., d]`, `weight`: `[d]`.
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f32) -> Tensor<D> {
    plain::rms_norm(x, weight, epsilon)
}

/// Splits heads, norms each where a norm (weight `[head_dim]`, epsilon) is given, turns it by position.
/// `x`: `[batch, length, heads * head_dim]`, `cos` and `sin`: `[length, head_dim / 2]` ->
/// `[batch, heads, length, head_dim]`.
pub fn norm_and_rope(
    x: Tensor<3>,
    norm: Option<(Tensor<1>, f32)>,
    cos: &Tensor<2>,
    sin: &Tensor<2>,
    heads: usize,
) -> Tensor<4> {
    plain::norm_and_rope(x, norm, cos, sin, heads)
}

/// Causal attention, softmax(q kᵀ / sqrt(head_dim)) v, with key heads shared by groups of query heads.
/// `q`: `[batch, heads, length, head_dim]`, `k`: `[batch, kv_heads, length, head_dim]`,
/// `v`: `[batch, length, kv_heads * head_dim]` -> `[batch, length, heads * head_dim]`. With a window a position sees
/// that many positions, itself the last.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<3>, window: Option<usize>) -> Tensor<3> {
    plain::attention(q, k, v, window)
}

/// silu(gate) · up, element by element.
pub fn swiglu(gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
    plain::swiglu(gate, up)
}

/// x weightᵀ + bias + scale · (dropout(x) aᵀ) bᵀ. `x`: `[batch, length, in]`, `weight`: `[out, in]`.
pub fn linear(x: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>, side: Option<Side>) -> Tensor<3> {
    plain::linear(x, weight, bias, side)
}

/// Cross-entropy of `hidden weightᵀ` against `targets`, by chunks of rows: the `[n, v]` logits never exist whole.
/// `hidden`: `[n, d]`, `weight`: `[v, d]`, both without autodiff. Targets beyond `v` are ignored. The gradients are
/// those of sum(factor · nats); without factors none are made.
///
/// # Errors
/// [`ExecuteError::Backend`] where results cannot be read back.
pub fn linear_cross_entropy(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    factors: Option<&[f32]>,
    want_weight: bool,
) -> Result<Loss, ExecuteError> {
    plain::linear_cross_entropy(hidden, weight, targets, factors, want_weight)
}

/// Rows of a table `[v, d]` by id -> `[ids, d]`, without autodiff.
pub fn gather_rows(table: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    plain::gather_rows(table, ids)
}

/// `table` `[v, d]` with each row of `rows` `[ids, d]` added to the row its id names; without autodiff.
pub fn scatter_rows(table: Tensor<2>, rows: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    plain::scatter_rows(table, rows, ids)
}

/// All numbers of a tensor, row-major.
///
/// # Errors
/// [`ExecuteError::Backend`] where they cannot be read back.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ExecuteError> {
    let device = format!("{:?}", tensor.device());
    let fault = |what: String| ExecuteError::Backend { device: device.clone(), what };
    let data = tensor.try_into_data().map_err(|e| fault(format!("{e:?}")))?;
    data.convert::<f32>().try_into_vec().map_err(|e| fault(format!("{e:?}")))
}

impl Dropout {
    /// What element `i` is multiplied by: 0, or 1 / (1 - rate). A hash of seed and place decides (the finaliser of
    /// MurmurHash3), so that a backward pass makes the same mask again instead of keeping it.
    #[inline(always)]
    pub(super) fn factor(self, i: usize) -> f32 {
        let mut x = (i as u32).wrapping_mul(0x9E37_79B1) ^ (self.seed as u32) ^ ((self.seed >> 32) as u32);
        x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        x ^= x >> 16;
        // 24 bits are what an f32 can tell apart in 0..1.
        let uniform = (x >> 8) as f32 * (1.0 / (1 << 24) as f32);
        if uniform < self.rate { 0.0 } else { 1.0 / (1.0 - self.rate) }
    }
}
