//! What a run stands on before anything is trained: everything read, counted and chosen, what it would cost, and what is
//! decided on that.

use super::super::decision::decide_on;
use super::super::{AppError, Settings, cost_estimate};
use super::inputs::{LoadedInputs, bytes_of, can_grow, digest, load};
use super::request::AutoRequest;
use crate::decide::DecideError;
use crate::decide::rules::RuleBook;
use crate::domain::decision::Decision;
use crate::domain::event::{Event, Observer};
use crate::domain::resources::{Costs, Resources};
use crate::domain::run::{Request, Run};
use crate::domain::strategy::Strategy;
use crate::model::device;
use crate::strategies;
use crate::strategies::cost::Hardware;
use crate::tokenizer::Coder;
use std::path::PathBuf;

/// What a run stands on: everything read, counted and chosen before anything is trained.
pub(super) struct PreparedRun {
    pub(super) inputs: LoadedInputs,
    pub(super) device: device::ChosenDevice,
    pub(super) source: Coder,
    pub(super) candidate: Coder,
    /// Tokens of the held-out text, by the original and the candidate.
    pub(super) eval_tokens: [u64; 2],
    pub(super) train_bytes: u64,
    /// Memory there is for training, bytes.
    pub(super) memory: Option<u64>,
    /// Whether two branches may be trained at once.
    pub(super) two: bool,
}

impl PreparedRun {
    /// `known`: a run that was begun; its profile is taken as it is.
    pub(super) fn prepare(
        rules: &RuleBook,
        request: &AutoRequest,
        known: Option<&Run>,
        observer: &mut dyn Observer,
    ) -> Result<Self, AppError> {
        let device = device::choose(&request.device)?;
        observer.observe(&Event::Note { text: format!("Training on {}: {}", device.name, device.why) });
        let inputs = load(rules, request, known.map(|run| &run.profile), observer)?;
        let source = Coder::of(inputs.source.tokenizer.clone(), &inputs.source.vocabulary)?;
        let candidate = Coder::of(inputs.candidate.tokenizer.clone(), &inputs.candidate.vocabulary)?;
        let eval_tokens = [source.count(&inputs.eval)?, candidate.count(&inputs.eval)?];
        let train_bytes = bytes_of(&inputs.train);
        let memory = request.resources.memory.or(device.memory);
        Ok(Self {
            inputs,
            device,
            source,
            candidate,
            eval_tokens,
            train_bytes,
            memory,
            two: request.resources.devices > 1,
        })
    }

    /// Strategies that can be carried out with these inputs.
    pub(super) fn executable(&self) -> Vec<Strategy> {
        let can = |s: &Strategy| *s != Strategy::Extend || can_grow(&self.inputs.source);
        strategies::RUNNERS.iter().map(|r| r.strategy()).filter(can).collect()
    }

    /// What costs are counted from, on a device of so many operations a second.
    pub(super) fn pricing(&self, flops_per_second: f64) -> cost_estimate::CostInputs<'_> {
        cost_estimate::CostInputs {
            config: self.inputs.base.config(),
            stages: &self.inputs.stages,
            profile: &self.inputs.profile,
            train_bytes: self.train_bytes,
            eval_tokens: self.eval_tokens,
            two: self.two,
            hardware: Hardware { memory: self.memory, ..Hardware::of(&self.device.device, flops_per_second) },
        }
    }

    pub(super) fn decide(
        &self,
        settings: &Settings,
        rules: &RuleBook,
        request: &AutoRequest,
        observer: &mut dyn Observer,
    ) -> Result<(Decision, Costs), AppError> {
        let costs = cost_estimate::costs(&self.pricing(cost_estimate::speed(settings, &self.device, observer)?));
        let resources = Resources { memory: self.memory, ..request.resources.clone() };
        let (profile, executable) = (&self.inputs.profile, self.executable());
        let on = |resources: &Resources| {
            decide_on(settings, rules, profile, resources, Some(&costs), &executable, Some(self.train_bytes))
        };
        let (decision, _) = match on(&resources) {
            // Whoever insists on a strategy gets it within the budget: the trainer hurries.
            Err(AppError::Decide(DecideError::Infeasible { .. }))
                if request.strategy.is_some() && resources.budget.is_some() =>
            {
                on(&Resources { budget: None, ..resources })?
            }
            other => other?,
        };
        Ok((decision, costs))
    }

    /// What was asked for, as the history keeps it.
    pub(super) fn record_of(&self, request: &AutoRequest) -> Request {
        let names = |paths: &[PathBuf]| paths.iter().map(|p| p.display().to_string()).collect();
        Request {
            model: request.model.display().to_string(),
            model_sha256: self.inputs.base.sha256(),
            candidate: request.candidate.display().to_string(),
            train: names(&request.train),
            train_bytes: self.train_bytes,
            eval: names(&request.eval),
            eval_sha256: digest(&self.inputs.eval),
            forced: request.strategy,
            out: request.out.display().to_string(),
            seed: request.seed,
            device: self.device.name.clone(),
        }
    }
}
