//! Which conversations does a Parquet file hold? A column of lists of turns, row by row, as the JSON that a line of
//! `.jsonl` would hold.

use super::error::CorpusError;
use super::files::TextFile;
use super::jsonl::MESSAGES;
use super::table::{damaged, guarded};
use crate::domain::lesson::words;
use parquet::basic::{ConvertedType, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;
use std::fs::File;
use std::sync::Arc;

/// The conversations of a file while it is read.
pub(super) struct Turns {
    rows: RowIter<'static>,
    field: String,
}

/// What a row holds.
pub(super) enum Row {
    /// Words and turns.
    Chat(String, serde_json::Value),
    /// A null.
    Nothing,
    /// Something that is no list of turns.
    Other,
}

/// The column of conversations: the field's, or `messages` where there is no such field.
pub(super) fn column(schema: &Type, field: &str) -> Option<Arc<Type>> {
    let named = |name: &str| schema.get_fields().iter().find(|f| f.name() == name);
    named(field).or_else(|| named(MESSAGES)).filter(|f| f.is_group() && is_text(f)).cloned()
}

/// Whether all bytes in it are said to be strings.
fn is_text(part: &Type) -> bool {
    if part.is_group() {
        return part.get_fields().iter().all(|f| is_text(f));
    }
    part.get_physical_type() != Physical::BYTE_ARRAY || part.get_basic_info().converted_type() == ConvertedType::UTF8
}

impl Turns {
    pub(super) fn open(
        file: &TextFile,
        reader: SerializedFileReader<File>,
        column: Arc<Type>,
    ) -> Result<Self, CorpusError> {
        let field = column.name().to_owned();
        let root = reader.metadata().file_metadata().schema().name().to_owned();
        let rows = guarded(file, || {
            let projection = Type::group_type_builder(&root).with_fields(vec![column]).build()?;
            RowIter::from_file_into(Box::new(reader)).project(Some(projection))
        })?;
        Ok(Self { rows, field })
    }

    /// The next row; `None` at the end.
    pub(super) fn next(&mut self, file: &TextFile) -> Result<Option<Row>, CorpusError> {
        let row = guarded(file, || self.rows.next().transpose().map(|row| row.map(|row| row.to_json_value())))?;
        let Some(mut row) = row else { return Ok(None) };
        let turns = row.get_mut(&self.field).map(serde_json::Value::take);
        match turns {
            Some(serde_json::Value::Null) => Ok(Some(Row::Nothing)),
            Some(turns) => Ok(Some(words(&turns).map_or(Row::Other, |words| Row::Chat(words, turns)))),
            None => Err(damaged(file, format!("a row has no {}", self.field))),
        }
    }

    /// The column's name.
    pub(super) fn field(&self) -> &str {
        &self.field
    }
}
