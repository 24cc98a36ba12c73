//! Where does the text come from? A [`Corpus`] is a list of files whose documents are streamed in blocks of about a
//! megabyte and never held whole. What the documents are read for is not known here.
//!
//! | file | a document |
//! | --- | --- |
//! | `.txt` | a line that is not blank |
//! | `.jsonl` | the text field of a line's object, or the conversation in its `messages` |
//! | `.parquet` | a row of the text column, or the conversation in its `messages` |
//!
//! A document longer than four megabytes is cut at white space into several, so that memory stays bounded. Each may be
//! compressed (`.gz`, `.zst`). A folder stands for the corpus files in and below it, a pattern (`*`, `?`, `[..]`) for
//! the files it matches, in order of name.

mod block;
mod error;
mod files;
mod jsonl;
mod table;
mod turns;

pub use block::{Block, Blocks};
pub use error::CorpusError;

use crate::domain::lesson::Lesson;
use data_encoding::HEXLOWER;
use files::TextFile;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::PathBuf;

/// How a corpus is read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CorpusOptions {
    /// The field of a `.jsonl` object, or the column of a `.parquet` file, that holds the text. Default `text`.
    pub field: String,
    /// Whether bytes that are not UTF-8 become U+FFFD instead of an error. Default false.
    pub lossy: bool,
}

impl Default for CorpusOptions {
    fn default() -> Self {
        Self { field: "text".into(), lossy: false }
    }
}

/// Text files, found and ready to be read.
#[derive(Debug, Clone)]
pub struct Corpus {
    files: Vec<TextFile>,
    options: CorpusOptions,
    bytes_on_disk: u64,
}

/// What a whole reading of a corpus found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Documents that are not blank.
    pub documents: u64,
    /// UTF-8 bytes of the documents, line ends left out.
    pub bytes: u64,
}

impl Corpus {
    /// Finds the files that `paths` name: files, folders and patterns. Nothing is read yet.
    ///
    /// # Errors
    /// [`CorpusError`] when a path does not exist, is of an unknown kind, or when nothing or only empty files were found.
    pub fn open(paths: &[PathBuf], options: &CorpusOptions) -> Result<Self, CorpusError> {
        let files = files::find(paths)?;
        let mut bytes_on_disk = 0;
        for file in &files {
            bytes_on_disk += std::fs::metadata(&file.path).map_err(CorpusError::io(&file.path))?.len();
        }
        if bytes_on_disk == 0 {
            return Err(CorpusError::Empty { what: files::names(&files) });
        }
        Ok(Self { files, options: options.clone(), bytes_on_disk })
    }

    /// The files, in the order they are read.
    pub fn files(&self) -> impl Iterator<Item = &std::path::Path> {
        self.files.iter().map(|f| f.path.as_path())
    }

    /// Size of the files as they lie on disk, compressed ones compressed.
    pub fn bytes_on_disk(&self) -> u64 {
        self.bytes_on_disk
    }

    /// sha256 (hex) over the files' bytes as they lie on disk, in order.
    ///
    /// # Errors
    /// [`CorpusError::Io`] when a file cannot be read.
    pub fn sha256(&self) -> Result<String, CorpusError> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        for file in &self.files {
            let mut reader = std::fs::File::open(&file.path).map_err(CorpusError::io(&file.path))?;
            loop {
                match reader.read(&mut buffer).map_err(CorpusError::io(&file.path))? {
                    0 => break,
                    n => hash.update(buffer.get(..n).unwrap_or_default()),
                }
            }
        }
        Ok(HEXLOWER.encode(&hash.finalize()))
    }

    /// The documents, in blocks of about a megabyte. Ends after the first error; a corpus without any document
    /// gives [`CorpusError::Empty`].
    pub fn blocks(&self) -> Blocks<'_> {
        Blocks::new(&self.files, &self.options)
    }

    /// Calls `visit` with every document in order, until it answers `false`.
    ///
    /// # Errors
    /// [`CorpusError`] when a file cannot be read, is not UTF-8 (unless lossy), or there is no document at all.
    pub fn for_each_document(&self, mut visit: impl FnMut(&str) -> bool) -> Result<Extent, CorpusError> {
        let mut extent = Extent::default();
        for block in self.blocks() {
            for document in block?.documents() {
                extent.documents += 1;
                extent.bytes += document.len() as u64;
                if !visit(document) {
                    return Ok(extent);
                }
            }
        }
        Ok(extent)
    }

    /// Documents from the beginning, whole, until `limit_bytes` of text are reached (the last one may go over);
    /// all of them without a limit.
    ///
    /// # Errors
    /// As [`Corpus::for_each_document`].
    pub fn collect(&self, limit_bytes: Option<u64>) -> Result<Vec<String>, CorpusError> {
        Ok(self.lessons(limit_bytes)?.into_iter().map(|lesson| lesson.text).collect())
    }

    /// The same with the turns of those that are conversations.
    ///
    /// # Errors
    /// As [`Corpus::for_each_document`].
    pub fn lessons(&self, limit_bytes: Option<u64>) -> Result<Vec<Lesson>, CorpusError> {
        let mut lessons = Vec::new();
        let mut bytes = 0;
        for block in self.blocks() {
            for lesson in block?.into_lessons() {
                bytes += lesson.text.len() as u64;
                lessons.push(lesson);
                if limit_bytes.is_some_and(|limit| bytes >= limit) {
                    return Ok(lessons);
                }
            }
        }
        Ok(lessons)
    }
}

#[cfg(test)]
mod tests;
