//! How long does an analysis take, and what share of it is loading? Measured on real tokenizers and text, where
//! HIBRIT_DATA names a folder with `tokenizers/NAME/tokenizer.json` and `text/tr-train.txt`; `../shared/data` else.
//!
//! `cargo bench --bench analyze`; once, without statistics: `cargo bench --bench analyze -- --test`.

use criterion::{Criterion, criterion_group, criterion_main};
use hibrit::analyze::{ProfileInputs, profile};
use hibrit::corpus::{Corpus, CorpusOptions};
use hibrit::domain::event::Silent;
use hibrit::tokenizer::TokenizerFile;
use std::path::PathBuf;
use std::time::Instant;

fn analysis(c: &mut Criterion) {
    let data = std::env::var_os("HIBRIT_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")), PathBuf::from);
    let text = std::env::var("HIBRIT_TEXT").unwrap_or_else(|_| "text/tr-train.txt".into());
    let open = |name: &str| TokenizerFile::open(&data.join("tokenizers").join(name));
    let corpus = Corpus::open(&[data.join(&text)], &CorpusOptions::default());
    let (Ok(source), Ok(candidate), Ok(corpus)) = (open("qwen3"), open("turkish_mixtral_v3_fixed"), corpus) else {
        println!("passed over: {} does not hold the tokenizers and {text}", data.display());
        return;
    };
    let mut group = c.benchmark_group("analyze");
    group.sample_size(10);
    group.bench_function("open qwen3", |b| b.iter(|| open("qwen3").map(|t| t.vocabulary.len())));
    let whole = |source: &TokenizerFile, candidate: &TokenizerFile| {
        let inputs = ProfileInputs { source, candidate, corpus: Some(&corpus), model: None };
        profile(&inputs, &mut Silent).map(|p| p.token_ratio)
    };
    group.bench_function("profile, tokenizers loaded", |b| b.iter(|| whole(&source, &candidate)));
    group.finish();
    let start = Instant::now();
    let (a, b) = rayon::join(|| open("qwen3"), || open("turkish_mixtral_v3_fixed"));
    let loaded = start.elapsed();
    if let (Ok(a), Ok(b)) = (a, b) {
        let ratio = whole(&a, &b);
        println!("once, loading included: {:?} (loading {loaded:?}), token ratio {ratio:?}", start.elapsed());
    }
}

criterion_group!(benches, analysis);
criterion_main!(benches);
