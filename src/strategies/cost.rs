//! What a stage would cost on a device: operations counted from the shapes, time from a measured matrix product,
//! memory from what training keeps. What may be spent is not known here.
//!
//! Counting follows the usual rule (a matrix product of n x k by k x m takes 2nkm operations); a frozen weight costs
//! a forward and a backward product, a trained one a second backward product.

use super::error::StrategyError;
use crate::domain::resources::Cost;
use crate::domain::strategy::{Precision, StageConfig};
use crate::kernels;
use crate::model::ModelConfig;
use crate::train::{CHECKPOINTS, Load, SNAPSHOTS};
use burn::tensor::{Device, Distribution, FloatDType, Tensor};
use std::time::{Duration, Instant};

/// Share of the matrix peak that whole training steps reach where operations are not fused: the rest goes to element-wise
/// work in 32 bits. 0.08 of PyTorch's bf16 peak was measured on an H200 (docs/gpu.md); of Burn's own, which is what is
/// measured here, it is a guess.
const EFFICIENCY: f64 = 0.1;
/// The same where operations are fused: between 0.61 and 0.76, docs/training.md.
const FUSED_EFFICIENCY: f64 = 0.65;
/// Rows of logits that exist at once, where operations are fused and where not, and how many tensors of their size.
const CHUNK: [(u64, u64); 2] = [(256, 2), (kernels::REFERENCE_CHUNK as u64, 5)];
/// Bytes a process holds besides: itself, two tokenizers, texts and their tokens.
const BASELINE: u64 = 300 << 20;
/// What lies between things that come and go, as a factor, where operations are fused (a CPU's allocator, docs/log.md); a
/// GPU's pool reuses its pages whole (docs/gpu.md).
const HOLES: f64 = 1.15;

/// What would train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hardware {
    /// Operations a second, as measured.
    pub flops_per_second: f64,
    /// Whether the decoder's operations are fused there, as they are on a CPU: they keep less (`src/kernels`).
    pub fused: bool,
    /// Memory there is, bytes; a batch is held in pieces that fit.
    pub memory: Option<u64>,
}

impl Hardware {
    /// The same where something else holds so many bytes.
    pub fn without(self, bytes: u64) -> Self {
        Self { memory: self.memory.map(|there| there.saturating_sub(bytes)), ..self }
    }

    /// A device of this speed, its memory unknown.
    pub fn of(device: &Device, flops_per_second: f64) -> Self {
        Self { flops_per_second, fused: kernels::are_fused(device), memory: None }
    }
}

/// What is to be trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Text {
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

