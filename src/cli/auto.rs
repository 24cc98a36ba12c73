//! `hibrit auto` and `hibrit run`: the whole flow on a model of the user's.

use super::inputs::{ReadingArgs, ResourceArgs, bytes, overrides};
use super::{Failure, Session};
use crate::domain::strategy::Strategy;
use crate::pipeline;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `auto`.
#[derive(Debug, Args)]
pub struct Auto {
    /// The base model's Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The original tokenizer [default: the model's]
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    /// The candidate tokenizer: a tokenizer.json or a folder that holds one
    #[arg(long, value_name = "PATH")]
    candidate: PathBuf,
    /// Training text; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    train: Vec<PathBuf>,
    /// Held-out text; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    eval: Vec<PathBuf>,
    /// Where the results go: a folder that does not exist yet, or is empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Try something else than decided with this probability, so that the history learns of it [default with the option
    /// alone: 0.05]
    #[arg(long, value_name = "P", num_args = 0..=1, default_missing_value = "0.05", value_parser = probability)]
    explore: Option<f64>,
    /// Run `keep` as well, on the same text, as the yardstick
    #[arg(long)]
    with_keep: bool,
    /// Use no more than this much of the training text
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    train_bytes: Option<u64>,
    /// Use no more than this much of the held-out text
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "1MB")]
    eval_bytes: u64,
    /// Change a value of the strategies' configurations: STAGE.FIELD=VALUE, or FIELD=VALUE for every stage
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where to train: auto, cpu or cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The strategy to carry out, whatever would be decided
    #[arg(value_name = "STRATEGY")]
    strategy: Strategy,
    #[command(flatten)]
    auto: Auto,
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("a probability from 0 to 1".into()),
    }
}

impl Auto {
    fn request(&self, strategy: Option<Strategy>, session: &Session) -> Result<pipeline::AutoRequest, Failure> {
        Ok(pipeline::AutoRequest {
            model: self.model.clone(),
            source: self.source.clone(),
            candidate: self.candidate.clone(),
            train: self.train.clone(),
            eval: self.eval.clone(),
            out: self.out.clone(),
            strategy,
            explore: self.explore,
            with_keep: self.with_keep,
            train_bytes: self.train_bytes,
            eval_bytes: self.eval_bytes,
            overrides: overrides(&self.set)?,
            seed: self.seed,
            device: self.device.clone(),
            resources: self.resources.resources(),
            reading: self.reading.options(),
            stop: session.stop.clone(),
        })
    }

    fn carry_out(&self, strategy: Option<Strategy>, session: &Session) -> Result<(), Failure> {
        let request = self.request(strategy, session)?;
        let mut progress = session.progress();
        let run = pipeline::auto(&session.settings, &request, &mut progress)?;
        drop(progress);
        session.report_run(&run, &self.out)
    }

    /// Decides, executes, records and prints.
    pub fn call(self, session: &Session) -> Result<(), Failure> {
        self.carry_out(None, session)
    }
}

impl Run {
    /// The same with the strategy given.
    pub fn call(self, session: &Session) -> Result<(), Failure> {
        self.auto.carry_out(Some(self.strategy), session)
    }
}
