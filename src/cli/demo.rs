//! `hibrit demo`: the whole flow on a sample that the program makes itself.

use super::{Failure, Session};
use crate::pipeline::{self, Effort};
use crate::sample;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where everything goes: a folder that does not exist yet, or is empty [default: hibrit-demo, numbered if taken]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of everything random: the same seed gives the same result
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// A twentieth of the text and a smaller model: shows the flow in seconds, proves nothing
    #[arg(long)]
    quick: bool,
}

/// One document in this many is held out.
const HELD_OUT: usize = 20;

impl Demo {
    /// Makes the sample, runs `auto` on it and prints the report.
    pub fn call(self, session: &Session) -> Result<(), Failure> {
        let out = self.out.unwrap_or_else(|| free_folder("hibrit-demo"));
        let effort = if self.quick { Effort::Quick } else { Effort::Full };
        let target = sample::split(sample::turkish(self.seed, effort.target_bytes()), HELD_OUT);
        let sample = pipeline::Sample {
            base_train: mostly_english(self.seed, effort.base_bytes()),
            target_train: target.train,
            target_eval: target.held_out,
        };
        let mut progress = session.progress();
        let run = pipeline::demo(&session.settings, &sample, effort, &out, self.seed, &session.stop, &mut progress)?;
        drop(progress);
        session.report_run(&run, &out.join("run"))
    }
}

/// What the base has read: English, and a little Turkish, as most large models have. One part in this many.
const TURKISH_SHARE: usize = 8;

fn mostly_english(seed: u64, bytes: usize) -> Vec<String> {
    let english = sample::english(seed, bytes - bytes / TURKISH_SHARE);
    // Another seed than the text to move to: the base must not have read that.
    let turkish = sample::turkish(!seed, bytes / TURKISH_SHARE);
    let every = (english.len() / turkish.len().max(1)).max(1);
    let mut turkish = turkish.into_iter();
    let mut mixed = Vec::with_capacity(english.len() + turkish.len());
    for (i, line) in english.into_iter().enumerate() {
        mixed.push(line);
        if i.is_multiple_of(every) {
            mixed.extend(turkish.next());
        }
    }
    mixed.extend(turkish);
    mixed
}

/// `name`, or the first of `name-2`, `name-3`, ... that is not taken.
fn free_folder(name: &str) -> PathBuf {
    let numbered = (2..).map(|n| PathBuf::from(format!("{name}-{n}")));
    std::iter::once(PathBuf::from(name)).chain(numbered).find(|p| !p.exists()).unwrap_or_else(|| PathBuf::from(name))
}
