//! How fast does a training step of some shape run on a device, and how much memory does it take? Steps on random tokens:
//! gradients, their norm, clipping, the update. What is trained on, and why, is not known here.

use super::TrainError;
use super::gradient::Gradient;
use super::params::TrainableParams;
use super::run::optimizer;
use crate::domain::strategy::Checkpointing;
use crate::model::{Batch, Decoder, LoraConfig, ModelConfig, StepOptions, memory};
use burn::tensor::Device;
use serde::Serialize;
use std::time::Instant;

/// What is timed.
#[derive(Debug, Clone)]
pub struct Timed {
    /// Sequences a step.
    pub batch: usize,
    /// Tokens a sequence.
    pub length: usize,
    /// Steps that are timed.
    pub steps: usize,
    /// Steps before them.
    pub warm: usize,
    /// Rank of the adapters on all seven projections.
    pub rank: usize,
    /// Whether embeddings and head are trained besides.
    pub embeddings: bool,
    /// Whether everything is trained, without adapters.
    pub full: bool,
    /// Whether frozen matrices are of 16 bits.
    pub bf16: bool,
    /// Layers that are recomputed.
    pub checkpointing: Checkpointing,
    /// Whether the device draws the weights itself: quicker, and never in 32 bits, but other numbers on each device.
    pub drawn_there: bool,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Timing {
    /// Median over the timed steps.
    pub tokens_per_second: f64,
    /// Milliseconds a step, median.
    pub ms: f64,
    /// Milliseconds of the fastest step.
    pub ms_best: f64,
    /// Milliseconds of norm, clipping and update, median.
    pub update_ms: f64,
    /// Milliseconds of the first step: with a cold cache compilation and tuning are in it.
    pub first_ms: f64,
    /// Operations of the matrix products that a step cannot do without, in units of 10⁹.
    pub gigaflop: f64,
    /// Bytes of the device's memory in use at most; of the process on a CPU.
    pub peak_bytes: Option<u64>,
    /// Numbers that are trained.
    pub trained: u64,
    /// Mean nats a token of every step.
    pub losses: Vec<f64>,
}

/// Times training steps of a decoder of random weights.
///
/// # Errors
/// As [`Decoder::step`].
pub fn time_steps(config: &ModelConfig, device: &Device, timed: &Timed) -> Result<Timing, TrainError> {
    let decoder = match timed.drawn_there {
        true => Decoder::for_timing(config, device)?,
        false => Decoder::init(config, device, 1)?,
    };
    let decoder = if timed.embeddings && timed.drawn_there { decoder.widened_embeddings() } else { decoder };
    let mut decoder = match timed.full {
        true => decoder.full(),
        false => decoder
            .with_lora(&LoraConfig::everywhere(timed.rank, 2.0 * timed.rank as f64, 0.0), 2)
            .train_embeddings(timed.embeddings),
    };
    if timed.bf16 {
        decoder = decoder.narrowed();
    }
    let trained = TrainableParams::of(&decoder);
    let mut optimizer = optimizer(0.0, &trained);
    let (batch, length, rows) = (timed.batch, timed.length, config.size.rows);
    let mut state = 12_345u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % rows as u32
    };
    let options =
        StepOptions { scale: 1.0 / (batch * length) as f32, dropout: None, checkpointing: timed.checkpointing };
    let (mut times, mut updates, mut losses, mut first_ms) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
    for step in 0..timed.warm + timed.steps {
        let text: Vec<u32> = (0..batch * (length + 1)).map(|_| draw()).collect();
        let part =
            |from: usize| text.chunks(length + 1).flat_map(|r| &r[from..from + length]).copied().collect::<Vec<u32>>();
        let (ids, targets) = (part(0), part(1));
        let start = Instant::now();
        let batch = Batch { ids: &ids, targets: &targets, weights: None, shape: [batch, length] };
        let taken = decoder.step(&batch, &options)?;
        losses.push(taken.nats / taken.tokens as f64);
        let between = Instant::now();
        let mut gradient = Gradient::none(&trained);
        gradient.add(&trained, taken)?;
        let clip = 1.0 / gradient.norm()?.max(1.0);
        decoder = optimizer.update(decoder, &trained, &gradient, clip, &|_| 1e-4)?;
        crate::kernels::wait_for(device)?;
        let (whole, update) = (start.elapsed().as_secs_f64() * 1e3, between.elapsed().as_secs_f64() * 1e3);
        if step == 0 {
            first_ms = whole;
        }
        if step >= timed.warm {
            times.push(whole);
            updates.push(update);
        }
    }
    times.sort_by(f64::total_cmp);
    updates.sort_by(f64::total_cmp);
    let median = |sorted: &[f64]| sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    Ok(Timing {
        tokens_per_second: (timed.batch * length) as f64 / median(&times) * 1e3,
        ms: median(&times),
        ms_best: times.first().copied().unwrap_or(f64::NAN),
        update_ms: median(&updates),
        first_ms,
        gigaflop: products(config, timed),
        peak_bytes: memory::used(device).map(|used| used.most),
        trained: decoder.trainable(),
        losses,
    })
}

/// Operations of the matrix products that a step cannot do without, in units of 10⁹: each matrix once forwards, once
/// backwards to its input, and once more where it is trained itself; causal attention's half; the adapters' own.
fn products(config: &ModelConfig, timed: &Timed) -> f64 {
    let s = &config.size;
    let (hidden, wide) = (s.hidden as f64, s.intermediate as f64);
    let (q, kv) = ((s.heads * s.head_dim) as f64, (s.kv_heads * s.head_dim) as f64);
    let maps = [(hidden, q), (hidden, kv), (hidden, kv), (q, hidden), (hidden, wide), (hidden, wide), (wide, hidden)];
    let layer: f64 = maps.iter().map(|(a, b)| a * b).sum();
    let side: f64 = if timed.full { 0.0 } else { maps.iter().map(|(a, b)| timed.rank as f64 * (a + b)).sum() };
    let passes = |trained: bool| if trained { 3.0 } else { 2.0 };
    // Scores and values, forwards; five products of their size backwards, where the scores are made again.
    let attention = 7.0 * q * timed.length as f64 / 2.0;
    let a_token = s.layers as f64 * (passes(timed.full) * layer + 3.0 * side + attention)
        + passes(timed.full || timed.embeddings) * (s.rows * s.hidden) as f64;
    2.0 * a_token * (timed.batch * timed.length) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Dimensions;

    #[test]
    fn a_timed_step_trains_and_counts_its_products() {
        let size = Dimensions {
            rows: 100,
            hidden: 16,
            intermediate: 32,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            head_dim: 8,
            positions: 32,
            tied: false,
        };
        let config = ModelConfig::qwen3(size).unwrap();
        let timed = Timed {
            batch: 2,
            length: 8,
            steps: 3,
            warm: 1,
            rank: 4,
            embeddings: true,
            full: false,
            bf16: true,
            checkpointing: Checkpointing::All(false),
            drawn_there: false,
        };
        let timing = time_steps(&config, &Device::flex(), &timed).unwrap();
        assert_eq!(timing.losses.len(), 4);
        assert!((timing.losses[0] - 100f64.ln()).abs() < 0.3, "{:?}", timing.losses);
        assert!(timing.ms_best <= timing.ms && timing.tokens_per_second > 0.0);
        // Trained embeddings and head take one more product than frozen ones.
        let frozen = products(&config, &Timed { embeddings: false, ..timed.clone() });
        assert!((products(&config, &timed) - frozen - 2.0 * 1600.0 * 16.0 / 1e9).abs() < 1e-12);
    }
}
