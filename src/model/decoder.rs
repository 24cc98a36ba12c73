//! The decoder: embeddings, layers, norm, head; what of it is trained; its parameters by their Hugging Face names.
//! One structure serves every family: what differs is present or absent by configuration.

use super::attention::Attention;
use super::config::ModelConfig;
use super::error::ModelError;
use super::folder::{EMBEDDINGS, HEAD};
use super::layer::{Layer, Mlp, Norm, Pass, RequiredGrads};
use super::matrix::Matrix;
use super::projection::{LoraConfig, Projection, Target, narrowed};
use super::rope::RopeTable;
use super::source::{DrawnThere, Fresh, Source, frozen};
use super::structural::SecondaryVocab;
use crate::domain::outcome::Side;
use crate::kernels;
use crate::model::pages::SmallPages;
use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A decoder-only transformer on a device.
#[derive(Module, Debug)]
pub struct Decoder {
    /// `[rows, hidden]`
    pub(super) embeddings: Param<Tensor<2>>,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Norm,
    /// `[rows, hidden]`; absent where tied.
    pub(super) head: Option<Param<Tensor<2>>>,
    /// Another vocabulary beside it, in a structural model.
    pub(super) second: Option<SecondaryVocab>,
    #[module(skip)]
    pub(super) config: ModelConfig,
    #[module(skip)]
    pub(super) lora: Option<LoraConfig>,
}

impl Decoder {
    pub(super) fn build(config: &ModelConfig, source: &mut dyn Source) -> Result<Self, ModelError> {
        // Of what is there to stay nothing is held that is not used; activations come and go, and are better off in large pages.
        let _small = SmallPages::now();
        let s = config.size;
        let embeddings = source.matrix(EMBEDDINGS, [s.rows, s.hidden])?;
        let layers = (0..s.layers).map(|index| build_layer(config, index, source)).collect::<Result<_, _>>()?;
        let norm =
            Norm { weight: source.vector("model.norm.weight", s.hidden)?, epsilon: config.norm_eps, kind: config.norm };
        let head = if s.tied { None } else { Some(source.matrix(HEAD, [s.rows, s.hidden])?) };
        Ok(Self { embeddings, layers, norm, head, second: None, config: config.clone(), lora: None })
    }

    /// A fresh decoder: matrices normal(0, 0.02), norms one, biases zero; the same for the same seed. All frozen.
    ///
    /// # Errors
    /// None today; a device that cannot hold it says so here.
    pub fn init(config: &ModelConfig, device: &Device, seed: u64) -> Result<Self, ModelError> {
        Self::build(config, &mut Fresh::new(device, 0.02, seed))
    }

    /// A decoder of random numbers that the device draws itself, matrices in 16 bits: for timing. All frozen.
    ///
    /// # Errors
    /// As [`Decoder::init`].
    pub fn for_timing(config: &ModelConfig, device: &Device) -> Result<Self, ModelError> {
        Self::build(config, &mut DrawnThere { device })
    }

    /// With embeddings and head in 32 bits again, as they are when they are trained.
    pub fn widened_embeddings(mut self) -> Self {
        fn widened(p: Param<Tensor<2>>) -> Param<Tensor<2>> {
            p.map(|w| w.inner().cast(FloatDType::F32).autodiff().set_require_grad(false))
        }
        self.embeddings = widened(self.embeddings);
        self.head = self.head.map(widened);
        self
    }

