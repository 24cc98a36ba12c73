//! `hibrit eval`, `generate`, `merge`, `transplant` and `tokenizer`: one model or one tokenizer at a time.

use super::inputs::{ReadingArgs, bytes};
use super::{Failure, Session};
use crate::pipeline;
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
    /// A PEFT adapter on it
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// The original tokenizer, whose tokens the equivalent loss counts [default: the model's own]
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    /// Text; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    corpus: Vec<PathBuf>,
    /// Use no more than this much of the text
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "1MB")]
    bytes: u64,
    /// Context in bytes of text: the same for every tokenizer
    #[arg(long, value_name = "BYTES", default_value_t = 2048)]
    window: usize,
    /// Where to run: auto, cpu or cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl Eval {
    /// Measures and prints.
    pub fn call(self, session: &Session) -> Result<(), Failure> {
        let request = pipeline::EvalRequest {
            model: self.model,
            adapter: self.adapter,
            source: self.source,
            corpus: self.corpus,
            bytes: self.bytes,
            window: self.window,
            device: self.device,
            reading: self.reading.options(),
        };
        let e = pipeline::evaluate(&request)?;
        session.print(
            || serde_json::json!({ "evaluation": e }),
            || {
                format!(
                    "{:.4} bits per byte, equivalent loss {:.4} ({} documents, {} bytes, {} tokens; {:.2}% of the bytes lost \
                     to unknown tokens)\nraw loss {:.4} nats a token: not comparable between tokenizers",
                    e.bits_per_byte.get(),
                    e.equivalent_loss.get(),
                    e.documents,
                    e.bytes,
                    e.tokens,
                    100.0 * e.unknown_bytes.get(),
                    e.loss_per_token
                )
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
    /// A PEFT adapter on it
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// The beginning of the text
    #[arg(long, value_name = "TEXT")]
    prompt: String,
    /// Tokens at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    tokens: usize,
    /// 0 takes the likeliest token; above, tokens are drawn
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f32,
    /// Draw only among the likeliest tokens that together reach this probability
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f32,
    /// Draw only among so many tokens; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    top_k: usize,
    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where to run: auto, cpu or cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
}

impl Generate {
    /// Writes the text as it comes.
    pub fn call(self, session: &Session) -> Result<(), Failure> {
        let request = pipeline::GenerateRequest {
            model: self.model,
            adapter: self.adapter,
            prompt: self.prompt,
            tokens: self.tokens,
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            seed: self.seed,
            device: self.device,
        };
        if session.form == Form::Json {
            let text = pipeline::generate(&request, &mut |_| {})?;
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
        pipeline::generate(&request, &mut say)?;
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
    /// Where the merged model goes: a folder that does not exist yet, or is empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Merge {
    /// Merges and says where the model is.
    pub fn call(self, session: &Session) -> Result<(), Failure> {
        let request = pipeline::MergeRequest { model: self.model, adapter: self.adapter, out: self.out };
        pipeline::merge(&request)?;
        session.print(
            || serde_json::json!({ "merged": request.out }),
            || format!("The merged model is in {}.", request.out.display()),
        )
    }
}

/// Arguments of `transplant`.
#[derive(Debug, Args)]
pub struct Transplant {
    /// The model's Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The candidate tokenizer: a tokenizer.json or a folder that holds one
    #[arg(long, value_name = "PATH")]
    candidate: PathBuf,
    /// How rows are made
    #[arg(long, value_name = "NAME", default_value = "subtoken",
          value_parser = clap::builder::PossibleValuesParser::new(pipeline::methods()))]
    method: String,
    /// Give new rows the old rows' mean norm
    #[arg(long)]
    match_norms: bool,
    /// Text for methods that learn from it; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1..)]
    corpus: Vec<PathBuf>,
    /// wechsel: text in the language that the model knows; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1..)]
    source_corpus: Vec<PathBuf>,
    /// wechsel: words that translate each other, a line `known<TAB>new` each
    #[arg(long, value_name = "FILE")]
    dictionary: Option<PathBuf>,
    /// Where the model goes: a folder that does not exist yet, or is empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl Transplant {
    /// Moves the rows and says where they came from.
    pub fn call(self, session: &Session) -> Result<(), Failure> {
        let request = pipeline::TransplantRequest {
            model: self.model,
            candidate: self.candidate,
            method: self.method,
            match_norms: self.match_norms,
            corpus: self.corpus,
            source_corpus: self.source_corpus,
            dictionary: self.dictionary,
            out: self.out,
            seed: self.seed,
            reading: self.reading.options(),
        };
        let mut progress = session.progress();
        let rows = pipeline::transplant(&request, &mut progress)?;
        drop(progress);
        session.print(
            || serde_json::json!({ "transplant": { "method": request.method, "rows": rows, "out": request.out } }),
            || {
                let rows: Vec<String> = rows.iter().map(|(origin, n)| format!("{n} {origin}")).collect();
                format!("Rows by origin: {}. The model is in {}.", rows.join(", "), request.out.display())
            },
        )
    }
}

/// Commands below `tokenizer`.
#[derive(Debug, Subcommand)]
pub enum Tokenizer {
    /// Train a BPE tokenizer from scratch
    Train(Train),
    /// Grow a BPE tokenizer: its merges continued on a text, no old id moved
    Extend(super::grow::Extend),
}

/// Arguments of `tokenizer train`.
#[derive(Debug, Args)]
pub struct Train {
    /// Text; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    corpus: Vec<PathBuf>,
    /// Tokens in all
    #[arg(long, value_name = "N")]
    vocab: usize,
    /// Words marked by a metaspace, rare characters by byte fallback, instead of the byte-level alphabet
    #[arg(long)]
    metaspace: bool,
    /// Where the tokenizer goes: a folder that does not exist yet, or is empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl Tokenizer {
    /// Does what was asked.
    pub fn call(self, session: &Session) -> Result<(), Failure> {
        let train = match self {
            Tokenizer::Train(train) => train,
            Tokenizer::Extend(extend) => return extend.call(session),
        };
        let request = pipeline::TokenizerRequest {
            corpus: train.corpus,
            vocabulary: train.vocab,
            metaspace: train.metaspace,
            out: train.out,
            reading: train.reading.options(),
        };
        let tokens = pipeline::train_tokenizer(&request)?;
        session.print(
            || serde_json::json!({ "tokenizer": { "tokens": tokens, "out": request.out } }),
            || format!("A tokenizer of {tokens} tokens is in {}.", request.out.display()),
        )
    }
}
