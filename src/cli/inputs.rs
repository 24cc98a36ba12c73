//! Arguments that several commands share, turned into the pipeline's requests.

use super::failure::Failure;
use super::remote::name;
use crate::app::ProfileRequest;
use crate::domain::resources::{Priority, Resources};
use crate::service::api::InputsOrder;
use bytesize::ByteSize;
use clap::Args;
use jiff::{Span, SpanRelativeTo, Unit};
use std::path::PathBuf;

/// The two tokenizers, and what else there is to look at.
#[derive(Debug, Args)]
pub struct InputArgs {
    /// The original tokenizer: a tokenizer.json, a SentencePiece .model, a folder containing one, or a Hub id [default: the
    /// model's]
    #[arg(long, value_name = "PATH", required_unless_present = "model")]
    source: Option<PathBuf>,
    /// The candidate tokenizer: a tokenizer.json, a SentencePiece .model, a folder containing one, or a Hub id
    #[arg(long, value_name = "PATH")]
    candidate: PathBuf,
    /// Text to measure on: .txt (one document per line), .jsonl or .parquet, optionally .gz or .zst; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1..)]
    corpus: Vec<PathBuf>,
    /// The model's Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// How text files are read.
#[derive(Debug, Args)]
pub struct ReadingArgs {
    /// Field of .jsonl records, or column of .parquet files, that contains the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub field: String,
    /// Replace invalid UTF-8 instead of stopping at it
    #[arg(long)]
    pub lossy: bool,
}

impl InputArgs {
    /// As the pipeline wants them.
    pub fn inputs(&self) -> ProfileRequest {
        ProfileRequest {
            source: self.source.clone(),
            candidate: self.candidate.clone(),
            corpus: self.corpus.clone(),
            model: self.model.clone(),
            reading: self.reading.options(),
        }
    }
}

impl InputArgs {
    /// As a service wants them: names of its catalog.
    ///
    /// # Errors
    /// Ways of reading that a service does not know.
    pub fn order(&self) -> Result<InputsOrder, Failure> {
        self.reading.must_be_plain()?;
        Ok(InputsOrder {
            source: self.source.as_deref().map(name),
            candidate: name(&self.candidate),
            corpus: self.corpus.iter().map(|p| name(p)).collect(),
            model: self.model.as_deref().map(name),
        })
    }
}

impl ReadingArgs {
    /// Refuses what a service cannot be told.
    ///
    /// # Errors
    /// Another field, or lossy reading.
    pub fn must_be_plain(&self) -> Result<(), Failure> {
        match self.field == "text" && !self.lossy {
            true => Ok(()),
            false => Err(Failure::usage("--field and --lossy cannot be used with --server", "leave them out")),
        }
    }

    /// As the corpus reader wants them.
    pub fn options(&self) -> crate::app::CorpusOptions {
        crate::app::CorpusOptions { field: self.field.clone(), lossy: self.lossy }
    }
}

/// What there is to work with.
#[derive(Debug, Args)]
pub struct ResourceArgs {
    /// Wall time allowed, such as 90s, 45m, 1h30m, 18h or 2d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    budget: Option<f64>,
    /// What matters most
    #[arg(long, value_name = "WHAT", default_value = "balanced", value_parser = priority)]
    priority: Priority,
    /// Number of devices that can train at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    devices: u32,
    /// Memory of one device, such as 24GiB [default: this machine's when training, otherwise unknown]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    memory: Option<u64>,
}

impl ResourceArgs {
    /// As the pipeline wants them.
    pub fn resources(&self) -> Resources {
        Resources { devices: self.devices, memory: self.memory, budget: self.budget, priority: self.priority }
    }
}

fn priority(text: &str) -> Result<Priority, String> {
    text.parse().map_err(|_| "one of balanced, fastest, quality, tight, research".to_string())
}

/// A time in seconds, such as 18h or 1h30m.
pub fn duration(text: &str) -> Result<f64, String> {
    // The friendly format knows fractions of hours and less; half a day is typed all the same.
    let days = || Some(text.trim().strip_suffix('d')?.parse::<f64>().ok()? * 86_400.0);
    let total = |span: Span| span.total((Unit::Second, SpanRelativeTo::days_are_24_hours())).ok();
    let seconds = text.parse().ok().and_then(total).or_else(days).filter(|s| *s > 0.0 && s.is_finite());
    seconds.ok_or_else(|| format!("cannot parse `{text}`; write it like 90s, 45m, 1h30m or 2d"))
}

/// A size in bytes, such as 24GiB, 500MB or 30k.
pub fn bytes(text: &str) -> Result<u64, String> {
    let size = text.parse::<ByteSize>().ok().map(|size| size.as_u64()).filter(|bytes| *bytes > 0);
    size.ok_or_else(|| format!("cannot parse `{text}`; write it like 24GiB, 500MB or 30k"))
}

/// Operations a second, such as 300TFLOPS or 90GFLOPS.
pub fn speed(text: &str) -> Result<f64, String> {
    let wrong = || format!("cannot parse `{text}`; write it like 300TFLOPS or 90GFLOPS");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let units = [("gflops", 1e9), ("tflops", 1e12), ("pflops", 1e15)];
    let factor = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim())).map(|(_, factor)| factor);
    let speed = number.parse().ok().zip(factor).map(|(number, factor): (f64, _)| number * factor);
    speed.filter(|s| *s > 0.0).ok_or_else(wrong)
}

/// `NAME=VALUE` overrides of a stage's configuration.
pub fn overrides(settings: &[String]) -> Result<Vec<(String, serde_json::Value)>, Failure> {
    settings
        .iter()
        .map(|setting| {
            let (name, value) = setting.split_once('=').ok_or_else(|| {
                Failure::usage(
                    format!("`--set {setting}` has no value"),
                    "write it as --set direct.learning_rate=2e-4 or, for every stage, --set epochs=1",
                )
            })?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::String(value.to_string()));
            Ok((name.to_string(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_with_their_units() {
        assert_eq!(duration("18h"), Ok(64800.0));
        assert_eq!(duration("1.5m"), Ok(90.0));
        for (text, seconds) in [("1h30m", 5_400.0), ("2d", 172_800.0), ("0.5d", 43_200.0), ("1d 12h", 129_600.0)] {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
        for (text, size) in [
            ("24GiB", 24 << 30),
            ("500MB", 500_000_000),
            ("30k", 30_000),
            ("1.5 gb", 1_500_000_000),
            ("1TiB", 1 << 40),
            ("4096", 4_096),
            ("7B", 7),
        ] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for wrong in ["", "0", "0MB", "-1k", "many", "5 parsecs"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(speed("1.5TFLOPS"), Ok(1.5e12));
        assert!(speed("fast").is_err() && speed("0gflops").is_err());
        for wrong in ["", "18", "h", "-3h", "0s", "5 parsecs", "1mo", "infd", "NaNd"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
