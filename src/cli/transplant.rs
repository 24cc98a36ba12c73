//! `hibrit transplant`: a model's embeddings moved to another tokenizer, nothing trained (but by `distill`).

use super::inputs::ReadingArgs;
use super::{Failure, Session};
use crate::app::{self, Padding, Which};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `transplant`.
#[derive(Debug, Args)]
pub struct Transplant {
    /// The model's Hugging Face folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The candidate tokenizer: a tokenizer.json or a folder containing one
    #[arg(long, value_name = "PATH")]
    candidate: PathBuf,
    /// Embedding method
    #[arg(long, value_name = "NAME", default_value_t = app::default_method(), value_parser = methods())]
    method: String,
    /// Embedding method for the output matrix, if different
    #[arg(long, value_name = "NAME", value_parser = methods())]
    output_method: Option<String>,
    /// Give a tied model a separate output head
    #[arg(long)]
    untie: bool,
    /// Scale new rows to the old rows' mean norm: input, output or both
    #[arg(long, value_name = "WHICH", num_args = 0..=1, default_value = "none", default_missing_value = "both",
          value_parser = ["none", "input", "output", "both"])]
    match_norms: String,
    /// Rows of the old matrix without a token: drop them, or keep them after the new rows
    #[arg(long, value_name = "WHAT", default_value = "drop", value_parser = ["drop", "keep"])]
    padding: String,
    /// Keep the old vocabulary and add the new one beside it (a structural model)
    #[arg(long, conflicts_with_all = ["output_method", "untie", "padding", "match_norms"])]
    beside: bool,
    /// Bridge width of a structural model
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..), requires = "beside")]
    rank: u16,
    /// Text for methods that learn from it; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1..)]
    corpus: Vec<PathBuf>,
    /// wechsel: text in the language that the model knows; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1..)]
    source_corpus: Vec<PathBuf>,
    /// wechsel: a dictionary, one `known<TAB>new` pair per line
    #[arg(long, value_name = "FILE")]
    dictionary: Option<PathBuf>,
    /// wechsel, trans: parallel text, a file in the known language and one in the new, aligned by line
    #[arg(long, value_names = ["KNOWN", "NEW"], num_args = 2)]
    parallel: Vec<PathBuf>,
    /// omp, align, clp, focus: a model that already uses the candidate tokenizer; its embeddings replace the corpus
    #[arg(long, value_name = "DIR")]
    donor: Option<PathBuf>,
    /// omp: number of shared tokens per new row [default: 64 with a donor, 4 without]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    terms: Option<u16>,
    /// Dimensions of auxiliary embeddings trained on text [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    dimensions: Option<u16>,
    /// Output folder for the model; must be empty or not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    reading: ReadingArgs,
}

fn methods() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(app::methods())
}

impl Transplant {
    /// Moves the rows and says where they came from.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let mut parallel = self.parallel.into_iter();
        let request = app::TransplantRequest {
            model: self.model,
            candidate: self.candidate,
            method: self.method,
            output_method: self.output_method,
            untie: self.untie,
            match_norms: self.match_norms.parse().unwrap_or(Which::None),
            padding: self.padding.parse().unwrap_or(Padding::Drop),
            beside: self.beside.then_some(usize::from(self.rank)),
            corpus: self.corpus,
            source_corpus: self.source_corpus,
            dictionary: self.dictionary,
            parallel: parallel.next().zip(parallel.next()),
            donor: self.donor,
            terms: self.terms.map(usize::from),
            dimensions: self.dimensions.map(usize::from),
            out: self.out,
            seed: self.seed,
            reading: self.reading.options(),
        };
        let mut progress = session.progress();
        let done = app::transplant(&request, &mut progress)?;
        drop(progress);
        session.print(
            || {
                let rows = &done.input.rows;
                serde_json::json!({ "transplant": { "method": request.method, "rows": rows, "out": request.out, "report": done } })
            },
            || {
                let mut text = String::new();
                for (name, table) in [("Rows", Some(&done.input)), ("Rows of the head", done.output.as_ref())] {
                    if let Some(table) = table {
                        let rows: Vec<String> = table.rows.iter().map(|(by, n)| format!("{n} {by}")).collect();
                        text += &format!("{name} by origin: {}. ", rows.join(", "));
                    }
                }
                format!(
                    "{text}The model is in {}; transplant.json and transplant-rows.jsonl there describe every row.",
                    request.out.display()
                )
            },
        )
    }
}
