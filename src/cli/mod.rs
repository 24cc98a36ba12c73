//! The way in: what a user can type. Arguments are read here and turned into requests; what is done with them is
//! the pipeline's business, how results look is the report's.

mod analyze;
mod auto;
mod decide;
mod demo;
mod device;
mod failure;
mod grow;
mod history;
mod inputs;
mod model;
mod pretrain;
mod progress;
mod remote;
mod rules;
mod scorer;
mod serve;
mod transplant;

use crate::app::Settings;
use crate::domain::fault::Kind;
use crate::domain::outcome::Status;
use crate::domain::run::Run;
use crate::report::text::Style;
use crate::report::{self, Form, Lang};
use clap::{Args, Parser, Subcommand, ValueEnum};
use failure::Failure;
use progress::ProgressDisplay;
use remote::Remote;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Decides whether and how a pretrained language model should move to another tokenizer, and carries it out.
#[derive(Debug, Parser)]
#[command(name = "hibrit", version, max_term_width = 110, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 bad input file, 4 nothing feasible, \
                          5 stopped by a signal with state saved.";

/// Options of every command.
#[derive(Debug, Args)]
struct Common {
    /// Print the result as JSON on stdout: the same as --format json
    #[arg(long, global = true, conflicts_with = "format")]
    json: bool,
    /// Format of reports: text, json, markdown or html
    #[arg(long, global = true, value_name = "FORM", value_parser = form)]
    format: Option<Form>,
    /// Language of reports: en or tr
    #[arg(long, global = true, value_name = "LANG", value_parser = language, default_value = "en")]
    lang: Lang,
    /// Print only errors on stderr
    #[arg(long, short, global = true)]
    quiet: bool,
    /// When to use colours in text output
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
    /// Folder whose rule files replace the built-in ones of the same name
    #[arg(long, global = true, value_name = "DIR", env = "HIBRIT_RULES")]
    rules: Option<PathBuf>,
    /// The history database [default: history/hibrit.redb if there is a folder `history`, otherwise in the user's data folder]
    #[arg(long, global = true, value_name = "FILE", env = "HIBRIT_HISTORY")]
    history: Option<PathBuf>,
    /// Send analyze, decide, auto, run, demo or history to a service; paths are then names from its catalog
    #[arg(long, global = true, value_name = "URL", env = "HIBRIT_SERVER")]
    server: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate a small sample and run the whole workflow on it, on the CPU, in a few minutes
    Demo(demo::Demo),
    /// Compare two tokenizers
    Analyze(analyze::Analyze),
    /// Recommend a strategy, with everything the recommendation rests on
    Decide(decide::Decide),
    /// Decide, execute, evaluate, record
    Auto(auto::Auto),
    /// Like auto, with a strategy of your choice
    Run(auto::RunCommand),
    /// Pretrain a small base model from scratch, for demos and experiments
    Pretrain(pretrain::Pretrain),
    /// Past runs
    #[command(subcommand)]
    History(history::HistoryCommand),
    /// The learned scorer
    #[command(subcommand)]
    Scorer(scorer::ScorerCommand),
    /// The decision tables
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Move a model's embeddings to another tokenizer, without training
    Transplant(transplant::Transplant),
    /// Export one side of a structural model as a plain model
    Export(model::Export),
    /// Measure a model on a text: bits per byte and equivalent loss
    Eval(model::Eval),
    /// Generate text from a prompt
    Generate(model::Generate),
    /// Merge an adapter into its base
    Merge(model::Merge),
    /// Train or extend a tokenizer
    #[command(subcommand)]
    Tokenizer(model::Tokenizer),
    /// List, check and time the devices that training can run on
    #[command(subcommand)]
    Device(device::Device),
    /// Serve decisions, runs and web pages over HTTP
    Serve(serve::Serve),
    /// Manage the access tokens of a service
    #[command(subcommand)]
    Token(serve::TokenCommand),
}

/// What every command needs to do its work and to show it.
struct Session {
    form: Form,
    quiet: bool,
    style: Style,
    colour: bool,
    settings: Settings,
    /// The service that is asked instead.
    server: Option<String>,
    /// Set by SIGINT or SIGTERM: what runs saves its state and stops. A second signal ends the program at once.
    stop: Arc<AtomicBool>,
}

impl Session {
    fn new(common: &Common) -> Self {
        let colour = match common.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        Self {
            form: if common.json { Form::Json } else { common.format.unwrap_or_default() },
            quiet: common.quiet,
            style: Style::for_terminal(colour).in_language(common.lang),
            colour,
            settings: Settings::new(common.rules.clone(), common.history.clone()),
            server: common.server.clone(),
            stop: stop_flag(),
        }
    }

