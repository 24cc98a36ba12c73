//! Times hibrit's training step on random data: one side of `compare.py`, which runs it in turn with PyTorch + PEFT.
//!
//!     cargo bench --bench step -- --size S [--embeddings] [--full] [--checkpointing] [--steps 12] [--warm 3]
//!
//! Prints one JSON object: tokens a second (median over the steps), milliseconds, processor time of all threads a step
//! (which a busy machine disturbs less), peak memory, first and last loss.

use burn::optim::AdamWConfig;
use hibrit::execute::device;
use hibrit::execute::model::{Batch, Decoder, Dimensions, LoraConfig, ModelConfig, StepOptions};
use std::time::Instant;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Name, sizes (rows, hidden, intermediate, layers, heads, kv_heads, head_dim), batch, length.
const SIZES: [(&str, [usize; 7], usize, usize); 4] = [
    ("T", [1000, 64, 128, 2, 4, 2, 16], 2, 32),
    ("S", [8000, 256, 768, 4, 8, 4, 32], 8, 128),
    ("M", [32_000, 512, 1536, 8, 8, 4, 64], 4, 256),
    // Qwen3-0.6B's.
    ("Q", [151_936, 1024, 3072, 28, 16, 8, 128], 1, 256),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |flag: &str| arguments.iter().any(|a| a == flag);
    let value = |flag: &str, default: &str| -> String {
        let at = arguments.iter().position(|a| a == flag).map(|i| i + 1);
        at.and_then(|i| arguments.get(i)).cloned().unwrap_or_else(|| default.into())
    };
    let size = value("--size", "S");
    let (steps, warm): (usize, usize) = (value("--steps", "12").parse()?, value("--warm", "3").parse()?);
    let (_, s, batch, length) = SIZES.iter().find(|(name, ..)| *name == size).ok_or("sizes are T, S, M, Q")?;
    let config = ModelConfig::qwen3(Dimensions {
        rows: s[0],
        hidden: s[1],
        intermediate: s[2],
        layers: s[3],
        heads: s[4],
        kv_heads: s[5],
        head_dim: s[6],
        positions: 2048,
        tied: !given("--untied"),
    })?;
    let device = device::cpu("it is what is measured").device;
    let decoder = Decoder::init(&config, &device, 1)?;
    let mut decoder = if given("--full") {
        decoder.full()
    } else {
        decoder.with_lora(&LoraConfig::everywhere(16, 32.0, 0.0), 2).train_embeddings(given("--embeddings"))
    };
    let mut optimizer = AdamWConfig::new().init();
    let mut state = 12_345u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % s[0] as u32
    };
    let options =
        StepOptions { scale: 1.0 / (batch * length) as f32, dropout: None, checkpointing: given("--checkpointing") };
    let (mut times, mut losses, mut processor) = (Vec::new(), Vec::new(), 0.0);
    for step in 0..warm + steps {
        let text: Vec<u32> = (0..batch * (length + 1)).map(|_| draw()).collect();
        let rows = || text.chunks(length + 1);
        let ids: Vec<u32> = rows().flat_map(|r| &r[..*length]).copied().collect();
        let targets: Vec<u32> = rows().flat_map(|r| &r[1..]).copied().collect();
        if step == warm {
            processor = processor_seconds().unwrap_or_default();
        }
        let start = Instant::now();
        let batch = Batch { ids: &ids, targets: &targets, weights: None, shape: [*batch, *length] };
        let taken = decoder.step(&batch, &options)?;
        losses.push(taken.nats / taken.tokens as f64);
        decoder = optimizer.step(1e-4, decoder, taken.grads);
        device.sync()?;
        if step >= warm {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let processor = processor_seconds().map(|now| (now - processor) / steps as f64 * 1e3);
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let report = serde_json::json!({
        "who": "hibrit",
        "size": size,
        "tokens_per_second": (batch * length) as f64 / median,
        "ms": median * 1e3,
        "ms_best": times[0] * 1e3,
        "processor_ms": processor,
        "peak_mb": peak_megabytes(),
        "trained": decoder.trainable(),
        "losses": [losses.first(), losses.last()],
    });
    println!("{report}");
    Ok(())
}

/// Peak resident memory of this process, where /proc tells.
fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// Processor time of all threads so far, user and system, where /proc tells (in hundredths of a second).
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
