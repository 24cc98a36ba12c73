//! Causal grouped-query attention with rotary positions and, for Qwen3, norms on queries and keys.

use super::layer::{Norm, Pass};
use super::projection::Projection;
use crate::kernels::{self, After, Before, HeadNorms, Heads, KvCache};
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
    /// What queries times keys are multiplied by; 1 / sqrt(head_dim) where absent.
    #[module(skip)]
    pub(crate) scale: Option<f32>,
}

impl Attention {
    /// The residual stream `[batch, length, hidden]` -> what its rows, after `before`, attend to
    /// `[batch, length, heads * head_dim]`; with a past the positions go on from it. The output's map is not applied yet.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        before: Before,
        pass: &Pass<'_>,
        past: Option<&mut KvCache>,
    ) -> Tensor<3> {
        let maps = vec![self.q.during(pass), self.k.during(pass), self.v.during(pass)];
        let qkv = kernels::linears(x, before, maps, After::Nothing);
        let norms = self.q_norm.as_ref().zip(self.k_norm.as_ref()).map(|(q, k)| HeadNorms {
            query: q.factors(pass),
            key: k.factors(pass),
            epsilon: q.epsilon as f32,
        });
        let heads = Heads { query: self.heads, key_value: self.kv_heads, window: self.window, scale: self.scale };
        let (cos, sin) = (&pass.rope.cos, &pass.rope.sin);
        match past {
            Some(past) => kernels::attention_onwards(qkv, norms, cos, sin, heads, past),
            None => kernels::attention(qkv, norms, cos, sin, heads),
        }
    }
}
