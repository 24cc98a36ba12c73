//! What is each candidate token, one a row? Writes a .parquet, .csv or .jsonl file for people and scripts to look
//! through. How tokens were matched and counted is not known here.

use super::error::AnalyzeError;
use super::matches::Matched;
use crate::domain::profile::Match;
use crate::domain::vocabulary::{Mapping, Origin, Vocabulary};
use data_encoding::HEXLOWER;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// The columns of a .parquet listing; the other forms have the same names.
const SCHEMA: &str = "message tokens {
    required int32 id;
    required binary raw (UTF8);
    required binary bytes;
    required binary class (UTF8);
    optional int32 match;
    optional int64 count;
    required group pieces (LIST) { repeated group list { required int32 element; } }
}";

/// What is known of the candidate's tokens.
pub(super) struct Listing<'a> {
    pub candidate: &'a Vocabulary,
    pub matched: &'a [Option<Matched>],
    pub mapping: &'a Mapping,
    /// Occurrences by id, where there is a corpus.
    pub counts: Option<&'a [u64]>,
}

/// A candidate token as it is listed.
struct Row<'a> {
    id: u32,
    /// The string in the tokenizer's file.
    raw: &'a str,
    /// What it stands for; empty for control tokens.
    bytes: &'a [u8],
    class: Match,
    /// The original's token that it matches most closely.
    with: Option<u32>,
    /// Occurrences on the corpus, where there is one.
    count: Option<u64>,
    /// The original's tokens for the same bytes.
    pieces: Vec<u32>,
}

/// A row as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    id: u32,
    raw: &'a str,
    /// In hexadecimal.
    bytes: String,
    class: Match,
    r#match: Option<u32>,
    count: Option<u64>,
    pieces: &'a [u32],
}

impl Listing<'_> {
    /// Writes every token; the file's name says the form. The file is there whole or not at all.
    ///
    /// # Errors
    /// [`AnalyzeError::Output`] when the name is of no known form or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), AnalyzeError> {
        let failed = |reason: String| AnalyzeError::Output { path: path.to_owned(), reason };
        let form = Form::of(path)?;
        let written = crate::files::atomic::write(path, |file| match form {
            Form::Parquet => self.parquet(file).map_err(std::io::Error::other),
            Form::Csv | Form::Jsonl => self.lines(file, form),
        });
        written.map_err(|e| failed(e.to_string()))
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.candidate.iter().map(|(id, token)| {
            let at = id as usize;
            let matched = self.matched.get(at).copied().flatten();
            let origin = self.mapping.origins.get(at);
            let (exact, pieces) = match origin {
                Some(Origin::Exact(id) | Origin::Role(id)) => (Some(*id), vec![*id]),
                Some(Origin::Pieces(pieces)) => (None, pieces.iter().map(|(id, _)| *id).collect()),
                Some(Origin::Nothing) | None => (None, Vec::new()),
            };
            Row {
                id,
                raw: &token.raw,
                bytes: &token.bytes,
                class: matched.map_or(Match::None, |m| m.class),
                with: exact.or(matched.and_then(|m| m.with)),
                count: self.counts.map(|c| c.get(at).copied().unwrap_or(0)),
                pieces,
            }
        })
    }

    fn lines(&self, mut to: &mut dyn Write, form: Form) -> std::io::Result<()> {
        if form == Form::Csv {
            to.write_all(b"id,raw,bytes,class,match,count,pieces\n")?;
        }
        for row in self.rows() {
            match form {
                Form::Csv => to.write_all(row.csv().as_bytes())?,
                _ => serde_json::to_writer(&mut to, &row.line())?,
            }
            to.write_all(b"\n")?;
        }
        to.flush()
    }

    fn parquet(&self, to: impl Write + Send) -> Result<(), ParquetError> {
        let rows: Vec<Row<'_>> = self.rows().collect();
        let mut writer = SerializedFileWriter::new(to, parse_message_type(SCHEMA)?.into(), Default::default())?;
        let mut group = writer.next_row_group()?;
        let texts = |text: fn(&Row<'_>) -> Vec<u8>| rows.iter().map(|r| ByteArray::from(text(r))).collect::<Vec<_>>();
        let whole: Vec<i32> = rows.iter().map(|r| r.id as i32).collect();
        column(&mut group, |c| c.typed::<Int32Type>().write_batch(&whole, None, None))?;
        for values in [texts(|r| r.raw.into()), texts(|r| r.bytes.into()), texts(|r| r.class.to_string().into())] {
            column(&mut group, |c| c.typed::<ByteArrayType>().write_batch(&values, None, None))?;
        }
        let (levels, values) = optional(rows.iter().map(|r| r.with.map(|id| id as i32)));
        column(&mut group, |c| c.typed::<Int32Type>().write_batch(&values, Some(&levels), None))?;
        let (levels, values) = optional(rows.iter().map(|r| r.count.map(|n| n as i64)));
        column(&mut group, |c| c.typed::<Int64Type>().write_batch(&values, Some(&levels), None))?;
        let (mut defined, mut repeated, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            // An empty list takes a level of its own.
            for at in 0..row.pieces.len().max(1) {
                defined.push(i16::from(!row.pieces.is_empty()));
                repeated.push(i16::from(at > 0));
            }
            values.extend(row.pieces.iter().map(|id| *id as i32));
        }
        column(&mut group, |c| c.typed::<Int32Type>().write_batch(&values, Some(&defined), Some(&repeated)))?;
        group.close()?;
        writer.close()?;
        Ok(())
    }
}

