//! `adaptive`: begins with what was decided and switches to the next strategy when a reviewer abandons one. What was
//! learnt on the original tokenizer carries over into the next, unless it went wrong. What counts as a reason is the
//! reviewer's business, in which order strategies are tried the decision's.

use super::error::StrategyError;
use super::{InitialWeights, RunContext, Start, StrategyRunner, abandonment_reason, runner};
use crate::domain::directive::Directive;
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::stage::Stage;
use crate::domain::strategy::Strategy;
use crate::model::ModelFolder;

/// See the module.
pub struct Adaptive;

impl StrategyRunner for Adaptive {
    fn strategy(&self) -> Strategy {
        Strategy::Adaptive
    }

    fn stages(&self) -> &'static [Stage] {
        &[]
    }

    fn run(&self, run: &mut RunContext<'_>, start: Start) -> Result<Vec<Branch>, StrategyError> {
        let order = run.inputs.fallback_order.iter().copied();
        let mut ahead = order.filter(|s| !matches!(s, Strategy::Adaptive | Strategy::Emergency));
        let (mut next, mut weights) = (ahead.next().unwrap_or(Strategy::Keep), start.weights);
        let mut rest: Vec<Strategy> = ahead.collect();
        let mut all: Vec<Branch> = Vec::new();
        loop {
            let branches = runner(next)?.run(run, Start { weights, switch_to: rest.first().copied() })?;
            run.state.incidents.extend(branches.iter().flat_map(|b| b.incidents.iter().cloned()));
            let abandoned = branches.last().or(all.last()).and_then(abandonment_reason).cloned();
            all.extend(branches);
            if run.env.stopped() {
                return Ok(all);
            }
            match abandoned {
                Some(Directive::Switch { to, because }) if rest.contains(&to) => {
                    run.env.note(format!("Switching from {next} to {to}: {because}"));
                    weights = learnt(run, &all)?;
                    rest.retain(|s| *s != to);
                    next = to;
                }
                _ => return Ok(all),
            }
        }
    }
}

/// The best that the branches so far have made of the base on its own tokenizer, if any is better than it was.
fn learnt(run: &mut RunContext<'_>, branches: &[Branch]) -> Result<InitialWeights, StrategyError> {
    let base = run.state.base.as_ref().map_or(f64::INFINITY, |e| e.bits_per_byte.get());
    let gained = |b: &&Branch| b.after.as_ref().is_some_and(|e| e.bits_per_byte.get() < base);
    let level = |b: &Branch| b.after.as_ref().map_or(f64::INFINITY, |e| e.bits_per_byte.get());
    let own = branches.iter().filter(|b| b.tokenizer == Vocab::Source).filter(gained);
    let Some(best) = own.min_by(|a, b| level(a).total_cmp(&level(b))) else { return Ok(InitialWeights::Base) };
    let Some(folder) = &best.folder else { return Ok(InitialWeights::Base) };
    run.env.note(format!("What {} learnt carries over", best.name));
    let model = ModelFolder::open(&run.env.out.join(folder))?.load(run.env.device)?;
    Ok(InitialWeights::Trained(Box::new(model)))
}
