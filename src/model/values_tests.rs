//! The values of a model's description (activation, norms, scale, multipliers): a decoder of each against the same one
//! written out in f64, and its gradients against finite differences.

use super::*;
use crate::domain::strategy::Checkpointing;
use crate::kernels::{Activation, numbers};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::HashMap;

const IDS: [u32; 10] = [1, 4, 9, 16, 25, 0, 3, 3, 7, 8];
const TARGETS: [u32; 10] = [4, 9, 16, 25, IGNORE, 3, 3, 7, 8, 2];
const SHAPE: [usize; 2] = [2, 5];
const PLAIN: StepOptions = StepOptions { scale: 1.0, dropout: None, checkpointing: Checkpointing::OFF };

fn batch() -> Batch<'static> {
    Batch { ids: &IDS, targets: &TARGETS, weights: None, shape: SHAPE }
}

/// One value changed at a time, then all at once.
fn configs() -> Vec<(&'static str, ModelConfig)> {
    let (rows, hidden, intermediate, layers, heads, kv_heads, head_dim, positions) = (30, 12, 20, 2, 4, 2, 6, 16);
    let size = Dimensions { rows, hidden, intermediate, layers, heads, kv_heads, head_dim, positions, tied: true };
    let plain = ModelConfig::qwen3(size).unwrap();
    let changed = |change: &dyn Fn(&mut ModelConfig)| {
        let mut config = plain.clone();
        change(&mut config);
        config
    };
    vec![
        ("none", plain.clone()),
        ("activation", changed(&|c| c.activation = Activation::GeluTanh)),
        ("norm", changed(&|c| c.norm = NormKind::RmsZeroCentered)),
        ("post", changed(&|c| c.norm_order = NormOrder::Post)),
        ("sandwich", changed(&|c| c.norm_order = NormOrder::Sandwich)),
        ("scale", changed(&|c| c.attention_scale = Some(0.7))),
        ("embedding", changed(&|c| c.embedding_multiplier = 3.5)),
        ("residual", changed(&|c| c.residual_multiplier = 0.4)),
        (
            "all",
            changed(&|c| {
                c.activation = Activation::GeluTanh;
                c.norm = NormKind::RmsZeroCentered;
                c.norm_order = NormOrder::Sandwich;
                c.attention_scale = Some(0.3);
                c.embedding_multiplier = 3.5;
                c.residual_multiplier = 0.7;
            }),
        ),
    ]
}

/// A decoder whose numbers all differ: matrices so large that every value shows, norms not one.
fn decoder(config: &ModelConfig) -> Decoder {
    struct Spread(usize);
    impl ModuleMapper for Spread {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            let seed = self.0;
            param.map(|t| {
                let shape = t.dims();
                let around = if D == 1 { 0.8 } else { 0.0 };
                let number = |i: usize| around + (((i * 7919 + seed * 104_729) % 1000) as f32 / 1000.0 - 0.5) * 0.6;
                let data = TensorData::new((0..shape.iter().product()).map(number).collect::<Vec<f32>>(), shape);
                Tensor::from_data(data, &t.device()).set_require_grad(t.is_require_grad())
            })
        }
    }
    Decoder::init(config, &Device::flex(), 5).unwrap().full().map(&mut Spread(0))
}

/// The parameters' numbers by name.
fn parameters(decoder: &Decoder) -> HashMap<String, Vec<f64>> {
    let mut all = HashMap::new();
    decoder.each_parameter(&mut |name, _, held| {
        all.insert(name, held.numbers().unwrap().into_iter().map(f64::from).collect());
    });
    all
}

/// rows of `x` times a matrix `[out, in]`, transposed.
fn linear(x: &[Vec<f64>], weight: &[f64]) -> Vec<Vec<f64>> {
    let of = |x: &Vec<f64>| weight.chunks(x.len()).map(|w| w.iter().zip(x).map(|(w, x)| w * x).sum()).collect();
    x.iter().map(of).collect()
}

