//! The update: AdamW (Loshchilov and Hutter 2019) with PyTorch's defaults, and the arithmetic on gradients around it
//! (sum over micro-batches, global norm, clipping). It knows parameters by name, group and shape, not what they do.
//!
//! For a CPU, gradients and moments are plain numbers and nothing is copied; rows that no batch touched have none. On an
//! accelerator they stay where they are, as tensors: the way to the host and back would take longer than the update.

use super::gradient::{Gradient, Slot};
use crate::kernels::{self, numbers};
use crate::model::ExecuteError;
use crate::model::{Decoder, Group, Parameter};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use std::collections::HashMap;

/// Numbers a core works on at a time.
const PIECE: usize = 1 << 15;

/// AdamW's constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay of matrices and adapters. Embeddings, head, norms and biases are never decayed: decay
    /// would move rows that no batch touched.
    pub weight_decay: f64,
}

impl AdamWConfig {
    /// PyTorch's constants with the given decay.
    pub fn new(weight_decay: f64) -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay }
    }
}

/// The parameters that are trained, in a fixed order.
#[derive(Debug, Clone)]
pub struct Trained {
    parameters: Vec<Parameter>,
    index: HashMap<ParamId, usize>,
    /// Whether the embeddings are only looked up: then a batch touches but few of their rows. As a tied head they get
    /// gradients everywhere.
    looked_up: bool,
    /// The device that keeps gradients and moments; `None`: the host.
    keeper: Option<Device>,
}

impl Trained {
    /// Those of a decoder. Where operations are fused, on a CPU, gradients and moments are kept by the host, else by the
    /// device.
    pub fn of(model: &Decoder) -> Self {
        let device = model.device();
        Self::kept(model, !kernels::are_fused(&device))
    }

    /// Those of a decoder, their gradients and moments kept on the device or not.
    pub(super) fn kept(model: &Decoder, on_device: bool) -> Self {
        let all = model.parameters();
        let looked_up = all.iter().any(|p| p.group == Group::Head);
        let parameters: Vec<Parameter> = all.into_iter().filter(|p| p.trained).collect();
        let index = parameters.iter().enumerate().map(|(i, p)| (p.id, i)).collect();
        Self { parameters, index, looked_up, keeper: on_device.then(|| model.device()) }
    }

    /// No history of a parameter, in the form that suits it.
    pub(super) fn blank(&self, p: &Parameter) -> History {
        match (&self.keeper, p.group, p.shape.first()) {
            (Some(device), ..) => History::none_on_device(p, device),
            (None, Group::Embedding, Some(rows)) if self.looked_up => History::Rows(vec![None; *rows]),
            _ => History::Whole(Moments::default()),
        }
    }

    /// The device that keeps gradients and moments; `None`: the host.
    pub(super) fn keeper(&self) -> Option<&Device> {
        self.keeper.as_ref()
    }

    /// In order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Their numbers as they are now, in order.
    ///
    /// # Errors
    /// [`ExecuteError::Backend`] where they cannot be read back.
    pub fn values(&self, model: &Decoder) -> Result<Vec<Vec<f32>>, ExecuteError> {
        (0..self.parameters.len()).map(|index| self.value(model, index)).collect()
    }

    /// The numbers of one of them as they are now; none where there is no such parameter.
    ///
    /// # Errors
    /// [`ExecuteError::Backend`] where they cannot be read back.
    pub fn value(&self, model: &Decoder, index: usize) -> Result<Vec<f32>, ExecuteError> {
        let Some(parameter) = self.parameters.get(index) else { return Ok(vec![]) };
        let mut read = Read { wanted: parameter.id, found: Ok(vec![]) };
        model.visit(&mut read);
        read.found
    }

    /// The decoder with every trained parameter passed through `change`: its index and its numbers, to be changed in
    /// place.
    ///
    /// # Errors
    /// [`ExecuteError::Backend`] where a parameter cannot be read back, and whatever `change` says.
    pub fn map(
        &self,
        model: Decoder,
        mut change: impl FnMut(usize, &mut [f32]) -> Result<(), ExecuteError>,
    ) -> Result<Decoder, ExecuteError> {
        self.map_tensors(model, |index, tensor| in_place(tensor, |values| change(index, values)))
    }

    /// The same with a parameter's numbers, row-major, as a tensor.
    fn map_tensors(
        &self,
        model: Decoder,
        change: impl FnMut(usize, Tensor<1>) -> Result<Tensor<1>, ExecuteError>,
    ) -> Result<Decoder, ExecuteError> {
        let mut mapper = Change { trained: self, change, fault: None };
        let model = model.map(&mut mapper);
        mapper.fault.map_or(Ok(model), Err)
    }
}

