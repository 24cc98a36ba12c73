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
fn a_conversation_is_read_as_its_words_and_keeps_its_turns() {
    let line = r#"{"id": 7, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#;
    let blank = r#"{"messages": [{"role": "user", "content": " "}]}"#;
    let both = r#"{"text": "d", "messages": [{"role": "user", "content": "e"}]}"#;
    let all = format!("{blank}\n{{\"text\": \"c\"}}\n{line}\n{both}\n");
    assert_eq!(documents("a.jsonl", all.as_bytes()).unwrap(), ["c", "a\nb", "d"]);
    let (folder, _) = corpus_of("a.jsonl", all.as_bytes());
    let corpus = Corpus::open(&[folder.path().to_owned()], &CorpusOptions::default()).unwrap();
    let turns: Vec<usize> = corpus
        .lessons(None)
        .unwrap()
        .iter()
        .map(|l| l.messages.as_ref().and_then(|m| m.as_array()).map_or(0, Vec::len))
        .collect();
    assert_eq!(turns, [0, 2, 0]);
    for wrong in [r#"{"messages": "a"}"#, r#"{"messages": [{"content": "a"}]}"#] {
        let error = documents("a.jsonl", wrong.as_bytes()).unwrap_err();
        assert!(matches!(error, CorpusError::NoField { line: 1, .. }), "{error}");
    }
    let long = format!(r#"{{"messages": [{{"role": "user", "content": "{}"}}]}}"#, "a ".repeat(3 << 20));
    assert!(matches!(documents("a.jsonl", long.as_bytes()).unwrap_err(), CorpusError::LongLine { line: 1, .. }));
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
    assert!(matches!(corpus_of("a.pdf", b"x").1, Err(CorpusError::UnknownKind { .. })));
    let packed = corpus_of("a.txt.bz2", b"x").1.unwrap_err();
    assert!(packed.to_string().ends_with("a.txt.bz2 is compressed as .bz2, which is not supported"), "{packed}");
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

/// A Parquet file with a column of text that may be null, in row groups of three.
fn parquet(rows: &[Option<&[u8]>]) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType, Int32Type};
    use parquet::file::writer::SerializedFileWriter;
    let schema = "message m { required int32 id; optional binary text; }";
    let schema = parquet::schema::parser::parse_message_type(schema).unwrap();
    let mut out = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut out, schema.into(), Default::default()).unwrap();
    for rows in rows.chunks(3) {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let ids: Vec<i32> = (0..rows.len() as i32).collect();
        column.typed::<Int32Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let levels: Vec<i16> = rows.iter().map(|r| i16::from(r.is_some())).collect();
        let values: Vec<ByteArray> = rows.iter().flatten().map(|r| ByteArray::from(r.to_vec())).collect();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    out
}

#[test]
fn a_parquet_file_gives_the_rows_of_its_text_column() {
    let rows: Vec<Option<&[u8]>> =
        vec![Some("bir iki".as_bytes()), None, Some(b"  "), Some("\u{fc}\u{e7}".as_bytes()), Some(b"a\nb")];
    let file = parquet(&rows);
    let expected = ["bir iki", "üç", "a\nb"];
    assert_eq!(documents("a.parquet", &file).unwrap(), expected);
    assert_eq!(documents("a.parquet.gz", &gzip(&file)).unwrap(), expected);
    assert_eq!(documents("a.parquet.zst", &zstd::encode_all(file.as_slice(), 1).unwrap()).unwrap(), expected);
    let (_folder, corpus) = corpus_of("a.parquet", &file);
    let corpus = corpus.unwrap();
    assert_eq!(corpus.blocks().last().unwrap().unwrap().read(), corpus.bytes_on_disk());
}

#[test]
fn a_parquet_file_without_the_column_or_cut_short_or_not_utf8_says_so() {
    let file = parquet(&[Some(b"good"), None, Some(b"b\xffd")]);
    let error = documents("a.parquet", &file).unwrap_err();
    assert!(matches!(error, CorpusError::NotUtf8Row { row: 3, .. }), "{error}");
    let (folder, _) = corpus_of("a.parquet", &file);
    let open = |options: &CorpusOptions| Corpus::open(&[folder.path().to_owned()], options).unwrap().collect(None);
    let lossy = CorpusOptions { lossy: true, ..CorpusOptions::default() };
    assert_eq!(open(&lossy).unwrap(), ["good", "b\u{fffd}d"]);
    let error = open(&CorpusOptions { field: "content".into(), ..CorpusOptions::default() }).unwrap_err();
    assert!(matches!(error, CorpusError::NoColumn { .. }), "{error}");
    assert_eq!(error.hint().unwrap(), "name the column with --field; there are: id, text");
    assert!(matches!(documents("a.parquet", &file[..file.len() / 2]), Err(CorpusError::Damaged { .. })));
    assert!(matches!(documents("a.parquet", b"PAR1PAR1"), Err(CorpusError::Damaged { .. })));
    for at in 0..file.len() {
        // Whatever is turned over, the answer is documents or an error.
        let mut bent = file.clone();
        bent[at] ^= 0x55;
        let _ = documents("a.parquet", &bent);
    }
}