/// Operations a second of a device: times matrix products of a middling size for half a second and takes the best tenth
/// of it, as what else the machine does meanwhile only ever makes it look slower.
///
/// # Errors
/// [`StrategyError::Kernel`] when the device fails.
pub fn measure(device: &Device) -> Result<f64, StrategyError> {
    // Of the size and type that training uses there: a GPU hardly starts on a product that keeps a CPU busy.
    let (n, width) = if kernels::are_fused(device) { (512, FloatDType::F32) } else { (4096, FloatDType::BF16) };
    let random = || Tensor::<2>::random([n, n], Distribution::Normal(0.0, 1.0), device).cast(width);
    let (a, b) = (random(), random());
    let product = || {
        let _ = a.clone().matmul(b.clone());
        kernels::wait_for(device)
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
    Ok(best)
}

/// Widths of a model, in numbers.
struct Widths {
    hidden: u64,
    ffn: u64,
    heads: u64,
    /// Of all query heads together.
    query: u64,
    /// Of all key heads together, as of all value heads.
    key: u64,
    layers: u64,
}

impl Widths {
    fn of(config: &ModelConfig) -> Self {
        let s = &config.size;
        Self {
            hidden: s.hidden as u64,
            ffn: s.intermediate as u64,
            heads: s.heads as u64,
            query: (s.heads * s.head_dim) as u64,
            key: (s.kv_heads * s.head_dim) as u64,
            layers: s.layers as u64,
        }
    }

    /// Numbers of all layers' matrices.
    fn linear(&self) -> u64 {
        self.layers * (2 * self.hidden * self.query + 2 * self.hidden * self.key + 3 * self.hidden * self.ffn)
    }

    /// Numbers that are there at once for the backward pass of sequences of `sequence` tokens beside adapters of `rank`.
    fn activations(&self, load: Load, rank: usize, sequence: u64, fused: bool) -> u64 {
        let (h, q, k, f) = (self.hidden, self.query, self.key, self.ffn);
        // Of a token in a layer: the residual stream before both halves, queries, keys and values, what attention gives,
        // gate and way up, and the side paths' middles. Operations that are not fused keep what is between them as well.
        let stream = 2 * h;
        let kept = if fused {
            stream + 2 * q + 2 * k + self.heads + 2 * f + 7 * rank as u64
        } else {
            // The softmax's tape holds its input, its exponentials and its output.
            6 * h + 5 * q + 3 * k + 3 * self.heads * sequence + 5 * f
        };
        // A layer that is undone needs as much again for gradients, and one that is computed twice is there for that long.
        let twice = load.checkpointing.of(self.layers as usize) as u64;
        let at_once = self.layers - twice + u64::from(twice > 0) + 1;
        load.batch as u64 * sequence * (at_once * kept + twice * stream + stream)
    }
}

/// Numbers that a stage trains: the adapters', and those of embeddings and head with so many rows.
fn trained(config: &ModelConfig, stage: &StageConfig, rows: u64) -> (u64, u64) {
    let w = Widths::of(config);
    let ends = 2 * (w.hidden + w.query) + 2 * (w.hidden + w.key) + 3 * (w.hidden + w.ffn);
    let matrices = if config.size.tied { 1 } else { 2 };
    (w.layers * stage.rank as u64 * ends, if stage.train_embeddings { matrices * rows * w.hidden } else { 0 })
}

/// Numbers of a model with so many rows.
fn weights(config: &ModelConfig, rows: u64) -> u64 {
    let w = Widths::of(config);
    w.linear() + if config.size.tied { 1 } else { 2 } * rows * w.hidden
}

/// Bytes that a stage on a vocabulary of so many rows keeps on the disk while it trains, at most: what is trained with
/// its two moments, in every checkpoint and in every snapshot that one of them, or the run, could be rewound to.
pub fn kept(config: &ModelConfig, stage: &StageConfig, rows: u64) -> u64 {
    let (adapters, embeddings) = trained(config, stage, rows);
    let states = CHECKPOINTS + SNAPSHOTS * (CHECKPOINTS + 1);
    12 * (adapters + embeddings) * states as u64
}

/// Bytes that a stage holds while it waits for its turn: weights once; adapters and trained rows with gradient and two
/// moments.
pub fn waiting(config: &ModelConfig, stage: &StageConfig, rows: u64) -> u64 {
    let (adapters, trained_rows) = trained(config, stage, rows);
    let weights = weights(config, rows);
    let frozen = if stage.train_embeddings { Widths::of(config).linear() } else { weights };
    let narrow = if stage.base == Precision::Bf16 { 2 * frozen } else { 0 };
    4 * (weights + 4 * adapters + 3 * trained_rows) - narrow
}

/// Bytes that a stage holds at most where so much of a batch is held at once.
fn memory(config: &ModelConfig, stage: &StageConfig, text: &Text, load: Load, fused: bool) -> u64 {
    // A frozen head's logits do not exist where operations are fused; else a chunk of them and its gradient do.
    let (chunk, tensors) = CHUNK[usize::from(!fused)];
    let logits = if fused && !stage.train_embeddings { 0 } else { tensors * chunk * text.rows };
    let activations = Widths::of(config).activations(load, stage.rank, text.sequence, fused);
    let come_and_go = 4 * (activations + logits);
    let holes = if fused { HOLES } else { 1.0 };
    BASELINE + waiting(config, stage, text.rows) + (come_and_go as f64 * holes) as u64
}

/// How much of a batch is held at once: all that a stage asks for where that fits into the memory, else the most that does,
/// else the least there is.
pub fn load(config: &ModelConfig, stage: &StageConfig, text: &Text, hardware: Hardware) -> Load {
    let fits = |load| hardware.memory.is_none_or(|there| memory(config, stage, text, load, hardware.fused) <= there);
    let mut load = Load::of(stage);
    while !fits(load)
        && let Some(lighter) = load.lighter()
    {
        load = lighter;
    }
    load
}

/// What one stage costs.
pub fn stage(config: &ModelConfig, stage: &StageConfig, text: &Text, hardware: Hardware) -> Cost {
    let w = Widths::of(config);
    let linear = w.linear();
    let head = text.rows * w.hidden;
    let (adapters, _) = trained(config, stage, text.rows);
    let attention = w.layers * 4 * text.sequence * w.query;
    let load = load(config, stage, text, hardware);

    let forward = 2 * (linear + head + adapters) + attention;
    let mut step = 2 * forward + 2 * adapters + attention;
    if stage.train_embeddings {
        step += 2 * head;
    }
    // Of a layer that is computed twice the products onto the residual stream are not, where operations are fused.
    let onto = if hardware.fused { w.layers * w.hidden * (w.query + w.ffn) } else { 0 };
    let twice = load.checkpointing.of(config.size.layers) as u64;
    step += twice * (2 * (linear - onto) + attention) / w.layers.max(1);
    let tokens = (text.train_tokens as f64 * stage.epochs) as u64;
    // Held-out text is evaluated at the start, at the end and at four points between.
    let flops = tokens as f64 * step as f64 + 6.0 * text.eval_tokens as f64 * forward as f64;
    Cost {
        seconds: flops / (hardware.flops_per_second * if hardware.fused { FUSED_EFFICIENCY } else { EFFICIENCY }),
        memory: memory(config, stage, text, load, hardware.fused),
        disk: 4 * (weights(config, text.rows) + adapters),
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
    use crate::domain::strategy::Checkpointing;
    use crate::model::Dimensions;

    #[test]
    fn layers_computed_twice_a_narrow_base_and_fused_operations_need_less_memory() {
        let config = ModelConfig::qwen3(Dimensions {
            rows: 151_936,
            hidden: 1024,
            intermediate: 3072,
            layers: 28,
            heads: 16,
            kv_heads: 8,
            head_dim: 128,
            positions: 256,
            tied: true,
        })
        .unwrap();
        let text = Text { train_tokens: 100_000, eval_tokens: 0, rows: 151_936, sequence: 256 };
        let fields = r#"{"rank": 16, "alpha": 32.0, "dropout": 0.0, "learning_rate": 1e-4, "warmup": 0.1, "epochs": 1.0,
            "batch": 1, "accumulation": 1, "weight_decay": 0.0, "sequence": 256, "train_embeddings": false}"#;
        let plain: StageConfig = serde_json::from_str(fields).unwrap();
        let cpu = Hardware { flops_per_second: 1e11, fused: true, memory: None };
        let cost = |change: &dyn Fn(&mut StageConfig)| {
            let mut changed = plain.clone();
            change(&mut changed);
            stage(&config, &changed, &text, cpu)
        };
        let at_rest = cost(&|_| ());
        // Measured: 2,974, 2,688 and 2,598 MiB with 70 MiB for the process (docs/training.md).
        let half = cost(&|s| s.checkpointing = Checkpointing::Share(0.75));
        let all = cost(&|s| s.checkpointing = Checkpointing::All(true));
        for (cost, measured) in [(&at_rest, 2974), (&half, 2688), (&all, 2598)] {
            let measured = (measured + (BASELINE >> 20) - 70) as f64;
            let off = (cost.memory >> 20) as f64 / measured;
            assert!((0.9..1.1).contains(&off), "{} of {measured} MiB", cost.memory >> 20);
        }
        assert!(at_rest.seconds < half.seconds && half.seconds < all.seconds);
        assert_eq!(at_rest.memory - cost(&|s| s.base = Precision::Bf16).memory, 2 * weights(&config, text.rows));
        // With less memory a batch is held in pieces, then layers are computed twice, and no more than that.
        let batch = StageConfig { batch: 6, ..plain.clone() };
        let within = |memory| load(&config, &batch, &text, Hardware { memory: Some(memory), ..cpu });
        assert_eq!(within(u64::MAX), Load::of(&batch));
        let one = Load { batch: 1, ..Load::of(&batch) };
        assert_eq!(within(at_rest.memory), one);
        assert_eq!(within(half.memory), Load { checkpointing: Checkpointing::Share(0.75), ..one });
        assert_eq!(within(1), Load { checkpointing: Checkpointing::All(true), ..one });
        let squeezed = stage(&config, &batch, &text, Hardware { memory: Some(half.memory), ..cpu });
        assert_eq!((squeezed.memory, squeezed.seconds), (half.memory, half.seconds));
        let unfused = stage(&config, &plain, &text, Hardware { fused: false, ..cpu });
        assert!(unfused.memory > at_rest.memory && unfused.seconds > at_rest.seconds);
    }

    /// Measured on an H200: the pool of a step of Qwen3-8B's shape, 1 x 1,024 tokens, base in 16 bits, rank 16, with all
    /// layers and with two (docs/gpu.md).
    #[test]
    fn memory_on_a_gpu_is_within_a_tenth_of_what_was_measured() {
        for (layers, measured) in [(36, 47_358_935_040f64), (2, 7_479_492_608.0)] {
            let config = ModelConfig::qwen3(Dimensions {
                rows: 151_936,
                hidden: 4096,
                intermediate: 12_288,
                layers,
                heads: 32,
                kv_heads: 8,
                head_dim: 128,
                positions: 2048,
                tied: false,
            })
            .unwrap();
            let fields = r#"{"rank": 16, "alpha": 32.0, "dropout": 0.0, "learning_rate": 1e-4, "warmup": 0.1, "epochs": 1.0,
                "batch": 1, "accumulation": 1, "weight_decay": 0.0, "sequence": 1024, "train_embeddings": false, "base": "bf16"}"#;
            let plain: StageConfig = serde_json::from_str(fields).unwrap();
            let text = Text { train_tokens: 0, eval_tokens: 0, rows: 151_936, sequence: 1024 };
            let gpu = Hardware { flops_per_second: 5e14, fused: false, memory: None };
            let off = stage(&config, &plain, &text, gpu).memory as f64 / measured;
            assert!((0.9..1.1).contains(&off), "{layers} layers: {off} of what was measured");
        }
    }

    #[test]
    fn a_machine_is_told_apart_by_its_device_and_its_speed_is_a_number() {
        assert_ne!(machine("cpu"), machine("cuda:0"));
        assert_eq!(machine("cpu"), machine("cpu"));
        let speed = measure(&Device::flex()).unwrap();
        assert!(speed.is_finite() && speed > 1e6, "{speed}");
    }
}