/// A tensor whose numbers are changed by the host.
fn in_place(
    tensor: Tensor<1>,
    change: impl FnOnce(&mut [f32]) -> Result<(), ExecuteError>,
) -> Result<Tensor<1>, ExecuteError> {
    let device = tensor.device();
    let mut values = numbers(tensor)?;
    change(&mut values)?;
    let count = values.len();
    Ok(Tensor::from_data(TensorData::new(values, [count]), &device))
}

struct Read {
    wanted: ParamId,
    found: Result<Vec<f32>, ExecuteError>,
}

impl ModuleVisitor for Read {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.id == self.wanted {
            self.found = numbers(param.val().inner());
        }
    }
}

struct Change<'a, F> {
    trained: &'a Trained,
    change: F,
    fault: Option<ExecuteError>,
}

impl<F: FnMut(usize, Tensor<1>) -> Result<Tensor<1>, ExecuteError>> ModuleMapper for Change<'_, F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(&index) = self.trained.index.get(&param.id) else { return param };
        if self.fault.is_some() {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let (shape, device) = (tensor.dims(), tensor.device().inner());
        match (self.change)(index, tensor.inner().reshape([-1])) {
            Ok(changed) => {
                let tensor = changed.reshape(shape).autodiff().require_grad();
                Param::from_mapped_value(id, tensor, mapper)
            }
            Err(e) => {
                // The caller gets the fault and no model: what stands here is never seen.
                self.fault = Some(e);
                Param::from_mapped_value(id, Tensor::zeros(shape, &device), mapper)
            }
        }
    }
}

/// First and second moment of a parameter, or of a row of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// Running mean of the gradient.
    pub first: Vec<f32>,
    /// Running mean of its square.
    pub second: Vec<f32>,
}

impl Moments {
    /// Zeros, before the first gradient.
    fn none(count: usize) -> Self {
        Self { first: vec![0.0; count], second: vec![0.0; count] }
    }
}

/// The optimiser's memory of a parameter.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are as many as parameters, all of one kind")]
pub enum History {
    /// Of all of it; empty before the first gradient.
    Whole(Moments),
    /// By row, only of rows that some batch touched. Exact where rows are not decayed: a row whose gradients were all
    /// zero has moments of zero and stays as it is.
    Rows(Vec<Option<Moments>>),
    /// Of all of it, row-major, on the device: first and second.
    OnDevice([Tensor<1>; 2]),
}

impl History {
    /// Of a parameter without a past.
    fn none_on_device(p: &Parameter, device: &Device) -> Self {
        Self::OnDevice([(); 2].map(|()| Tensor::zeros([p.count()], device)))
    }

    /// The same, kept by a device.
    fn on_device(self, p: &Parameter, device: &Device) -> Self {
        let (count, width) = (p.count(), p.width());
        let there = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [count]), device);
        match self {
            Self::OnDevice(_) => self,
            Self::Whole(moments) if moments.first.is_empty() => Self::none_on_device(p, device),
            Self::Whole(Moments { first, second }) => Self::OnDevice([there(first), there(second)]),
            Self::Rows(rows) => {
                let mut whole = Moments::none(count);
                for (i, row) in rows.iter().enumerate() {
                    let Some(Moments { first, second }) = row else { continue };
                    let range = i * width..(i + 1) * width;
                    whole.first[range.clone()].copy_from_slice(first);
                    whole.second[range].copy_from_slice(second);
                }
                Self::OnDevice([there(whole.first), there(whole.second)])
            }
        }
    }
}

/// The optimiser: constants and moments.
#[derive(Debug, Clone)]
pub struct AdamW {
    config: AdamWConfig,
    /// Updates applied so far.
    pub(super) updates: u64,
    /// In the order of [`Trained`].
    pub(super) moments: Vec<History>,
}

impl AdamW {
    /// Without any history.
    pub fn new(config: AdamWConfig, trained: &Trained) -> Self {
        let moments = trained.parameters.iter().map(|p| trained.blank(p)).collect();
        Self { config, updates: 0, moments }
    }

    /// Goes on from moments that were kept.
    pub(super) fn recall(&mut self, updates: u64, moments: &[History], trained: &Trained) {
        self.updates = updates;
        let placed = |(p, history): (&Parameter, &History)| match trained.keeper() {
            Some(device) => history.clone().on_device(p, device),
            None => history.clone(),
        };
        self.moments = trained.parameters.iter().zip(moments).map(placed).collect();
    }

