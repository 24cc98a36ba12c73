//! Arguments that several commands share, turned into the pipeline's requests.

use super::failure::Failure;
use super::remote::name;
use crate::app::Inputs;
use crate::domain::resources::{Priority, Resources};
use crate::service::api::InputsOrder;
use clap::Args;
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
    pub fn inputs(&self) -> Inputs {
        Inputs {
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
    /// Wall time allowed, such as 90s, 45m, 18h or 2d
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

/// A number with a unit from `units` (name, factor), as number x factor.
fn quantity(text: &str, units: &[(&str, f64)], example: &str) -> Result<f64, String> {
    let wrong = || format!("cannot parse `{text}`; write it like {example}");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim())).ok_or_else(wrong)?;
    if number > 0.0 { Ok(number * factor) } else { Err(wrong()) }
}

/// A time in seconds, such as 18h.
pub fn duration(text: &str) -> Result<f64, String> {
    quantity(text, &[("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)], "90s, 45m, 18h or 2d")
}

/// A size in bytes, such as 24GiB or 500MB.
pub fn bytes(text: &str) -> Result<u64, String> {
    let units = [
        ("", 1.0),
        ("b", 1.0),
        ("kb", 1e3),
        ("mb", 1e6),
        ("gb", 1e9),
        ("kib", 1024.0),
        ("mib", 1024.0 * 1024.0),
        ("gib", 1024.0 * 1024.0 * 1024.0),
    ];
    quantity(text, &units, "24GiB or 500MB").map(|v| v as u64)
}

/// Operations a second, such as 300TFLOPS or 90GFLOPS.
pub fn speed(text: &str) -> Result<f64, String> {
    quantity(text, &[("gflops", 1e9), ("tflops", 1e12), ("pflops", 1e15)], "300TFLOPS or 90GFLOPS")
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
        assert_eq!(bytes("24GiB"), Ok(24 << 30));
        assert_eq!(bytes("500MB"), Ok(500_000_000));
        assert_eq!(speed("1.5TFLOPS"), Ok(1.5e12));
        assert!(speed("fast").is_err() && speed("0gflops").is_err());
        for wrong in ["", "18", "h", "-3h", "0s", "5 parsecs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
