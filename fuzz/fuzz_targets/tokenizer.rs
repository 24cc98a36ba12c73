//! Does any tokenizer.json make the reader, the encoder or the comparison panic, hang or take memory without bound?
#![no_main]
#![expect(dead_code, unused_imports, reason = "the rooms are compiled as they are, and only what reads files is used")]

#[path = "../../src/analyze/mod.rs"]
mod analyze;
#[path = "../../src/corpus/mod.rs"]
mod corpus;
#[path = "../../src/domain/mod.rs"]
mod domain;

use analyze::{ProfileInputs, TokenizerFile, profile};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let Ok(file) = TokenizerFile::from_json(data, None, Path::new("fuzz")) else { return };
    let _ = file.summary();
    let _ = file.tokenizer.encode("Ankara'dır 123 a  b <s> é😀", false);
    let inputs = ProfileInputs { source: &file, candidate: &file, corpus: None, model: None };
    let _ = profile(&inputs, &mut domain::event::Silent);
});
