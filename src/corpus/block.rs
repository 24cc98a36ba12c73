//! How are documents streamed? Files are read in blocks of about a megabyte that end at a line end, checked to be
//! UTF-8, and handed over whole, so that a reader can work on several blocks at once.

use super::error::CorpusError;
use super::files::{Format, Packing, TextFile};
use super::jsonl::Held;
use super::table::Table;
use super::{CorpusOptions, files, jsonl};
use crate::domain::lesson::Lesson;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes a block aims at.
const BLOCK: usize = 1 << 20;
/// The longest line that is held. A longer line of plain text is cut at white space; a longer line of JSON is an error.
const LONGEST_LINE: usize = 64 << 20;
/// The longest document. A longer one is cut at white space into several: what encodes a document whole needs a
/// hundred times its memory.
pub(super) const LONGEST_DOCUMENT: usize = 4 << 20;

/// Documents that were read together.
#[derive(Debug, Clone, Default)]
pub struct Block {
    text: String,
    documents: Vec<Range<usize>>,
    /// Turns of conversations, by where their documents begin in the text.
    turns: BTreeMap<usize, serde_json::Value>,
    read: u64,
}

impl Block {
    /// The documents, in order; none is blank.
    pub fn documents(&self) -> impl ExactSizeIterator<Item = &str> {
        self.documents.iter().map(|r| self.text.get(r.clone()).unwrap_or_default())
    }

    /// The same with the turns of those that are conversations.
    pub(super) fn into_lessons(mut self) -> impl Iterator<Item = Lesson> {
        self.documents.into_iter().map(move |range| Lesson {
            messages: self.turns.remove(&range.start),
            text: self.text.get(range).unwrap_or_default().into(),
        })
    }

    /// All text so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// One more document, unless it is blank.
    pub(super) fn push(&mut self, document: &str) {
        if !document.trim().is_empty() {
            let from = self.text.len();
            self.text.push_str(document);
            self.documents.push(from..self.text.len());
        }
    }

    /// One more conversation by its words, unless it is blank; `false` where it is too long, as one cannot be cut.
    pub(super) fn push_chat(&mut self, words: &str, turns: serde_json::Value) -> bool {
        let at = self.text.len();
        if words.len() <= LONGEST_DOCUMENT {
            self.push(words);
        }
        if self.text.len() > at {
            self.turns.insert(at, turns);
        }
        words.len() <= LONGEST_DOCUMENT
    }

    /// The same with long documents cut.
    fn with_long_documents_cut(mut self) -> Self {
        if self.documents.iter().any(|r| r.len() > LONGEST_DOCUMENT) {
            let text = &self.text;
            self.documents = self.documents.into_iter().flat_map(|r| cut(text, r)).collect();
        }
        self
    }

    /// Bytes read from disk so far, this block included: progress towards [`super::Corpus::bytes_on_disk`].
    pub fn read(&self) -> u64 {
        self.read
    }
}

/// Iterates over the blocks of a corpus; see [`super::Corpus::blocks`].
pub struct Blocks<'a> {
    files: std::slice::Iter<'a, TextFile>,
    all: &'a [TextFile],
    options: &'a CorpusOptions,
    open: Option<Open<'a>>,
    read: Arc<AtomicU64>,
    documents: u64,
    over: bool,
}

/// A file that is being read.
enum Open<'a> {
    Text(OpenFile<'a>),
    Table(Box<Table<'a>>),
}

/// A file of lines while it is read.
struct OpenFile<'a> {
    file: &'a TextFile,
    reader: Box<dyn Read + Send>,
    /// Bytes read and not yet handed over; begins at a line.
    pending: Vec<u8>,
    /// Offset of `pending` in the unpacked file.
    offset: u64,
    /// Number of the line that `pending` begins with, from 1.
    line: u64,
    ended: bool,
}

/// Counts what passes through.
struct Counted(File, Arc<AtomicU64>);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read(buffer)?;
        self.1.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl<'a> Blocks<'a> {
    pub(super) fn new(files: &'a [TextFile], options: &'a CorpusOptions) -> Self {
        Self { files: files.iter(), all: files, options, open: None, read: Arc::default(), documents: 0, over: false }
    }

    /// The next block, from this file or the next.
    fn advance(&mut self) -> Result<Option<Block>, CorpusError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(file) = self.files.next() else {
                    self.over = true;
                    return match self.documents {
                        0 => Err(CorpusError::Empty { what: files::names(self.all) }),
                        _ => Ok(None),
                    };
                };
                self.open = Some(match file.format {
                    Format::Table => Open::Table(Box::new(Table::open(file, &self.options.field)?)),
                    Format::Lines | Format::Jsonl => Open::Text(OpenFile::new(file, &self.read)?),
                });
                continue;
            };
            let (block, over) = match open {
                Open::Text(file) => (file.block(self.options)?, file.ended && file.pending.is_empty()),
                Open::Table(table) => {
                    let before = table.read();
                    let block = table.block(self.options.lossy)?;
                    self.read.fetch_add(table.read() - before, Ordering::Relaxed);
                    (block, table.over)
                }
            };
            if over {
                self.open = None;
            }
            let block = block.with_long_documents_cut();
            if !block.documents.is_empty() {
                self.documents += block.documents.len() as u64;
                return Ok(Some(Block { read: self.read.load(Ordering::Relaxed), ..block }));
            }
        }
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<Block, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.advance();
        self.over |= next.is_err();
        next.transpose()
    }
}