/// Writes the next column.
fn column<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    write: impl FnOnce(&mut parquet::file::writer::SerializedColumnWriter<'_>) -> Result<usize, ParquetError>,
) -> Result<(), ParquetError> {
    let next = group.next_column()?;
    let mut next = next.ok_or_else(|| ParquetError::General("a column too many".into()))?;
    write(&mut next)?;
    next.close()
}

/// Definition levels and values of a column with nulls.
fn optional<T>(values: impl Iterator<Item = Option<T>>) -> (Vec<i16>, Vec<T>) {
    let (mut levels, mut present) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        present.extend(value);
    }
    (levels, present)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Parquet,
    Csv,
    Jsonl,
}

impl Form {
    fn of(path: &Path) -> Result<Self, AnalyzeError> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv") => Ok(Self::Csv),
            Some("jsonl") => Ok(Self::Jsonl),
            _ => {
                let reason = "its name ends neither in .parquet nor in .csv nor in .jsonl".into();
                Err(AnalyzeError::Output { path: path.to_owned(), reason })
            }
        }
    }
}

/// Whether a listing can be called so, before anything that takes long.
///
/// # Errors
/// [`AnalyzeError::Output`] when the name is of no known form.
pub fn check_listing_name(path: &Path) -> Result<(), AnalyzeError> {
    Form::of(path).map(|_| ())
}

impl Row<'_> {
    fn line(&self) -> Line<'_> {
        let (bytes, pieces) = (HEXLOWER.encode(self.bytes), self.pieces.as_slice());
        Line { id: self.id, raw: self.raw, bytes, class: self.class, r#match: self.with, count: self.count, pieces }
    }

    /// As RFC 4180 has it: the string in quotes, quotes doubled.
    fn csv(&self) -> String {
        let pieces: Vec<String> = self.pieces.iter().map(u32::to_string).collect();
        let with = self.with.map_or_else(String::new, |n| n.to_string());
        let count = self.count.map_or_else(String::new, |n| n.to_string());
        let raw = self.raw.replace('"', "\"\"");
        format!(
            "{},\"{raw}\",{},{},{with},{count},{}",
            self.id,
            HEXLOWER.encode(self.bytes),
            self.class,
            pieces.join(" ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vocabulary::{Token, TokenKind};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use std::collections::HashMap;

    /// A vocabulary with quotes and commas, one token exact, one in pieces and one that nothing expresses.
    fn listed(name: &str, counts: Option<&[u64]>) -> Result<Vec<u8>, AnalyzeError> {
        let token = |raw: &str| Some(Token { raw: raw.into(), bytes: raw.into(), kind: TokenKind::Text });
        let candidate = Vocabulary::new(vec![token("a"), token("b\",c"), None, token("ş")], HashMap::new());
        let class = |class, with| Some(Matched { class, with });
        let matched = [class(Match::Exact, Some(7)), class(Match::Case, Some(9)), None, class(Match::None, None)];
        let origins = vec![Origin::Exact(7), Origin::Pieces(vec![(4, 2), (5, 2)]), Origin::Nothing, Origin::Nothing];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mapping = Mapping { origins };
        Listing { candidate: &candidate, matched: &matched, mapping: &mapping, counts }.write(&path)?;
        Ok(std::fs::read(path).unwrap())
    }

    #[test]
    fn all_three_forms_say_the_same() {
        let counts = [3, 2, 0, 0];
        let csv = String::from_utf8(listed("t.csv", Some(&counts)).unwrap()).unwrap();
        let expected = "id,raw,bytes,class,match,count,pieces\n0,\"a\",61,exact,7,3,7\n\
                        1,\"b\"\",c\",62222c63,case,9,2,4 5\n3,\"ş\",c59f,none,,0,\n";
        assert_eq!(csv, expected);
        let jsonl = String::from_utf8(listed("t.jsonl", Some(&counts)).unwrap()).unwrap();
        let expected = concat!(
            r#"{"id":0,"raw":"a","bytes":"61","class":"exact","match":7,"count":3,"pieces":[7]}"#,
            "\n",
            r#"{"id":1,"raw":"b\",c","bytes":"62222c63","class":"case","match":9,"count":2,"pieces":[4,5]}"#,
            "\n",
            r#"{"id":3,"raw":"ş","bytes":"c59f","class":"none","match":null,"count":0,"pieces":[]}"#,
            "\n",
        );
        assert_eq!(jsonl, expected);
        let parquet = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(parquet.path(), listed("t.parquet", Some(&counts)).unwrap()).unwrap();
        let reader = SerializedFileReader::new(parquet.reopen().unwrap()).unwrap();
        let rows: Vec<String> = reader.get_row_iter(None).unwrap().map(|r| r.unwrap().to_string()).collect();
        assert_eq!(rows.len(), 3);
        assert!(rows[1].contains("match: 9, count: 2, pieces: [4, 5]"), "{}", rows[1]);
        assert!(rows[2].contains("match: null, count: 0, pieces: []"), "{}", rows[2]);
    }

    #[test]
    fn without_a_corpus_nothing_is_counted_and_another_name_is_refused() {
        let jsonl = String::from_utf8(listed("t.jsonl", None).unwrap()).unwrap();
        assert!(jsonl.contains("\"count\":null"));
        let error = listed("t.txt", None).unwrap_err();
        assert!(error.to_string().contains("neither in .parquet"), "{error}");
    }
}
