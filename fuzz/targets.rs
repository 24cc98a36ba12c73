//! What each fuzz target does with its input. The library's unit tests include this file (see src/lib.rs), so that the
//! targets keep compiling without a build of their own.

use crate::analyze::{ProfileInputs, profile};
use crate::corpus::{Corpus, CorpusOptions};
use crate::domain::event::Silent;
use crate::tokenizer::TokenizerFile;
use std::path::Path;

const TEXT: &str = "Ankara'dır 123 a  b <s> é😀";

/// Names of corpus files; the first byte of the input chooses one.
const NAMES: [&str; 9] = [
    "a.txt",
    "a.jsonl",
    "a.parquet",
    "a.txt.gz",
    "a.jsonl.gz",
    "a.parquet.gz",
    "a.txt.zst",
    "a.jsonl.zst",
    "a.parquet.zst",
];

/// Opens a tokenizer.json, encodes a text and compares the tokenizer with itself.
pub fn tokenizer(data: &[u8]) {
    let Ok(file) = TokenizerFile::from_json(data, None, Path::new("fuzz")) else { return };
    let _ = file.summary();
    let _ = file.tokenizer.encode(TEXT, false);
    let inputs = ProfileInputs { source: &file, candidate: &file, corpus: None, model: None };
    let _ = profile(&inputs, &mut Silent);
}

/// Opens a SentencePiece model and encodes a text.
pub fn sentencepiece(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.model");
    std::fs::write(&path, data).expect("a file");
    if let Ok(file) = TokenizerFile::open(&path) {
        let _ = file.tokenizer.encode(TEXT, false);
    }
}

/// Reads a corpus file to its end; no document is blank, and their bytes add up.
pub fn corpus(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(NAMES[usize::from(first / 2) % NAMES.len()]);
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
}

#[cfg(test)]
mod tests {
    #[test]
    fn targets_accept_whole_and_damaged_input() {
        let whole = br#"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}"#;
        for data in [&whole[..], &whole[..40], b"", b"\x0a\x05\x0a\x01a\x15"] {
            super::tokenizer(data);
            super::sentencepiece(data);
            for name in 0..18 {
                super::corpus(&[&[name], data].concat());
            }
        }
    }
}
