//! A structural model: a decoder with a second vocabulary beside its own. Both share the layers; the second has a table
//! and a head of its own, tied into the residual stream by bridges. Which vocabulary a token belongs to is said by its
//! id: ids below the decoder's own rows are the original's, the second's begin there. So a text, or any span of it,
//! goes through either by the ids it becomes, while training, evaluating and generating. How text becomes ids is not
//! known here.
//!
//! The bridge inwards, x + U silu(D x), is a function of a row, the bridge outwards, h + U (D h), is linear: both fold
//! into plain matrices, so that either side can be exported as a plain model of the same logits.

use super::decoder::Decoder;
use super::error::ModelError;
use super::layer::{Pass, RequiredGrads};
use super::matrix::Matrix;
use super::parameters::{Group, Held};
use super::rope::RopeTable;
use super::source::{frozen, uniforms};
use super::step::{IGNORE, collect};
use crate::domain::outcome::Side;
use crate::kernels::{self, After, Before, Loss, Map};
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// How names of the second vocabulary's parameters begin.
pub(crate) const SECOND: &str = "structural.";

/// How the bridges are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bridges {
    /// Width inside a bridge, at least 1.
    pub rank: usize,
    /// Seed of their first numbers.
    pub seed: u64,
}

/// A residual bridge: x + up(f(down(x))), f being silu or nothing. `up` begins at zero, so that it changes nothing.
#[derive(Module, Debug)]
pub(crate) struct Bridge {
    /// `[rank, hidden]`
    pub(super) down: Param<Tensor<2>>,
    /// `[hidden, rank]`
    pub(super) up: Param<Tensor<2>>,
    curved: bool,
}

impl Bridge {
    fn new(curved: bool, rank: usize, hidden: usize, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let down = uniforms(rng, rank * hidden, 1.0 / (hidden as f32).sqrt());
        Self {
            down: frozen(down, [rank, hidden], device).set_require_grad(true),
            up: frozen(vec![0.0; hidden * rank], [hidden, rank], device).set_require_grad(true),
            curved,
        }
    }

    /// `[n, hidden]` -> the same.
    fn forward(&self, x: Tensor<2>, pass: &Pass<'_>) -> Tensor<2> {
        let [n, d] = x.dims();
        let map = |weight| vec![Map { weight, bias: None, side: None }];
        let x = x.reshape([1, n, d]);
        let inside = kernels::linears(x.clone(), Before::Nothing, map(pass.value(&self.down)), After::Nothing);
        let inside = if self.curved { silu(inside) } else { inside };
        kernels::linears(inside, Before::Nothing, map(pass.value(&self.up)), After::Residual(x)).reshape([n, d])
    }
}

/// The second vocabulary.
#[derive(Module, Debug)]
pub(crate) struct SecondaryVocab {
    /// `[rows, hidden]`
    pub(super) table: Param<Tensor<2>>,
    /// `[rows, hidden]`; absent where tied.
    pub(super) head: Option<Param<Tensor<2>>>,
    pub(super) inward: Bridge,
    pub(super) outward: Bridge,
    /// Its first id: the decoder's own rows.
    offset: usize,
}

impl SecondaryVocab {
    fn rows(&self) -> usize {
        self.table.val().dims()[0]
    }

    fn output(&self) -> &Param<Tensor<2>> {
        self.head.as_ref().unwrap_or(&self.table)
    }

    /// Whether anything of it is trained.
    pub(super) fn is_trained(&self) -> bool {
        let bridges = [&self.inward, &self.outward].map(|b| b.down.is_require_grad() || b.up.is_require_grad());
        bridges.contains(&true) || self.table.is_require_grad() || self.output().is_require_grad()
    }

