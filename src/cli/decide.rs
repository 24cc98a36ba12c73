//! `hibrit decide`: the recommendation report.

use super::inputs::{InputArgs, ResourceArgs, bytes, speed};
use super::{Failure, Session};
use crate::report::Form;
use crate::service::api::{DecisionOrder, ResourcesOrder};
use crate::{app, report};
use clap::Args;

/// Arguments of `decide`.
#[derive(Debug, Args)]
pub struct Decide {
    #[command(flatten)]
    inputs: InputArgs,
    #[command(flatten)]
    resources: ResourceArgs,
    /// How much text training would read, such as 200MB [default: the corpus]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    train_bytes: Option<u64>,
    /// The device that would train: auto, cpu or cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// Speed of another machine that would train, such as 300TFLOPS [default: this machine's, measured once]
    #[arg(long, value_name = "SPEED", value_parser = speed)]
    speed: Option<f64>,
    /// Print the full report: everything the recommendation rests on
    #[arg(long)]
    full: bool,
}

impl Decide {
    /// Measures, decides, logs and prints.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        if let Some(remote) = session.remote()? {
            let inputs = Some(self.inputs.order()?);
            let resources = ResourcesOrder::of(&self.resources.resources());
            let order = DecisionOrder { profile_name: None, profile: None, inputs, resources };
            return remote.decide(&order, self.full);
        }
        let mut progress = session.progress();
        let plan = app::AdviceRequest {
            resources: self.resources.resources(),
            train_bytes: self.train_bytes,
            device: self.device.clone(),
            speed: self.speed,
        };
        let advice = app::decide(&session.settings, &self.inputs.inputs(), &plan, &mut progress)?;
        drop(progress);
        let background = report::Background { seed: &advice.seed, runs: &advice.past };
        let (profile, decision) = (&advice.profile, &advice.decision);
        session.report(|form, style| match form {
            Form::Text if !self.full => report::text::brief(profile, decision, background, style),
            _ => report::decision(profile, decision, background, form, style),
        })
    }
}
