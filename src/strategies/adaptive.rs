//! `adaptive`: begins with what was decided and goes on to the next road when a reviewer gives one up. What was learnt on
//! the original tokenizer carries over into the next road, unless it went wrong. What counts as a reason is the
//! reviewer's business, in which order roads are tried the decision's.

use super::{Road, Start, Work, given_up, road};
use crate::domain::directive::Directive;
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::strategy::Strategy;
use crate::model::ExecuteError;
use crate::model::ModelFolder;

/// See the module.
pub struct Adaptive;

impl Road for Adaptive {
    fn strategy(&self) -> Strategy {
        Strategy::Adaptive
    }

    fn stages(&self) -> &'static [(&'static str, Vocab)] {
        &[]
    }

    fn carry_out(&self, work: &mut Work<'_>, start: Start) -> Result<Vec<Branch>, ExecuteError> {
        let course = work.course;
        let mut ahead = course.iter().copied().filter(|s| !matches!(s, Strategy::Adaptive | Strategy::Emergency));
        let (mut next, mut start) = (ahead.next().unwrap_or(Strategy::Keep), start);
        let mut rest: Vec<Strategy> = ahead.collect();
        let mut all = Vec::new();
        loop {
            work.switch_to = rest.first().copied();
            let branches = road(next)?.carry_out(work, start)?;
            work.trouble.extend(branches.iter().flat_map(|b| b.incidents.iter().cloned()));
            let last = all.len() + branches.len();
            all.extend(branches);
            let up = all.get(last.wrapping_sub(1)).and_then(|b: &Branch| given_up(b)).cloned();
            work.switch_to = None;
            if work.stopped() {
                return Ok(all);
            }
            match up {
                Some(Directive::Switch { to, because }) if rest.contains(&to) => {
                    work.note(format!("Switching from {next} to {to}: {because}"));
                    start = learnt(work, &all)?;
                    rest.retain(|s| *s != to);
                    next = to;
                }
                _ => return Ok(all),
            }
        }
    }
}

/// The best that the branches so far have made of the base on its own tokenizer, if any is better than it was.
fn learnt(work: &mut Work<'_>, branches: &[Branch]) -> Result<Start, ExecuteError> {
    let base = work.before.as_ref().map_or(f64::INFINITY, |e| e.bits_per_byte.get());
    let gained = |b: &&Branch| b.after.as_ref().is_some_and(|e| e.bits_per_byte.get() < base);
    let level = |b: &Branch| b.after.as_ref().map_or(f64::INFINITY, |e| e.bits_per_byte.get());
    let own = branches.iter().filter(|b| b.tokenizer == Vocab::Source).filter(gained);
    let Some(best) = own.min_by(|a, b| level(a).total_cmp(&level(b))) else { return Ok(Start::default()) };
    let Some(folder) = &best.folder else { return Ok(Start::default()) };
    work.note(format!("What {} learnt carries over", best.name));
    let model = ModelFolder::open(&work.out.join(folder))?.load(work.device)?;
    Ok(Start { model: Some(model) })
}
