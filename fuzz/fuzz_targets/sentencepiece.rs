//! Does any SentencePiece model make its reader panic, hang or take memory without bound?
#![no_main]
#![expect(dead_code, unused_imports, reason = "the rooms are compiled as they are, and only what reads files is used")]

#[path = "../../src/analyze/mod.rs"]
mod analyze;
#[path = "../../src/corpus/mod.rs"]
mod corpus;
#[path = "../../src/domain/mod.rs"]
mod domain;

use analyze::TokenizerFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.model");
    std::fs::write(&path, data).expect("a file");
    if let Ok(file) = TokenizerFile::open(&path) {
        let _ = file.tokenizer.encode("Ankara'dır 123 a  b <s> é😀", false);
    }
});
