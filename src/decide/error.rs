//! What can go wrong while deciding. How it is shown is not known here.

use super::rules::Diagnostics;
use crate::domain::fault::{Fault, Kind};
use crate::domain::stage::Stage;
use std::path::PathBuf;

/// A decision, or the rules for it, could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The rules are wrong; all findings are inside.
    #[error("the rules cannot be used:\n{0}")]
    Rules(Diagnostics),
    /// A rules file cannot be read.
    #[error("cannot read the rules at {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A stage that the rules do not configure.
    #[error("the rules have no stage \"{name}\"")]
    NoStage {
        /// The stage.
        name: String,
    },
    /// No row answers: a value that a table needs is not known.
    #[error("table \"{table}\" has no answer, because {missing} is unknown")]
    MissingFeature {
        /// The table.
        table: String,
        /// The columns without a value.
        missing: String,
    },
    /// A feature's value is one it cannot have.
    #[error("{feature} must be {range}, not {value}")]
    BadFeature {
        /// The feature.
        feature: String,
        /// The value.
        value: String,
        /// What it may be.
        range: String,
    },
    /// Every strategy is vetoed.
    #[error("no strategy is feasible here: {reasons}")]
    Infeasible {
        /// The vetoes, by strategy.
        reasons: String,
        /// What the least demanding strategy would need.
        least: String,
    },
    /// A learning curve that cannot be extrapolated.
    #[error("the learning curve cannot be extrapolated: {reason}")]
    Curve {
        /// Why.
        reason: String,
    },
}

impl Fault for DecideError {
    fn kind(&self) -> Kind {
        match self {
            DecideError::Rules(_) | DecideError::Read { .. } | DecideError::BadFeature { .. } => Kind::Input,
            DecideError::MissingFeature { .. } | DecideError::NoStage { .. } => Kind::Input,
            DecideError::Infeasible { .. } => Kind::Infeasible,
            DecideError::Curve { .. } => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            DecideError::Rules(_) => {
                Some("correct the files named above, or omit --rules to use the built-in rules".into())
            }
            DecideError::Read { .. } => {
                Some("--rules takes a folder of .toml files with the same names as hibrit's own".into())
            }
            DecideError::NoStage { .. } => Some(format!("the stages are {}", Stage::names())),
            DecideError::MissingFeature { .. } => Some(
                "give the input it is measured on (such as a corpus), or add a row with `null` to the table".into(),
            ),
            DecideError::BadFeature { .. } => Some("the ranges are in features.toml".into()),
            DecideError::Infeasible { least, .. } => Some(least.clone()),
            DecideError::Curve { .. } => Some("wait for more evaluations".into()),
        }
    }
}
