//! One layer of the decoder: attention and MLP, each with its norms beside the residual stream.

use super::attention::Attention;
use super::config::NormKind;
use super::projection::Projection;
use super::rope::RopeTable;
use super::step::Draw;
use crate::kernels::{self, Activation, After, Before, KvCache};
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// What a pass is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequiredGrads {
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
    pub(crate) wanted: RequiredGrads,
    /// What dropout draws by; `None` outside of training.
    pub(crate) dropout: Option<Draw>,
}

impl Pass<'_> {
    /// A parameter's value, with its place on the tape where there is one.
    pub(crate) fn value<const D: usize>(&self, param: &Param<Tensor<D>>) -> Tensor<D> {
        if self.wanted != RequiredGrads::Output && param.is_require_grad() { param.val() } else { param.val().inner() }
    }

    /// The residual stream as half a layer adds to it.
    pub(crate) fn stream(&self, x: Tensor<3>) -> After {
        if self.wanted == RequiredGrads::Gradients { After::Known(x) } else { After::Residual(x) }
    }
}

/// Root-mean-square norm.
#[derive(Module, Debug)]
pub(crate) struct Norm {
    pub(crate) weight: Param<Tensor<1>>,
    pub(crate) epsilon: f64,
    #[module(skip)]
    pub(crate) kind: NormKind,
}

impl Norm {
    pub(crate) fn forward(&self, x: Tensor<3>, pass: &Pass<'_>) -> Tensor<3> {
        kernels::rms_norm(x, self.factors(pass), self.epsilon as f32)
    }

    /// What the normed numbers are multiplied by, `[d]`.
    pub(crate) fn factors(&self, pass: &Pass<'_>) -> Tensor<1> {
        let weight = pass.value(&self.weight);
        match self.kind {
            NormKind::Rms => weight,
            NormKind::RmsZeroCentered => weight.add_scalar(1.0),
        }
    }
}

/// A norm before linear maps, where there is one, as a part of them.
fn before(norm: Option<&Norm>, pass: &Pass<'_>) -> Before {
    norm.map_or(Before::Nothing, |norm| Before::Norm { weight: norm.factors(pass), epsilon: norm.epsilon as f32 })
}

/// The gated MLP: down(f(gate x) · up x) (Shazeer 2020).
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    pub(crate) gate: Projection,
    pub(crate) up: Projection,
    pub(crate) down: Projection,
    #[module(skip)]
    pub(crate) activation: Activation,
}

/// One layer.
#[derive(Module, Debug)]
pub(crate) struct Layer {
    pub(crate) attention: Attention,
    pub(crate) mlp: Mlp,
    pub(crate) before_attention: Option<Norm>,
    pub(crate) after_attention: Option<Norm>,
    pub(crate) before_mlp: Option<Norm>,
    pub(crate) after_mlp: Option<Norm>,
    /// What attention and MLP are multiplied by before they are added to the residual stream.
    pub(crate) residual: f64,
}

impl Layer {
    /// Its norms, in [`NormOrder`](super::config::NormOrder)'s order.
    pub(crate) fn norms(&self) -> [Option<&Norm>; 4] {
        [&self.before_attention, &self.after_attention, &self.before_mlp, &self.after_mlp].map(Option::as_ref)
    }

    /// `[batch, length, hidden]` -> the same.
    pub(crate) fn forward(&self, x: Tensor<3>, pass: &Pass<'_>) -> Tensor<3> {
        self.onwards(x, pass, None)
    }

    /// The same for positions that go on from a past, where there is one.
    pub(crate) fn onwards(&self, x: Tensor<3>, pass: &Pass<'_>, past: Option<&mut KvCache>) -> Tensor<3> {
        self.second_half(self.first_half(x, pass, past), pass)
    }

    /// The residual stream after attention.
    pub(crate) fn first_half(&self, x: Tensor<3>, pass: &Pass<'_>, past: Option<&mut KvCache>) -> Tensor<3> {
        let seen = self.attention.forward(x.clone(), before(self.before_attention.as_ref(), pass), pass, past);
        self.added(x, (seen, Before::Nothing, &self.attention.o), self.after_attention.as_ref(), pass)
    }

    /// The residual stream after the MLP, from that after attention.
    pub(crate) fn second_half(&self, x: Tensor<3>, pass: &Pass<'_>) -> Tensor<3> {
        let maps = vec![self.mlp.gate.during(pass), self.mlp.up.during(pass)];
        let gate_up = kernels::linears(x.clone(), before(self.before_mlp.as_ref(), pass), maps, After::Nothing);
        let gate = Before::Gate(self.mlp.activation);
        self.added(x, (gate_up, gate, &self.mlp.down), self.after_mlp.as_ref(), pass)
    }

    /// The residual stream `x` and what the last map of half a layer makes of its input, normed where a norm is given.
    fn added(
        &self,
        x: Tensor<3>,
        (inside, before, map): (Tensor<3>, Before, &Projection),
        norm: Option<&Norm>,
        pass: &Pass<'_>,
    ) -> Tensor<3> {
        let maps = vec![map.during(pass)];
        if norm.is_none() && self.residual == 1.0 {
            return kernels::linears(inside, before, maps, pass.stream(x));
        }
        let mut y = kernels::linears(inside, before, maps, After::Nothing);
        if let Some(norm) = norm {
            y = norm.forward(y, pass);
        }
        if self.residual != 1.0 {
            y = y.mul_scalar(self.residual);
        }
        match (x.is_autodiff(), y.is_autodiff()) {
            (false, true) => x.autodiff() + y,
            (true, false) => x + y.autodiff(),
            (true, true) | (false, false) => x + y,
        }
    }
}
