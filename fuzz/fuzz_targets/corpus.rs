//! Can any corpus file make its reader panic, hang, or lose its place?
#![no_main]
#![expect(dead_code, unused_imports, reason = "the rooms are compiled as they are, and only what reads files is used")]

#[path = "../../src/analyze/mod.rs"]
mod analyze;
#[path = "../../src/corpus/mod.rs"]
mod corpus;
#[path = "../../src/domain/mod.rs"]
mod domain;
#[path = "../../src/files/mod.rs"]
mod files;
#[path = "../targets.rs"]
mod targets;
#[path = "../../src/tokenizer/mod.rs"]
mod tokenizer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::corpus(data));
