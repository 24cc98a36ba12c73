//! Losses and gradients of a batch. The logits never exist whole: head and cross-entropy go by chunks of rows, with a
//! backward pass of their own. What is done with the gradients is the trainer's business.

use super::decoder::Decoder;
use super::error::ModelError;
use super::layer::{Layer, Pass, RequiredGrads};
use super::rope::RopeTable;
use super::structural::SecondaryVocab;
use crate::domain::strategy::Checkpointing;
use crate::kernels;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// A target that does not count.
pub const IGNORE: u32 = u32::MAX;

/// Sequences with what is to be predicted at each position.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Inputs, `batch * length`, row by row.
    pub ids: &'a [u32],
    /// Targets, one for each input (already shifted); [`IGNORE`] where nothing is asked.
    pub targets: &'a [u32],
    /// A factor for each target's loss; 1 everywhere where absent.
    pub weights: Option<&'a [f32]>,
    /// `[batch, length]`
    pub shape: [usize; 2],
}

/// What dropout draws by: the same for a token of an optimiser step in whatever micro-batch it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Of the optimiser step.
    pub seed: u64,
    /// Tokens of the optimiser step that came before this micro-batch.
    pub before: usize,
}

/// How a step is taken.
#[derive(Debug, Clone, Copy)]
pub struct StepOptions {
    /// The gradients are those of `scale` times the summed nats: 1 / tokens of the whole optimiser step makes them
    /// those of its mean loss, whatever the micro-batches.
    pub scale: f32,
    /// What the adapters' dropout draws by; `None` for none.
    pub dropout: Option<Draw>,
    /// Which layers are computed twice and not kept.
    pub checkpointing: Checkpointing,
}

/// What a batch gave.
pub struct Step {
    /// Summed nats, weighted; not scaled.
    pub nats: f64,
    /// Targets that counted.
    pub tokens: usize,
    /// Gradients by parameter id, of everything that is trained but for `rows`.
    pub grads: GradientsParams,
    /// The gradient of embeddings that are only looked up: nearly all of its rows are zero and not there.
    pub rows: Option<RowGradient>,
}

impl Step {
    /// With the gradient of rows, where there is one, as a whole matrix among the others.
    pub fn whole(mut self, model: &Decoder) -> Self {
        if let Some(RowGradient { parameter, ids, values }) = self.rows.take() {
            let size = model.config.size;
            let zeros = Tensor::zeros([size.rows, size.hidden], &model.device());
            self.grads.register(parameter, kernels::scatter_rows(zeros, values, &ids));
        }
        self
    }
}

/// A gradient of a matrix as rows to be added up: row i of `values` belongs to row `ids[i]` of the matrix.
pub struct RowGradient {
    /// Whose it is.
    pub parameter: ParamId,
    /// A row of the matrix for each row of `values`; rows may come more than once.
    pub ids: Vec<u32>,
    /// `[ids, hidden]`
    pub values: Tensor<2>,
}

impl Decoder {
    /// Loss and gradients of a batch, for every parameter that is trained.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] where ids, targets and shape do not fit together; [`ModelError::Kernel`] where
    /// the device fails (out of memory on a GPU).
    pub fn step(&self, batch: &Batch<'_>, options: &StepOptions) -> Result<Step, ModelError> {
        self.check_batch(batch)?;
        kernels::among_threads(&self.device(), || self.taken(batch, options))
    }

