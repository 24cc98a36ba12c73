//! `hibrit scorer`: the tree that is grown on past runs.

use super::{Failure, Session};
use crate::pipeline;
use clap::Subcommand;

/// Commands below `scorer`.
#[derive(Debug, Subcommand)]
pub enum Scorer {
    /// Grow the scorer anew from the history; the next decision consults it
    Train,
}

impl Scorer {
    /// Does what was asked.
    pub fn call(self, session: &Session) -> Result<(), Failure> {
        match self {
            Scorer::Train => {
                let growth = pipeline::train_scorer(&session.settings)?;
                session.print(|| serde_json::json!({ "scorer": growth }), |_| pipeline::describe(&growth))
            }
        }
    }
}
