//! Computes embeddings for another tokenizer and prints where their rows come from:
//!
//!     cargo run --release --example transplant -- MODEL CANDIDATE [METHOD]
//!
//! `MODEL` is a Hugging Face folder with its tokenizer, `CANDIDATE` another tokenizer, `METHOD` one that needs no text
//! (default: subtoken). Nothing is written; `hibrit transplant` writes a complete folder.

use hibrit::analyze::mapping;
use hibrit::model::ModelFolder;
use hibrit::tokenizer::TokenizerFile;
use hibrit::transplant::{Norms, TransplantInputs, count, transplant};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, candidate, method) = match arguments.as_slice() {
        [model, candidate] => (model, candidate, "subtoken"),
        [model, candidate, method] => (model, candidate, method.as_str()),
        _ => return Err("usage: transplant MODEL CANDIDATE [METHOD]".into()),
    };

    // Which old tokens each new token corresponds to, by their bytes.
    let source = TokenizerFile::open(Path::new(model))?;
    let candidate = TokenizerFile::open(Path::new(candidate))?;
    let mapping = mapping(&source, &candidate);
    let tokens: Vec<u32> = source.vocabulary.iter().map(|(id, _)| id).collect();

    // Both matrices, [rows, hidden]; the output matrix is None if the model is tied.
    let (input, output) = ModelFolder::open(Path::new(model))?.embeddings()?;
    let request = TransplantInputs {
        input: &input,
        output: output.as_ref(),
        tokens: &tokens,
        mapping: &mapping,
        norms: Norms::default(),
        seed: 0,
    };
    let (new_input, new_output) = transplant(&request, method.parse()?, None)?;
    for (name, matrix) in [("input", Some(&new_input)), ("output", new_output.as_ref())] {
        if let Some(matrix) = matrix {
            println!("{name}: {} rows", matrix.by_row.len());
            for (origin, rows) in count(&matrix.by_row) {
                println!("  {rows:>8} {origin}");
            }
        }
    }
    Ok(())
}
