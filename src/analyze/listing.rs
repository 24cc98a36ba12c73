//! What is each candidate token, one a line? Writes a .csv or .jsonl file for people and scripts to look through.

use super::counts::count;
use super::error::AnalyzeError;
use super::mapping::mapping;
use super::matches::classes;
use super::tokenizer::TokenizerFile;
use crate::corpus::Corpus;
use crate::domain::event::Observer;
use crate::domain::profile::Match;
use crate::domain::vocabulary::Origin;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// A candidate token as it is listed.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: u32,
    /// The string in the tokenizer's file.
    raw: &'a str,
    /// What it stands for, in hexadecimal; empty for control tokens.
    bytes: String,
    class: Match,
    /// Occurrences on the corpus, where there is one.
    count: Option<u64>,
    /// The original's tokens for the same bytes, as ids.
    pieces: Vec<u32>,
}

/// Writes every candidate token with its bytes, class, count and decomposition; the file's name says the format. The
/// file is there whole or not at all.
///
/// # Errors
/// [`AnalyzeError::Output`] when the name is not .csv or .jsonl or the file cannot be written; else as
/// [`profile`](super::profile()).
pub fn list_tokens(
    source: &TokenizerFile,
    candidate: &TokenizerFile,
    corpus: Option<&Corpus>,
    path: &Path,
    observer: &mut dyn Observer,
) -> Result<(), AnalyzeError> {
    let failed = |reason: String| AnalyzeError::Output { path: path.to_owned(), reason };
    let csv = match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => true,
        Some("jsonl") => false,
        _ => return Err(failed("its name ends neither in .csv nor in .jsonl".into())),
    };
    let counts = corpus.map(|c| count(source, candidate, c, observer)).transpose()?;
    let (classes, mapping) = (classes(source, candidate), mapping(source, candidate));
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| failed(e.to_string()))?;
    let mut text = String::from(if csv { "id,raw,bytes,class,count,pieces\n" } else { "" });
    for (id, token) in candidate.vocabulary.iter() {
        let at = id as usize;
        let line = Line {
            id,
            raw: &token.raw,
            bytes: token.bytes.iter().map(|b| format!("{b:02x}")).collect(),
            class: classes.get(at).copied().flatten().unwrap_or(Match::None),
            count: counts.as_ref().map(|c| c.candidate.by_id.get(at).copied().unwrap_or(0)),
            pieces: match mapping.origins.get(at) {
                Some(Origin::Exact(id) | Origin::Role(id)) => vec![*id],
                Some(Origin::Pieces(pieces)) => pieces.iter().map(|(id, _)| *id).collect(),
                Some(Origin::Nothing) | None => Vec::new(),
            },
        };
        if csv {
            text.push_str(&line.csv());
        } else {
            text.push_str(&serde_json::to_string(&line).map_err(|e| failed(e.to_string()))?);
        }
        text.push('\n');
    }
    file.write_all(text.as_bytes()).map_err(|e| failed(e.to_string()))?;
    file.persist(path).map_err(|e| failed(e.to_string()))?;
    Ok(())
}

impl Line<'_> {
    /// As RFC 4180 has it: the string in quotes, quotes doubled.
    fn csv(&self) -> String {
        let pieces: Vec<String> = self.pieces.iter().map(u32::to_string).collect();
        let count = self.count.map_or_else(String::new, |n| n.to_string());
        let raw = self.raw.replace('"', "\"\"");
        format!("{},\"{raw}\",{},{},{count},{}", self.id, self.bytes, self.class, pieces.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_with_quotes_and_commas_stays_one_field() {
        let line =
            Line { id: 7, raw: "a\",b", bytes: "61".into(), class: Match::Exact, count: None, pieces: vec![1, 2] };
        assert_eq!(line.csv(), "7,\"a\"\",b\",61,exact,,1 2");
    }
}
