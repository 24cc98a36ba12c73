//! What does a report consist of, whatever it is written on? Headings, sentences, tables, charts. What stands in them
//! is decided in `content`; how they look, in `text`, `markdown` and `html`.

/// A report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

/// A part of a report.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block {
    /// The sentence that everything else supports.
    Answer(Tone, String),
    Heading(String),
    Text(String),
    /// Small print.
    Note(String),
    List(Vec<String>),
    Table(Table),
    Chart(Chart),
    /// Commands to type, as they are.
    Commands(Vec<String>),
}

/// What a word or a number means to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tone {
    #[default]
    Plain,
    Strong,
    Good,
    Bad,
    Muted,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub(super) title: String,
    /// Numbers stand to the right.
    pub(super) right: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// A picture of numbers; every number in it also stands in a table or a sentence.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Chart {
    /// Lines over a common axis.
    Curves { title: String, axis: String, series: Vec<Series> },
    /// Lengths beside labels, each in 0..=`full`.
    Bars { title: String, full: f64, bars: Vec<Bar> },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    /// The value as it is written.
    pub(super) text: String,
}

pub(super) fn left(title: String) -> Column {
    Column { title, right: false }
}

pub(super) fn right(title: String) -> Column {
    Column { title, right: true }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, tone: Tone::Plain }
    }
}

impl Cell {
    pub(super) fn toned(text: String, tone: Tone) -> Self {
        Self { text, tone }
    }
}
