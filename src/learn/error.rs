//! What can go wrong while learning. Too little history is not an error: the rules decide alone then.

use crate::domain::fault::{Fault, Kind};

/// Trouble while growing a scorer.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// An option outside its range.
    #[error("{option} must be {range}, not {value}")]
    Option { option: &'static str, range: &'static str, value: String },
    /// The tree library refused.
    #[error("no tree could be grown on {rows} rows")]
    Tree { rows: usize, source: linfa::Error },
    /// An array of the wrong shape: a fault of ours.
    #[error("{rows} rows do not make a table of {columns} columns")]
    Shape { rows: usize, columns: usize, source: ndarray::ShapeError },
}

impl Fault for LearnError {
    fn kind(&self) -> Kind {
        match self {
            Self::Option { .. } => Kind::Usage,
            Self::Tree { .. } | Self::Shape { .. } => Kind::Failed,
        }
    }
}
