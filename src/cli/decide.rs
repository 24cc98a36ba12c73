//! `hibrit decide`: the recommendation report.

use super::inputs::{InputArgs, ResourceArgs};
use super::{Failure, Session};
use crate::{pipeline, report};
use clap::Args;

/// Arguments of `decide`.
#[derive(Debug, Args)]
pub struct Decide {
    #[command(flatten)]
    inputs: InputArgs,
    #[command(flatten)]
    resources: ResourceArgs,
}

impl Decide {
    /// Measures, decides and prints.
    pub fn call(self, session: &Session) -> Result<(), Failure> {
        let mut progress = session.progress();
        let advice =
            pipeline::decide(&session.settings, &self.inputs.inputs(), &self.resources.resources(), &mut progress)?;
        drop(progress);
        let background = report::Background { seed: &advice.seed, runs: &advice.past };
        session.report(|form, style| report::decision(&advice.profile, &advice.decision, background, form, style))
    }
}
