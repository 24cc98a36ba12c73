//! `hibrit analyze`: the profile of a tokenizer pair.

use super::inputs::InputArgs;
use super::{Failure, Session};
use crate::app::{self, ProfileOptions};
use crate::report;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `analyze`.
#[derive(Debug, Args)]
pub struct Analyze {
    #[command(flatten)]
    inputs: InputArgs,
    /// List every candidate token with its bytes, class, match, count and decomposition: .parquet, .csv or .jsonl
    #[arg(long, value_name = "FILE")]
    tokens_out: Option<PathBuf>,
    /// A text and its translation, line by line: how many tokens one needs over the other
    #[arg(long, num_args = 2, value_names = ["TEXT", "TRANSLATION"])]
    parallel: Option<Vec<PathBuf>>,
    /// Measure anew, even if nothing has changed since the last time
    #[arg(long)]
    fresh: bool,
}

impl Analyze {
    /// Measures and prints.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        if let Some(remote) = session.remote()? {
            return remote.analyze(&self.inputs.order()?);
        }
        let mut progress = session.progress();
        let looking = ProfileOptions {
            parallel: self.parallel.and_then(|texts| texts.try_into().ok()),
            tokens_out: self.tokens_out,
            fresh: self.fresh,
        };
        let profile = app::measure(&session.settings, &self.inputs.inputs(), &looking, &mut progress)?;
        drop(progress);
        session.report(|form, style| report::profile(&profile, form, style))
    }
}