    /// Its configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The adapters' configuration, where it has any.
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.lora.as_ref()
    }

    /// The device it lives on, without autodiff.
    pub fn device(&self) -> Device {
        self.embeddings.val().device().inner()
    }

    /// Fresh side paths on the targets of every layer, trained; everything else stays as it is. Side paths that were
    /// there are merged first.
    pub fn with_lora(self, lora: &LoraConfig, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut stream = 0;
        let mut adapted = self.merged().map_projections(&mut |target, projection| {
            // Maps of the same input share its dropout.
            stream += u64::from(matches!(target, Target::Query | Target::Output | Target::Gate | Target::Down));
            if lora.targets.contains(&target) { projection.adapted(lora, stream, &mut rng) } else { projection }
        });
        adapted.lora = Some(lora.clone());
        adapted
    }

    /// With the numbers of its side paths replaced: a, then b of each, in the order of [`Decoder::each_parameter`].
    /// The caller has checked the shapes.
    pub(crate) fn with_factors(self, factors: Vec<Vec<f32>>) -> Self {
        let device = self.device();
        let mut factors = factors.into_iter();
        let mut next = |p: Param<Tensor<2>>| {
            let (shape, trained) = (p.val().dims(), p.is_require_grad());
            match factors.next() {
                Some(numbers) => frozen(numbers, shape, &device).set_require_grad(trained),
                None => p,
            }
        };
        self.map_projections(&mut |_, mut projection| {
            projection.side = projection.side.map(|mut side| {
                side.a = next(side.a);
                side.b = next(side.b);
                side
            });
            projection
        })
    }

    /// Trains, or freezes, the embeddings and the head.
    pub fn train_embeddings(mut self, train: bool) -> Self {
        self.embeddings = self.embeddings.set_require_grad(train);
        self.head = self.head.map(|head| head.set_require_grad(train));
        self
    }

    /// With the matrices that are not trained held in 16 bits: half the memory, and rounded to 8 bits of precision.
    /// Everything that is trained, every norm and every sum stays in 32.
    pub fn narrowed(self) -> Self {
        let mut narrow = self.map_projections(&mut |_, projection| projection.narrowed());
        narrow.embeddings = narrowed(narrow.embeddings);
        narrow.head = narrow.head.map(narrowed);
        narrow
    }

    /// Trains every parameter.
    pub fn full(self) -> Self {
        self.set_require_grad(true)
    }

    /// Freezes every parameter.
    pub fn frozen(self) -> Self {
        self.set_require_grad(false)
    }

    /// With other embeddings; the number of rows may change. Without an `output` the head is tied to the input.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] where a matrix has another width than the model, or the two differ in rows.
    pub fn replace_embeddings(mut self, input: Matrix, output: Option<Matrix>) -> Result<Self, ModelError> {
        let (rows, hidden) = (input.rows(), self.config.size.hidden);
        for matrix in [Some(&input), output.as_ref()].into_iter().flatten() {
            if (matrix.rows(), matrix.cols()) != (rows, hidden) {
                return Err(ModelError::Mismatch(format!(
                    "embeddings of {} x {} do not fit a model that needs {rows} x {hidden}",
                    matrix.rows(),
                    matrix.cols()
                )));
            }
        }
        let device = self.device();
        let trained = self.embeddings.is_require_grad();
        let param = |m: Matrix| frozen(m.into_data(), [rows, hidden], &device).set_require_grad(trained);
        self.config = self.config.with_rows(rows).with_tied(output.is_none());
        self.embeddings = param(input);
        self.head = output.map(param);
        Ok(self)
    }

    /// The embeddings as they are now: input and, where it is a matrix of its own, output.
    ///
    /// # Errors
    /// [`ModelError::Kernel`] where they cannot be read back.
    pub fn embeddings(&self) -> Result<(Matrix, Option<Matrix>), ModelError> {
        let read = |p: &Param<Tensor<2>>| {
            let [rows, cols] = p.val().dims();
            let data = kernels::numbers(p.val().inner())?;
            Matrix::new(rows, cols, data).ok_or_else(|| ModelError::Mismatch("embeddings of a wrong size".into()))
        };
        Ok((read(&self.embeddings)?, self.head.as_ref().map(read).transpose()?))
    }

    /// With all side paths added into their weights; none are left.
    pub fn merged(self) -> Self {
        let mut merged = self.map_projections(&mut |_, projection| projection.merged());
        merged.lora = None;
        merged
    }

    /// The normed residual stream: `[batch, length, hidden]` for `ids` of `batch * length`, row by row. No gradients.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] for ids outside the table or a length that does not fit.
    pub fn hidden(&self, ids: &[u32], shape: [usize; 2]) -> Result<Tensor<3>, ModelError> {
        self.check_ids(ids, shape)?;
        let rope = RopeTable::new(&self.config, 0, shape[1], &self.device());
        let pass = Pass { rope: &rope, wanted: RequiredGrads::Output, dropout: None };
        let x = self.embed(ids, shape);
        let x = self.layers.iter().fold(x, |x, layer| layer.forward(x, &pass));
        Ok(self.norm.forward(x, &pass))
    }

    /// Logits of every position: `[batch, length, rows]`. They exist whole: for training and evaluation use
    /// [`Decoder::step`] and [`Decoder::nats`]. No gradients.
    ///
    /// # Errors
    /// As [`Decoder::hidden`].
    pub fn logits(&self, ids: &[u32], shape: [usize; 2]) -> Result<Tensor<3>, ModelError> {
        self.logits_towards(Side::Source, ids, shape)
    }

    /// The same for a structural model: `[batch, length, rows of that side]`.
    ///
    /// # Errors
    /// As [`Decoder::hidden`].
    pub fn logits_towards(&self, side: Side, ids: &[u32], shape: [usize; 2]) -> Result<Tensor<3>, ModelError> {
        Ok(self.logits_of(side, self.hidden(ids, shape)?))
    }

    /// The matrix that makes logits, `[rows, hidden]`, off the tape.
    pub(crate) fn output_matrix(&self) -> Tensor<2> {
        self.head.as_ref().unwrap_or(&self.embeddings).val().inner()
    }

    /// Rows of the embeddings as they go into the layers, off the tape: `[batch, length, hidden]`.
    pub(super) fn embed(&self, ids: &[u32], [batch, length]: [usize; 2]) -> Tensor<3> {
        let rows = match &self.second {
            Some(second) => self.embed_both(second, ids),
            None => kernels::gather_rows(self.embeddings.val().inner(), ids),
        };
        self.multiplied(rows).reshape([batch, length, self.config.size.hidden])
    }

    /// Rows times the embedding multiplier; also what turns a gradient of what went into the layers into that of the rows.
    pub(super) fn multiplied(&self, rows: Tensor<2>) -> Tensor<2> {
        let by = self.config.embedding_multiplier;
        if by == 1.0 { rows } else { rows.mul_scalar(by) }
    }

    pub(super) fn check_ids(&self, ids: &[u32], [batch, length]: [usize; 2]) -> Result<(), ModelError> {
        if ids.is_empty() || ids.len() != batch * length {
            return Err(ModelError::Mismatch(format!("{} ids do not make {batch} sequences of {length}", ids.len())));
        }
        let rows = self.ids();
        match ids.iter().find(|id| **id as usize >= rows) {
            Some(id) => Err(ModelError::Mismatch(format!(
                "token {id} has no row: the model has {rows} embedding rows; is this the model's tokenizer?"
            ))),
            None => Ok(()),
        }
    }

    /// Every projection passed through a function, layer by layer in [`Target`]'s order.
    pub(crate) fn map_projections(mut self, change: &mut dyn FnMut(Target, Projection) -> Projection) -> Self {
        let layers = self.layers.into_iter().map(|layer| {
            let (a, m) = (layer.attention, layer.mlp);
            let attention = Attention {
                q: change(Target::Query, a.q),
                k: change(Target::Key, a.k),
                v: change(Target::Value, a.v),
                o: change(Target::Output, a.o),
                ..a
            };
            let mlp = Mlp {
                gate: change(Target::Gate, m.gate),
                up: change(Target::Up, m.up),
                down: change(Target::Down, m.down),
                ..m
            };
            Layer { attention, mlp, ..layer }
        });
        self.layers = layers.collect();
        self
    }
}

