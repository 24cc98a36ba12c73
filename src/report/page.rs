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

impl Table {
    /// Without the columns that say the same `nothing` in every row.
    pub(super) fn without_columns_of(mut self, nothing: &str) -> Self {
        let says = |i: usize| self.rows.iter().any(|row| row.get(i).is_none_or(|cell| cell.text != nothing));
        let kept: Vec<bool> = (0..self.columns.len()).map(|i| self.rows.is_empty() || says(i)).collect();
        let keep = |i: usize| kept.get(i).copied().unwrap_or(true);
        let mut i = 0..;
        self.columns.retain(|_| i.next().is_none_or(keep));
        for row in &mut self.rows {
            let mut i = 0..;
            row.retain(|_| i.next().is_none_or(keep));
        }
        self
    }
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
    /// Points with their intervals on a common axis, zero marked.
    Intervals { title: String, axis: String, spans: Vec<Span> },
    /// Where a case stands between bands: one axis in numbers, one in names.
    Position { title: String, across: Across, up: Up, cells: Vec<Region>, here: String },
}

/// The horizontal axis of a position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Across {
    pub(super) name: String,
    /// Where regions meet, ascending: from the axis' beginning to its end.
    pub(super) edges: Vec<f64>,
    pub(super) at: f64,
}

/// The vertical axis of a position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Up {
    pub(super) name: String,
    /// From the bottom to the top.
    pub(super) bands: Vec<String>,
    pub(super) at: usize,
}

/// A named part of a position's plane: a range across, and a range of bands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Region {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) bands: std::ops::Range<usize>,
    pub(super) label: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) label: String,
    pub(super) low: f64,
    pub(super) at: f64,
    pub(super) high: f64,
    pub(super) chosen: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_says_nothing_in_any_row_is_left_out() {
        let cells = |texts: [&str; 3]| texts.map(|t| Cell::from(t.to_string())).to_vec();
        let columns = ["a", "b", "c"].map(|t| left(t.into())).to_vec();
        let table = Table { columns, rows: vec![cells(["1", "-", "-"]), cells(["2", "-", "3"])] };
        let table = table.without_columns_of("-");
        assert_eq!(table.columns.iter().map(|c| c.title.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert!(table.rows.iter().all(|row| row.len() == 2));
    }
}
