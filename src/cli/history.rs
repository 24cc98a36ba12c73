//! `hibrit history`: past runs.

use super::remote::Remote;
use super::{Failure, Session};
use crate::domain::run::Feedback;
use crate::report::text::counted;
use crate::service::api::{FeedbackOrder, MetricOrder};
use crate::{app, report};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Commands below `history`.
#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// List runs, newest first
    List,
    /// Show one run in full
    Show(Show),
    /// Compare runs side by side
    Compare(Compare),
    /// List decisions with their outcomes, or show one in full by its id
    Decisions(Decisions),
    /// Record your judgement of a run, or a metric measured elsewhere
    Feedback(FeedbackArgs),
    /// Write every run as JSON lines
    Export(File),
    /// Import runs written by export; existing runs are left as they are
    Import(File),
    /// Check every page and every record
    Verify,
    /// Set aside records that can no longer be read
    Repair,
}

/// A run by its id.
#[derive(Debug, Args)]
pub struct Show {
    /// The run's id or a unique prefix of it
    run: String,
}

/// Runs by their ids.
#[derive(Debug, Args)]
pub struct Compare {
    /// Ids of two or more runs, or unique prefixes
    #[arg(required = true, num_args = 2..)]
    runs: Vec<String>,
}

/// The decision log, or one entry of it.
#[derive(Debug, Args)]
pub struct Decisions {
    /// The decision's id or a unique prefix of it
    decision: Option<String>,
}

/// A file of runs.
#[derive(Debug, Args)]
pub struct File {
    /// The file
    file: PathBuf,
}

/// What a person says of a run.
#[derive(Debug, Args)]
#[group(id = "said", required = true, multiple = true, args = ["verdict", "metric", "note"])]
pub struct FeedbackArgs {
    /// The run's id or a unique prefix of it
    run: String,
    /// From -1 (worse than hoped) to 1 (better than hoped)
    #[arg(long, allow_negative_numbers = true, value_parser = verdict)]
    verdict: Option<f64>,
    /// A metric measured elsewhere, such as mmlu_tr=0.41
    #[arg(long, value_name = "NAME=VALUE", value_parser = metric)]
    metric: Option<(String, f64)>,
    /// A note in your own words
    #[arg(long)]
    note: Option<String>,
}

fn verdict(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if (-1.0..=1.0).contains(&v) => Ok(v),
        _ => Err("a number from -1 to 1".into()),
    }
}

fn metric(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    match value.parse::<f64>() {
        Ok(v) if v.is_finite() && !name.is_empty() => Ok((name.to_string(), v)),
        _ => Err("write it as NAME=VALUE with a finite number".into()),
    }
}

impl HistoryCommand {
    /// Asks a service.
    fn ask(self, remote: &Remote<'_>, session: &Session) -> Result<(), Failure> {
        match self {
            HistoryCommand::List => remote.history(),
            HistoryCommand::Show(show) => remote.past(&show.run),
            HistoryCommand::Feedback(args) => {
                let metric = args.metric.map(|(name, value)| MetricOrder { name, value });
                let order = FeedbackOrder { verdict: args.verdict, metric, note: args.note };
                let run = remote.feedback(&args.run, &order)?;
                let said = run["run"]["feedback"].as_array().map_or(0, Vec::len) as u64;
                let id = run["run"]["id"].as_str().unwrap_or(&args.run).to_string();
                session.print(|| run, || noted(&id, said))
            }
            HistoryCommand::Export(to) => {
                let lines = remote.export()?;
                let count = lines.lines().count() as u64;
                let wrote = crate::app::write_export(&to.file, lines.as_bytes());
                wrote?;
                session.print(
                    || serde_json::json!({ "exported": count, "file": to.file }),
                    || format!("{} written to {}.", counted(count, "run"), to.file.display()),
                )
            }
            _ => Err(Failure::usage("this command cannot be used with --server", "use list, show, feedback or export")),
        }
    }

    /// Does what was asked.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        if let Some(remote) = session.remote()? {
            return self.ask(&remote, session);
        }
        let settings = &session.settings;
        match self {
            HistoryCommand::List => {
                let runs = app::runs(settings)?;
                session.report(|form, style| report::history(&runs, form, style))
            }
            HistoryCommand::Show(show) => {
                let run = app::run(settings, &show.run)?;
                session.report(|form, style| report::run(&run, form, style))
            }
            HistoryCommand::Compare(args) => {
                let runs = app::compare(settings, &args.runs)?;
                session.report(|form, style| report::compare(&runs, form, style))
            }
            HistoryCommand::Decisions(Decisions { decision: None }) => {
                let log = app::decision_log(settings)?;
                session.report(|form, style| report::decisions(&log, form, style))
            }
            HistoryCommand::Decisions(Decisions { decision: Some(id) }) => {
                if let Some(given) = app::recommendation(settings, &id)? {
                    return session.report(|form, style| report::recommendation(&given, form, style));
                }
                let (logged, became) = app::decision(settings, &id)?;
                session.report(|form, style| report::logged(&logged, became.as_ref(), form, style))
            }
            HistoryCommand::Feedback(args) => {
                let feedback = Feedback { at: app::now(), verdict: args.verdict, metric: args.metric, note: args.note };
                let run = app::give_feedback(settings, &args.run, feedback)?;
                session.print(|| report::json::run(&run), || noted(&run.id, run.feedback.len() as u64))
            }
            HistoryCommand::Export(to) => {
                let count = app::export(settings, &to.file)?;
                session.print(
                    || serde_json::json!({ "exported": count, "file": to.file }),
                    || format!("{} written to {}.", counted(count, "run"), to.file.display()),
                )
            }
            HistoryCommand::Import(from) => {
                let done = app::import(settings, &from.file)?;
                session.print(
                    || serde_json::json!({ "import": done }),
                    || {
                        let left_out = done.left_out.iter().map(|l| format!("\n  line {}: {}", l.line, l.why));
                        format!(
                            "{} added from {}, {} already present, {} extended by feedback, {} skipped{}",
                            counted(done.added, "record"),
                            from.file.display(),
                            done.unchanged,
                            done.extended,
                            done.left_out.len(),
                            left_out.collect::<String>()
                        )
                    },
                )
            }
            HistoryCommand::Verify => {
                let health = app::verify(settings)?;
                session.print(
                    || serde_json::json!({ "health": health, "well": health.is_well() }),
                    || {
                        let problems = health.problems.iter().map(|p| format!("\n  {}: {}", p.at, p.what));
                        let pages = if health.pages { "every page is in order" } else { "PAGES ARE DAMAGED" };
                        format!(
                            "{} read back, {pages}{}",
                            counted(health.records, "record"),
                            problems.collect::<String>()
                        )
                    },
                )?;
                if health.is_well() {
                    Ok(())
                } else {
                    Err(Failure::unsound("the history is damaged", "run `hibrit history repair`"))
                }
            }
            HistoryCommand::Repair => {
                let repairs = app::repair(settings)?;
                session.print(
                    || serde_json::json!({ "repairs": repairs }),
                    || {
                        let aside = repairs.quarantined.iter().map(|p| format!("\n  {}: {}", p.at, p.what));
                        format!(
                            "{} set aside{}",
                            counted(repairs.quarantined.len() as u64, "record"),
                            aside.collect::<String>()
                        )
                    },
                )
            }
        }
    }
}

fn noted(id: &str, said: u64) -> String {
    let pieces = counted(said, "piece");
    format!("Noted: {id} now has {pieces} of feedback; `hibrit scorer train` learns from it.")
}
