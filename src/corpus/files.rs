//! Which files does a list of paths, folders and patterns mean, and how is each one unpacked?

use super::error::CorpusError;
use std::path::{Path, PathBuf};

/// How documents stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A document a line.
    Lines,
    /// A JSON object a line.
    Jsonl,
    /// A column of a Parquet file.
    Table,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// A file of a known kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextFile {
    pub path: PathBuf,
    pub format: Format,
    pub packing: Packing,
}

impl TextFile {
    /// The file, if its name says a kind that is known.
    pub fn from_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_lowercase();
        let (stem, packing) = if let Some(stem) = name.strip_suffix(".gz") {
            (stem, Packing::Gzip)
        } else if let Some(stem) = name.strip_suffix(".zst").or_else(|| name.strip_suffix(".zstd")) {
            (stem, Packing::Zstd)
        } else {
            (name.as_str(), Packing::Plain)
        };
        let format = match stem.rsplit_once('.')?.1 {
            "txt" | "text" => Format::Lines,
            "jsonl" | "ndjson" => Format::Jsonl,
            "parquet" => Format::Table,
            _ => return None,
        };
        Some(Self { path: path.to_owned(), format, packing })
    }
}

/// All files that `paths` mean; a file named twice is read once.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<TextFile>, CorpusError> {
    let mut found: Vec<TextFile> = Vec::new();
    for path in paths {
        if path.is_dir() {
            folder(path, &mut found)?;
        } else if path.exists() {
            found.push(TextFile::from_name(path).ok_or_else(|| unknown(path))?);
        } else {
            pattern(path, &mut found)?;
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|f| seen.insert(f.path.clone()));
    if found.is_empty() {
        let what = paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
        return Err(CorpusError::Empty { what: if what.is_empty() { "an empty list of files".into() } else { what } });
    }
    Ok(found)
}

/// Why a file is not read.
fn unknown(path: &Path) -> CorpusError {
    let suffix = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    let path = path.to_owned();
    match suffix.as_str() {
        "bz2" | "xz" | "lz4" | "lzma" | "br" | "7z" | "zip" | "rar" | "z" | "sz" | "tar" | "tgz" => {
            CorpusError::UnknownPacking { path, suffix }
        }
        _ => CorpusError::UnknownKind { path },
    }
}

/// The names of the files, for a message.
pub(super) fn names(files: &[TextFile]) -> String {
    files.iter().map(|f| f.path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The corpus files in and below a folder, in order of name; other files are passed over.
fn folder(path: &Path, found: &mut Vec<TextFile>) -> Result<(), CorpusError> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(CorpusError::io(path))? {
        entries.push(entry.map_err(CorpusError::io(path))?);
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        // A link to a folder is not followed: it may lead in a circle.
        let kind = entry.file_type().map_err(CorpusError::io(path))?;
        if kind.is_dir() {
            folder(&entry.path(), found)?;
        } else if let Some(file) = TextFile::from_name(&entry.path()) {
            found.push(file);
        }
    }
    Ok(())
}

/// The files a pattern matches; a pattern that matches nothing is an error.
fn pattern(path: &Path, found: &mut Vec<TextFile>) -> Result<(), CorpusError> {
    let missing = || CorpusError::NotFound { path: path.to_owned() };
    let matches = path.to_str().and_then(|p| glob::glob(p).ok()).ok_or_else(missing)?;
    let before = found.len();
    for entry in matches {
        let entry = entry.map_err(|e| CorpusError::Io { path: e.path().to_owned(), source: e.into() })?;
        if entry.is_dir() {
            folder(&entry, found)?;
        } else {
            found.push(TextFile::from_name(&entry).ok_or_else(|| unknown(&entry))?);
        }
    }
    if found.len() == before { Err(missing()) } else { Ok(()) }
}
