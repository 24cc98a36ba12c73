//! Compares two tokenizers on a text and prints the recommended strategy:
//!
//!     cargo run --release --example decide -- SOURCE CANDIDATE [TEXT]...
//!
//! `SOURCE` and `CANDIDATE` are tokenizer.json files, SentencePiece models, folders containing one, or Hub ids.

use hibrit::analyze::{ProfileInputs, profile};
use hibrit::corpus::{Corpus, CorpusOptions};
use hibrit::decide::{Case, Past, RuleBook, decide};
use hibrit::domain::event::Silent;
use hibrit::domain::resources::Resources;
use hibrit::domain::strategy::Strategy;
use hibrit::tokenizer::TokenizerFile;
use std::path::PathBuf;
use strum::IntoEnumIterator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [source, candidate, texts @ ..] = paths.as_slice() else {
        return Err("usage: decide SOURCE CANDIDATE [TEXT]...".into());
    };

    // Two tokenizers and a text give a profile.
    let (source, candidate) = (TokenizerFile::open(source)?, TokenizerFile::open(candidate)?);
    let corpus = if texts.is_empty() { None } else { Some(Corpus::open(texts, &CorpusOptions::default())?) };
    let inputs = ProfileInputs { source: &source, candidate: &candidate, corpus: corpus.as_ref(), model: None };
    let profile = profile(&inputs, &mut Silent)?;
    println!("{:.1}% of the candidate's tokens are shared.", 100.0 * profile.coverage.vocabulary.get());
    if let Some(ratio) = profile.token_ratio {
        println!("The candidate needs {:.2} times as many tokens for the text.", ratio.get());
    }

    // The profile, the resources and the rules give a decision. There are no past runs and no scorer here.
    let case = Case {
        profile: &profile,
        resources: &Resources { memory: Some(24 << 30), ..Resources::default() },
        costs: None,
        executable: &Strategy::iter().collect::<Vec<_>>(),
        past: &Past::of([]),
        scorer: None,
        train_bytes: None,
    };
    let decision = decide(&RuleBook::embedded()?, &case)?;
    println!("Recommended: {} (confidence {:.0}%).", decision.strategy, 100.0 * decision.confidence.get());
    for option in &decision.alternatives {
        let state = if option.vetoes.is_empty() { "feasible" } else { "vetoed" };
        println!("  {:<12} saves {:+.3} bits per byte against keep, {state}", option.strategy, option.utility);
    }
    Ok(())
}
