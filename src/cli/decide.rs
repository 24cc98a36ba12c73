//! `hibrit decide`: the recommendation report.

use super::inputs::{InputArgs, ResourceArgs};
use super::{Failure, Session};
use crate::http::api::{DecisionOrder, ResourcesOrder};
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
        if let Some(remote) = session.remote()? {
            let inputs = Some(self.inputs.order()?);
            let resources = ResourcesOrder::of(&self.resources.resources());
            return remote.decide(&DecisionOrder { profile_name: None, profile: None, inputs, resources });
        }
        let mut progress = session.progress();
        let advice =
            pipeline::decide(&session.settings, &self.inputs.inputs(), &self.resources.resources(), &mut progress)?;
        drop(progress);
        let background = report::Background { seed: &advice.seed, runs: &advice.past };
        session.report(|form, style| report::decision(&advice.profile, &advice.decision, background, form, style))
    }
}
