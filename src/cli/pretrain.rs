//! `hibrit pretrain`: a small base from scratch.

use super::inputs::{ReadingArgs, bytes};
use super::{Failure, Session};
use crate::app;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `pretrain`.
#[derive(Debug, Args)]
pub struct Pretrain {
    /// The architecture: a config.json of the Qwen3 or Llama family
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The tokenizer: a tokenizer.json or a folder containing one
    #[arg(long, value_name = "PATH")]
    source: PathBuf,
    /// Training text; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    train: Vec<PathBuf>,
    /// Output folder for the model; must be empty or not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Tokens to train on; the text is repeated as needed
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    tokens: u64,
    /// Use at most this much of the training text
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    train_bytes: Option<u64>,
    /// Sequences per step
    #[arg(long, value_name = "N", default_value_t = 16)]
    batch: usize,
    /// Tokens per sequence
    #[arg(long, value_name = "N", default_value_t = 128)]
    sequence: usize,
    /// Peak learning rate
    #[arg(long, value_name = "RATE", default_value_t = 3e-3)]
    learning_rate: f64,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where to train: auto, cpu or cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// Steps between checkpoints in OUT.checkpoints, from which an interrupted run can resume; 0 for none
    #[arg(long, value_name = "STEPS", default_value_t = 200)]
    checkpoint_every: u64,
    /// Resume an interrupted run of the same command
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl Pretrain {
    /// Trains and says where the model is.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let request = app::PretrainRequest {
            config: self.config,
            source: self.source,
            train: self.train,
            out: self.out.clone(),
            tokens: self.tokens,
            train_bytes: self.train_bytes,
            batch: self.batch,
            sequence: self.sequence,
            learning_rate: self.learning_rate,
            seed: self.seed,
            device: self.device,
            reading: self.reading.options(),
            checkpoint_every: self.checkpoint_every,
            resume: self.resume,
            stop: session.stop.clone(),
        };
        let mut progress = session.progress();
        let done = app::pretrain(&request, &mut progress)?;
        drop(progress);
        session.print(
            || serde_json::json!({ "pretrained": done }),
            || {
                format!(
                    "Pretrained on {} tokens in {:.0} s: {:.3} bits per byte on its last steps. The model is in {}.",
                    done.tokens,
                    done.seconds,
                    done.bits_per_byte,
                    self.out.display()
                )
            },
        )
    }
}
