//! `hibrit device`: which devices there are, whether they compute right, how fast they train.

use super::{Failure, Session};
use crate::app::Timed;
use crate::app::{self, TimeRequest};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Subcommands of `device`.
#[derive(Debug, Subcommand)]
pub enum Device {
    /// List devices, and what is missing where a GPU should answer
    List,
    /// Compute a product, a reduction and an attention on a device and compare them with the CPU
    Check(Check),
    /// Compile and tune the kernels that training a model needs, so that its next run starts at once
    Warm(StepArgs),
    /// Time training steps of a model's shape, with random weights
    Time(StepArgs),
}

/// Arguments of `device check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Which device: auto, cpu or cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
}

/// Arguments of `device warm` and `device time`.
#[derive(Debug, Args)]
pub struct StepArgs {
    /// The model: a folder with a config.json, or the file; weights are not needed
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    /// Which device: auto, cpu or cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// Sequences a step
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// Tokens a sequence
    #[arg(long, value_name = "N", default_value_t = 1024)]
    sequence: usize,
    /// Rank of the adapters
    #[arg(long, value_name = "N", default_value_t = 16)]
    rank: usize,
    /// Layers, where not all; `warm` takes 2, since every layer needs the same kernels
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// Rows of the vocabulary, where not the model's: the candidate's
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Train embeddings and head besides the adapters
    #[arg(long)]
    embeddings: bool,
    /// Train everything
    #[arg(long, conflicts_with = "embeddings")]
    full: bool,
    /// Frozen matrices in 32 bits instead of 16
    #[arg(long)]
    f32: bool,
    /// Share of the layers that are recomputed instead of kept, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    checkpointing: f64,
    /// Steps that are timed
    #[arg(long, value_name = "N", default_value_t = 5)]
    steps: usize,
    /// Draw weights on the CPU from a seed: the same on every device, but slow for a large model
    #[arg(long)]
    seeded: bool,
}

impl StepArgs {
    fn request(self, warm_only: bool) -> TimeRequest {
        TimeRequest {
            model: self.model,
            device: self.device,
            layers: self.layers.or(warm_only.then_some(2)),
            rows: self.rows,
            timed: Timed {
                batch: self.batch,
                length: self.sequence,
                steps: if warm_only { 1 } else { self.steps.max(1) },
                warm: if warm_only { 1 } else { 2 },
                rank: self.rank,
                embeddings: self.embeddings,
                full: self.full,
                bf16: !self.f32,
                checkpointing: app::checkpointing(self.checkpointing),
                drawn_there: !self.seeded && !self.f32 && !self.full,
            },
        }
    }
}

impl Device {
    /// Does it and prints what came out.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List => {
                let devices = app::devices();
                session.print(
                    || serde_json::json!(devices),
                    || {
                        let memory = |m: Option<u64>| m.map_or("unknown".into(), |m| format!("{:.1} GiB", m as f64 / (1u64 << 30) as f64));
                        let mut lines: Vec<String> =
                            devices.devices.iter().map(|d| format!("{:8} memory {:>10}   {}", d.name, memory(d.memory), d.note)).collect();
                        if !devices.built_with_cuda {
                            lines.push("This binary was built without the feature `cuda`: cargo build --release --features cuda".into());
                        }
                        for part in &devices.cuda {
                            lines.push(match &part.path {
                                Some(path) => format!("{}: {}", part.name, path.display()),
                                None => format!("{}: not found; {}", part.name, part.hint),
                            });
                        }
                        lines.push(format!("Compiled kernels are kept in {}", devices.cache.display()));
                        lines.join("\n")
                    },
                )
            }
            Self::Check(check) => {
                let (name, checked) = app::check_device(&check.device)?;
                session.print(
                    || serde_json::json!({ "device": name, "checks": checked, "holds": checked.iter().all(|c| c.holds()) }),
                    || {
                        let line = |c: &app::Checked| {
                            format!(
                                "{:15} {} (difference {:.1e} of the largest number, {:.0e} accepted); first call {:.2} s, later {:.4} s",
                                c.operation,
                                if c.holds() { "agrees with the CPU" } else { "DIFFERS from the CPU" },
                                c.difference,
                                c.tolerance,
                                c.first_seconds,
                                c.later_seconds
                            )
                        };
                        format!("Device {name}\n{}", checked.iter().map(line).collect::<Vec<_>>().join("\n"))
                    },
                )?;
                if checked.iter().all(app::Checked::holds) { Ok(()) } else { Err(Failure::device_differs(&name)) }
            }
            Self::Warm(shape) => timed(session, &shape.request(true), "warmed"),
            Self::Time(shape) => timed(session, &shape.request(false), "timed"),
        }
    }
}

fn timed(session: &Session, request: &TimeRequest, verb: &str) -> Result<(), Failure> {
    let (name, timing) = app::time_device(request)?;
    session.print(
        || {
            let mut json = serde_json::json!(timing);
            json["device"] = name.clone().into();
            json
        },
        || {
            format!(
                "Device {name} {verb}: first step {:.1} s, then {:.1} ms a step (best {:.1}), {:.0} tokens/s, {:.1} TFLOP/s of products, peak memory {}.",
                timing.first_ms / 1e3,
                timing.ms,
                timing.ms_best,
                timing.tokens_per_second,
                timing.gigaflop / timing.ms,
                timing.peak_bytes.map_or("unknown".into(), |b| format!("{:.2} GiB", b as f64 / (1u64 << 30) as f64)),
            )
        },
    )
}
