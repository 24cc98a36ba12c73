//! `hibrit analyze`: the profile of a tokenizer pair.

use super::inputs::InputArgs;
use super::{Failure, Session};
use crate::{pipeline, report};
use clap::Args;

/// Arguments of `analyze`.
#[derive(Debug, Args)]
pub struct Analyze {
    #[command(flatten)]
    inputs: InputArgs,
}

impl Analyze {
    /// Measures and prints.
    pub fn call(self, session: &Session) -> Result<(), Failure> {
        if let Some(remote) = session.remote()? {
            return remote.analyze(&self.inputs.order()?);
        }
        let mut progress = session.progress();
        let profile = pipeline::analyze(&self.inputs.inputs(), &mut progress)?;
        drop(progress);
        session.report(|form, style| report::profile(&profile, form, style))
    }
}
