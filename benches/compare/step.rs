//! Times hibrit's training step on random data: one side of `compare.py`, which runs it in turn with PyTorch + PEFT.
//!
//!     cargo bench --bench step -- --size S [--untied] [--embeddings] [--full] [--checkpointing[=SHARE]] [--bf16] \
//!         [--device cpu] [--rows N] [--steps 12] [--warm 3]
//!     cargo bench --bench step -- --peak
//!
//! A step is what the trainer does: gradients, their norm, clipping, AdamW. Prints one JSON object: tokens a second
//! (median over the steps), milliseconds, of them the optimiser's, processor time of all threads a step, the making of the
//! model in it (which a busy machine disturbs less), floating-point operations of the matrix products a step needs, peak memory, first and last
//! loss. `--peak` prints the speed of a large matrix product instead.

use burn::tensor::{Tensor, TensorData};
use hibrit::domain::strategy::Checkpointing;
use hibrit::kernels::{self, After, Before, Map};
use hibrit::model::device;
use hibrit::model::{Dimensions, ModelConfig};
use hibrit::train::timing::{Timed, time_steps};
use std::time::Instant;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Name, sizes (rows, hidden, intermediate, layers, heads, kv_heads, head_dim), batch, length.
const SIZES: [(&str, [usize; 7], usize, usize); 5] = [
    ("T", [1000, 64, 128, 2, 4, 2, 16], 2, 32),
    ("S", [8000, 256, 768, 4, 8, 4, 32], 8, 128),
    ("M", [32_000, 512, 1536, 8, 8, 4, 64], 4, 256),
    // Qwen3-0.6B's.
    ("Q", [151_936, 1024, 3072, 28, 16, 8, 128], 1, 256),
    // Qwen3-8B's.
    ("G", [151_936, 4096, 12_288, 36, 32, 8, 128], 4, 1024),
];

unsafe extern "C" {
    /// mimalloc's; option 15 is the delay, in milliseconds, before freed memory goes back to the system.
    safe fn mi_option_set(option: std::ffi::c_int, value: std::ffi::c_long);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // As in the program itself (src/main.rs).
    mi_option_set(15, 10_000);
    let arguments: Vec<String> = std::env::args().collect();
    let given = |flag: &str| arguments.iter().any(|a| a == flag);
    let value = |flag: &str, default: &str| -> String {
        let at = arguments.iter().position(|a| a == flag).map(|i| i + 1);
        at.and_then(|i| arguments.get(i)).cloned().unwrap_or_else(|| default.into())
    };
    if given("--peak") {
        println!("{}", serde_json::json!({ "who": "hibrit", "gigaflops": peak() }));
        return Ok(());
    }
    let size = value("--size", "S");
    let (steps, warm): (usize, usize) = (value("--steps", "12").parse()?, value("--warm", "3").parse()?);
    let (_, s, batch, length) = SIZES.iter().find(|(name, ..)| *name == size).ok_or("sizes are T, S, M, Q, G")?;
    let mut s = *s;
    s[0] = value("--rows", &s[0].to_string()).parse()?;
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
    let chosen = device::choose(&value("--device", "cpu"))?;
    let device = chosen.device;
    let share = arguments.iter().find_map(|a| a.strip_prefix("--checkpointing="));
    let checkpointing = match share {
        Some(share) => Checkpointing::Share(share.parse()?),
        None => Checkpointing::All(given("--checkpointing")),
    };
    let timed = Timed {
        batch: *batch,
        length: *length,
        steps,
        warm,
        rank: 16,
        embeddings: given("--embeddings"),
        full: given("--full"),
        bf16: given("--bf16"),
        checkpointing,
        drawn_there: false,
    };
    let before = processor_seconds();
    let timing = time_steps(&config, &device, &timed)?;
    let processor = before.zip(processor_seconds()).map(|(from, to)| (to - from) / (warm + steps) as f64 * 1e3);
    let mut report = serde_json::to_value(&timing)?;
    for (name, value) in [
        ("who", serde_json::json!("hibrit")),
        ("size", size.into()),
        ("device", chosen.name.into()),
        ("processor_ms", processor.into()),
        ("peak_mb", peak_megabytes().into()),
        ("losses", serde_json::json!([timing.losses.first(), timing.losses.last()])),
    ] {
        report[name] = value;
    }
    println!("{report}");
    Ok(())
}

/// The best speed of products of 2,048 x 2,048 matrices, in 10⁹ operations a second.
fn peak() -> f64 {
    let n = 2048;
    let square = |seed: usize| {
        let numbers = (0..n * n).map(|i| ((i * 2_654_435_761 + seed) % 1000) as f32 / 1000.0 - 0.5).collect();
        Tensor::<2>::from_data(TensorData::new(numbers, [n, n]), &device::cpu("it is what is measured").device)
    };
    let (x, weight) = (square(1).unsqueeze::<3>(), square(2));
    let once = || {
        let start = Instant::now();
        let map = Map { weight: weight.clone(), bias: None, side: None };
        std::hint::black_box(kernels::linears(x.clone(), Before::Nothing, vec![map], After::Nothing));
        start.elapsed().as_secs_f64()
    };
    2.0 * (n as f64).powi(3) / (0..10).map(|_| once()).fold(f64::MAX, f64::min) / 1e9
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
