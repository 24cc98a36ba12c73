//! `parallel`: a safe branch on the original tokenizer and a risky one on the candidate race; who wins, and who is
//! abandoned on the way, is decided elsewhere. On two devices both run at once; on one they take turns: each trains up to the
//! next look while the other waits.

use super::error::StrategyError;
use super::race::{RaceLog, RaceScheduler, Racer};
use super::stage::{Ready, begin, done, end, ready};
use super::{RunContext, Start, StrategyRunner, cost};
use crate::domain::event::{Event, Observer};
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::stage::Stage;
use crate::domain::strategy::Strategy;
use crate::train::{self, Fitted, TrainCallbacks};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// See the module.
pub struct Parallel;

const SAFE: Stage = Stage::ParallelA;
const RISKY: Stage = Stage::ParallelB;

impl StrategyRunner for Parallel {
    fn strategy(&self) -> Strategy {
        Strategy::Parallel
    }

    fn stages(&self) -> &'static [Stage] {
        &[SAFE, RISKY]
    }

    fn races(&self) -> bool {
        true
    }

    fn run(&self, run: &mut RunContext<'_>, start: Start) -> Result<Vec<Branch>, StrategyError> {
        let mut seats = [seat(run, SAFE)?, seat(run, RISKY)?];
        let looks = (run.env.referee)().looks();
        let waiting: Vec<Stage> = seats.iter().filter(|s| s.ended.is_none()).map(|s| s.stage).collect();
        let mut granted = run.state.budget.as_ref().map(|b| b.grant(&waiting)).unwrap_or_default().into_iter();
        let log = RaceLog::open(&run.env.out.join("branches").join("race.json"))?;
        let scheduler = Arc::new(RaceScheduler::new((run.env.referee)(), log, run.env.second.is_none()));
        for seat in &mut seats {
            let side = seat.stage.vocab().side();
            if seat.ended.is_some() {
                scheduler.leave(side);
                continue;
            }
            let config = run.inputs.config(seat.stage)?;
            seat.branch = Some(begin(run, seat.stage));
            let (memory, seconds) = (beside(run, seat.stage)?, granted.next());
            let start = Start { switch_to: start.switch_to, ..Start::default() };
            seat.ready = Some(ready(run, seat.stage, config, start, memory).map(|mut ready| {
                ready.plan.evaluate_at.clone_from(&looks);
                ready.plan.seconds = seconds;
                ready.reviewer = Box::new(Racer::new(ready.reviewer, scheduler.clone(), side, config.warmup));
                ready
            }));
        }
        for seat in &seats {
            if matches!(seat.ready, Some(Err(_))) {
                scheduler.leave(seat.stage.vocab().side());
            }
        }
        race(run, &mut seats, &scheduler);
        let mut branches = Vec::new();
        for seat in seats {
            let Seat { stage, clock, ended, branch, fitted, .. } = seat;
            let branch = match (ended, branch, fitted) {
                (Some(ended), _, _) => ended,
                (None, Some(mut branch), Some(fitted)) => {
                    end(run, stage, fitted, &mut branch, clock)?;
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
fn beside(run: &RunContext<'_>, stage: Stage) -> Result<Option<u64>, StrategyError> {
    let (Some(there), None) = (run.env.memory, run.env.second) else { return Ok(run.env.memory) };
    let inputs = run.inputs;
    let other = if stage == RISKY { SAFE } else { RISKY };
    let rows = match other.vocab() {
        Vocab::Source => inputs.base.config().size.rows,
        on => inputs.tokens(on)?.vocabulary.rows(),
    };
    let waiting = cost::waiting(inputs.base.config(), inputs.config(other)?, rows as u64);
    Ok(Some(there.saturating_sub(waiting)))
}

/// A branch of the race on its way.
struct Seat {
    stage: Stage,
    clock: Instant,
    /// How it ended before a restart.
    ended: Option<Branch>,
    branch: Option<Branch>,
    ready: Option<Result<Ready, StrategyError>>,
    fitted: Option<Result<Fitted, StrategyError>>,
}

fn seat(run: &mut RunContext<'_>, stage: Stage) -> Result<Seat, StrategyError> {
    let ended = done(run, stage)?;
    Ok(Seat { stage, clock: Instant::now(), ended, branch: None, ready: None, fitted: None })
}

/// Both branches, each in a thread of its own; on one device only one of them moves at a time.
fn race(run: &mut RunContext<'_>, seats: &mut [Seat; 2], scheduler: &Arc<RaceScheduler>) {
    let shared = Mutex::new(&mut *run.env.observer);
    let stop = run.env.stop;
    std::thread::scope(|threads| {
        for seat in seats {
            let Some(ready) = seat.ready.take() else { continue };
            let (name, side) = (seat.stage.branch(), seat.stage.vocab().side());
            let (shared, slot) = (&shared, &mut seat.fitted);
            threads.spawn(move || {
                let fit = |ready: Ready| {
                    let Ready { model, data, held_out, plan, mut reviewer } = ready;
                    scheduler.enter(side);
                    let clock = scheduler.clock(side);
                    let observer = &mut Named { name, shared };
                    let mut callbacks = TrainCallbacks { reviewer: reviewer.as_mut(), observer, stop, clock: &clock };
                    Ok(train::fit(model, &data, Some(&held_out), &plan, &mut callbacks)?)
                };
                *slot = Some(ready.and_then(fit));
                scheduler.leave(side);
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
