//! Causal grouped-query attention with rotary positions and, for Qwen3, norms on queries and keys.

use super::layer::{Norm, Pass};
use super::projection::Projection;
use crate::execute::kernels;
use burn::module::Module;
use burn::tensor::Tensor;

/// The attention of a layer.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    pub(crate) q: Projection,
    pub(crate) k: Projection,
    pub(crate) v: Projection,
    pub(crate) o: Projection,
    pub(crate) q_norm: Option<Norm>,
    pub(crate) k_norm: Option<Norm>,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    /// How many positions back are seen, the own one included.
    pub(crate) window: Option<usize>,
}

impl Attention {
    /// `[batch, length, hidden]` -> the same.
    pub(crate) fn forward(&self, x: Tensor<3>, pass: &Pass<'_>) -> Tensor<3> {
        let q = self.turned(&self.q, self.q_norm.as_ref(), self.heads, x.clone(), pass);
        let k = self.turned(&self.k, self.k_norm.as_ref(), self.kv_heads, x.clone(), pass);
        let v = self.v.forward(x, pass);
        self.o.forward(kernels::attention(q, k, v, self.window), pass)
    }

    /// Projected, normed by head where the family does so, turned by position: `[batch, heads, length, head_dim]`.
    fn turned(&self, map: &Projection, norm: Option<&Norm>, heads: usize, x: Tensor<3>, pass: &Pass<'_>) -> Tensor<4> {
        let norm = norm.map(|n| (pass.value(&n.weight), n.epsilon as f32));
        kernels::norm_and_rope(map.forward(x, pass), norm, &pass.rope.cos, &pass.rope.sin, heads)
    }
}