    fn taken(&self, batch: &Batch<'_>, options: &StepOptions) -> Result<Step, ModelError> {
        let factors = factors(batch, options.scale);
        let rope = RopeTable::new(&self.config, 0, batch.shape[1], &self.device());
        let pass = Pass { rope: &rope, wanted: RequiredGrads::Both, dropout: options.dropout };
        let train_input = self.embeddings.is_require_grad();
        let train_output = self.head.as_ref().unwrap_or(&self.embeddings).is_require_grad();
        let train_second = self.second.as_ref().is_some_and(SecondaryVocab::is_trained);

        let mut input = self.embed(batch.ids, batch.shape);
        if train_input || train_second {
            input = input.autodiff().require_grad();
        }
        // The tape begins behind the layers that are computed twice: the lowest, whose gradients come last.
        let (twice, once) = self.layers.split_at(options.checkpointing.of(self.layers.len()));
        let mut halves = Vec::new();
        let mut first = input.clone();
        if !twice.is_empty() {
            let silent = Pass { wanted: RequiredGrads::Output, ..pass };
            let mut x = first.inner();
            for layer in twice {
                let middle = layer.first_half(x.clone(), &silent, None);
                let y = layer.second_half(middle.clone(), &silent);
                halves.push((layer, x, middle));
                x = y;
            }
            first = x.autodiff().require_grad();
        }
        let hidden = self.norm.forward(once.iter().fold(first.clone(), |x, layer| layer.forward(x, &pass)), &pass);
        let [b, s, d] = hidden.dims();
        let flat = hidden.clone().inner().reshape([b * s, d]);
        let mut loss = kernels::linear_cross_entropy(
            flat.clone(),
            self.output_matrix(),
            &self.own_targets(batch.targets),
            Some(&factors),
            train_output,
        )?;

        let mut grads = GradientsParams::new();
        let d_second = match &self.second {
            Some(second) => second.add_losses(&mut loss, flat, (batch.targets, &factors), &pass, &mut grads)?,
            None => None,
        };
        let mut below = None;
        if hidden.is_tracked()
            && let Some(dh) = loss.d_hidden
        {
            let mut tape = (hidden * dh.reshape([b, s, d]).autodiff()).sum().backward();
            below = first.grad_remove(&mut tape);
            collect(&mut grads, GradientsParams::from_grads(tape, self), self);
        }
        let again = Pass { wanted: RequiredGrads::Gradients, ..pass };
        while let Some((layer, x, middle)) = halves.pop() {
            let Some(dy) = below else { break };
            let dy = replayed(layer, middle, dy, &mut grads, |x| layer.second_half(x, &again));
            below = Some(replayed(layer, x, dy, &mut grads, |x| layer.first_half(x, &again, None)));
        }
        let mut d_output = loss.d_weight;
        let mut ids = std::borrow::Cow::Borrowed(batch.ids);
        let mut below = below.map(|dx| self.multiplied(dx.reshape([b * s, d])));
        if let Some(second) = &self.second
            && let Some(dx) = below.take()
        {
            let (own, own_ids) = second.take_gradients(dx, batch.ids, d_second, &pass, &mut grads);
            (below, ids) = (Some(own), own_ids.into());
        }
        let mut rows = None;
        if train_input && let Some(dx) = below {
            match (&self.head, d_output.take()) {
                // Tied: one matrix, one gradient, the sum of both uses.
                (None, Some(both)) => grads.register(self.embeddings.id, kernels::scatter_rows(both, dx, &ids)),
                (_, own) => {
                    d_output = own;
                    rows = Some(RowGradient { parameter: self.embeddings.id, ids: ids.into_owned(), values: dx });
                }
            }
        }
        if let Some(d_output) = d_output {
            grads.register(self.head.as_ref().unwrap_or(&self.embeddings).id, d_output);
        }
        let nats = loss.nats.iter().enumerate().map(|(i, n)| f64::from(*n) * weight(batch, i)).sum();
        Ok(Step { nats, tokens: batch.targets.iter().filter(|t| **t != IGNORE).count(), grads, rows })
    }

