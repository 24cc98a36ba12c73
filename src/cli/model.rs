//! `hibrit eval`, `generate`, `merge`, `export` and `tokenizer`: one model or one tokenizer at a time.

use super::inputs::{ReadingArgs, bytes};
use super::{Failure, Session};
use crate::app::{self, View};
use crate::domain::outcome::Side;
use crate::report::Form;
use clap::{Args, Subcommand};
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `eval`.
#[derive(Debug, Args)]
pub struct Eval {
    /// The model's Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// A PEFT adapter for it
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// The original tokenizer, whose tokens the equivalent loss counts [default: the model's own]
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    /// Text; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    corpus: Vec<PathBuf>,
    /// Use at most this much of the text
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "1MB")]
    bytes: u64,
    /// Context in bytes of text: the same for every tokenizer
    #[arg(long, value_name = "BYTES", default_value_t = 2048)]
    window: usize,
    /// For a structural model: the tokenizer to encode the text with
    #[arg(long, value_name = "NAME", default_value = "original", value_parser = views())]
    view: String,
    /// Where to run: auto, cpu or cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl Eval {
    /// Measures and prints.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let request = app::EvalRequest {
            model: self.model,
            adapter: self.adapter,
            source: self.source,
            corpus: self.corpus,
            bytes: self.bytes,
            window: self.window,
            view: view(&self.view),
            device: self.device,
            reading: self.reading.options(),
        };
        let measured = app::evaluate(&request)?;
        let e = &measured.evaluation;
        session.print(
            || serde_json::json!({ "evaluation": e, "classes": measured.classes }),
            || {
                let mut text = format!(
                    "{:.4} bits per byte, equivalent loss {:.4} ({} documents, {} bytes, {} tokens; {:.2}% of the bytes lost \
                     to unknown tokens)\nraw loss {:.4} nats a token: not comparable between tokenizers",
                    e.bits_per_byte.get(),
                    e.equivalent_loss.get(),
                    e.documents,
                    e.bytes,
                    e.tokens,
                    100.0 * e.unknown_bytes.get(),
                    e.loss_per_token
                );
                for (class, cost) in &measured.classes {
                    let share = 100.0 * cost.tokens as f64 / e.tokens.max(1) as f64;
                    let each = cost.nats / cost.tokens.max(1) as f64;
                    text += &format!("\n  {class:8} {:>9} tokens ({share:.1}%), {each:.4} nats each", cost.tokens);
                }
                text
            },
        )
    }
}

/// Arguments of `generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// The model's Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// A PEFT adapter for it
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// The prompt
    #[arg(long, value_name = "TEXT")]
    prompt: String,
    /// Maximum number of tokens to generate
    #[arg(long, value_name = "N", default_value_t = 100)]
    tokens: usize,
    /// Sampling temperature; 0 always takes the most likely token
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f32,
    /// Top-p: sample only from the most likely tokens that together reach this probability
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f32,
    /// Top-k: sample only from this many of the most likely tokens; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    top_k: usize,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// For a structural model: the tokenizer to read and write with; auto chooses one for each span
    #[arg(long, value_name = "NAME", default_value = "original", value_parser = views())]
    view: String,
    /// Where to run: auto, cpu or cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
}

impl Generate {
    /// Writes the text as it comes.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let request = app::GenerateRequest {
            model: self.model,
            adapter: self.adapter,
            prompt: self.prompt,
            tokens: self.tokens,
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            seed: self.seed,
            view: view(&self.view),
            device: self.device,
        };
        if session.form == Form::Json {
            let text = app::generate(&request, &mut |_| {})?;
            return session.print(|| serde_json::json!({ "prompt": request.prompt, "text": text }), String::new);
        }
        let mut out = std::io::stdout().lock();
        let mut failed = None;
        let mut say = |text: &str| {
            if let Err(e) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                failed.get_or_insert(e);
            }
        };
        say(&request.prompt);
        app::generate(&request, &mut say)?;
        say("\n");
        match failed {
            Some(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::output("the text", &e)),
            _ => Ok(()),
        }
    }
}

/// Arguments of `merge`.
#[derive(Debug, Args)]
pub struct Merge {
    /// The base model's Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The PEFT adapter
    #[arg(long, value_name = "DIR")]
    adapter: PathBuf,
    /// Type of the stored weights [default: the base's]
    #[arg(long, value_name = "TYPE", value_parser = DTYPES)]
    dtype: Option<String>,
    /// Output folder for the merged model; must be empty or not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Merge {
    /// Merges and says where the model is.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let dtype = dtype(self.dtype);
        let request = app::MergeRequest { model: self.model, adapter: self.adapter, dtype, out: self.out };
        app::merge(&request)?;
        session.print(
            || serde_json::json!({ "merged": request.out }),
            || format!("The merged model is in {}.", request.out.display()),
        )
    }
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The structural model's folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The side to export
    #[arg(long, value_name = "NAME", value_parser = ["original", "candidate"])]
    side: String,
    /// Type of the stored weights [default: the structural model's]
    #[arg(long, value_name = "TYPE", value_parser = DTYPES)]
    dtype: Option<String>,
    /// Output folder for the plain model; must be empty or not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Export {
    /// Exports and says where the model is.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let side = if self.side == "candidate" { Side::Candidate } else { Side::Source };
        let request = app::ExportRequest { model: self.model, side, dtype: dtype(self.dtype), out: self.out };
        app::export_side(&request)?;
        session.print(
            || serde_json::json!({ "exported": request.out, "side": self.side }),
            || format!("The {} side as a plain model is in {}.", self.side, request.out.display()),
        )
    }
}

/// Names of the types that weights are stored as.
const DTYPES: [&str; 3] = ["f32", "bf16", "f16"];

/// A name that the parser let through.
fn dtype(name: Option<String>) -> Option<app::Dtype> {
    name.and_then(|name| name.parse().ok())
}

/// Names of the views of a structural model.
fn views() -> clap::builder::PossibleValuesParser {
    ["original", "candidate", "auto"].into()
}

/// A name that the parser let through.
fn view(name: &str) -> View {
    name.parse().unwrap_or_default()
}

/// Commands below `tokenizer`.
#[derive(Debug, Subcommand)]
pub enum Tokenizer {
    /// Train a BPE tokenizer from scratch
    Train(Train),
    /// Extend a BPE tokenizer: continue its merges on a text, keeping all old ids
    Extend(super::grow::Extend),
}

/// Arguments of `tokenizer train`.
#[derive(Debug, Args)]
pub struct Train {
    /// Text; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    corpus: Vec<PathBuf>,
    /// Total number of tokens
    #[arg(long, value_name = "N")]
    vocab: usize,
    /// Use metaspace and byte fallback instead of the byte-level alphabet
    #[arg(long)]
    metaspace: bool,
    /// Output folder for the tokenizer; must be empty or not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl Tokenizer {
    /// Does what was asked.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let train = match self {
            Tokenizer::Train(train) => train,
            Tokenizer::Extend(extend) => return extend.run(session),
        };
        let request = app::TokenizerRequest {
            corpus: train.corpus,
            vocabulary: train.vocab,
            metaspace: train.metaspace,
            out: train.out,
            reading: train.reading.options(),
        };
        let tokens = app::train_tokenizer(&request)?;
        session.print(
            || serde_json::json!({ "tokenizer": { "tokens": tokens, "out": request.out } }),
            || format!("A tokenizer of {tokens} tokens is in {}.", request.out.display()),
        )
    }
}