impl<'a> OpenFile<'a> {
    fn new(file: &'a TextFile, read: &Arc<AtomicU64>) -> Result<Self, CorpusError> {
        let raw = Counted(File::open(&file.path).map_err(CorpusError::io(&file.path))?, Arc::clone(read));
        let reader: Box<dyn Read + Send> = match file.packing {
            Packing::Plain => Box::new(raw),
            Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(raw)),
            Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(raw).map_err(CorpusError::io(&file.path))?),
        };
        Ok(Self { file, reader, pending: Vec::new(), offset: 0, line: 1, ended: false })
    }

    fn path(&self) -> &'a Path {
        &self.file.path
    }

    /// Reads until there is at least a block with a line end in it, or the file is over. The next whole lines.
    fn block(&mut self, options: &CorpusOptions) -> Result<Block, CorpusError> {
        let mut searched = 0;
        let end = loop {
            if self.ended {
                break self.pending.len();
            }
            if self.pending.len() >= searched + BLOCK {
                match memchr::memrchr(b'\n', self.pending.get(searched..).unwrap_or_default()) {
                    Some(at) => break searched + at + 1,
                    None if self.pending.len() >= LONGEST_LINE => break self.cut_long_line()?,
                    None => searched = self.pending.len(),
                }
            }
            self.fill(searched + BLOCK)?;
        };
        let rest = self.pending.split_off(end);
        let raw = std::mem::replace(&mut self.pending, rest);
        let (first_line, start) = (self.line, self.offset);
        self.line += memchr::memchr_iter(b'\n', &raw).count() as u64;
        self.offset += raw.len() as u64;
        let text = self.text(raw, start, first_line, options.lossy)?;
        match self.file.format {
            Format::Lines | Format::Table => Ok(lines(text, start == 0)),
            Format::Jsonl => self.objects(&text, first_line, start == 0, &options.field),
        }
    }

    /// Reads on until `pending` holds `wanted` bytes or the file is over.
    fn fill(&mut self, wanted: usize) -> Result<(), CorpusError> {
        let missing = wanted.saturating_sub(self.pending.len()) as u64;
        let n =
            self.reader.by_ref().take(missing).read_to_end(&mut self.pending).map_err(CorpusError::io(self.path()))?;
        self.ended = (n as u64) < missing;
        Ok(())
    }

    /// Where a line that is too long to be held is cut: after white space, or between two characters.
    fn cut_long_line(&self) -> Result<usize, CorpusError> {
        if self.file.format == Format::Jsonl {
            return Err(CorpusError::LongLine { path: self.path().to_owned(), line: self.line, limit: LONGEST_LINE });
        }
        let boundary = |b: &u8| (*b as i8) >= -0x40;
        Ok(memchr::memrchr(b' ', &self.pending)
            .map(|at| at + 1)
            .or_else(|| self.pending.iter().rposition(boundary).filter(|at| *at > 0))
            .unwrap_or(self.pending.len()))
    }

    fn text(&self, raw: Vec<u8>, start: u64, first_line: u64, lossy: bool) -> Result<String, CorpusError> {
        String::from_utf8(raw).or_else(|error| {
            let good = error.utf8_error().valid_up_to();
            let raw = error.into_bytes();
            if lossy {
                return Ok(String::from_utf8_lossy(&raw).into_owned());
            }
            let line = first_line + memchr::memchr_iter(b'\n', raw.get(..good).unwrap_or_default()).count() as u64;
            Err(CorpusError::NotUtf8 { path: self.path().to_owned(), offset: start + good as u64, line })
        })
    }

    /// The documents in lines of JSON.
    fn objects(&self, raw: &str, first_line: u64, at_start: bool, field: &str) -> Result<Block, CorpusError> {
        let mut block = Block::default();
        for (number, line) in (first_line..).zip(without_mark(raw, at_start).split('\n')) {
            if line.trim().is_empty() {
                continue;
            }
            let path = || self.path().to_owned();
            let held = jsonl::held(line, field)
                .map_err(|e| CorpusError::NotJson { path: path(), line: number, reason: e.to_string() })?
                .ok_or_else(|| CorpusError::NoField { path: path(), line: number, field: field.to_owned() })?;
            match held {
                Held::Text(text) => block.push(&text),
                Held::Chat(words, turns) => {
                    if !block.push_chat(&words, turns) {
                        return Err(CorpusError::LongLine { path: path(), line: number, limit: LONGEST_DOCUMENT });
                    }
                }
            }
        }
        Ok(block)
    }
}

/// The parts of a document, none longer than is allowed: cut before white space, or where there is none between two
/// characters.
fn cut(text: &str, document: Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut from = document.start;
    while document.end - from > LONGEST_DOCUMENT {
        let most = text.floor_char_boundary(from + LONGEST_DOCUMENT);
        let space = memchr::memrchr2(b' ', b'\t', text.as_bytes().get(from..most).unwrap_or_default());
        let end = space.filter(|at| *at > 0).map_or(most, |at| from + at);
        parts.push(from..end);
        from = end;
    }
    parts.push(from..document.end);
    parts.retain(|r| text.get(r.clone()).is_some_and(|t| !t.trim().is_empty()));
    parts
}

/// A byte-order mark at the beginning of a file is not text.
fn without_mark(text: &str, at_start: bool) -> &str {
    if at_start { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text }
}

/// The lines of `text` that are not blank, without their line ends.
fn lines(text: String, at_start: bool) -> Block {
    let mut documents = Vec::with_capacity(text.len() / 128);
    let mut from = text.len() - without_mark(&text, at_start).len();
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]).collect();
    for end in ends {
        let line = text.get(from..end).unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        if !line.trim_start().is_empty() {
            documents.push(from..from + line.len());
        }
        from = end + 1;
    }
    Block { text, documents, ..Block::default() }
}
