//! `hibrit auto` and `hibrit run`: the whole flow on a model of the user's.

use super::inputs::{ReadingArgs, ResourceArgs, bytes, overrides};
use super::remote::name;
use super::{Failure, Session};
use crate::app::{self, AutoRequest, Comparison, RunPlan};
use crate::domain::injection::Injection;
use crate::domain::strategy::Strategy;
use crate::service::api::{AutoTask, ResourcesOrder, RunOrder, RunTask};
use clap::Args;
use std::path::PathBuf;
use strum::IntoEnumIterator;

/// Arguments of `auto`.
#[derive(Debug, Args)]
pub struct Auto {
    /// Resume a run that was stopped or killed, from its folder; no other argument is needed
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "candidate", "train", "eval", "out", "dry_run"])]
    resume: Option<PathBuf>,
    /// Print the plan with estimates of time, memory and disk; train and write nothing
    #[arg(long)]
    dry_run: bool,
    /// The base model's Hugging Face folder
    #[arg(long, value_name = "DIR", required_unless_present = "resume")]
    model: Option<PathBuf>,
    /// The original tokenizer [default: the model's]
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    /// The candidate tokenizer: a tokenizer.json or a folder containing one
    #[arg(long, value_name = "PATH", required_unless_present = "resume")]
    candidate: Option<PathBuf>,
    /// Training text; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "resume")]
    train: Vec<PathBuf>,
    /// Weight of each training text per epoch, in the order of --train: 1 0.3 uses three in ten documents of the second
    #[arg(long, value_name = "TIMES", num_args = 1.., conflicts_with = "resume")]
    weights: Vec<f64>,
    /// Held-out text; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "resume")]
    eval: Vec<PathBuf>,
    /// Output folder; must be empty or not exist yet
    #[arg(long, value_name = "DIR", required_unless_present_any = ["resume", "dry_run", "server"])]
    out: Option<PathBuf>,
    /// With this probability, try another strategy than the one decided, so that the history learns about it [default
    /// when given without a value: 0.05]
    #[arg(long, value_name = "P", num_args = 0..=1, default_missing_value = "0.05", value_parser = probability)]
    explore: Option<f64>,
    /// Also run `keep` on the same text, as a baseline
    #[arg(long)]
    with_keep: bool,
    /// Use at most this much of the training text
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    train_bytes: Option<u64>,
    /// Use at most this much of the held-out text
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "1MB")]
    eval_bytes: u64,
    /// Override a setting: STAGE.FIELD=VALUE, or FIELD=VALUE for every stage
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Embedding method for another vocabulary [default: the best of the methods that need no text]
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Inject faults to see how they are handled: explosion@STEP, nan@STEP, oom@STEP, crash@STEP, slow:TIMES
    #[arg(long, value_name = "WHAT", hide = true)]
    inject: Vec<Injection>,
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
pub struct RunCommand {
    /// The strategy to carry out, whatever the decision would be; `all` runs every feasible one, each in its own folder
    #[arg(value_name = "STRATEGY", value_parser = which)]
    strategy: Which,
    #[command(flatten)]
    auto: Auto,
}

/// One strategy, or all of them.
#[derive(Debug, Clone, Copy)]
enum Which {
    One(Strategy),
    All,
}

fn which(text: &str) -> Result<Which, String> {
    if text == "all" {
        return Ok(Which::All);
    }
    let names: Vec<String> = Strategy::iter().map(|s| s.to_string()).collect();
    text.parse().map(Which::One).map_err(|_| format!("one of {}, all", names.join(", ")))
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("a probability from 0 to 1".into()),
    }
}

impl Auto {
    fn request(&self, strategy: Option<Strategy>, session: &Session) -> Result<AutoRequest, Failure> {
        // Clap sees to it that what is needed is there.
        let given = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
        let dry = || std::env::temp_dir().join(format!("hibrit-dry-run-{}", std::process::id()));
        let out = self.out.clone().unwrap_or_else(dry);
        let (model, candidate) = (given(&self.model), given(&self.candidate));
        Ok(AutoRequest {
            source: self.source.clone(),
            strategy,
            explore: self.explore,
            weights: self.weights.clone(),
            with_keep: self.with_keep,
            train_bytes: self.train_bytes,
            eval_bytes: self.eval_bytes,
            overrides: overrides(&self.set)?,
            method: self.method.clone(),
            seed: self.seed,
            device: self.device.clone(),
            resources: self.resources.resources(),
            reading: self.reading.options(),
            injected: self.inject.clone(),
            stop: session.stop.clone(),
            ..AutoRequest::new(model, candidate, self.train.clone(), self.eval.clone(), out)
        })
    }