    /// Its parameters by name.
    pub(super) fn each_parameter(&self, see: &mut dyn FnMut(String, Group, Held<'_>)) {
        see(format!("{SECOND}embed_tokens.weight"), Group::Embedding, Held::Matrix(&self.table));
        if let Some(head) = &self.head {
            see(format!("{SECOND}lm_head.weight"), Group::Head, Held::Matrix(head));
        }
        for (name, bridge) in [("inward", &self.inward), ("outward", &self.outward)] {
            see(format!("{SECOND}{name}.down.weight"), Group::Adapter, Held::Matrix(&bridge.down));
            see(format!("{SECOND}{name}.up.weight"), Group::Adapter, Held::Matrix(&bridge.up));
        }
    }

    /// Ids, or targets, of this vocabulary as rows of its matrices; `other` where they are not of it.
    fn own(&self, ids: &[u32], other: u32) -> Vec<u32> {
        let own = |id: &u32| id.checked_sub(self.offset as u32).filter(|_| *id != IGNORE).unwrap_or(other);
        ids.iter().map(own).collect()
    }

    /// 1 where an id is of this vocabulary, else 0: `[ids, 1]`.
    fn mask(&self, ids: &[u32], device: &Device) -> Tensor<2> {
        let mask = ids.iter().map(|id| if (*id as usize) < self.offset { 0.0 } else { 1.0 }).collect::<Vec<f32>>();
        Tensor::from_data(TensorData::new(mask, [ids.len(), 1]), device)
    }

    /// Adds what its targets cost, without gradients.
    pub(super) fn add_nats(&self, loss: &mut Loss, hidden: Tensor<2>, targets: &[u32]) -> Result<(), ModelError> {
        let own = self.own(targets, IGNORE);
        if own.iter().all(|t| *t == IGNORE) {
            return Ok(());
        }
        let hidden = with_pass(&hidden.device(), |silent| self.outward.forward(hidden, silent));
        let ours = kernels::linear_cross_entropy(hidden, self.output().val().inner(), &own, None, false)?;
        loss.nats.iter_mut().zip(ours.nats).for_each(|(a, b)| *a += b);
        Ok(())
    }

    /// Adds what its targets cost, with gradients: those of the hidden states into `loss`, those of the outward bridge
    /// into `grads`; what comes back is the gradient of its head.
    pub(super) fn add_losses(
        &self,
        loss: &mut Loss,
        hidden: Tensor<2>,
        (targets, factors): (&[u32], &[f32]),
        pass: &Pass<'_>,
        grads: &mut GradientsParams,
    ) -> Result<Option<Tensor<2>>, ModelError> {
        let own = self.own(targets, IGNORE);
        if own.iter().all(|t| *t == IGNORE) {
            return Ok(None);
        }
        let hidden = hidden.autodiff().require_grad();
        let bridged = self.outward.forward(hidden.clone(), pass);
        let trained = self.output().is_require_grad();
        let head = self.output().val().inner();
        let ours = kernels::linear_cross_entropy(bridged.clone().inner(), head, &own, Some(factors), trained)?;
        loss.nats.iter_mut().zip(ours.nats).for_each(|(a, b)| *a += b);
        if let Some(d) = ours.d_hidden {
            let mut tape = (bridged * d.autodiff()).sum().backward();
            if let Some(d) = hidden.grad_remove(&mut tape) {
                loss.d_hidden = Some(match loss.d_hidden.take() {
                    Some(first) => first + d,
                    None => d,
                });
            }
            collect(grads, GradientsParams::from_grads(tape, &self.outward), &self.outward);
        }
        Ok(ours.d_weight)
    }

    /// Takes its part of the gradients of the embedded input `[ids, hidden]`: into its table and the inward bridge. What
    /// comes back is the part of the decoder's own table, with its ids (0 where an id is not of it: nothing is added).
    pub(super) fn take_gradients(
        &self,
        dx: Tensor<2>,
        ids: &[u32],
        d_head: Option<Tensor<2>>,
        pass: &Pass<'_>,
        grads: &mut GradientsParams,
    ) -> (Tensor<2>, Vec<u32>) {
        let device = dx.device();
        let mask = self.mask(ids, &device);
        let own = self.own(ids, 0);
        let raw = kernels::gather_rows(self.table.val().inner(), &own).autodiff().require_grad();
        let ours = dx.clone() * mask.clone();
        let mut tape = (self.inward.forward(raw.clone(), pass) * ours.autodiff()).sum().backward();
        let d_raw = raw.grad_remove(&mut tape);
        collect(grads, GradientsParams::from_grads(tape, &self.inward), &self.inward);
        let mut d_head = d_head;
        if self.table.is_require_grad() {
            let zeros = || Tensor::zeros([self.rows(), dx.dims()[1]], &device);
            // Tied: one matrix, one gradient, the sum of both uses.
            let into = if self.head.is_none() { d_head.take().unwrap_or_else(zeros) } else { zeros() };
            let table = match d_raw {
                Some(d_raw) => kernels::scatter_rows(into, d_raw, &own),
                None => into,
            };
            grads.register(self.table.id, table);
        }
        if let (Some(head), Some(d)) = (&self.head, d_head) {
            grads.register(head.id, d);
        }
        let theirs = dx * (mask.neg() + 1.0);
        (theirs, ids.iter().map(|id| if (*id as usize) < self.offset { *id } else { 0 }).collect())
    }
}

/// A pass without gradients, for operations that know no positions.
fn with_pass<T>(device: &Device, run: impl FnOnce(&Pass<'_>) -> T) -> T {
    let nothing = || Tensor::zeros([1, 1], device);
    let rope = RopeTable { cos: nothing(), sin: nothing() };
    run(&Pass { rope: &rope, wanted: RequiredGrads::Output, dropout: None })
}

impl Decoder {
    /// With a second vocabulary beside its own, trained; its ids begin at the decoder's own rows. Without an `output` its
    /// head is its table.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] where a matrix has another width than the model, the two differ in rows, or the rank
    /// is 0.
    pub fn with_second(mut self, input: Matrix, output: Option<Matrix>, bridges: Bridges) -> Result<Self, ModelError> {
        let (rows, hidden) = (input.rows(), self.config.size.hidden);
        let fits = |m: &Matrix| (m.rows(), m.cols()) == (rows, hidden);
        if bridges.rank == 0 || rows == 0 || !fits(&input) || output.as_ref().is_some_and(|m| !fits(m)) {
            return Err(ModelError::Mismatch(format!(
                "a second vocabulary of {rows} rows of {} with bridges of rank {} does not fit a model {hidden} wide",
                input.cols(),
                bridges.rank
            )));
        }
        let device = self.device();
        let mut rng = ChaCha8Rng::seed_from_u64(bridges.seed);
        let param = |m: Matrix| frozen(m.into_data(), [rows, hidden], &device).set_require_grad(true);
        self.second = Some(SecondaryVocab {
            table: param(input),
            head: output.map(param),
            inward: Bridge::new(true, bridges.rank, hidden, &mut rng, &device),
            outward: Bridge::new(false, bridges.rank, hidden, &mut rng, &device),
            offset: self.config.size.rows,
        });
        Ok(self)
    }

    /// With the numbers of the bridges replaced: down and up of the inward one, then of the outward. The caller has
    /// checked the shapes.
    pub(crate) fn with_bridges(mut self, numbers: Vec<Vec<f32>>) -> Self {
        let device = self.device();
        let mut numbers = numbers.into_iter();
        let mut next = |p: &mut Param<Tensor<2>>| {
            if let Some(own) = numbers.next() {
                *p = frozen(own, p.val().dims(), &device).set_require_grad(p.is_require_grad());
            }
        };
        if let Some(second) = &mut self.second {
            for bridge in [&mut second.inward, &mut second.outward] {
                next(&mut bridge.down);
                next(&mut bridge.up);
            }
        }
        self
    }

    /// Rows of the second vocabulary, where there is one.
    pub fn second_rows(&self) -> Option<usize> {
        self.second.as_ref().map(SecondaryVocab::rows)
    }

    /// Trains, or freezes, the second vocabulary's table, head and bridges.
    pub fn train_second(mut self, train: bool) -> Self {
        self.second = self.second.map(|second| second.set_require_grad(train));
        self
    }

    /// Ids it knows: one more than the highest.
    pub fn ids(&self) -> usize {
        self.config.size.rows + self.second_rows().unwrap_or(0)
    }

    /// The first id of a side's vocabulary.
    pub fn first_id(&self, side: Side) -> u32 {
        match side {
            Side::Source => 0,
            Side::Candidate => self.config.size.rows as u32,
        }
    }

    /// One side as a plain decoder of the same logits: the original as it was (layers as they are now), or the second
    /// vocabulary with the bridges folded into its matrices, untied.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] where there is no second vocabulary, [`ModelError::Kernel`] where the device fails.
    pub fn plain(mut self, side: Side) -> Result<Self, ModelError> {
        let lacks = || ModelError::Mismatch("the model has no second vocabulary: it is plain already".into());
        let second = self.second.take().ok_or_else(lacks)?;
        if side == Side::Source {
            return Ok(self);
        }
        let (rows, hidden) = (second.rows(), self.config.size.hidden);
        let input = with_pass(&self.device(), |pass| second.inward.forward(second.table.val().inner(), pass));
        let head = second.output().val().inner();
        let (down, up) = (second.outward.down.val().inner(), second.outward.up.val().inner());
        let output = head.clone() + head.matmul(up).matmul(down);
        let matrix = |t: Tensor<2>| -> Result<Matrix, ModelError> {
            let made = Matrix::new(rows, hidden, kernels::numbers(t)?);
            made.ok_or_else(|| ModelError::Mismatch("embeddings of a wrong size".into()))
        };
        self.replace_embeddings(matrix(input)?, Some(matrix(output)?))
    }

    /// Rows of both tables by id, the second's through their bridge: `[ids, hidden]`, off the tape.
    pub(super) fn embed_both(&self, second: &SecondaryVocab, ids: &[u32]) -> Tensor<2> {
        let theirs = ids.iter().filter(|id| (**id as usize) < second.offset).count();
        let own = || {
            let rows = kernels::gather_rows(second.table.val().inner(), &second.own(ids, 0));
            with_pass(&self.device(), |pass| second.inward.forward(rows, pass))
        };
        let first = || {
            let clamped: Vec<u32> = ids.iter().map(|id| if (*id as usize) < second.offset { *id } else { 0 }).collect();
            kernels::gather_rows(self.embeddings.val().inner(), &clamped)
        };
        match theirs {
            0 => own(),
            n if n == ids.len() => first(),
            _ => {
                let mask = second.mask(ids, &self.device());
                own() * mask.clone() + first() * (mask.neg() + 1.0)
            }
        }
    }

    /// Targets of its own vocabulary; the second's are ignored.
    pub(super) fn own_targets<'a>(&self, targets: &'a [u32]) -> std::borrow::Cow<'a, [u32]> {
        if self.second.is_none() {
            return targets.into();
        }
        let rows = self.config.size.rows;
        targets.iter().map(|t| if (*t as usize) < rows { *t } else { IGNORE }).collect::<Vec<u32>>().into()
    }

    /// Logits of one side's vocabulary from normed hidden states `[1, n, hidden]` -> `[1, n, rows of that side]`.
    pub(super) fn logits_of(&self, side: Side, hidden: Tensor<3>) -> Tensor<3> {
        let head = |weight| vec![Map { weight, bias: None, side: None }];
        match (&self.second, side) {
            (Some(second), Side::Candidate) => {
                let [b, n, d] = hidden.dims();
                let flat = hidden.reshape([b * n, d]);
                let bridged = with_pass(&self.device(), |pass| second.outward.forward(flat, pass));
                kernels::linears(
                    bridged.reshape([b, n, d]),
                    Before::Nothing,
                    head(second.output().val().inner()),
                    After::Nothing,
                )
            }
            _ => kernels::linears(hidden, Before::Nothing, head(self.output_matrix()), After::Nothing),
        }
    }
}
