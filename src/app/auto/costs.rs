//! What a run would cost, strategy by strategy and stage by stage, before anything is trained; and the plan that
//! `--dry-run` prints.

use super::super::{PipelineError, Settings, must_be_free, price};
use super::inputs::Prepared;
use super::{AutoRequest, Ground, carry, course, inputs};
use crate::domain::decision::Decision;
use crate::domain::event::Observer;
use crate::domain::outcome::Vocab;
use crate::domain::profile::Profile;
use crate::domain::resources::{Cost, Costs};
use crate::domain::strategy::{StageConfig, Strategy};
use crate::strategies;
use crate::train::Load;
use serde::Serialize;
use std::collections::BTreeMap;

/// A budget below this share of what a forced strategy is estimated to need is refused: nothing would be learnt.
const LEAST_SHARE: f64 = 0.01;

/// How many times as long the held-out text takes with the candidate's vocabulary as with the original's.
pub(super) fn evaluation_on_candidate(inputs: &Prepared, eval_tokens: [u64; 2]) -> f64 {
    let s = inputs.base.config().size;
    let linear = s.layers * (2 * s.hidden * (s.heads + s.kv_heads) * s.head_dim + 3 * s.hidden * s.intermediate);
    let pass = |rows: usize, tokens: u64| (linear + rows * s.hidden) as f64 * tokens as f64;
    let [source, candidate] = eval_tokens;
    pass(inputs.candidate.vocabulary.rows(), candidate) / pass(s.rows, source).max(1.0)
}

/// Estimated seconds by stage, in the proportions of the stages' work; the device's speed is in the strategies' costs.
pub(super) fn by_stage(ground: &Ground, costs: &Costs) -> BTreeMap<String, f64> {
    let unit = ground.pricing(1.0);
    let mut seconds = BTreeMap::new();
    for road in strategies::ROADS {
        let parts: Vec<(&str, f64)> = road
            .stages()
            .iter()
            .filter_map(|(stage, side)| Some((*stage, price::stage(&unit, stage, *side)?.flops)))
            .collect();
        let all: f64 = parts.iter().map(|p| p.1).sum();
        let whole = costs.get(&road.strategy()).map_or(0.0, |c| c.seconds);
        seconds.extend(parts.into_iter().map(|(stage, part)| (stage.to_string(), whole * part / all.max(1.0))));
    }
    seconds
}

/// Refuses a budget in which a forced strategy could do nothing.
pub(super) fn must_fit(request: &AutoRequest, chosen: Strategy, costs: &Costs) -> Result<(), PipelineError> {
    let (Some(budget), Some(cost)) = (request.resources.budget, costs.get(&chosen)) else { return Ok(()) };
    if budget >= LEAST_SHARE * cost.seconds {
        return Ok(());
    }
    Err(PipelineError::TooLittleTime { strategy: chosen, budget, needed: cost.seconds })
}

/// A stage of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct StagePlan {
    /// Name of its configuration.
    pub stage: String,
    /// The vocabulary in use.
    pub tokenizer: Vocab,
    /// How it trains.
    pub config: StageConfig,
    /// How much of a batch it holds at once, where that is less than it asks for, for want of memory.
    pub load: Option<Load>,
    /// Estimated seconds.
    pub seconds: f64,
    /// Bytes on the disk while it trains, at most: checkpoints, and what they could be rewound to.
    pub kept: u64,
}

/// What would be done, and what it would take.
#[derive(Debug, Clone, Serialize)]
pub struct RunPlan {
    /// The evidence.
    pub profile: Profile,
    /// The decision.
    pub decision: Decision,
    /// What would be carried out.
    pub strategy: Strategy,
    /// Where it would go when a road is given up, in this order.
    pub course: Vec<Strategy>,
    /// Device that would train.
    pub device: String,
    /// UTF-8 bytes of training text.
    pub train_bytes: u64,
    /// Stages, in order, the yardstick last.
    pub stages: Vec<StagePlan>,
    /// Estimated wall seconds of all stages.
    pub seconds: f64,
    /// Estimated peak memory, bytes.
    pub memory: u64,
    /// Memory there is for training, bytes.
    pub memory_there: Option<u64>,
    /// Estimated disk, bytes: models and the largest stage's checkpoints.
    pub disk: u64,
    /// Seconds allowed.
    pub budget: Option<f64>,
}

/// Everything up to training, and nothing written.
pub fn plan(settings: &Settings, request: &AutoRequest, observer: &mut dyn Observer) -> Result<RunPlan, PipelineError> {
    must_be_free(&request.out)?;
    let rules = settings.rules()?;
    let ground = Ground::prepare(&rules, request, None, observer)?;
    let (decision, costs) = ground.decide(settings, &rules, request, observer)?;
    let strategy = request.strategy.unwrap_or(decision.strategy);
    inputs::must_be_writable(&rules, &ground, strategy)?;
    must_fit(request, strategy, &costs)?;
    let course = course(&decision, request.strategy);
    let first = match course.first() {
        Some(first) => *first,
        None => strategy,
    };
    let seconds = by_stage(&ground, &costs);
    let names = carry::stages_ahead(first, &course, request.with_keep);
    let vocabularies: BTreeMap<&str, Vocab> =
        strategies::ROADS.iter().flat_map(|r| r.stages().iter().copied()).collect();
    let pricing = ground.pricing(1.0);
    let stages: Vec<StagePlan> = names
        .iter()
        .filter_map(|name| {
            let on = *vocabularies.get(name.as_str())?;
            let config = ground.inputs.stages.get(name)?.clone();
            Some(StagePlan {
                stage: name.clone(),
                tokenizer: on,
                seconds: seconds.get(name).copied().unwrap_or(f64::NAN),
                load: price::load(&pricing, name, on).filter(|load| *load != Load::of(&config)),
                config,
                kept: pricing.kept(name, on)?,
            })
        })
        .collect();
    let trained = std::iter::once(first).chain(request.with_keep.then_some(Strategy::Keep));
    let parts: Vec<Cost> = trained.filter_map(|s| costs.get(&s).copied()).collect();
    Ok(RunPlan {
        strategy,
        course,
        device: ground.device.name.clone(),
        train_bytes: ground.train_bytes,
        seconds: stages.iter().map(|s| s.seconds).sum(),
        memory_there: ground.memory,
        memory: parts.iter().map(|c| c.memory).max().unwrap_or(0),
        disk: parts.iter().map(|c| c.disk).sum::<u64>() + stages.iter().map(|s| s.kept).max().unwrap_or(0),
        stages,
        budget: request.resources.budget,
        profile: ground.inputs.profile,
        decision,
    })
}
