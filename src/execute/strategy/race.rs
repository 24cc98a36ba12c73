//! How two branches of a race keep step: they meet at looks, where a referee sees both and may give one up. What the
//! referee thinks is its own business; training is the trainer's.

use crate::domain::directive::{Directive, Measurement, Pace, Referee, Reviewer, Standing};
use crate::domain::outcome::{CurvePoint, Side};
use crate::execute::ExecuteError;
use crate::execute::model::write_atomically;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What both branches had come to at each look; on the disk, so that a restart changes no look.
#[derive(Debug, Default)]
pub(super) struct Course {
    path: PathBuf,
    looks: Vec<Met>,
}

/// A look: what came of each branch's evaluation.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Met {
    safe: Option<Reached>,
    candidate: Option<Reached>,
    /// What was said, once both had come.
    said: Option<(Option<Side>, String)>,
}

/// A branch at a look.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Reached {
    documents: Vec<f64>,
    held_out: f64,
    course: Vec<(f64, f64)>,
    end: f64,
    warmed_up: bool,
    share: f64,
}

impl Course {
    /// The course so far, if the file is there.
    pub(super) fn open(path: &Path) -> Result<Self, ExecuteError> {
        let looks = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| ExecuteError::Json { path: path.to_path_buf(), source })?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(ExecuteError::reading(path)(e)),
        };
        Ok(Self { path: path.to_path_buf(), looks })
    }

    /// A course that cannot be written is one that a restart has to go without.
    fn save(&self) {
        if let Some(folder) = self.path.parent().filter(|p| !p.as_os_str().is_empty()) {
            let _ = std::fs::create_dir_all(folder).map_err(drop).and_then(|()| {
                write_atomically(&self.path, |to| Ok(serde_json::to_writer(to, &self.looks)?)).map_err(drop)
            });
        }
    }
}

/// Who moves, and where both are.
pub(super) struct Turns {
    state: Mutex<State>,
    moved: Condvar,
    shares: Vec<f64>,
    /// Whether only one may move at a time.
    alternate: bool,
}

struct State {
    referee: Box<dyn Referee>,
    course: Course,
    /// Who has the device, where only one may.
    moving: Option<Side>,
    gone: [bool; 2],
    /// The branch that is given up, and why.
    given_up: Option<(Side, String)>,
}

fn place(side: Side) -> usize {
    match side {
        Side::Source => 0,
        Side::Candidate => 1,
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Source => Side::Candidate,
        Side::Candidate => Side::Source,
    }
}

impl State {
    fn gone(&self, side: Side) -> bool {
        self.gone.get(place(side)).copied().unwrap_or(true)
    }
}

