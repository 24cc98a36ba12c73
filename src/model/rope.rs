//! Rotary position tables (Su 2021), in the rotate-half form: element i turns with element i + head_dim / 2.

use super::config::{ModelConfig, RopeScaling};
use burn::tensor::{Device, Tensor, TensorData};
use std::f64::consts::TAU;

/// Cosines and sines of a range of positions, each `[positions, head_dim / 2]`, without autodiff.
#[derive(Debug, Clone)]
pub struct RopeTable {
    /// Cosines.
    pub cos: Tensor<2>,
    /// Sines.
    pub sin: Tensor<2>,
}

impl RopeTable {
    /// The table of positions `start..start + length`. Frequencies and angles are rounded to f32 where transformers
    /// rounds them, so that long contexts agree with it.
    pub fn new(config: &ModelConfig, start: usize, length: usize, device: &Device) -> Self {
        let frequencies = frequencies(config);
        let half = frequencies.len();
        let size = match config.rope_scaling {
            RopeScaling::Yarn { attention, .. } => attention as f32,
            RopeScaling::None | RopeScaling::Linear { .. } | RopeScaling::Llama3 { .. } => 1.0,
        };
        let (mut cos, mut sin) = (Vec::with_capacity(length * half), Vec::with_capacity(length * half));
        for position in start..start + length {
            for f in &frequencies {
                let angle = position as f32 * f;
                cos.push(angle.cos() * size);
                sin.push(angle.sin() * size);
            }
        }
        let tensor = |v| Tensor::from_data(TensorData::new(v, [length, half]), device);
        Self { cos: tensor(cos), sin: tensor(sin) }
    }
}

/// Radians a position turns by, per pair of elements.
fn frequencies(config: &ModelConfig) -> Vec<f32> {
    let head_dim = config.size.head_dim;
    let plain = (0..head_dim / 2).map(|i| 1.0 / config.rope_theta.powf(2.0 * i as f64 / head_dim as f64));
    if let RopeScaling::Yarn { factor, fast, slow, original, whole, .. } = config.rope_scaling {
        // The pair that turns so many times in the original context.
        let pair = |turns: f64| head_dim as f64 * (original / (turns * TAU)).ln() / (2.0 * config.rope_theta.ln());
        let (low, high) = if whole { (pair(fast).floor(), pair(slow).ceil()) } else { (pair(fast), pair(slow)) };
        let (low, high) = (low.max(0.0), high.min(head_dim as f64 - 1.0));
        let width = if low == high { 1e-3 } else { high - low };
        let kept = |i: usize| 1.0 - ((i as f64 - low) / width).clamp(0.0, 1.0);
        return plain.enumerate().map(|(i, f)| (f / factor * (1.0 - kept(i)) + f * kept(i)) as f32).collect();
    }
    plain.map(|f| scaled(f, config.rope_scaling) as f32).collect()
}

/// One frequency after scaling. Llama 3's ramp: wavelengths beyond original/low are divided by `factor`, those below
/// original/high kept, between them the two are mixed linearly in original/wavelength.
fn scaled(f: f64, scaling: RopeScaling) -> f64 {
    match scaling {
        // YaRN goes by the pair, not by its frequency: it was handled before.
        RopeScaling::None | RopeScaling::Yarn { .. } => f,
        RopeScaling::Linear { factor } => f / factor,
        RopeScaling::Llama3 { factor, low, high, original } => {
            let wavelength = TAU / f;
            if wavelength > original / low {
                f / factor
            } else if wavelength < original / high {
                f
            } else {
                let mix = (original / wavelength - low) / (high - low);
                (1.0 - mix) * f / factor + mix * f
            }
        }
    }
}
