//! Causal grouped-query attention with rotary positions and, for Qwen3, norms on queries and keys.

use super::layer::{Norm, Pass};
use super::projection::Projection;
use crate::kernels::{self, After, Before, HeadNorms, Heads, Past};
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
    /// The residual stream `[batch, length, hidden]` -> the same with what its normed rows attend to; with a past the
    /// positions go on from it.
    pub(crate) fn forward(&self, x: Tensor<3>, norm: &Norm, pass: &Pass<'_>, past: Option<&mut Past>) -> Tensor<3> {
        let maps = vec![self.q.during(pass), self.k.during(pass), self.v.during(pass)];
        let qkv = kernels::linears(x.clone(), norm.before(pass), maps, After::Nothing);
        let norms = self.q_norm.as_ref().zip(self.k_norm.as_ref()).map(|(q, k)| HeadNorms {
            query: pass.value(&q.weight),
            key: pass.value(&k.weight),
            epsilon: q.epsilon as f32,
        });
        let heads = Heads { query: self.heads, key_value: self.kv_heads, window: self.window };
        let (cos, sin) = (&pass.rope.cos, &pass.rope.sin);
        let seen = match past {
            Some(past) => kernels::attention_onwards(qkv, norms, cos, sin, heads, past),
            None => kernels::attention(qkv, norms, cos, sin, heads),
        };
        kernels::linears(seen, Before::Nothing, vec![self.o.during(pass)], pass.stream(x))
    }
}
