//! A linear map of the decoder, with its low-rank side path where it is adapted (LoRA, Hu 2021):
//! y = x Wᵀ + bias + alpha/r · (dropout(x) Aᵀ) Bᵀ. The dense product B·A is made only when merging.

use super::layer::Pass;
use super::source::{frozen, uniforms};
use crate::kernels::{Dropout, LoraAdapter, Map};
use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Tensor};
use rand_chacha::ChaCha8Rng;

/// The maps an adapter can attach to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, strum::Display, strum::EnumString, strum::EnumIter,
)]
pub enum Target {
    /// Queries.
    #[strum(serialize = "q_proj")]
    Query,
    /// Keys.
    #[strum(serialize = "k_proj")]
    Key,
    /// Values.
    #[strum(serialize = "v_proj")]
    Value,
    /// Attention's output.
    #[strum(serialize = "o_proj")]
    Output,
    /// The MLP's gate.
    #[strum(serialize = "gate_proj")]
    Gate,
    /// The MLP's way up.
    #[strum(serialize = "up_proj")]
    Up,
    /// The MLP's way down.
    #[strum(serialize = "down_proj")]
    Down,
}

impl Target {
    /// The module that holds it in a Hugging Face model, with its own name: `self_attn.q_proj`.
    pub fn path(self) -> String {
        let holder = match self {
            Self::Query | Self::Key | Self::Value | Self::Output => "self_attn",
            Self::Gate | Self::Up | Self::Down => "mlp",
        };
        format!("{holder}.{self}")
    }
}

/// How side paths are made.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Rank r, at least 1.
    pub rank: usize,
    /// The side path is scaled by alpha / rank.
    pub alpha: f64,
    /// Dropout on the side path's input while training, in 0..1.
    pub dropout: f64,
    /// Which maps get one.
    pub targets: Vec<Target>,
}

impl LoraConfig {
    /// All seven maps of every layer.
    pub fn everywhere(rank: usize, alpha: f64, dropout: f64) -> Self {
        use strum::IntoEnumIterator;
        Self { rank, alpha, dropout, targets: Target::iter().collect() }
    }
}

/// The low-rank side path.
#[derive(Module, Debug)]
pub(crate) struct SidePath {
    /// `[rank, in]`
    pub(crate) a: Param<Tensor<2>>,
    /// `[out, rank]`
    pub(crate) b: Param<Tensor<2>>,
    pub(crate) scale: f64,
    pub(crate) dropout: f64,
    /// Tells this input's dropout from that of others in the same step.
    pub(crate) stream: u64,
}

/// A linear map.
#[derive(Module, Debug)]
pub(crate) struct Projection {
    /// `[out, in]`, as Hugging Face stores it.
    pub(crate) weight: Param<Tensor<2>>,
    /// `[out]`
    pub(crate) bias: Option<Param<Tensor<1>>>,
    pub(crate) side: Option<SidePath>,
}

impl Projection {
    /// What the kernels need of it in a pass.
    pub(crate) fn during(&self, pass: &Pass<'_>) -> Map {
        let side = self.side.as_ref().map(|side| LoraAdapter {
            a: pass.value(&side.a),
            b: pass.value(&side.b),
            scale: side.scale as f32,
            dropout: pass.dropout.filter(|_| side.dropout > 0.0).map(|draw| Dropout {
                rate: side.dropout as f32,
                seed: draw.seed ^ side.stream.wrapping_mul(0x9E37_79B9_7F4A_7C15),
                first: draw.before * self.weight.dims()[1],
            }),
        });
        Map { weight: pass.value(&self.weight), bias: self.bias.as_ref().map(|b| pass.value(b)), side }
    }

    /// With a fresh side path: A uniform in ±1/sqrt(in) as PEFT draws it (Kaiming with a = sqrt 5), B zero, so that
    /// nothing changes before training.
    pub(crate) fn adapted(mut self, lora: &LoraConfig, stream: u64, rng: &mut ChaCha8Rng) -> Self {
        let [out, inside] = self.weight.val().dims();
        let device = self.device();
        let a = uniforms(rng, lora.rank * inside, 1.0 / (inside as f32).sqrt());
        self.side = Some(SidePath {
            a: frozen(a, [lora.rank, inside], &device).set_require_grad(true),
            b: frozen(vec![0.0; out * lora.rank], [out, lora.rank], &device).set_require_grad(true),
            scale: lora.alpha / lora.rank as f64,
            dropout: lora.dropout,
            stream,
        });
        self
    }

    /// With the side path added into the weight.
    pub(crate) fn merged(mut self) -> Self {
        if let Some(side) = self.side.take() {
            let delta = side.b.val().inner().matmul(side.a.val().inner()).mul_scalar(side.scale);
            self.weight = self.weight.map(|w| {
                let trained = w.is_require_grad();
                (w.inner().cast(FloatDType::F32) + delta).autodiff().set_require_grad(trained)
            });
        }
        self
    }

    /// With its weight in 16 bits, unless it is trained.
    pub(crate) fn narrowed(mut self) -> Self {
        self.weight = narrowed(self.weight);
        self
    }

    fn device(&self) -> Device {
        self.weight.val().device().inner()
    }
}

/// A frozen matrix in 16 bits (bf16); a trained one stays as it is.
pub(super) fn narrowed(matrix: Param<Tensor<2>>) -> Param<Tensor<2>> {
    if matrix.is_require_grad() {
        return matrix;
    }
    matrix.map(|w| w.inner().cast(FloatDType::BF16).autodiff().set_require_grad(false))
}
