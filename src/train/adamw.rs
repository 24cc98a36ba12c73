//! AdamW (Loshchilov and Hutter 2019) with PyTorch's defaults. It knows parameters by name, group and shape, not what they
//! do.

use super::error::TrainError;
use super::gradient::{Gradient, ParamGrad};
use super::optimizer::{Optimizer, OptimizerState, zeros};
use super::params::{TrainableParams, in_place};
use crate::model::{Decoder, Group};
use burn::tensor::Tensor;
use rayon::prelude::*;

/// Numbers a core works on at a time.
const PIECE: usize = 1 << 15;

/// Its buffers: the running mean of the gradient, and that of its square.
const BUFFERS: [&str; 2] = ["first", "second"];

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

/// The optimizer: constants and moments.
#[derive(Debug, Clone)]
pub struct AdamW {
    config: AdamWConfig,
    updates: u64,
    moments: Vec<OptimizerState>,
}

impl AdamW {
    /// Before the first update.
    pub fn new(config: AdamWConfig, params: &TrainableParams) -> Self {
        let blank = |p| OptimizerState::blank(p, params, BUFFERS.len());
        Self { config, updates: 0, moments: params.parameters().iter().map(blank).collect() }
    }
}

impl Optimizer for AdamW {
    fn buffers(&self) -> &'static [&'static str] {
        &BUFFERS
    }

    fn updates(&self) -> u64 {
        self.updates
    }

    fn state(&self) -> &[OptimizerState] {
        &self.moments
    }

    fn load_state(&mut self, updates: u64, state: Vec<OptimizerState>) {
        (self.updates, self.moments) = (updates, state);
    }

    fn update(
        &mut self,
        model: Decoder,
        params: &TrainableParams,
        gradient: &Gradient,
        factor: f64,
        rate: &dyn Fn(Group) -> f64,
    ) -> Result<Decoder, TrainError> {
        self.updates += 1;
        let (config, t) = (self.config, self.updates.min(i32::MAX as u64) as i32);
        let correction = (1.0 - config.beta1.powi(t), (1.0 - config.beta2.powi(t)).sqrt());
        let moments = &mut self.moments;
        params.map_tensors(model, |index, tensor| {
            let (Some(state), Some(own)) = (moments.get_mut(index), gradient.of_param(index)) else {
                return Ok(tensor);
            };
            let parameter = &params.parameters()[index];
            let rate = rate(parameter.group);
            let decayed = matches!(parameter.group, Group::Matrix | Group::Adapter);
            let rule = Rule {
                beta1: config.beta1 as f32,
                beta2: config.beta2 as f32,
                keep: (1.0 - if decayed { rate * config.weight_decay } else { 0.0 }) as f32,
                step: (rate / correction.0) as f32,
                root: (1.0 / correction.1) as f32,
                epsilon: config.epsilon as f32,
                factor: factor as f32,
            };
            let width = parameter.width();
            match (state, own) {
                (_, ParamGrad::None) => Ok(tensor),
                (OptimizerState::OnDevice(moments), ParamGrad::OnDevice(gradient)) => {
                    Ok(rule.apply_on_device(tensor, moments, gradient.clone()))
                }
                (OptimizerState::OnDevice(_), _) | (_, ParamGrad::OnDevice(_)) => {
                    Err(TrainError::Mismatch("moments and gradients are kept apart".into()))
                }
                (OptimizerState::Whole(moments), own) => in_place(tensor, |values| {
                    if moments.is_empty() {
                        *moments = zeros(BUFFERS.len(), values.len());
                    }
                    rule.apply_to_all(values, moments, own, width);
                    Ok(())
                }),
                (OptimizerState::Rows(rows), own) => in_place(tensor, |values| {
                    rule.apply_to_rows(values, rows, own, width);
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
    fn apply_to_all(self, values: &mut [f32], moments: &mut [Vec<f32>], own: &ParamGrad, width: usize) {
        let [first, second] = moments else { return };
        if let ParamGrad::Whole(own) = own {
            let moments = first.par_chunks_mut(PIECE).zip(second.par_chunks_mut(PIECE));
            let pieces = values.par_chunks_mut(PIECE).zip(moments).zip(own.par_chunks(PIECE));
            return pieces.for_each(|((p, (m, v)), g)| self.apply(p, m, v, g));
        }
        let none = vec![0.0; width];
        let moments = first.par_chunks_mut(width).zip(second.par_chunks_mut(width));
        let rows = values.par_chunks_mut(width).zip(moments).enumerate();
        rows.for_each(|(row, (p, (m, v)))| self.apply(p, m, v, own.row(row, width).unwrap_or(&none)));
    }

    /// To the rows that this batch, or one before, touched.
    fn apply_to_rows(self, values: &mut [f32], rows: &mut [Option<Vec<Vec<f32>>>], own: &ParamGrad, width: usize) {
        let none = vec![0.0; width];
        values.par_chunks_mut(width).zip(rows.par_iter_mut()).enumerate().for_each(|(index, (p, row))| {
            let g = own.row(index, width).filter(|g| g.iter().any(|x| *x != 0.0));
            if row.is_none() && g.is_none() {
                return;
            }
            if let [first, second] = row.get_or_insert_with(|| zeros(BUFFERS.len(), width)).as_mut_slice() {
                self.apply(p, first, second, g.unwrap_or(&none));
            }
        });
    }

    /// To a whole parameter, where it is.
    fn apply_on_device(self, values: Tensor<1>, moments: &mut [Tensor<1>], gradient: Tensor<1>) -> Tensor<1> {
        let [first, second] = moments else { return values };
        let g = gradient * self.factor;
        // Without a second owner they are changed in place.
        let taken = |own: &mut Tensor<1>| std::mem::replace(own, Tensor::empty([0], &values.device()));
        let (m, v) = (taken(first), taken(second));
        let m = m * self.beta1 + g.clone() * (1.0 - self.beta1);
        let v = v * self.beta2 + g.clone() * g * (1.0 - self.beta2);
        (*first, *second) = (m.clone(), v.clone());
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
        let params = TrainableParams::of(&fresh);
        let run = |mut optimizer: AdamW| {
            let mut model = fresh.clone();
            for step in 0..5usize {
                let mut slots = vec![vec![0.0; 28]; params.parameters().len()];
                // Row 2 in every step, row 5 in one; the head everywhere.
                let table = params.parameters().iter().position(|p| p.group == Group::Embedding).unwrap();
                let touch = |slot: &mut Vec<f32>, row: usize| (0..4).for_each(|i| slot[row * 4 + i] = 0.1 + i as f32);
                touch(&mut slots[table], 2);
                if step == 1 {
                    touch(&mut slots[table], 5);
                }
                slots[1 - table] = (0..28).map(|i| (i + step) as f32 * 0.01).collect();
                let gradient = Gradient::of(slots.into_iter().map(ParamGrad::Whole).collect());
                model = optimizer.update(model, &params, &gradient, 1.0, &|_| 1e-2).unwrap();
            }
            (model.embeddings().unwrap(), optimizer)
        };
        let (sparse, optimizer) = run(AdamW::new(AdamWConfig::new(0.1), &params));
        let mut whole = AdamW::new(AdamWConfig::new(0.1), &params);
        whole.moments.iter_mut().for_each(|h| *h = OptimizerState::Whole(vec![]));
        assert_eq!(sparse, run(whole).0, "bit for bit");
        let kept = optimizer.moments.iter().find_map(|h| match h {
            OptimizerState::Rows(rows) => Some(rows.iter().map(Option::is_some).collect::<Vec<_>>()),
            OptimizerState::Whole(_) | OptimizerState::OnDevice(_) => None,
        });
        assert_eq!(kept.unwrap(), [false, false, true, false, false, true, false]);
    }
}