impl Turns {
    /// A race; where the referee spoke before a restart, it is heard again.
    pub(super) fn new(referee: Box<dyn Referee>, course: Course, alternate: bool) -> Self {
        let shares = referee.looks();
        let spoken = course.looks.iter().rev().find_map(|m| m.said.clone());
        let given_up = spoken.and_then(|(side, because)| Some((side?, because)));
        let state = State { referee, course, moving: None, gone: [false; 2], given_up };
        Self { state: Mutex::new(state), moved: Condvar::new(), shares, alternate }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.moved.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the device.
    pub(super) fn enter(&self, side: Side) {
        if !self.alternate {
            return;
        }
        let mut state = self.lock();
        while state.moving.is_some_and(|s| s != side) && !state.gone(other(side)) {
            state = self.wait(state);
        }
        state.moving = Some(side);
    }

    /// The branch has ended, however it did; nobody waits for it any more.
    pub(super) fn leave(&self, side: Side) {
        let mut state = self.lock();
        if let Some(gone) = state.gone.get_mut(place(side)) {
            *gone = true;
        }
        if state.moving == Some(side) {
            state.moving = Some(other(side));
        }
        drop(state);
        self.moved.notify_all();
    }

    fn given_up(&self, side: Side) -> Option<String> {
        self.lock().given_up.as_ref().filter(|(s, _)| *s == side).map(|(_, because)| because.clone())
    }

    /// A branch is at look `index`: it waits until the other is there too or is gone. Seconds it stood still.
    fn meet(&self, side: Side, index: usize, reached: Reached) -> f64 {
        let began = Instant::now();
        let mut state = self.lock();
        while state.course.looks.len() <= index {
            state.course.looks.push(Met::default());
        }
        if let Some(met) = state.course.looks.get_mut(index) {
            match side {
                Side::Source => met.safe = Some(reached),
                Side::Candidate => met.candidate = Some(reached),
            }
        }
        self.look(&mut state, index);
        state.course.save();
        let both = |s: &State| s.course.looks.get(index).is_some_and(|m| m.safe.is_some() && m.candidate.is_some());
        if both(&state) {
            // The other waits here, or went on after a restart; this one goes on with the device.
            drop(state);
            self.moved.notify_all();
            return 0.0;
        }
        if self.alternate {
            state.moving = Some(other(side));
            self.moved.notify_all();
        }
        while !state.gone(other(side)) && (!both(&state) || (self.alternate && state.moving != Some(side))) {
            state = self.wait(state);
        }
        began.elapsed().as_secs_f64()
    }

    fn look(&self, state: &mut State, index: usize) {
        let Some(met) = state.course.looks.get(index).cloned() else { return };
        let (Some(safe), Some(candidate), None) = (met.safe, met.candidate, met.said) else { return };
        let pace = |r: &Reached| Pace {
            documents: r.documents.clone(),
            held_out: r.held_out,
            course: r.course.clone(),
            end: r.end,
        };
        let standing = Standing {
            share: safe.share.min(candidate.share),
            looks_taken: index,
            warmed_up: candidate.warmed_up,
            safe: pace(&safe),
            candidate: pace(&candidate),
        };
        let verdict = state.referee.look(&standing);
        if let Some(side) = verdict.give_up {
            state.given_up = Some((side, verdict.because.clone()));
        }
        if let Some(met) = state.course.looks.get_mut(index) {
            met.said = Some((verdict.give_up, verdict.because));
        }
    }
}

/// A reviewer that also keeps step with the rival.
pub(super) struct Racer {
    inner: Box<dyn Reviewer>,
    turns: Arc<Turns>,
    side: Side,
    /// Share of the plan that warms up.
    warmup: f64,
    course: Vec<(f64, f64)>,
    planned: u64,
    /// Bytes it will have seen at the end.
    end: f64,
}

impl Racer {
    pub(super) fn new(inner: Box<dyn Reviewer>, turns: Arc<Turns>, side: Side, warmup: f64) -> Self {
        Self { inner, turns, side, warmup, course: Vec::new(), planned: 0, end: 0.0 }
    }
}

impl Reviewer for Racer {
    fn review(&mut self, m: &Measurement) -> Directive {
        if let Some(because) = self.turns.given_up(self.side) {
            return Directive::StopEarly { because: format!("the race: {because}") };
        }
        self.planned = m.steps_planned;
        self.course.push((m.bytes_seen as f64, m.bits_per_byte));
        self.end = m.bytes_seen as f64 * m.steps_planned as f64 / m.step.max(1) as f64;
        self.inner.review(m)
    }