fn build_layer(config: &ModelConfig, index: usize, source: &mut dyn Source) -> Result<Layer, ModelError> {
    let s = config.size;
    let (queries, keys) = (s.heads * s.head_dim, s.kv_heads * s.head_dim);
    let name = |rest: &str| format!("model.layers.{index}.{rest}");
    let mut map = |target: Target, out: usize, inside: usize, bias: bool| -> Result<Projection, ModelError> {
        let module = name(&target.path());
        let weight = source.matrix(&format!("{module}.weight"), [out, inside])?;
        let bias = if bias { Some(source.vector(&format!("{module}.bias"), out)?) } else { None };
        Ok(Projection { weight, bias, side: None })
    };
    let q = map(Target::Query, queries, s.hidden, config.qkv_bias)?;
    let k = map(Target::Key, keys, s.hidden, config.qkv_bias)?;
    let v = map(Target::Value, keys, s.hidden, config.qkv_bias)?;
    let o = map(Target::Output, s.hidden, queries, config.output_bias)?;
    let mlp = Mlp {
        gate: map(Target::Gate, s.intermediate, s.hidden, config.mlp_bias)?,
        up: map(Target::Up, s.intermediate, s.hidden, config.mlp_bias)?,
        down: map(Target::Down, s.hidden, s.intermediate, config.mlp_bias)?,
        activation: config.activation,
    };
    let mut norm = |rest: &str, length: usize| -> Result<Norm, ModelError> {
        let weight = source.vector(&name(&format!("{rest}.weight")), length)?;
        Ok(Norm { weight, epsilon: config.norm_eps, kind: config.norm })
    };
    let (q_norm, k_norm) = if config.qk_norm {
        (Some(norm("self_attn.q_norm", s.head_dim)?), Some(norm("self_attn.k_norm", s.head_dim)?))
    } else {
        (None, None)
    };
    let mut norms = Vec::new();
    for module in config.norm_order.modules() {
        norms.push(module.map(|module| norm(module, s.hidden)).transpose()?);
    }
    let mut norms = norms.into_iter();
    let mut next = || norms.next().flatten();
    let (before_attention, after_attention, before_mlp, after_mlp) = (next(), next(), next(), next());
    let (window, scale) = (config.windows.get(index).copied().flatten(), config.attention_scale);
    let attention = Attention { q, k, v, o, q_norm, k_norm, heads: s.heads, kv_heads: s.kv_heads, window, scale };
    let residual = f64::from(config.residual_multiplier);
    Ok(Layer { attention, mlp, before_attention, after_attention, before_mlp, after_mlp, residual })
}
