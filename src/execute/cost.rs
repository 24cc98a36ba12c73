//! What a stage would cost on a device: operations counted from the shapes, time from a measured matrix product,
//! memory from what training keeps. What may be spent is not known here.
//!
//! Counting follows the usual rule (a matrix product of n x k by k x m takes 2nkm operations); a frozen weight costs
//! a forward and a backward product, a trained one a second backward product.

use super::ExecuteError;
use super::model::ModelConfig;
use super::train::{CHECKPOINTS, SNAPSHOTS};
use crate::domain::resources::Cost;
use crate::domain::strategy::StageConfig;
use burn::tensor::{Device, Distribution, Tensor};
use std::time::{Duration, Instant};

/// Share of the matrix peak that whole training steps reach; the rest goes to element-wise work and small products.
/// Measured on two CPU cores, see docs/log.md.
const EFFICIENCY: f64 = 0.45;
/// Rows of logits that exist at once.
const CHUNK: u64 = 256;
/// Bytes a process holds before it holds a model.
const BASELINE: u64 = 120 << 20;

/// Operations a second of a device, as measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(pub f64);

/// What is to be trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Tokens of one pass over the training text.
    pub train_tokens: u64,
    /// Tokens of the held-out text; it is evaluated before, after and a few times between.
    pub eval_tokens: u64,
    /// Rows of the embedding matrix that are in use: the candidate's where it moves.
    pub rows: u64,
    /// Tokens a sequence.
    pub sequence: u64,
}

/// Which machine a measurement is of: host, processor, cores, device and kind of build in one line.
pub fn machine(device: &str) -> String {
    let line = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        let found = text.lines().find(|l| l.starts_with(key))?;
        Some(found.rsplit(": ").next().unwrap_or(found).trim().to_string())
    };
    let host = line("/proc/sys/kernel/hostname", "").or_else(|| std::env::var("HOSTNAME").ok());
    let processor = line("/proc/cpuinfo", "model name");
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let known = |part: Option<String>| part.filter(|p| !p.is_empty()).unwrap_or_else(|| "unknown".into());
    format!("{} | {} | {cores} cores | {device} | {build}", known(host), known(processor))
}

/// Times matrix products of a middling size for half a second and takes the best tenth of it: what else the machine does
/// meanwhile only ever makes it look slower.
///
/// # Errors
/// [`ExecuteError::Backend`] when the device fails.
pub fn measure(device: &Device, name: &str) -> Result<Speed, ExecuteError> {
    let failed = |e: String| ExecuteError::Backend { device: name.to_string(), what: e };
    let sync = || device.sync().map_err(|e| failed(format!("{e:?}")));
    let n = 512;
    let random = || Tensor::<2>::random([n, n], Distribution::Normal(0.0, 1.0), device);
    let (a, b) = (random(), random());
    let product = || {
        let _ = a.clone().matmul(b.clone());
        sync()
    };
    product()?;
    let mut best: f64 = 0.0;
    for _ in 0..10 {
        let start = Instant::now();
        let mut count = 0u32;
        while start.elapsed() < Duration::from_millis(50) {
            product()?;
            count += 1;
        }
        best = best.max(2.0 * (n as f64).powi(3) * f64::from(count) / start.elapsed().as_secs_f64());
    }
    Ok(Speed(best))
}

/// Numbers that a stage trains: the adapters', and those of embeddings and head with so many rows.
fn trained(config: &ModelConfig, stage: &StageConfig, rows: u64) -> (u64, u64) {
    let s = &config.size;
    let [hidden, ffn, layers] = [s.hidden as u64, s.intermediate as u64, s.layers as u64];
    let (query, key) = ((s.heads * s.head_dim) as u64, (s.kv_heads * s.head_dim) as u64);
    let adapters = layers * stage.rank as u64 * (2 * (hidden + query) + 2 * (hidden + key) + 3 * (hidden + ffn));
    let matrices = if s.tied { 1 } else { 2 };
    (adapters, if stage.train_embeddings { matrices * rows * hidden } else { 0 })
}

/// Bytes that a stage on a vocabulary of so many rows keeps on the disk while it trains, at most: what is trained with
/// its two moments, in every checkpoint and in every snapshot that one of them, or the run, could be rewound to.
pub fn kept(config: &ModelConfig, stage: &StageConfig, rows: u64) -> u64 {
    let (adapters, embeddings) = trained(config, stage, rows);
    let states = CHECKPOINTS + SNAPSHOTS * (CHECKPOINTS + 1);
    12 * (adapters + embeddings) * states as u64
}

/// What one stage costs.
pub fn stage(config: &ModelConfig, stage: &StageConfig, load: &Load, speed: Speed) -> Cost {
    let s = &config.size;
    let [hidden, ffn, layers] = [s.hidden as u64, s.intermediate as u64, s.layers as u64];
    let (query, key) = ((s.heads * s.head_dim) as u64, (s.kv_heads * s.head_dim) as u64);
    let linear = layers * (2 * hidden * query + 2 * hidden * key + 3 * hidden * ffn);
    let head = load.rows * hidden;
    let (adapters, trained_rows) = trained(config, stage, load.rows);
    let attention = layers * 4 * load.sequence * query;

    let forward = 2 * (linear + head + adapters) + attention;
    let mut step = 2 * forward + 2 * adapters + attention;
    let matrices = if s.tied { 1 } else { 2 };
    if stage.train_embeddings {
        step += 2 * head;
    }
    let tokens = (load.train_tokens as f64 * stage.epochs) as u64;
    // Held-out text is evaluated at the start, at the end and at four points between.
    let flops = tokens as f64 * step as f64 + 6.0 * load.eval_tokens as f64 * forward as f64;

    let weights = linear + matrices * head;
    let in_flight = stage.batch as u64 * load.sequence;
    let kept = layers * (6 * hidden + 3 * query + 3 * key + s.heads as u64 * load.sequence + 4 * ffn);
    // Weights once; adapters and trained rows with gradient and two moments; activations; a chunk of logits and its gradient.
    let numbers = weights + 4 * adapters + 3 * trained_rows + in_flight * kept + 2 * CHUNK * load.rows;
    Cost {
        seconds: flops / (speed.0 * EFFICIENCY),
        memory: BASELINE + 4 * numbers,
        disk: 4 * (weights + adapters),
        flops,
        tokens,
    }
}

/// Two stages, one after the other.
pub fn both(a: &Cost, b: &Cost) -> Cost {
    Cost {
        seconds: a.seconds + b.seconds,
        memory: a.memory.max(b.memory),
        disk: a.disk + b.disk,
        flops: a.flops + b.flops,
        tokens: a.tokens + b.tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_apart_by_its_device_and_its_speed_is_a_number() {
        assert_ne!(machine("cpu"), machine("cuda:0"));
        assert_eq!(machine("cpu"), machine("cpu"));
        let speed = measure(&Device::flex(), "cpu").unwrap().0;
        assert!(speed.is_finite() && speed > 1e6, "{speed}");
    }
}
