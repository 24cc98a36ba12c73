//! What a run would cost, strategy by strategy and stage by stage, before anything is trained; and the plan that
//! `--dry-run` prints.

use super::super::{AppError, Settings, cost_estimate};
use super::AutoRequest;
use super::inputs::{self, LoadedInputs};
use super::prepared::PreparedRun;
use crate::domain::decision::Decision;
use crate::domain::event::Observer;
use crate::domain::outcome::Vocab;
use crate::domain::profile::Profile;
use crate::domain::resources::{Cost, Costs};
use crate::domain::stage::Stage;
use crate::domain::strategy::{StageConfig, Strategy};
use crate::strategies;
use crate::train::Load;
use serde::Serialize;
use std::collections::BTreeMap;

/// A budget below this share of what a forced strategy is estimated to need is refused: nothing would be learnt.
const LEAST_SHARE: f64 = 0.01;

/// How many times as long the held-out text takes with the candidate's vocabulary as with the original's.
pub(super) fn evaluation_on_candidate(inputs: &LoadedInputs, eval_tokens: [u64; 2]) -> f64 {
    let s = inputs.base.config().size;
    let pass = |rows: usize, tokens: u64| (s.layer_weights() + rows * s.hidden) as f64 * tokens as f64;
    let [source, candidate] = eval_tokens;
    pass(inputs.candidate.vocabulary.rows(), candidate) / pass(s.rows, source).max(1.0)
}

/// Estimated seconds by stage, in the proportions of the stages' work; the device's speed is in the strategies' costs.
pub(super) fn seconds_by_stage(prepared: &PreparedRun, costs: &Costs) -> BTreeMap<Stage, f64> {
    let unit = prepared.pricing(1.0);
    let mut seconds = BTreeMap::new();
    for runner in strategies::RUNNERS {
        let flops = |stage: &Stage| Some((*stage, cost_estimate::stage(&unit, *stage)?.flops));
        let parts: Vec<(Stage, f64)> = runner.stages().iter().filter_map(flops).collect();
        let all: f64 = parts.iter().map(|p| p.1).sum();
        let whole = costs.get(&runner.strategy()).map_or(0.0, |c| c.seconds);
        seconds.extend(parts.into_iter().map(|(stage, part)| (stage, whole * part / all.max(1.0))));
    }
    seconds
}

/// The stages that will be trained if nothing goes wrong, the yardstick last.
pub(super) fn stages_ahead(chosen: Strategy, fallback_order: &[Strategy], with_keep: bool) -> Vec<Stage> {
    let first = match (chosen, fallback_order.first()) {
        (Strategy::Adaptive, Some(first)) => *first,
        _ => chosen,
    };
    let of = |s: Strategy| strategies::runner(s).map(|r| r.stages()).unwrap_or_default();
    let yardstick =
        if with_keep && first != Strategy::Keep && first != Strategy::Parallel { of(Strategy::Keep) } else { &[] };
    of(first).iter().chain(yardstick).copied().collect()
}

/// What is begun with, and what to switch to when it is abandoned: the decision's order, and `keep` in any case. A race,
/// and strategies that must be asked for, are not switched to.
pub(super) fn fallback_order(decision: &Decision, forced: Option<Strategy>) -> Vec<Strategy> {
    let first = match forced {
        None | Some(Strategy::Adaptive) => decision.strategy,
        Some(_) => return Vec::new(),
    };
    let later = |s: &Strategy| matches!(s, Strategy::Keep | Strategy::Direct | Strategy::Sequential);
    let feasible = decision.alternatives.iter().filter(|a| a.vetoes.is_empty()).map(|a| a.strategy);
    let first = match first {
        Strategy::Adaptive => feasible.clone().find(|s| later(s) || *s == Strategy::Parallel).unwrap_or(Strategy::Keep),
        other => other,
    };
    let mut order = vec![first];
    for next in feasible.filter(later).chain([Strategy::Keep]) {
        if !order.contains(&next) {
            order.push(next);
        }
    }
    order
}

/// Refuses a budget in which a forced strategy could do nothing.
pub(super) fn must_fit(request: &AutoRequest, chosen: Strategy, costs: &Costs) -> Result<(), AppError> {
    let (Some(budget), Some(cost)) = (request.resources.budget, costs.get(&chosen)) else { return Ok(()) };
    if budget >= LEAST_SHARE * cost.seconds {
        return Ok(());
    }
    Err(AppError::TooLittleTime { strategy: chosen, budget, needed: cost.seconds })
}

/// A stage of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct StagePlan {
    /// Which.
    pub stage: Stage,
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
    /// What it would switch to when a strategy is abandoned, in this order.
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
pub fn plan(settings: &Settings, request: &AutoRequest, observer: &mut dyn Observer) -> Result<RunPlan, AppError> {
    settings.must_be_free(&request.out)?;
    let rules = settings.rules()?;
    let prepared = PreparedRun::prepare(&rules, request, None, observer)?;
    let (decision, costs) = prepared.decide(settings, &rules, request, observer)?;
    let strategy = request.strategy.unwrap_or(decision.strategy);
    inputs::must_be_writable(&rules, &prepared, strategy)?;
    must_fit(request, strategy, &costs)?;
    let course = fallback_order(&decision, request.strategy);
    let first = match course.first() {
        Some(first) => *first,
        None => strategy,
    };
    let seconds = seconds_by_stage(&prepared, &costs);
    let pricing = prepared.pricing(1.0);
    let stages: Vec<StagePlan> = stages_ahead(first, &course, request.with_keep)
        .into_iter()
        .filter_map(|stage| {
            let config = prepared.inputs.stages.get(&stage)?.clone();
            Some(StagePlan {
                stage,
                tokenizer: stage.vocab(),
                seconds: seconds.get(&stage).copied().unwrap_or(f64::NAN),
                load: cost_estimate::load(&pricing, stage).filter(|load| *load != Load::of(&config)),
                config,
                kept: pricing.kept(stage)?,
            })
        })
        .collect();
    let trained = std::iter::once(first).chain(request.with_keep.then_some(Strategy::Keep));
    let parts: Vec<Cost> = trained.filter_map(|s| costs.get(&s).copied()).collect();
    Ok(RunPlan {
        strategy,
        course,
        device: prepared.device.name.clone(),
        train_bytes: prepared.train_bytes,
        seconds: stages.iter().map(|s| s.seconds).sum(),
        memory_there: prepared.memory,
        memory: parts.iter().map(|c| c.memory).max().unwrap_or(0),
        disk: parts.iter().map(|c| c.disk).sum::<u64>() + stages.iter().map(|s| s.kept).max().unwrap_or(0),
        stages,
        budget: request.resources.budget,
        profile: prepared.inputs.profile,
        decision,
    })
}
