//! `hibrit demo`: the whole flow on a sample that the program makes itself.

use super::{Failure, Session};
use crate::app::{self, Effort};
use crate::sample;
use crate::service::api::{DemoTask, RunOrder, RunTask};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Output folder; must be empty or not exist yet [default: hibrit-demo, numbered if taken]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Random seed: the same seed gives the same result
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// A twentieth of the text and a smaller model: shows the workflow in seconds, but proves nothing
    #[arg(long)]
    quick: bool,
}

impl Demo {
    /// Makes the sample, runs `auto` on it and prints the report.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        if let Some(remote) = session.remote()? {
            return remote.run(&RunOrder { task: RunTask::Demo(DemoTask { quick: self.quick, seed: self.seed }) });
        }
        let out = self.out.unwrap_or_else(|| free_folder("hibrit-demo"));
        let effort = if self.quick { Effort::Quick } else { Effort::Full };
        let texts = sample::bilingual(self.seed, effort.base_bytes(), effort.target_bytes());
        let sample = app::Sample {
            base_train: texts.base_train,
            target_train: texts.target_train,
            target_eval: texts.target_eval,
        };
        let mut progress = session.progress();
        let run = app::demo(&session.settings, &sample, effort, &out, self.seed, &session.stop, &mut progress)?;
        drop(progress);
        session.report_run(&run, &out.join("run"))
    }
}

/// `name`, or the first of `name-2`, `name-3`, ... that is not taken.
fn free_folder(name: &str) -> PathBuf {
    let numbered = (2..).map(|n| PathBuf::from(format!("{name}-{n}")));
    std::iter::once(PathBuf::from(name)).chain(numbered).find(|p| !p.exists()).unwrap_or_else(|| PathBuf::from(name))
}