/// The logits of one sequence, by the formulas, in f64.
fn written_out(config: &ModelConfig, p: &HashMap<String, Vec<f64>>, ids: &[u32]) -> Vec<Vec<f64>> {
    let s = config.size;
    let norm = |x: &[f64], name: &str| -> Vec<f64> {
        let offset = if config.norm == NormKind::RmsZeroCentered { 1.0 } else { 0.0 };
        let rms = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + config.norm_eps).sqrt();
        x.iter().zip(&p[name]).map(|(x, w)| x / rms * (w + offset)).collect()
    };
    let bend = |x: f64| match config.activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }
    };
    let turned = |x: &[f64], t: usize| -> Vec<f64> {
        let half = s.head_dim / 2;
        let angle = |i: usize| t as f64 / config.rope_theta.powf((i % half) as f64 / half as f64);
        let other = |i: usize| if i < half { -x[i + half] } else { x[i - half] };
        (0..s.head_dim).map(|i| x[i] * angle(i).cos() + other(i) * angle(i).sin()).collect()
    };
    let scale = config.attention_scale.map_or(1.0 / (s.head_dim as f64).sqrt(), f64::from);
    let embeddings: Vec<&[f64]> = p["model.embed_tokens.weight"].chunks(s.hidden).collect();
    let by = f64::from(config.embedding_multiplier);
    let mut x: Vec<Vec<f64>> = ids.iter().map(|id| embeddings[*id as usize].iter().map(|e| e * by).collect()).collect();
    for layer in 0..s.layers {
        let name = |rest: &str| format!("model.layers.{layer}.{rest}.weight");
        let normed = |x: &[Vec<f64>], module: Option<&str>| -> Vec<Vec<f64>> {
            x.iter().map(|x| module.map_or(x.clone(), |module| norm(x, &name(module)))).collect()
        };
        let add = |x: &mut Vec<Vec<f64>>, y: Vec<Vec<f64>>| {
            let by = f64::from(config.residual_multiplier);
            x.iter_mut().flatten().zip(y.into_iter().flatten()).for_each(|(x, y)| *x += by * y);
        };
        let [before, after, before_mlp, after_mlp] = config.norm_order.modules();
        let h = normed(&x, before);
        let heads = |which: &str, turn: bool| -> Vec<Vec<Vec<f64>>> {
            let all = linear(&h, &p[&name(&format!("self_attn.{which}_proj"))]);
            let head = |(t, own): (usize, &[f64])| match turn {
                true => turned(&norm(own, &name(&format!("self_attn.{which}_norm"))), t),
                false => own.to_vec(),
            };
            all.iter().enumerate().map(|(t, row)| row.chunks(s.head_dim).map(|own| head((t, own))).collect()).collect()
        };
        let (q, k, v) = (heads("q", true), heads("k", true), heads("v", false));
        let seen = (0..ids.len()).map(|t| {
            let one = |head: usize| {
                let kv = head * s.kv_heads / s.heads;
                let score = |j: usize| scale * q[t][head].iter().zip(&k[j][kv]).map(|(a, b)| a * b).sum::<f64>();
                let weights: Vec<f64> = (0..=t).map(|j| score(j).exp()).collect();
                let sum: f64 = weights.iter().sum();
                let part = |i: usize| (0..=t).map(|j| weights[j] / sum * v[j][kv][i]).sum::<f64>();
                (0..s.head_dim).map(part).collect::<Vec<f64>>()
            };
            (0..s.heads).flat_map(one).collect::<Vec<f64>>()
        });
        let seen: Vec<Vec<f64>> = seen.collect();
        add(&mut x, normed(&linear(&seen, &p[&name("self_attn.o_proj")]), after));
        let h = normed(&x, before_mlp);
        let (gate, up) = (linear(&h, &p[&name("mlp.gate_proj")]), linear(&h, &p[&name("mlp.up_proj")]));
        let inside: Vec<Vec<f64>> =
            gate.iter().zip(&up).map(|(g, u)| g.iter().zip(u).map(|(g, u)| bend(*g) * u).collect()).collect();
        add(&mut x, normed(&linear(&inside, &p[&name("mlp.down_proj")]), after_mlp));
    }
    let x: Vec<Vec<f64>> = x.iter().map(|x| norm(x, "model.norm.weight")).collect();
    linear(&x, &p["model.embed_tokens.weight"])
}