    fn evaluated(&mut self, at: &CurvePoint, documents: &[(f64, u64)]) -> f64 {
        self.inner.evaluated(at, documents);
        if self.planned == 0 || at.step == 0 || at.step >= self.planned {
            return 0.0;
        }
        let share = at.step as f64 / self.planned as f64;
        // The look this evaluation was made for: the last that is due.
        let Some(index) = self.turns.shares.iter().rposition(|s| *s <= share) else { return 0.0 };
        let bits = |(nats, bytes): &(f64, u64)| nats / (std::f64::consts::LN_2 * (*bytes).max(1) as f64);
        let reached = Reached {
            documents: documents.iter().map(bits).collect(),
            held_out: at.eval_bits_per_byte.unwrap_or(f64::MAX),
            course: self.course.clone(),
            end: self.end,
            warmed_up: share >= self.warmup,
            share,
        };
        self.turns.meet(self.side, index, reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::directive::Verdict;

    /// Gives the candidate up at the second look.
    struct Second(Arc<Mutex<Vec<(usize, usize, usize)>>>);

    impl Referee for Second {
        fn looks(&self) -> Vec<f64> {
            vec![0.25, 0.5, 0.75]
        }

        fn look(&mut self, s: &Standing) -> Verdict {
            self.0.lock().unwrap().push((s.looks_taken, s.safe.course.len(), s.candidate.course.len()));
            let give_up = (s.looks_taken == 1).then_some(Side::Candidate);
            Verdict { give_up, because: "the second look".into() }
        }
    }

    struct Calm;

    impl Reviewer for Calm {
        fn review(&mut self, _: &Measurement) -> Directive {
            Directive::Continue
        }
    }

    /// A branch of 8 steps that evaluates after steps 2, 4 and 6, as the trainer does.
    fn branch(turns: &Arc<Turns>, side: Side, moving: &Mutex<Vec<Side>>) -> u64 {
        let mut racer = Racer::new(Box::new(Calm), turns.clone(), side, 0.1);
        turns.enter(side);
        let mut last = 0;
        for step in 1..=8u64 {
            moving.lock().unwrap().push(side);
            let m = Measurement {
                step,
                steps_planned: 8,
                bytes_seen: step * 100,
                tokens_seen: step,
                loss: 1.0,
                bits_per_byte: 1.0,
                gradient_norm: 1.0,
                learning_rate: 1e-3,
                tokens_per_second: 1.0,
                elapsed: 0.0,
                peak_memory: 0,
            };
            if matches!(racer.review(&m), Directive::StopEarly { .. }) {
                break;
            }
            last = step;
            if step % 2 == 0 && step < 8 {
                let at = CurvePoint {
                    step,
                    bytes_seen: step * 100,
                    elapsed: 0.0,
                    train_bits_per_byte: None,
                    eval_bits_per_byte: Some(1.0),
                };
                racer.evaluated(&at, &[(1.0, 2)]);
            }
        }
        turns.leave(side);
        last
    }

    /// What a race of two made-up branches gives to look at.
    type Raced = (u64, u64, Vec<(usize, usize, usize)>, Vec<Side>);

    fn race(alternate: bool) -> Raced {
        let seen = Arc::new(Mutex::new(vec![]));
        let turns = Arc::new(Turns::new(Box::new(Second(seen.clone())), Course::default(), alternate));
        let moving = Mutex::new(vec![]);
        let (safe, candidate) = std::thread::scope(|threads| {
            let a = threads.spawn(|| branch(&turns, Side::Source, &moving));
            let b = threads.spawn(|| branch(&turns, Side::Candidate, &moving));
            (a.join().unwrap(), b.join().unwrap())
        });
        let looks = seen.lock().unwrap().clone();
        (safe, candidate, looks, moving.into_inner().unwrap())
    }

    #[test]
    fn branches_meet_at_every_look_and_the_one_given_up_stops_there() {
        for alternate in [true, false] {
            let (safe, candidate, looks, _) = race(alternate);
            assert_eq!((safe, candidate), (8, 4), "alternate {alternate}");
            // Both have come equally far at a look, whoever came first.
            assert_eq!(looks[..2], [(0, 2, 2), (1, 4, 4)]);
        }
    }

    #[test]
    fn on_one_device_branches_take_turns_from_look_to_look() {
        let (_, _, _, moving) = race(true);
        let turns: Vec<usize> = moving.chunk_by(|a, b| a == b).map(<[Side]>::len).collect();
        // 2 steps of whoever comes first, then 2 + 2 of the other, and so on; the one given up stops at its next step.
        let expected = if moving.first() == Some(&Side::Source) { [2, 4, 4] } else { [2, 4, 3] };
        assert_eq!(turns[..3], expected, "{turns:?}");
    }

    #[test]
    fn a_branch_whose_rival_is_gone_goes_on_alone() {
        let seen = Arc::new(Mutex::new(vec![]));
        let turns = Arc::new(Turns::new(Box::new(Second(seen)), Course::default(), true));
        turns.leave(Side::Candidate);
        assert_eq!(branch(&turns, Side::Source, &Mutex::new(vec![])), 8);
    }
}
