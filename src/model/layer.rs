//! One layer of the decoder: attention and MLP, each behind a norm and beside the residual stream.

use super::attention::Attention;
use super::projection::Projection;
use super::rope::RopeTable;
use super::step::Draw;
use crate::kernels::{self, After, Before, Past};
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// What a pass is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What comes out; nothing is recorded.
    Output,
    /// What comes out, recorded for gradients.
    Both,
    /// Gradients of what came out before: it is recorded, but the residual stream's numbers are not made again.
    Gradients,
}

/// What one pass through the layers needs beside the activations.
pub(crate) struct Pass<'a> {
    /// Positions of the sequence.
    pub(crate) rope: &'a RopeTable,
    /// What it is made for.
    pub(crate) wanted: Wanted,
    /// What dropout draws by; `None` outside of training.
    pub(crate) dropout: Option<Draw>,
}

impl Pass<'_> {
    /// A parameter's value, with its place on the tape where there is one.
    pub(crate) fn value<const D: usize>(&self, param: &Param<Tensor<D>>) -> Tensor<D> {
        if self.wanted != Wanted::Output && param.is_require_grad() { param.val() } else { param.val().inner() }
    }

    /// The residual stream as half a layer adds to it.
    pub(crate) fn stream(&self, x: Tensor<3>) -> After {
        if self.wanted == Wanted::Gradients { After::Known(x) } else { After::Residual(x) }
    }
}

/// Root-mean-square norm (Zhang & Sennrich 2019).
#[derive(Module, Debug)]
pub(crate) struct Norm {
    pub(crate) weight: Param<Tensor<1>>,
    pub(crate) epsilon: f64,
}

impl Norm {
    pub(crate) fn forward(&self, x: Tensor<3>, pass: &Pass<'_>) -> Tensor<3> {
        kernels::rms_norm(x, pass.value(&self.weight), self.epsilon as f32)
    }

    /// The same before linear maps, as a part of them.
    pub(crate) fn before(&self, pass: &Pass<'_>) -> Before {
        Before::Norm { weight: pass.value(&self.weight), epsilon: self.epsilon as f32 }
    }
}

/// The gated MLP: down(silu(gate x) · up x) (Shazeer 2020).
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    pub(crate) gate: Projection,
    pub(crate) up: Projection,
    pub(crate) down: Projection,
}

impl Mlp {
    /// The residual stream with what the MLP makes of its normed rows.
    fn forward(&self, x: Tensor<3>, norm: &Norm, pass: &Pass<'_>) -> Tensor<3> {
        let maps = vec![self.gate.during(pass), self.up.during(pass)];
        let gate_up = kernels::linears(x.clone(), norm.before(pass), maps, After::Nothing);
        kernels::linears(gate_up, Before::Gate, vec![self.down.during(pass)], pass.stream(x))
    }
}

/// One layer.
#[derive(Module, Debug)]
pub(crate) struct Layer {
    pub(crate) attention: Attention,
    pub(crate) mlp: Mlp,
    pub(crate) before_attention: Norm,
    pub(crate) before_mlp: Norm,
}

impl Layer {
    /// `[batch, length, hidden]` -> the same.
    pub(crate) fn forward(&self, x: Tensor<3>, pass: &Pass<'_>) -> Tensor<3> {
        self.onwards(x, pass, None)
    }

    /// The same for positions that go on from a past, where there is one.
    pub(crate) fn onwards(&self, x: Tensor<3>, pass: &Pass<'_>, past: Option<&mut Past>) -> Tensor<3> {
        self.second_half(self.first_half(x, pass, past), pass)
    }

    /// The residual stream after attention.
    pub(crate) fn first_half(&self, x: Tensor<3>, pass: &Pass<'_>, past: Option<&mut Past>) -> Tensor<3> {
        self.attention.forward(x, &self.before_attention, pass, past)
    }

    /// The residual stream after the MLP, from that after attention.
    pub(crate) fn second_half(&self, x: Tensor<3>, pass: &Pass<'_>) -> Tensor<3> {
        self.mlp.forward(x, &self.before_mlp, pass)
    }
}