    /// One update: `rate` gives the learning rate of a group, `factor` multiplies the gradient (clipping).
    ///
    /// # Errors
    /// [`ExecuteError::Backend`] where a parameter cannot be read back.
    pub fn update(
        &mut self,
        model: Decoder,
        trained: &Trained,
        gradient: &Gradient,
        factor: f64,
        rate: impl Fn(Group) -> f64,
    ) -> Result<Decoder, ExecuteError> {
        self.updates += 1;
        let (config, t) = (self.config, self.updates.min(i32::MAX as u64) as i32);
        let correction = (1.0 - config.beta1.powi(t), (1.0 - config.beta2.powi(t)).sqrt());
        let moments = &mut self.moments;
        trained.map_tensors(model, |index, tensor| {
            let (Some(history), Some(slot)) = (moments.get_mut(index), gradient.slot(index)) else { return Ok(tensor) };
            let group = trained.parameters[index].group;
            let rate = rate(group);
            let decayed = matches!(group, Group::Matrix | Group::Adapter);
            let rule = Rule {
                beta1: config.beta1 as f32,
                beta2: config.beta2 as f32,
                keep: (1.0 - if decayed { rate * config.weight_decay } else { 0.0 }) as f32,
                step: (rate / correction.0) as f32,
                root: (1.0 / correction.1) as f32,
                epsilon: config.epsilon as f32,
                factor: factor as f32,
            };
            let width = trained.parameters[index].width();
            match (history, slot) {
                (_, Slot::None) => Ok(tensor),
                (History::OnDevice(moments), Slot::OnDevice(gradient)) => {
                    Ok(rule.apply_on_device(tensor, moments, gradient.clone()))
                }
                (History::OnDevice(_), _) | (_, Slot::OnDevice(_)) => {
                    Err(ExecuteError::Mismatch("moments and gradients are kept apart".into()))
                }
                (History::Whole(moments), slot) => in_place(tensor, |values| {
                    if moments.first.is_empty() {
                        *moments = Moments::none(values.len());
                    }
                    rule.apply_to_all(values, moments, slot, width);
                    Ok(())
                }),
                (History::Rows(rows), slot) => in_place(tensor, |values| {
                    rule.apply_to_rows(values, rows, slot, width);
                    Ok(())
                }),
            }
        })
    }
}

/// AdamW's arithmetic with everything that does not change within a tensor worked out.
#[derive(Clone, Copy)]
struct Rule {
    beta1: f32,
    beta2: f32,
    keep: f32,
    step: f32,
    root: f32,
    epsilon: f32,
    factor: f32,
}

impl Rule {
    fn apply(self, values: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        for (((p, m), v), g) in values.iter_mut().zip(first).zip(second).zip(gradient) {
            let g = g * self.factor;
            *m = self.beta1 * *m + (1.0 - self.beta1) * g;
            *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
            *p = *p * self.keep - self.step * *m / (v.sqrt() * self.root + self.epsilon);
        }
    }

    /// To a whole parameter; what has no gradient has one of zero.
    fn apply_to_all(self, values: &mut [f32], moments: &mut Moments, slot: &Slot, width: usize) {
        let (first, second) = (&mut moments.first, &mut moments.second);
        if let Slot::Whole(slot) = slot {
            let moments = first.par_chunks_mut(PIECE).zip(second.par_chunks_mut(PIECE));
            let pieces = values.par_chunks_mut(PIECE).zip(moments).zip(slot.par_chunks(PIECE));
            return pieces.for_each(|((p, (m, v)), g)| self.apply(p, m, v, g));
        }
        let none = vec![0.0; width];
        let moments = first.par_chunks_mut(width).zip(second.par_chunks_mut(width));
        let rows = values.par_chunks_mut(width).zip(moments).enumerate();
        rows.for_each(|(row, (p, (m, v)))| self.apply(p, m, v, slot.row(row, width).unwrap_or(&none)));
    }

    /// To the rows that this batch, or one before, touched.
    fn apply_to_rows(self, values: &mut [f32], rows: &mut [Option<Moments>], slot: &Slot, width: usize) {
        let none = vec![0.0; width];
        let of_row = |(index, (p, row)): (usize, (&mut [f32], &mut Option<Moments>))| {
            let g = slot.row(index, width).filter(|g| g.iter().any(|x| *x != 0.0));
            if row.is_none() && g.is_none() {
                return;
            }
            let moments = row.get_or_insert_with(|| Moments::none(width));
            self.apply(p, &mut moments.first, &mut moments.second, g.unwrap_or(&none));
        };
        values.par_chunks_mut(width).zip(rows.par_iter_mut()).enumerate().for_each(of_row);
    }

