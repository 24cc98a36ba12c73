//! A decoder's parameters by their Hugging Face names: what each is, whether it is trained, what it holds.

use super::decoder::Decoder;
use super::error::ModelError;
use super::folder::{EMBEDDINGS, HEAD};
use super::layer::Layer;
use super::projection::{Projection, Target};
use crate::kernels;
use burn::module::{Param, ParamId};
use burn::tensor::Tensor;

/// What a parameter is, for learning rates and weight decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// A factor of a low-rank side path.
    Adapter,
    /// The input embeddings (and the head with them, where tied).
    Embedding,
    /// The head, where it is a matrix of its own.
    Head,
    /// A weight matrix of a layer.
    Matrix,
    /// A norm weight or a bias.
    Vector,
}

/// A parameter in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its Hugging Face name; side paths end in `.lora_A.weight` and `.lora_B.weight`.
    pub name: String,
    /// Burn's id, by which gradients are filed.
    pub id: ParamId,
    /// What it is.
    pub group: Group,
    /// Its shape; one or two numbers.
    pub shape: Vec<usize>,
    /// Whether it is trained.
    pub trained: bool,
}

impl Parameter {
    /// How many numbers it holds.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many numbers a row holds; a vector is one row.
    pub fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1).max(1)
    }
}

/// A parameter itself.
#[derive(Clone, Copy)]
pub(crate) enum Held<'a> {
    Matrix(&'a Param<Tensor<2>>),
    Vector(&'a Param<Tensor<1>>),
}

impl Held<'_> {
    pub(crate) fn is_trained(self) -> bool {
        match self {
            Self::Matrix(p) => p.is_require_grad(),
            Self::Vector(p) => p.is_require_grad(),
        }
    }

    pub(crate) fn shape(self) -> Vec<usize> {
        match self {
            Self::Matrix(p) => p.val().dims().to_vec(),
            Self::Vector(p) => p.val().dims().to_vec(),
        }
    }

    fn id(self) -> ParamId {
        match self {
            Self::Matrix(p) => p.id,
            Self::Vector(p) => p.id,
        }
    }

    /// Row-major numbers.
    pub(crate) fn numbers(self) -> Result<Vec<f32>, ModelError> {
        Ok(match self {
            Self::Matrix(p) => kernels::numbers(p.val().inner())?,
            Self::Vector(p) => kernels::numbers(p.val().inner())?,
        })
    }
}

impl Decoder {
    /// Its parameters in words, in the order of the layers.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut all = Vec::new();
        self.each_parameter(&mut |name, group, held| {
            let (id, shape, trained) = (held.id(), held.shape(), held.is_trained());
            all.push(Parameter { name, id, group, shape, trained });
        });
        all
    }

    /// Numbers that are trained.
    pub fn trainable(&self) -> u64 {
        self.parameters().iter().filter(|p| p.trained).map(|p| p.count() as u64).sum()
    }

    /// Every parameter with its Hugging Face name, in the order they are saved in.
    pub(crate) fn each_parameter(&self, see: &mut dyn FnMut(String, Group, Held<'_>)) {
        see(EMBEDDINGS.into(), Group::Embedding, Held::Matrix(&self.embeddings));
        for (index, layer) in self.layers.iter().enumerate() {
            let name = |rest: &str| format!("model.layers.{index}.{rest}");
            let mut of_layer = self.config.norm_order.modules().into_iter().zip(layer.norms());
            let of_heads = [
                (Some("self_attn.q_norm"), layer.attention.q_norm.as_ref()),
                (Some("self_attn.k_norm"), layer.attention.k_norm.as_ref()),
            ];
            let first = of_layer.next();
            for (module, norm) in first.into_iter().chain(of_heads).chain(of_layer) {
                if let (Some(module), Some(norm)) = (module, norm) {
                    see(name(&format!("{module}.weight")), Group::Vector, Held::Vector(&norm.weight));
                }
            }
            for (target, projection) in projections(layer) {
                let module = target.path();
                see(name(&format!("{module}.weight")), Group::Matrix, Held::Matrix(&projection.weight));
                if let Some(bias) = &projection.bias {
                    see(name(&format!("{module}.bias")), Group::Vector, Held::Vector(bias));
                }
                if let Some(side) = &projection.side {
                    see(name(&format!("{module}.lora_A.weight")), Group::Adapter, Held::Matrix(&side.a));
                    see(name(&format!("{module}.lora_B.weight")), Group::Adapter, Held::Matrix(&side.b));
                }
            }
        }
        see("model.norm.weight".into(), Group::Vector, Held::Vector(&self.norm.weight));
        if let Some(head) = &self.head {
            see(HEAD.into(), Group::Head, Held::Matrix(head));
        }
        if let Some(second) = &self.second {
            second.each_parameter(see);
        }
    }
}

/// The seven maps of a layer.
fn projections(layer: &Layer) -> [(Target, &Projection); 7] {
    let (a, m) = (&layer.attention, &layer.mlp);
    [
        (Target::Query, &a.q),
        (Target::Key, &a.k),
        (Target::Value, &a.v),
        (Target::Output, &a.o),
        (Target::Gate, &m.gate),
        (Target::Up, &m.up),
        (Target::Down, &m.down),
    ]
}