/// The loss from whole logits in f64.
fn nats_of(decoder: &Decoder) -> f64 {
    let rows = decoder.config().size.rows;
    let logits = numbers(decoder.logits(&IDS, SHAPE).unwrap()).unwrap();
    let lost = logits.chunks(rows).zip(TARGETS).filter(|(_, t)| *t != IGNORE).map(|(row, t)| {
        let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
        sum.ln() - f64::from(row[t as usize])
    });
    lost.sum()
}

#[test]
fn a_decoder_of_each_value_gives_the_logits_that_its_formulas_give() {
    for (what, config) in configs() {
        let decoder = decoder(&config);
        let p = parameters(&decoder);
        let logits = numbers(decoder.logits(&IDS, SHAPE).unwrap()).unwrap();
        let wanted: Vec<f64> = IDS.chunks(SHAPE[1]).flat_map(|ids| written_out(&config, &p, ids)).flatten().collect();
        let top = wanted.iter().fold(0f64, |m, x| m.max(x.abs()));
        for (a, b) in logits.iter().zip(&wanted) {
            // f32 through two layers against f64.
            assert!((f64::from(*a) - b).abs() < 2e-5 * top, "{what}: {a} where {b} is right, largest {top}");
        }
        // Position by position, from what earlier positions left.
        let mut cache = decoder.cache();
        let mut last = Vec::new();
        for id in &IDS[..SHAPE[1]] {
            last = decoder.advance(&mut cache, &[*id]).unwrap();
        }
        let rows = config.size.rows;
        for (a, b) in last.iter().zip(&wanted[(SHAPE[1] - 1) * rows..]) {
            assert!((f64::from(*a) - b).abs() < 2e-5 * top, "{what}, one by one: {a} where {b} is right");
        }
    }
}

#[test]
fn gradients_of_each_value_are_the_finite_differences_and_the_same_with_activation_checkpointing() {
    struct Nudge<'a>(&'a Parameter, usize, f32);
    impl ModuleMapper for Nudge<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if param.id != self.0.id {
                return param;
            }
            param.map(|t| {
                let (shape, device) = (t.dims(), t.device());
                let mut all = numbers(t.inner()).unwrap();
                all[self.1] += self.2;
                Tensor::from_data(TensorData::new(all, shape), &device).require_grad()
            })
        }
    }
    for (what, config) in configs() {
        let decoder = decoder(&config);
        let gradients = |options: &StepOptions| -> Vec<Vec<f32>> {
            let step = decoder.step(&batch(), options).unwrap().whole(&decoder);
            let of = |p: &Parameter| match p.shape.len() {
                1 => numbers(step.grads.get::<1>(p.id).expect(&p.name)).unwrap(),
                _ => numbers(step.grads.get::<2>(p.id).expect(&p.name)).unwrap(),
            };
            decoder.parameters().iter().map(of).collect()
        };
        let kept = gradients(&PLAIN);
        let again = gradients(&StepOptions { checkpointing: Checkpointing::All(true), ..PLAIN });
        for ((parameter, gradient), again) in decoder.parameters().iter().zip(&kept).zip(&again) {
            let name = &parameter.name;
            let largest = (0..gradient.len()).max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs()));
            let i = largest.unwrap();
            let at = |by: f32| nats_of(&decoder.clone().map(&mut Nudge(parameter, i, by)));
            let slope = (at(2e-3) - at(-2e-3)) / 4e-3;
            // Central differences of f32 losses near 40: rounding of about 1e-5 over a step of 4e-3, and the cubic term.
            let off = (slope - f64::from(gradient[i])).abs();
            assert!(off < 1e-2 + 2e-2 * slope.abs(), "{what}, {name}[{i}]: slope {slope}, gradient {}", gradient[i]);
            let apart = gradient.iter().zip(again).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart <= 1e-5 * gradient[i].abs().max(1.0), "{what}, {name}: off by {apart} when computed again");
        }
    }
}
