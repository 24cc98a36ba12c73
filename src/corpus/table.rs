//! Which documents does a Parquet file hold? The strings of one column, in order of row, read page by page, or the
//! conversations of one ([`super::turns`]). A compressed file is unpacked beside memory, into a temporary file, since Parquet is read from its end.

use super::block::{Block, LONGEST_DOCUMENT};
use super::error::CorpusError;
use super::files::{Packing, TextFile};
use super::turns::{self, Row, Turns};
use parquet::basic::Type as Physical;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes of text a block aims at.
const BLOCK: usize = 1 << 20;
/// Rows that are asked for at once.
const ROWS: usize = 256;
/// The most that a compressed file may unpack to.
const MOST_UNPACKED: u64 = 64 << 30;

/// A Parquet file while it is read.
pub(super) struct Table<'a> {
    file: &'a TextFile,
    source: Source,
    /// Rows read so far, and all.
    row: u64,
    rows: u64,
    size: u64,
    pub over: bool,
}

/// What of it is read.
enum Source {
    Strings(Box<Strings>),
    Turns(Turns),
}

/// A column of strings.
struct Strings {
    reader: SerializedFileReader<File>,
    /// Index of the column among the leaves.
    column: usize,
    /// Whether the column may hold nulls.
    nullable: bool,
    /// The row group that is read next.
    group: usize,
    open: Option<ColumnReaderImpl<ByteArrayType>>,
}

impl<'a> Table<'a> {
    /// Opens a file and finds the column of the field.
    pub fn open(file: &'a TextFile, field: &str) -> Result<Self, CorpusError> {
        let raw = File::open(&file.path).map_err(CorpusError::io(&file.path))?;
        let size = raw.metadata().map_err(CorpusError::io(&file.path))?.len();
        let plain = match file.packing {
            Packing::Plain => raw,
            Packing::Gzip => unpacked(file, flate2::read::MultiGzDecoder::new(raw))?,
            Packing::Zstd => {
                unpacked(file, zstd::stream::read::Decoder::new(raw).map_err(CorpusError::io(&file.path))?)?
            }
        };
        let reader = guarded(file, || SerializedFileReader::new(plain))?;
        let metadata = reader.metadata().file_metadata();
        let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
        let columns = metadata.schema_descr().columns();
        let found = columns.iter().position(|c| c.path().string() == field);
        let column = found.zip(found.and_then(|at| columns.get(at))).filter(|(_, c)| {
            c.physical_type() == Physical::BYTE_ARRAY && c.max_rep_level() == 0 && c.max_def_level() <= 1
        });
        let source = match column {
            Some((column, described)) => {
                let nullable = described.max_def_level() > 0;
                Source::Strings(Box::new(Strings { column, nullable, group: 0, open: None, reader }))
            }
            None => {
                let Some(column) = turns::column(metadata.schema(), field) else {
                    let known = columns.iter().map(|c| c.path().string()).collect::<Vec<_>>().join(", ");
                    return Err(CorpusError::NoColumn { path: file.path.clone(), field: field.to_owned(), known });
                };
                Source::Turns(Turns::open(file, reader, column)?)
            }
        };
        Ok(Self { file, source, row: 0, rows, size, over: false })
    }

    /// Bytes of the file that the rows read so far stand for.
    pub fn read(&self) -> u64 {
        if self.over { self.size } else { (self.size as f64 * self.row as f64 / self.rows.max(1) as f64) as u64 }
    }

    /// The next rows' documents; nothing where the file is over.
    pub fn block(&mut self, lossy: bool) -> Result<Block, CorpusError> {
        let mut block = Block::default();
        while block.text().len() < BLOCK && !self.over {
            // Where several rows are read together the first of them is the nearest that is known.
            let (path, row) = (self.file.path.clone(), self.row + 1);
            let rows = match &mut self.source {
                Source::Strings(strings) => match strings.rows(self.file)? {
                    Some((values, rows)) => {
                        for value in &values {
                            match std::str::from_utf8(value.data()) {
                                Ok(text) => block.push(text),
                                Err(_) if lossy => block.push(&String::from_utf8_lossy(value.data())),
                                Err(_) => return Err(CorpusError::NotUtf8Row { path, row }),
                            }
                        }
                        rows
                    }
                    None => 0,
                },
                Source::Turns(turns) => match turns.next(self.file)? {
                    Some(Row::Chat(words, chat)) => {
                        if !block.push_chat(&words, chat) {
                            return Err(CorpusError::LongRow { path, row, limit: LONGEST_DOCUMENT });
                        }
                        1
                    }
                    Some(Row::Nothing) => 1,
                    Some(Row::Other) => {
                        return Err(CorpusError::NoTurns { path, row, field: turns.field().to_owned() });
                    }
                    None => 0,
                },
            };
            self.over = rows == 0;
            self.row += rows as u64;
        }
        Ok(block)
    }
}

impl Strings {
    /// Some rows' strings (nulls left out) and how many rows they are; `None` at the end.
    fn rows(&mut self, file: &TextFile) -> Result<Option<(Vec<ByteArray>, usize)>, CorpusError> {
        loop {
            let Some(open) = &mut self.open else {
                if self.group >= self.reader.num_row_groups() {
                    return Ok(None);
                }
                let (reader, group, column) = (&self.reader, self.group, self.column);
                let opened = guarded(file, || reader.get_row_group(group)?.get_column_reader(column))?;
                let ColumnReader::ByteArrayColumnReader(opened) = opened else {
                    return Err(damaged(file, "its text is stored as something else".into()));
                };
                self.open = Some(opened);
                self.group += 1;
                continue;
            };
            let (mut values, mut levels) = (Vec::new(), Vec::new());
            // Where one row is a null and the next is not UTF-8, rows are told apart one by one.
            let wanted = if self.nullable { 1 } else { ROWS };
            let (rows, ..) = guarded(file, || open.read_records(wanted, Some(&mut levels), None, &mut values))?;
            if rows > 0 {
                return Ok(Some((values, rows)));
            }
            self.open = None;
        }
    }
}

/// A compressed file's contents, in a file without a name.
fn unpacked(file: &TextFile, packed: impl Read) -> Result<File, CorpusError> {
    let io = || CorpusError::io(&file.path);
    let mut plain = tempfile::tempfile().map_err(io())?;
    let n = std::io::copy(&mut packed.take(MOST_UNPACKED), &mut plain).map_err(io())?;
    if n == MOST_UNPACKED {
        return Err(damaged(file, format!("it unpacks to more than {MOST_UNPACKED} bytes")));
    }
    plain.flush().and_then(|()| plain.rewind()).map_err(io())?;
    Ok(plain)
}

pub(super) fn damaged(file: &TextFile, reason: String) -> CorpusError {
    CorpusError::Damaged { path: file.path.clone(), reason }
}

/// The library may panic on files that contradict themselves; that is the file's fault.
pub(super) fn guarded<T>(file: &TextFile, read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, CorpusError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(parquet::errors::ParquetError::General("its parts contradict each other".into())))
        .map_err(|e| damaged(file, e.to_string()))
}