    /// As a service wants it: names of its catalog.
    fn order(&self, strategy: Option<Strategy>) -> Result<RunOrder, Failure> {
        let refuse = |what: &str| Failure::usage(format!("{what} cannot be used with --server"), "leave it out");
        self.reading.must_be_plain()?;
        let refused = [
            (self.resume.is_some(), "--resume"),
            (self.dry_run, "--dry-run"),
            (self.out.is_some(), "--out"),
            (self.method.is_some(), "--method"),
            (!self.inject.is_empty(), "--inject"),
            (self.device != "auto", "--device"),
        ];
        if let Some((_, what)) = refused.iter().find(|(given, _)| *given) {
            return Err(refuse(what));
        }
        let task = AutoTask {
            model: self.model.as_deref().map(name).unwrap_or_default(),
            source: self.source.as_deref().map(name),
            candidate: self.candidate.as_deref().map(name).unwrap_or_default(),
            train: self.train.iter().map(|p| name(p)).collect(),
            weights: self.weights.clone(),
            eval: self.eval.iter().map(|p| name(p)).collect(),
            strategy,
            with_keep: self.with_keep,
            train_bytes: self.train_bytes,
            eval_bytes: Some(self.eval_bytes),
            set: overrides(&self.set)?.into_iter().collect(),
            seed: self.seed,
            resources: ResourcesOrder::of(&self.resources.resources()),
        };
        Ok(RunOrder { task: RunTask::Auto(Box::new(task)) })
    }

    fn carry_out(&self, strategy: Option<Strategy>, session: &Session) -> Result<(), Failure> {
        if let Some(remote) = session.remote()? {
            return remote.run(&self.order(strategy)?);
        }
        let mut progress = session.progress();
        let (run, out) = match &self.resume {
            Some(out) => (app::resume(&session.settings, out, &session.stop, &mut progress)?, out.clone()),
            None => {
                let request = self.request(strategy, session)?;
                if self.dry_run {
                    let plan = app::plan(&session.settings, &request, &mut progress)?;
                    drop(progress);
                    return session.print(|| serde_json::json!({ "plan": plan }), || told(&plan));
                }
                (app::auto(&session.settings, &request, &mut progress)?, request.out)
            }
        };
        drop(progress);
        session.report_run(&run, &out)
    }

    /// Decides, executes, records and prints.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        self.carry_out(None, session)
    }
}

impl RunCommand {
    /// The same with the strategy given.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        match self.strategy {
            Which::One(strategy) => self.auto.carry_out(Some(strategy), session),
            Which::All if session.server.is_some() => {
                Err(Failure::usage("`run all` cannot be used with --server", "name one strategy"))
            }
            Which::All => {
                let request = self.auto.request(None, session)?;
                let mut progress = session.progress();
                let all = app::run_all(&session.settings, &request, &mut progress)?;
                drop(progress);
                session.print(|| serde_json::json!({ "all": all }), || compared(&all))
            }
        }
    }
}

/// A plan for people.
fn told(plan: &RunPlan) -> String {
    let mut lines = vec![
        format!("Would carry out {} on {}, {} bytes of training text.", plan.strategy, plan.device, plan.train_bytes),
        plan.decision.because.to_string(),
        String::new(),
    ];
    for s in &plan.stages {
        let c = &s.config;
        lines.push(format!(
            "  {:<22} {:<9} rank {}, rate {}, {} epochs, {} x {} sequences of {}: about {:.0} s",
            s.stage, s.tokenizer, c.rank, c.learning_rate, c.epochs, c.batch, c.accumulation, c.sequence, s.seconds
        ));
        if let Some(load) = s.load {
            lines.push(format!("  {:<22} {load}, to save memory", ""));
        }
    }
    lines.push(String::new());
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    lines.push(format!(
        "Time about {:.0} s, memory {:.0} MiB, disk {:.0} MiB.",
        plan.seconds,
        mib(plan.memory),
        mib(plan.disk)
    ));
    if let Some(there) = plan.memory_there.filter(|there| *there < plan.memory) {
        lines.push(format!("Only {:.0} MiB of memory are available.", mib(there)));
    }
    if let Some(budget) = plan.budget {
        let verdict =
            if plan.seconds <= budget { "suffices" } else { "is too short: the schedule would be compressed" };
        lines.push(format!("The budget of {budget:.0} s {verdict}."));
    }
    if plan.course.len() > 1 {
        let later: Vec<String> = plan.course.iter().skip(1).map(ToString::to_string).collect();
        lines.push(format!("If it is abandoned: {}.", later.join(", then ")));
    }
    lines.push("Nothing was trained or written; this machine's speed was recorded.".into());
    lines.join("\n")
}

/// All strategies for people.
fn compared(all: &Comparison) -> String {
    let mut lines = vec!["strategy     bits per byte  equivalent loss  level      incidents   time".to_string()];
    for r in &all.rows {
        let number = |x: Option<f64>| x.map_or_else(|| "-".to_string(), |x| format!("{x:.4}"));
        let level = r.level.map_or_else(|| "-".to_string(), |l| l.to_string());
        let why = r.why.as_deref().map_or_else(String::new, |w| format!("  {w}"));
        lines.push(format!(
            "{:<12} {:>13} {:>16}  {:<9} {:>10} {:>5.0} s{why}",
            r.strategy.to_string(),
            number(r.bits_per_byte),
            number(r.equivalent_loss),
            level,
            r.incidents,
            r.seconds
        ));
    }
    let best = all.best.map_or_else(|| "none".to_string(), |b| b.to_string());
    lines.push(format!("Decided: {}. Best in hindsight: {best}.", all.decided));
    lines.join("\n")
}