    /// To a whole parameter, where it is.
    fn apply_on_device(self, values: Tensor<1>, moments: &mut [Tensor<1>; 2], gradient: Tensor<1>) -> Tensor<1> {
        let g = gradient * self.factor;
        // Without a second owner they are changed in place.
        let nothing = || Tensor::empty([0], &values.device());
        let [m, v] = std::mem::replace(moments, [nothing(), nothing()]);
        let m = m * self.beta1 + g.clone() * (1.0 - self.beta1);
        let v = v * self.beta2 + g.clone() * g * (1.0 - self.beta2);
        *moments = [m.clone(), v.clone()];
        values * self.keep - m * self.step / (v.sqrt() * self.root + self.epsilon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three updates of one number, by PyTorch's documented formulas in f64; lr 0.1, decay 0.01.
    #[test]
    fn the_rule_follows_pytorchs_formulas() {
        let (mut p, mut m, mut v) = ([1.0f32], [0.0f32], [0.0f32]);
        let (mut q, mut n, mut w) = (1.0f64, 0.0f64, 0.0f64);
        for (t, g) in [(1, 0.5f64), (2, -0.25), (3, 2.0)] {
            let rule = Rule {
                beta1: 0.9,
                beta2: 0.999,
                keep: 1.0 - 0.1 * 0.01,
                step: (0.1 / (1.0 - 0.9f64.powi(t))) as f32,
                root: (1.0 / (1.0 - 0.999f64.powi(t)).sqrt()) as f32,
                epsilon: 1e-8,
                factor: 1.0,
            };
            rule.apply(&mut p, &mut m, &mut v, &[g as f32]);
            q *= 1.0 - 0.1 * 0.01;
            n = 0.9 * n + 0.1 * g;
            w = 0.999 * w + 0.001 * g * g;
            q -= 0.1 * (n / (1.0 - 0.9f64.powi(t))) / ((w / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
            // f32 against f64 over three updates.
            assert!((f64::from(p[0]) - q).abs() < 1e-5, "{t}: {} {q}", p[0]);
        }
    }

    #[test]
    fn rows_that_no_batch_touches_stay_and_cost_nothing_and_the_others_move_as_if_all_were_kept() {
        use crate::model::device;
        use crate::model::{Dimensions, ModelConfig};
        let size = Dimensions {
            rows: 7,
            hidden: 4,
            intermediate: 8,
            layers: 1,
            heads: 1,
            kv_heads: 1,
            head_dim: 4,
            positions: 8,
            tied: false,
        };
        let config = ModelConfig::qwen3(size).unwrap();
        let fresh = Decoder::init(&config, &device::cpu("a test").device, 1).unwrap().train_embeddings(true);
        let trained = Trained::of(&fresh);
        let run = |mut optimizer: AdamW| {
            let mut model = fresh.clone();
            for step in 0..5usize {
                let mut slots = vec![vec![0.0; 28]; trained.parameters.len()];
                // Row 2 in every step, row 5 in one; the head everywhere.
                let table = trained.parameters.iter().position(|p| p.group == Group::Embedding).unwrap();
                let touch = |slot: &mut Vec<f32>, row: usize| (0..4).for_each(|i| slot[row * 4 + i] = 0.1 + i as f32);
                touch(&mut slots[table], 2);
                if step == 1 {
                    touch(&mut slots[table], 5);
                }
                slots[1 - table] = (0..28).map(|i| (i + step) as f32 * 0.01).collect();
                model = optimizer
                    .update(model, &trained, &Gradient::of(slots.into_iter().map(Slot::Whole).collect()), 1.0, |_| 1e-2)
                    .unwrap();
            }
            (model.embeddings().unwrap(), optimizer)
        };
        let (sparse, optimizer) = run(AdamW::new(AdamWConfig::new(0.1), &trained));
        let mut whole = AdamW::new(AdamWConfig::new(0.1), &trained);
        whole.moments.iter_mut().for_each(|h| *h = History::Whole(Moments::default()));
        assert_eq!(sparse, run(whole).0, "bit for bit");
        let kept = optimizer.moments.iter().find_map(|h| match h {
            History::Rows(rows) => Some(rows.iter().map(Option::is_some).collect::<Vec<_>>()),
            History::Whole(_) | History::OnDevice(_) => None,
        });
        assert_eq!(kept.unwrap(), [false, false, true, false, false, true, false]);
    }
}