    /// The service, where one is to be asked.
    fn remote(&self) -> Result<Option<Remote<'_>>, Failure> {
        Ok(self.server.as_deref().map(|url| Remote::new(url, self)).transpose()?)
    }

    fn progress(&self) -> ProgressDisplay {
        ProgressDisplay::new(self.quiet)
    }

    /// Prints a result that has two forms: JSON if that was asked for, else text.
    fn print(&self, json: impl FnOnce() -> serde_json::Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        self.write(if self.form == Form::Json { format!("{:#}", json()) } else { text() })
    }

    /// Prints a report in the form that was asked for.
    fn report(&self, report: impl FnOnce(Form, &Style) -> String) -> Result<(), Failure> {
        self.write(report(self.form, &self.style))
    }

    /// Prints how a run went; one that a signal ended is not a success.
    fn report_run(&self, run: &Run, folder: &Path) -> Result<(), Failure> {
        self.report(|form, style| report::run(run, form, style))?;
        match (run.status, &run.outcome) {
            (Some(Status::Interrupted), _) => Err(Failure::interrupted(folder)),
            (Some(Status::Failed), Some(outcome)) => Err(Failure::no_model(&outcome.verdict.to_string())),
            _ => Ok(()),
        }
    }

    fn write(&self, mut result: String) -> Result<(), Failure> {
        if !result.ends_with('\n') {
            result.push('\n');
        }
        match std::io::stdout().lock().write_all(result.as_bytes()) {
            // The reader went away (`| head`): nothing is lost that anyone wanted.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(e) => Err(Failure::output("the result", &e)),
            Ok(()) => Ok(()),
        }
    }
}

fn form(text: &str) -> Result<Form, String> {
    text.parse().map_err(|_| "one of text, json, markdown, html".to_string())
}

fn language(text: &str) -> Result<Lang, String> {
    text.parse().map_err(|_| "one of en, tr".to_string())
}

/// A flag that the first SIGINT or SIGTERM sets; the second one ends the program.
fn stop_flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let interrupted = i32::from(Kind::Interrupted.exit_code());
        // In this order: the first signal finds the flag down, the second finds it up. Where a handler cannot be
        // installed the signal ends the program, which loses no more than the step in flight.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, interrupted, stop.clone());
        let _ = signal_hook::flag::register(signal, stop.clone());
    }
    stop
}

/// How a command uses memory: what a program's allocator may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Large buffers come and go all the time, and come back in the next step.
    Churning,
    /// What is let go is not needed again soon.
    Frugal,
}

impl Command {
    fn memory(&self) -> Memory {
        match self {
            Self::Demo(_) | Self::Auto(_) | Self::Run(_) | Self::Pretrain(_) | Self::Serve(_) => Memory::Churning,
            Self::Eval(_) | Self::Generate(_) | Self::Transplant(_) | Self::Device(_) => Memory::Churning,
            Self::Analyze(_) | Self::Decide(_) | Self::History(_) | Self::Scorer(_) | Self::Rules(_) => Memory::Frugal,
            Self::Export(_) | Self::Merge(_) | Self::Tokenizer(_) | Self::Token(_) => Memory::Frugal,
        }
    }
}

/// Reads the command line, does what it says and gives the exit code. `prepare` is told how memory will be used before any
/// work begins.
pub fn main(prepare: impl FnOnce(Memory)) -> ExitCode {
    let cli = Cli::parse();
    prepare(cli.command.memory());
    let session = Session::new(&cli.common);
    let done = match cli.command {
        Command::Demo(c) => c.run(&session),
        Command::Analyze(c) => c.run(&session),
        Command::Decide(c) => c.run(&session),
        Command::Auto(c) => c.run(&session),
        Command::Run(c) => c.run(&session),
        Command::Pretrain(c) => c.run(&session),
        Command::History(c) => c.run(&session),
        Command::Scorer(c) => c.run(&session),
        Command::Rules(c) => c.run(&session),
        Command::Transplant(c) => c.run(&session),
        Command::Export(c) => c.run(&session),
        Command::Eval(c) => c.run(&session),
        Command::Generate(c) => c.run(&session),
        Command::Merge(c) => c.run(&session),
        Command::Device(c) => c.run(&session),
        Command::Tokenizer(c) => c.run(&session),
        Command::Serve(c) => c.run(&session),
        Command::Token(c) => c.run(&session),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}
