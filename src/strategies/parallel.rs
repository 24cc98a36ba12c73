//! `parallel`: a safe branch on the original tokenizer and a risky one on the candidate race; who wins, and who is given
//! up on the way, is decided elsewhere. On two devices both run at once; on one they take turns: each trains up to the
//! next look while the other waits.

use super::race::{Course, Racer, Turns};
use super::stage::{Plan, Ready, begin, config, done, end, ready};
use super::{Road, Start, Work};
use crate::domain::event::{Event, Observer};
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::strategy::Strategy;
use crate::model::ExecuteError;
use crate::strategies::cost;
use crate::train::{self, Company, Fitted};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// See the module.
pub struct Parallel;

const SAFE: Plan = Plan { name: "a", stage: "parallel.a", strategy: Strategy::Parallel, on: Vocab::Source };
const RISKY: Plan = Plan { name: "b", stage: "parallel.b", strategy: Strategy::Parallel, on: Vocab::Candidate };

impl Road for Parallel {
    fn strategy(&self) -> Strategy {
        Strategy::Parallel
    }

    fn stages(&self) -> &'static [(&'static str, Vocab)] {
        &[("parallel.a", Vocab::Source), ("parallel.b", Vocab::Candidate)]
    }

    fn races(&self) -> bool {
        true
    }

    fn carry_out(&self, work: &mut Work<'_>, _: Start) -> Result<Vec<Branch>, ExecuteError> {
        let mut seats = [seat(work, SAFE)?, seat(work, RISKY)?];
        let looks = (work.referee)().looks();
        let waiting: Vec<&str> = seats.iter().filter(|s| s.ended.is_none()).map(|s| s.plan.stage).collect();
        let mut granted = work.budget.as_ref().map(|b| b.grant(&waiting)).unwrap_or_default().into_iter();
        let course = Course::open(&work.out.join("branches").join("race.json"))?;
        let turns = Arc::new(Turns::new((work.referee)(), course, work.second.is_none()));
        for seat in &mut seats {
            if seat.ended.is_some() {
                turns.leave(seat.plan.on.side());
                continue;
            }
            let config = config(work, &seat.plan)?;
            seat.branch = Some(begin(work, &seat.plan));
            let there = work.memory;
            work.memory = beside(work, &seat.plan)?;
            seat.ready = Some(ready(work, &seat.plan, &config, Start::default(), granted.next()).map(|mut ready| {
                ready.plan.evaluate_at.clone_from(&looks);
                let racer = Racer::new(ready.reviewer, turns.clone(), seat.plan.on.side(), config.warmup);
                ready.reviewer = Box::new(racer);
                ready
            }));
            work.memory = there;
        }
        for seat in &seats {
            if matches!(seat.ready, Some(Err(_))) {
                turns.leave(seat.plan.on.side());
            }
        }
        run(work, &mut seats, &turns);
        let mut branches = Vec::new();
        for seat in seats {
            let Seat { plan, clock, ended, branch, fitted, .. } = seat;
            let branch = match (ended, branch, fitted) {
                (Some(ended), _, _) => ended,
                (None, Some(mut branch), Some(fitted)) => {
                    end(work, &plan, fitted, &mut branch, clock)?;
                    branch
                }
                (None, _, _) => continue,
            };
            branches.push(branch);
        }
        Ok(branches)
    }
}

/// Memory there is for a branch, bytes: without what the other one holds on the same device while it waits.
fn beside(work: &Work<'_>, plan: &Plan) -> Result<Option<u64>, ExecuteError> {
    let (Some(there), None) = (work.memory, work.second) else { return Ok(work.memory) };
    let other = if plan.on == RISKY.on { SAFE } else { RISKY };
    let rows = match other.on {
        Vocab::Source => work.base.config().size.rows,
        on => work.tokens(on)?.vocabulary.rows(),
    };
    let waiting = cost::waiting(work.base.config(), &config(work, &other)?, rows as u64);
    Ok(Some(there.saturating_sub(waiting)))
}

/// A branch of the race on its way.
struct Seat {
    plan: Plan,
    clock: Instant,
    /// How it ended before a restart.
    ended: Option<Branch>,
    branch: Option<Branch>,
    ready: Option<Result<Ready, ExecuteError>>,
    fitted: Option<Result<Fitted, ExecuteError>>,
}

fn seat(work: &mut Work<'_>, plan: Plan) -> Result<Seat, ExecuteError> {
    let ended = done(work, &plan)?;
    Ok(Seat { plan, clock: Instant::now(), ended, branch: None, ready: None, fitted: None })
}

/// Both branches, each in a thread of its own; on one device only one of them moves at a time.
fn run(work: &mut Work<'_>, seats: &mut [Seat; 2], turns: &Arc<Turns>) {
    let shared = Mutex::new(&mut *work.observer);
    let stop = work.stop;
    std::thread::scope(|threads| {
        for seat in seats {
            let Some(ready) = seat.ready.take() else { continue };
            let (name, side) = (seat.plan.name, seat.plan.on.side());
            let (shared, turns, slot) = (&shared, turns.clone(), &mut seat.fitted);
            threads.spawn(move || {
                let fit = |ready: Ready| {
                    let Ready { model, data, held_out, plan, mut reviewer } = ready;
                    turns.enter(side);
                    let mut observer = Named { name, shared };
                    let mut company = Company { reviewer: reviewer.as_mut(), observer: &mut observer, stop };
                    train::fit(model, &data, Some(&held_out), &plan, &mut company)
                };
                *slot = Some(ready.and_then(fit));
                turns.leave(side);
            });
        }
    });
}

/// What a branch says, with its name.
struct Named<'a, 'b, 'c> {
    name: &'static str,
    shared: &'a Mutex<&'b mut (dyn Observer + 'c)>,
}

impl Observer for Named<'_, '_, '_> {
    fn observe(&mut self, event: &Event) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.branch(Some(self.name));
        shared.observe(event);
    }
}
