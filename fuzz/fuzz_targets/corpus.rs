//! Does any corpus file make its reader panic, hang, or lose its place? The first byte says what the file is called.
#![no_main]
#![expect(dead_code, unused_imports, reason = "the rooms are compiled as they are, and only what reads files is used")]

#[path = "../../src/analyze/mod.rs"]
mod analyze;
#[path = "../../src/corpus/mod.rs"]
mod corpus;
#[path = "../../src/domain/mod.rs"]
mod domain;

use corpus::{Corpus, CorpusOptions};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 9] = [
    "a.txt", "a.jsonl", "a.parquet", "a.txt.gz", "a.jsonl.gz", "a.parquet.gz", "a.txt.zst", "a.jsonl.zst", "a.parquet.zst",
];

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let name = NAMES[usize::from(first / 2) % NAMES.len()];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, data).expect("a file");
    let options = CorpusOptions { lossy: first % 2 == 1, ..CorpusOptions::default() };
    if let Ok(corpus) = Corpus::open(&[path], &options) {
        let mut bytes = 0;
        if let Ok(extent) = corpus.for_each_document(|d| {
            assert!(!d.trim().is_empty());
            bytes += d.len() as u64;
            bytes < 64 << 20
        }) {
            assert_eq!(extent.bytes, bytes);
        }
    }
});
