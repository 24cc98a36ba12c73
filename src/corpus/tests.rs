//! The corpus reader, on files that each test writes for itself.

use super::*;
use crate::domain::fault::{Fault, Kind};
use std::io::Write;
use std::path::Path;

fn corpus_of(name: &str, contents: &[u8]) -> (tempfile::TempDir, Result<Corpus, CorpusError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, contents).unwrap();
    let corpus = Corpus::open(&[path], &CorpusOptions::default());
    (folder, corpus)
}

fn documents(name: &str, contents: &[u8]) -> Result<Vec<String>, CorpusError> {
    let (_folder, corpus) = corpus_of(name, contents);
    corpus?.collect(None)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_line_that_is_not_blank_is_a_document_without_its_line_end() {
    let text = "\u{feff}bir\r\n\n  \n iki üç \nson".as_bytes();
    let expected = ["bir", " iki üç ", "son"];
    assert_eq!(documents("a.txt", text).unwrap(), expected);
    assert_eq!(documents("a.txt.gz", &gzip(text)).unwrap(), expected);
    assert_eq!(documents("a.txt.zst", &zstd::encode_all(text, 1).unwrap()).unwrap(), expected);
}

#[test]
fn a_json_object_gives_the_text_of_its_field_with_escapes_undone() {
    let lines =
        b"{\"id\": [1, {\"text\": 0}], \"text\": \"a\\nb \\u015f\"}\n\n{\"text\": \"  \"}\n{\"text\":\"c\",\"n\":null}";
    assert_eq!(documents("a.jsonl", lines).unwrap(), ["a\nb ş", "c"]);
}

#[test]
fn a_line_of_json_without_the_field_is_named_by_its_number() {
    let error = documents("a.jsonl", b"{\"text\": \"a\"}\n{\"body\": \"b\"}\n").unwrap_err();
    assert!(matches!(error, CorpusError::NoField { line: 2, .. }), "{error}");
    assert!(error.hint().unwrap().contains("--field"));
    let error = documents("a.jsonl", b"{\"text\": \"a\"}\nnot json\n").unwrap_err();
    assert!(matches!(error, CorpusError::NotJson { line: 2, .. }), "{error}");
}

#[test]
fn bytes_that_are_not_utf8_are_named_by_offset_and_line_or_replaced_when_asked() {
    let contents = b"good\nb\xffd\n";
    let error = documents("a.txt", contents).unwrap_err();
    assert!(matches!(error, CorpusError::NotUtf8 { offset: 6, line: 2, .. }), "{error}");
    assert_eq!(error.kind(), Kind::Input);
    let (folder, _) = corpus_of("a.txt", contents);
    let options = CorpusOptions { lossy: true, ..CorpusOptions::default() };
    let corpus = Corpus::open(&[folder.path().to_owned()], &options).unwrap();
    assert_eq!(corpus.collect(None).unwrap(), ["good", "b\u{fffd}d"]);
}

#[test]
fn a_corpus_without_text_is_an_error_whether_empty_or_blank() {
    assert!(matches!(corpus_of("a.txt", b"").1, Err(CorpusError::Empty { .. })));
    assert!(matches!(documents("a.txt", b" \n\n"), Err(CorpusError::Empty { .. })));
    assert!(matches!(Corpus::open(&[], &CorpusOptions::default()), Err(CorpusError::Empty { .. })));
}

#[test]
fn a_missing_file_and_an_unknown_kind_are_told_apart() {
    let open = |p: &Path| Corpus::open(&[p.to_owned()], &CorpusOptions::default()).unwrap_err();
    assert!(matches!(open(Path::new("no/such.txt")), CorpusError::NotFound { .. }));
    assert!(matches!(corpus_of("a.bz2", b"x").1, Err(CorpusError::UnknownKind { .. })));
    assert!(matches!(documents("a.txt.gz", b"not gzip"), Err(CorpusError::Io { .. })));
}

#[test]
fn folders_and_patterns_stand_for_their_files_in_order_of_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("z")).unwrap();
    for (name, text) in [("b.txt", "b"), ("a.txt", "a"), ("z/c.txt", "c"), ("notes.md", "no")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let read = |p: PathBuf| Corpus::open(&[p], &CorpusOptions::default()).unwrap().collect(None).unwrap();
    assert_eq!(read(folder.path().to_owned()), ["a", "b", "c"]);
    assert_eq!(read(folder.path().join("*.txt")), ["a", "b"]);
    assert_eq!(read(folder.path().join("**/c.*")), ["c"]);
}

#[test]
fn many_blocks_give_the_same_documents_as_the_whole_text() {
    let text: String = (0..200_000).map(|i| format!("satır numarası {i}\n")).collect();
    assert!(text.len() > 3 << 20, "the text must need several blocks");
    let (_folder, corpus) = corpus_of("a.txt", text.as_bytes());
    let corpus = corpus.unwrap();
    assert!(corpus.blocks().count() > 2);
    assert!(corpus.collect(None).unwrap().iter().map(String::as_str).eq(text.lines()));
    let extent = corpus.for_each_document(|_| true).unwrap();
    assert_eq!(extent, Extent { documents: 200_000, bytes: text.len() as u64 - 200_000 });
    assert_eq!(corpus.blocks().last().unwrap().unwrap().read(), corpus.bytes_on_disk());
}

#[test]
fn a_limit_ends_the_reading_with_the_document_that_reaches_it() {
    let (_folder, corpus) = corpus_of("a.txt", b"aaa\nbbb\nccc\n");
    assert_eq!(corpus.unwrap().collect(Some(4)).unwrap(), ["aaa", "bbb"]);
}

#[test]
fn the_hash_of_a_corpus_is_that_of_its_files_in_order() {
    // Reference: printf abc | sha256sum
    let (_folder, corpus) = corpus_of("a.txt", b"abc");
    assert_eq!(corpus.unwrap().sha256().unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
