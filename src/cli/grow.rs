//! `hibrit tokenizer extend`: a tokenizer grown on a text.

use super::inputs::ReadingArgs;
use super::{Failure, Session};
use crate::app;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `tokenizer extend`.
#[derive(Debug, Args)]
pub struct Extend {
    /// The original tokenizer: a tokenizer.json or a folder containing one
    #[arg(long, value_name = "PATH")]
    source: PathBuf,
    /// Text to learn new tokens from; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    corpus: Vec<PathBuf>,
    /// Total number of tokens, including the old ones [default: as many as occur often enough]
    #[arg(long, value_name = "N")]
    vocab: Option<usize>,
    /// Minimum number of occurrences for a pair to become a token
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..))]
    least_seen: u64,
    /// Text in another language, or code, to report how much of it is tokenized differently; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1..)]
    compare: Vec<PathBuf>,
    /// Output folder for the tokenizer; must be empty or not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl Extend {
    /// Grows, and says what changed.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let request = app::ExtendRequest {
            source: self.source,
            corpus: self.corpus,
            vocabulary: self.vocab,
            least_seen: self.least_seen,
            compare: self.compare,
            out: self.out,
            reading: self.reading.options(),
        };
        let extended = app::extend_tokenizer(&request)?;
        let saved = |before: u64, after: u64| 100.0 * (before - after.min(before)) as f64 / before.max(1) as f64;
        session.print(
            || serde_json::json!({ "tokenizer": { "extended": extended, "out": request.out } }),
            || {
                let (before, after) = extended.corpus;
                let mut lines = vec![format!(
                    "{} new tokens after {} old ones; the text needs {after} tokens instead of {before} ({:.1}% fewer).",
                    extended.added,
                    extended.old,
                    saved(before, after)
                )];
                lines.extend(extended.compare.iter().map(|c| {
                    format!(
                        "{}: {:.1}% of the words are tokenized differently, {:.1}% fewer tokens.",
                        c.text.display(),
                        100.0 * c.words_changed,
                        saved(c.tokens_before, c.tokens_after)
                    )
                }));
                lines.push(format!("The tokenizer is in {}.", request.out.display()));
                lines.join("\n")
            },
        )
    }
}