    /// The normed residual stream `[batch * length, hidden]`, and how a gradient of it becomes that of the embeddings'
    /// rows, of the same shape; nothing else gets a gradient.
    ///
    /// # Errors
    /// As [`Decoder::hidden`].
    pub(crate) fn hidden_with_gradient(
        &self,
        ids: &[u32],
        shape: [usize; 2],
    ) -> Result<(Tensor<2>, impl FnOnce(Tensor<2>) -> Tensor<2> + '_), ModelError> {
        self.check_ids(ids, shape)?;
        let rope = RopeTable::new(&self.config, 0, shape[1], &self.device());
        let pass = Pass { rope: &rope, wanted: RequiredGrads::Both, dropout: None };
        let input = self.embed(ids, shape).autodiff().require_grad();
        let x = self.layers.iter().fold(input.clone(), |x, layer| layer.forward(x, &pass));
        let hidden = self.norm.forward(x, &pass);
        let [b, s, d] = hidden.dims();
        let states = hidden.clone().inner().reshape([b * s, d]);
        let backward = move |gradient: Tensor<2>| {
            let mut tape = (hidden * gradient.reshape([b, s, d]).autodiff()).sum().backward();
            let dx = input.grad_remove(&mut tape);
            self.multiplied(dx.unwrap_or_else(|| input.inner().zeros_like()).reshape([b * s, d]))
        };
        Ok((states, backward))
    }

    /// Nats of every target, unweighted, 0 where ignored: for evaluation. No gradients.
    ///
    /// # Errors
    /// As [`Decoder::step`].
    pub fn nats(&self, batch: &Batch<'_>) -> Result<Vec<f32>, ModelError> {
        self.check_batch(batch)?;
        kernels::among_threads(&self.device(), || self.lost(batch))
    }

    fn lost(&self, batch: &Batch<'_>) -> Result<Vec<f32>, ModelError> {
        let hidden = self.hidden(batch.ids, batch.shape)?;
        let [b, s, d] = hidden.dims();
        let hidden = hidden.reshape([b * s, d]);
        let own = self.own_targets(batch.targets);
        let mut loss = kernels::linear_cross_entropy(hidden.clone(), self.output_matrix(), &own, None, false)?;
        if let Some(second) = &self.second {
            second.add_nats(&mut loss, hidden, batch.targets)?;
        }
        Ok(loss.nats)
    }

    fn check_batch(&self, batch: &Batch<'_>) -> Result<(), ModelError> {
        self.check_ids(batch.ids, batch.shape)?;
        let count = batch.ids.len();
        let weights = batch.weights.map_or(count, <[f32]>::len);
        if batch.targets.len() != count || weights != count {
            return Err(ModelError::Mismatch(format!(
                "{count} ids, {} targets and {weights} weights do not belong together",
                batch.targets.len()
            )));
        }
        let rows = self.ids();
        match batch.targets.iter().find(|t| **t != IGNORE && **t as usize >= rows) {
            Some(t) => Err(ModelError::Mismatch(format!("target {t} has no row: the model has {rows} embedding rows"))),
            None => Ok(()),
        }
    }
}

/// Computes half a layer again: `dy`, the gradient of what came out of it, becomes that of what goes in, `x`; those of
/// the layer's parameters are added to the others.
fn replayed(
    layer: &Layer,
    x: Tensor<3>,
    dy: Tensor<3>,
    grads: &mut GradientsParams,
    half: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    let x = x.autodiff().require_grad();
    let mut tape = (half(x.clone()) * dy.autodiff()).sum().backward();
    let dx = x.grad_remove(&mut tape).expect("the residual stream leads from one side of a half to the other");
    collect(grads, GradientsParams::from_grads(tape, layer), layer);
    dx
}

fn weight(batch: &Batch<'_>, i: usize) -> f64 {
    batch.weights.and_then(|w| w.get(i)).map_or(1.0, |w| f64::from(*w))
}

/// What each position's loss is multiplied by; 0 where it is ignored.
fn factors(batch: &Batch<'_>, scale: f32) -> Vec<f32> {
    let counts = |(i, t): (usize, &u32)| if *t == IGNORE { 0.0 } else { scale * weight(batch, i) as f32 };
    batch.targets.iter().enumerate().map(counts).collect()
}

/// Moves a module's gradients into a larger collection.
pub(super) fn collect<M: Module>(into: &mut GradientsParams, from: GradientsParams, module: &M) {
    struct Move<'a>(&'a mut GradientsParams, GradientsParams);
    impl ModuleVisitor for Move<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.1.remove::<D>(param.id) {
                self.0.register(param.id, gradient);
            }
        }
    }
    module.visit(&mut Move(into, from));
}
