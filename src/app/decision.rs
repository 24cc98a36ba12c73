//! From files to a profile, and from a profile to a decision: what is recommended, and what it is shown beside.

use super::profile::{ProfileOptions, ProfileRequest, measure};
use super::{AppError, Settings, cost_estimate, decision_log};
use crate::decide::{self, Case, Past};
use crate::domain::decision::Decision;
use crate::domain::event::Observer;
use crate::domain::profile::Profile;
use crate::domain::resources::{Costs, Resources};
use crate::domain::run::Run;
use crate::domain::strategy::{SeedExpectation, Strategy};
use crate::model::ModelFolder;
use crate::model::device;
use crate::strategies::cost::Hardware;
use std::collections::BTreeMap;
use strum::IntoEnumIterator;

/// What is planned, as far as advice needs it.
#[derive(Debug, Clone)]
pub struct AdviceRequest {
    /// What there is to work with.
    pub resources: Resources,
    /// UTF-8 bytes of the text that training would read; the corpus where absent.
    pub train_bytes: Option<u64>,
    /// The device that would train.
    pub device: String,
    /// Operations a second of the machine that would train; this one's, measured, where absent.
    pub speed: Option<f64>,
}

/// Held-out text that advice counts on, in bytes, where there is none to count: what `auto` reads at most.
const EVAL_BYTES: f64 = 1e6;

/// The profile and what is recommended on it. Advice: strategies that this build cannot execute are weighed too. What
/// they would cost is estimated where model and text are given.
pub fn decide(
    settings: &Settings,
    inputs: &ProfileRequest,
    plan: &AdviceRequest,
    observer: &mut dyn Observer,
) -> Result<Advice, AppError> {
    // Rules are read before anything that takes long, so that a mistake in them is told at once.
    let rules = settings.rules()?;
    let profile = measure(settings, inputs, &ProfileOptions::default(), observer)?;
    let all: Vec<Strategy> = Strategy::iter().collect();
    let train_bytes = plan.train_bytes.or_else(|| profile.corpus.as_ref().map(|c| c.bytes));
    let memory = plan.resources.memory;
    let costs = match (&inputs.model, &profile.corpus, train_bytes) {
        (Some(model), Some(corpus), Some(train_bytes)) => {
            let hardware = match plan.speed {
                Some(flops_per_second) => Hardware { flops_per_second, fused: plan.device == "cpu", memory },
                None => {
                    let device = device::choose(&plan.device)?;
                    let flops_per_second = cost_estimate::speed(settings, &device, observer)?;
                    Hardware { memory, ..Hardware::of(&device.device, flops_per_second) }
                }
            };
            let stages = rules.stages().map(|(stage, config)| (stage, config.clone())).collect();
            let share = (EVAL_BYTES / corpus.bytes.max(1) as f64).min(1.0);
            let tokens = [corpus.tokens.source, corpus.tokens.candidate];
            Some(cost_estimate::costs(&cost_estimate::CostInputs {
                config: ModelFolder::open(model)?.config(),
                stages: &stages,
                profile: &profile,
                train_bytes,
                eval_tokens: tokens.map(|n| (n as f64 * share) as u64),
                hardware,
                two: plan.resources.devices > 1,
            }))
        }
        _ => None,
    };
    let (decision, past) =
        decide_on(settings, &rules, &profile, &plan.resources, costs.as_ref(), &all, plan.train_bytes)?;
    decision_log::advice(settings, &profile, &decision, plan.train_bytes, observer);
    let seed = Strategy::iter().filter_map(|s| Some((s, rules.seed(s)?.clone()))).collect();
    Ok(Advice { profile, decision, seed, past })
}

/// A recommendation with what it is shown beside.
pub struct Advice {
    /// The evidence.
    pub profile: Profile,
    /// What is recommended.
    pub decision: Decision,
    /// What the seed expects of each strategy.
    pub seed: BTreeMap<Strategy, SeedExpectation>,
    /// Past runs.
    pub past: Vec<Run>,
}

/// A decision on a profile that is there already, and the past runs it was made with.
pub(super) fn decide_on(
    settings: &Settings,
    rules: &decide::rules::RuleBook,
    profile: &Profile,
    resources: &Resources,
    costs: Option<&Costs>,
    executable: &[Strategy],
    train_bytes: Option<u64>,
) -> Result<(Decision, Vec<Run>), AppError> {
    let (past, scorer) = match settings.existing_history()? {
        Some(history) => (history.all()?, history.live_scorer()?),
        None => (Vec::new(), None),
    };
    let case =
        Case { profile, resources, costs, executable, past: &Past::of(&past), scorer: scorer.as_ref(), train_bytes };
    let decision = decide::decide(rules, &case)?;
    Ok((decision, past))
}