/// Turns: who speaks, and what, if anything.
type Chat<'a> = Vec<(&'a str, Option<&'a str>)>;

/// A Parquet file with a column of conversations as the usual writers lay them out: lists of turns, some of them null.
fn chats(rows: &[Option<Chat<'_>>]) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::writer::SerializedFileWriter;
    let schema = "message m { optional group messages (LIST) { repeated group list { optional group element {
        optional binary role (STRING); optional binary content (STRING); } } } }";
    let schema = parquet::schema::parser::parse_message_type(schema).unwrap();
    let mut out = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut out, schema.into(), Default::default()).unwrap();
    for rows in rows.chunks(2) {
        let mut group = writer.next_row_group().unwrap();
        for content in [false, true] {
            let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
            for row in rows {
                let turns = row.as_deref().unwrap_or_default();
                if turns.is_empty() {
                    // Of 4 levels: no list, or a list without elements.
                    defined.push(i16::from(row.is_some()));
                    repeated.push(0);
                }
                for (at, (role, said)) in turns.iter().enumerate() {
                    let value = if content { *said } else { Some(*role) };
                    values.extend(value.map(ByteArray::from));
                    defined.push(3 + i16::from(value.is_some()));
                    repeated.push(i16::from(at > 0));
                }
            }
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&defined), Some(&repeated)).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    out
}

#[test]
fn a_parquet_file_of_conversations_is_read_as_lines_of_json_would_be() {
    let file = chats(&[
        Some(vec![("user", Some("a")), ("assistant", Some("b"))]),
        None,
        Some(vec![("user", Some(" "))]),
        Some(vec![]),
        Some(vec![("user", Some("ü\nc")), ("assistant", None), ("assistant", Some("d"))]),
    ]);
    let (folder, corpus) = corpus_of("a.parquet", &file);
    let corpus = corpus.unwrap();
    let lessons = corpus.lessons(None).unwrap();
    let said: Vec<&str> = lessons.iter().map(|l| l.text.as_str()).collect();
    assert_eq!(said, ["a\nb", "ü\nc\nd"]);
    let turns = serde_json::json!([
        {"role": "user", "content": "ü\nc"},
        {"role": "assistant", "content": null},
        {"role": "assistant", "content": "d"},
    ]);
    assert_eq!(lessons[1].messages.as_ref(), Some(&turns));
    assert_eq!(corpus.blocks().last().unwrap().unwrap().read(), corpus.bytes_on_disk());
    let by_name = CorpusOptions { field: "messages".into(), ..CorpusOptions::default() };
    let named = Corpus::open(&[folder.path().to_owned()], &by_name).unwrap().lessons(None).unwrap();
    assert_eq!(named, lessons);
    for at in 0..file.len() {
        let mut bent = file.clone();
        bent[at] ^= 0x55;
        let _ = documents("a.parquet", &bent);
    }
}

#[test]
fn a_conversation_in_a_parquet_file_that_is_too_long_or_has_no_roles_is_named_by_its_row() {
    let long = "a ".repeat(3 << 20);
    let file = chats(&[Some(vec![("user", Some("a"))]), Some(vec![("user", Some(&long))])]);
    let error = documents("a.parquet", &file).unwrap_err();
    assert!(matches!(error, CorpusError::LongRow { row: 2, .. }), "{error}");
    let schema = "message m { optional group messages { optional binary role (STRING); } }";
    let schema = parquet::schema::parser::parse_message_type(schema).unwrap();
    let mut file = Vec::new();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(&mut file, schema.into(), Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values = [parquet::data_type::ByteArray::from("user")];
    column.typed::<parquet::data_type::ByteArrayType>().write_batch(&values, Some(&[2]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let error = documents("a.parquet", &file).unwrap_err();
    assert!(matches!(error, CorpusError::NoTurns { row: 1, .. }), "{error}");
}

#[test]
fn a_document_of_many_megabytes_is_cut_at_white_space_and_nothing_is_lost() {
    let line = "uzun satır ".repeat(1 << 20);
    let (_folder, corpus) = corpus_of("a.txt", line.as_bytes());
    let parts = corpus.unwrap().collect(None).unwrap();
    assert!(parts.len() >= 3 && parts.iter().all(|p| p.len() <= 4 << 20));
    assert_eq!(parts.concat(), line);
    let unbroken = "ş".repeat(5 << 20);
    assert_eq!(documents("a.txt", unbroken.as_bytes()).unwrap().concat(), unbroken);
}
