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
        let (mut cos, mut sin) = (Vec::with_capacity(length * half), Vec::with_capacity(length * half));
        for position in start..start + length {
            for f in &frequencies {
                let angle = position as f32 * f;
                cos.push(angle.cos());
                sin.push(angle.sin());
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
    plain.map(|f| scaled(f, config.rope_scaling) as f32).collect()
}

/// One frequency after scaling. Llama 3's ramp: wavelengths beyond original/low are divided by `factor`, those below
/// original/high kept, between them the two are mixed linearly in original/wavelength.
fn scaled(f: f64, scaling: RopeScaling) -> f64 {
    match scaling {
        RopeScaling::None => f,
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
