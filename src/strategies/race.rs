//! How two branches of a race keep step: they meet at looks, where a referee sees both and may abandon one. The
//! scheduler knows who moves and how long each branch stood still; what the referee thinks is its own business, training
//! the trainer's.

use super::error::StrategyError;
use crate::domain::directive::{Directive, Measurement, Pace, Referee, Reviewer, Standing};
use crate::domain::outcome::{CurvePoint, Side};
use crate::domain::reason::{LookReason, ReviewReason};
use crate::files::FileError;
use crate::model::write_atomically;
use crate::train::Clock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What both branches had come to at each look; on the disk, so that a restart changes no look.
#[derive(Debug, Default)]
pub(super) struct RaceLog {
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
    /// Why, as a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<LookReason>,
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

impl RaceLog {
    /// The looks so far, if the file is there.
    pub(super) fn open(path: &Path) -> Result<Self, StrategyError> {
        let looks = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(FileError::parsing(path))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(FileError::reading(path)(e).into()),
        };
        Ok(Self { path: path.to_path_buf(), looks })
    }

    /// A log that cannot be written is one that a restart has to go without.
    fn save(&self) {
        if let Some(folder) = self.path.parent().filter(|p| !p.as_os_str().is_empty()) {
            let _ = std::fs::create_dir_all(folder).map_err(drop).and_then(|()| {
                write_atomically(&self.path, |to| Ok(serde_json::to_writer(to, &self.looks)?)).map_err(drop)
            });
        }
    }
}

/// Who moves, where both are, and how long each has stood still.
pub(super) struct RaceScheduler {
    state: Mutex<State>,
    moved: Condvar,
    shares: Vec<f64>,
    /// Whether only one may move at a time.
    alternate: bool,
    began: Instant,
}

struct State {
    referee: Box<dyn Referee>,
    log: RaceLog,
    /// Who has the device, where only one may: the safe branch begins.
    moving: Side,
    gone: [bool; 2],
    /// The last look that each has come to.
    at: [Option<usize>; 2],
    /// Seconds that each has waited for its rival since training began.
    stood: [f64; 2],
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

    /// Whether the branch has come to look `index`, or past it.
    fn has_come(&self, side: Side, index: usize) -> bool {
        self.at.get(place(side)).copied().flatten() >= Some(index)
    }
}

impl RaceScheduler {
    /// A race from its beginning, or from where its log has come to.
    pub(super) fn new(referee: Box<dyn Referee>, log: RaceLog, alternate: bool) -> Self {
        let shares = referee.looks();
        let state = State { referee, log, moving: Side::Source, gone: [false; 2], at: [None; 2], stood: [0.0; 2] };
        Self { state: Mutex::new(state), moved: Condvar::new(), shares, alternate, began: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.moved.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the device.
    pub(super) fn enter(&self, side: Side) {
        let mut state = self.lock();
        while self.alternate && state.moving != side && !state.gone(other(side)) {
            state = self.wait(state);
        }
    }

    /// The branch's own clock: it stands while the branch waits for its rival.
    pub(super) fn clock(&self, side: Side) -> BranchClock<'_> {
        BranchClock { scheduler: self, side }
    }

    /// The branch has ended, however it did; nobody waits for it any more.
    pub(super) fn leave(&self, side: Side) {
        let mut state = self.lock();
        if let Some(gone) = state.gone.get_mut(place(side)) {
            *gone = true;
        }
        if state.moving == side {
            state.moving = other(side);
        }
        drop(state);
        self.moved.notify_all();
    }

    /// Why the branch was abandoned at look `index` or before. What later looks said, before a restart, is not for a
    /// branch that has yet to come there.
    fn abandoned(&self, side: Side, index: usize) -> Option<LookReason> {
        let state = self.lock();
        let lost = |met: &Met| {
            let (_, sentence) = met.said.as_ref().filter(|(lost, _)| *lost == Some(side))?;
            Some(met.reason.clone().unwrap_or_else(|| LookReason::Said { sentence: sentence.clone() }))
        };
        state.log.looks.iter().take(index + 1).find_map(lost)
    }

    /// A branch has come to look `index` and waits for its rival.
    fn meet(&self, side: Side, index: usize, reached: Reached) {
        let mut state = self.lock();
        while state.log.looks.len() <= index {
            state.log.looks.push(Met::default());
        }
        if let Some(met) = state.log.looks.get_mut(index) {
            let seen = match side {
                Side::Source => &mut met.safe,
                Side::Candidate => &mut met.candidate,
            };
            seen.get_or_insert(reached);
        }
        self.look(&mut state, index);
        state.log.save();
        drop(state);
        self.stand(side, index);
    }

    /// A branch that has come to look `index` waits until its rival has too, or is gone.
    fn stand(&self, side: Side, index: usize) {
        let began = Instant::now();
        let rival = other(side);
        let mut state = self.lock();
        if let Some(at) = state.at.get_mut(place(side)) {
            *at = Some(index);
        }
        self.moved.notify_all();
        if state.has_come(rival, index) {
            // The rival waits here, or was here before a restart; this one goes on with the device.
            return;
        }
        if self.alternate {
            state.moving = rival;
        }
        let held_up = |s: &State| !s.has_come(rival, index) || (self.alternate && s.moving != side);
        while !state.gone(rival) && held_up(&state) {
            state = self.wait(state);
        }
        if let Some(stood) = state.stood.get_mut(place(side)) {
            *stood += began.elapsed().as_secs_f64();
        }
    }

    fn look(&self, state: &mut State, index: usize) {
        let Some(met) = state.log.looks.get(index).cloned() else { return };
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
        let look = state.referee.look(&standing);
        if let Some(met) = state.log.looks.get_mut(index) {
            met.said = Some((look.give_up, look.because.to_string()));
            met.reason = Some(look.because);
        }
    }
}

/// The clock of one branch of a race.
pub(super) struct BranchClock<'a> {
    scheduler: &'a RaceScheduler,
    side: Side,
}

impl Clock for BranchClock<'_> {
    fn seconds(&self) -> f64 {
        let stood = self.scheduler.lock().stood.get(place(self.side)).copied().unwrap_or_default();
        self.scheduler.began.elapsed().as_secs_f64() - stood
    }
}

/// A reviewer that also keeps step with the rival.
pub(super) struct Racer {
    inner: Box<dyn Reviewer>,
    scheduler: Arc<RaceScheduler>,
    side: Side,
    /// Share of the plan that warms up.
    warmup: f64,
    own: Own,
}

/// What a racer knows of its own branch.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Own {
    course: Vec<(f64, f64)>,
    planned: u64,
    /// Bytes it will have seen at the end.
    end: f64,
    /// The last look it has come to.
    at: Option<usize>,
}

impl Racer {
    pub(super) fn new(inner: Box<dyn Reviewer>, scheduler: Arc<RaceScheduler>, side: Side, warmup: f64) -> Self {
        Self { inner, scheduler, side, warmup, own: Own::default() }
    }
}

impl Reviewer for Racer {
    fn review(&mut self, m: &Measurement) -> Directive {
        if let Some(look) = self.own.at.and_then(|index| self.scheduler.abandoned(self.side, index)) {
            return Directive::StopEarly { because: ReviewReason::Race { look }.into() };
        }
        self.own.planned = m.steps_planned;
        if m.bits_per_byte.is_finite() {
            self.own.course.push((m.bytes_seen as f64, m.bits_per_byte));
        }
        self.own.end = m.bytes_seen as f64 * m.steps_planned as f64 / m.step.max(1) as f64;
        self.inner.review(m)
    }

    fn evaluated(&mut self, at: &CurvePoint, documents: &[(f64, u64)]) {
        self.inner.evaluated(at, documents);
        if self.own.planned == 0 || at.step == 0 || at.step >= self.own.planned {
            return;
        }
        let share = at.step as f64 / self.own.planned as f64;
        // The look this evaluation was made for: the last that is due. An evaluation at the end of a branch that was cut
        // short is for none.
        let due = self.scheduler.shares.iter().rposition(|s| *s <= share).filter(|index| self.own.at < Some(*index));
        let Some(index) = due else { return };
        self.own.at = Some(index);
        let bits = |(nats, bytes): &(f64, u64)| nats / (std::f64::consts::LN_2 * (*bytes).max(1) as f64);
        let reached = Reached {
            documents: documents.iter().map(bits).collect(),
            held_out: at.eval_bits_per_byte.unwrap_or(f64::MAX),
            course: self.own.course.clone(),
            end: self.own.end,
            warmed_up: share >= self.warmup,
            share,
        };
        self.scheduler.meet(self.side, index, reached);
    }

    fn save_state(&self) -> Value {
        json!({ "own": &self.own, "inner": self.inner.save_state() })
    }

    fn load_state(&mut self, state: &Value) -> Result<(), String> {
        self.own = Own::deserialize(&state["own"]).map_err(|e| format!("the racer's memory is damaged: {e}"))?;
        self.inner.load_state(&state["inner"])?;
        // A branch that was stopped while it waited for its rival waits on.
        if let Some(index) = self.own.at {
            self.scheduler.stand(self.side, index);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::directive::Look;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Gives a side up at the second look, and remembers how far both had come at each.
    struct Second(Side, Arc<Mutex<Vec<(usize, usize, usize)>>>);

    impl Referee for Second {
        fn looks(&self) -> Vec<f64> {
            vec![0.25, 0.5, 0.75]
        }

        fn look(&mut self, s: &Standing) -> Look {
            self.1.lock().unwrap().push((s.looks_taken, s.safe.course.len(), s.candidate.course.len()));
            let give_up = (s.looks_taken == 1).then_some(self.0);
            Look { give_up, p: None, because: LookReason::Said { sentence: "the second look".into() } }
        }
    }

    struct Calm;

    impl Reviewer for Calm {
        fn review(&mut self, _: &Measurement) -> Directive {
            Directive::Continue
        }
    }

    /// Steps that a branch plans: the candidate's takes three to the safe branch's two.
    fn planned(side: Side) -> u64 {
        if side == Side::Source { 8 } else { 12 }
    }

    /// Where a branch stands: its step, and what its reviewer remembers.
    type Saved = Option<(u64, Value)>;

    /// What happens to a race: the side and the step at which the process is told to stop (or killed).
    #[derive(Debug, Clone, Copy)]
    struct Fate {
        side: Side,
        step: u64,
        /// Nothing is saved on the way out.
        killed: bool,
    }

    /// A branch as the trainer trains it: evaluates at the looks, saves every third step, and when told to stop. Gives
    /// the step it ended at, if it did.
    fn branch(
        scheduler: &Arc<RaceScheduler>,
        side: Side,
        saved: &mut Saved,
        fate: Option<Fate>,
        stop: &AtomicBool,
        moving: &Mutex<Vec<Side>>,
    ) -> Option<u64> {
        let mut racer = Racer::new(Box::new(Calm), scheduler.clone(), side, 0.1);
        scheduler.enter(side);
        let mut step = 0;
        if let Some((at, memory)) = saved.as_ref() {
            step = *at;
            racer.load_state(memory).unwrap();
        }
        let (all, mut looks) = (planned(side), scheduler.shares.clone());
        looks.retain(|share| *share > step as f64 / all as f64);
        let end = loop {
            if step == all {
                break Some(step);
            }
            if stop.load(Ordering::SeqCst) {
                if fate.is_some_and(|f| !f.killed) {
                    *saved = Some((step, racer.save_state()));
                }
                break None;
            }
            moving.lock().unwrap().push(side);
            let m = Measurement {
                step: step + 1,
                steps_planned: all,
                bytes_seen: (step + 1) * 100,
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
                break Some(step);
            }
            step += 1;
            if fate.is_some_and(|f| f.side == side && f.step == step) {
                stop.store(true, Ordering::SeqCst);
            }
            let share = step as f64 / all as f64;
            if step < all && looks.first().is_some_and(|look| share >= *look) {
                looks.retain(|look| *look > share);
                let at = CurvePoint {
                    step,
                    bytes_seen: step * 100,
                    elapsed: 0.0,
                    train_bits_per_byte: None,
                    eval_bits_per_byte: Some(1.0),
                };
                racer.evaluated(&at, &[(1.0, 2)]);
            }
            if step.is_multiple_of(3) && !stop.load(Ordering::SeqCst) {
                *saved = Some((step, racer.save_state()));
            }
        };
        scheduler.leave(side);
        end
    }

    /// What a race of two made-up branches came to: where each ended, and what was said at each look.
    #[derive(Debug, PartialEq)]
    struct Raced {
        ends: [Option<u64>; 2],
        said: Vec<Option<(Option<Side>, String)>>,
    }

    /// One process of a race; with the looks it took and who moved when.
    fn process(
        loser: Side,
        alternate: bool,
        log: RaceLog,
        saved: &mut [Saved; 2],
        fate: Option<Fate>,
    ) -> (Raced, Vec<(usize, usize, usize)>, Vec<Side>) {
        let seen = Arc::new(Mutex::new(vec![]));
        let scheduler = Arc::new(RaceScheduler::new(Box::new(Second(loser, seen.clone())), log, alternate));
        let (stop, moving) = (AtomicBool::new(false), Mutex::new(vec![]));
        let [a, b] = saved;
        let ends = std::thread::scope(|threads| {
            let (scheduler, stop, moving) = (&scheduler, &stop, &moving);
            let a = threads.spawn(move || branch(scheduler, Side::Source, a, fate, stop, moving));
            let b = threads.spawn(move || branch(scheduler, Side::Candidate, b, fate, stop, moving));
            [a.join().unwrap(), b.join().unwrap()]
        });
        let said = scheduler.lock().log.looks.iter().map(|met| met.said.clone()).collect();
        let looks = seen.lock().unwrap().clone();
        (Raced { ends, said }, looks, moving.into_inner().unwrap())
    }

    #[test]
    fn branches_meet_at_every_look_and_the_one_given_up_stops_there() {
        for alternate in [true, false] {
            let (raced, looks, _) = process(Side::Candidate, alternate, RaceLog::default(), &mut [None, None], None);
            assert_eq!(raced.ends, [Some(8), Some(6)], "alternate {alternate}");
            // Both have come equally far at a look, whoever came first.
            assert_eq!(looks, [(0, 2, 3), (1, 4, 6)]);
        }
    }

    #[test]
    fn on_one_device_branches_take_turns_from_look_to_look_and_the_safe_one_begins() {
        let (_, _, moving) = process(Side::Candidate, true, RaceLog::default(), &mut [None, None], None);
        let turns: Vec<usize> = moving.chunk_by(|a, b| a == b).map(<[Side]>::len).collect();
        // 2 steps of the safe branch, then 3 + 3 of the other, and so on; the one given up stops at its next step.
        assert_eq!((moving[0], &turns[..3]), (Side::Source, &[2, 6, 4][..]), "{turns:?}");
    }

    #[test]
    fn a_branch_whose_rival_is_gone_goes_on_alone() {
        for (gone, left) in [(Side::Candidate, Side::Source), (Side::Source, Side::Candidate)] {
            let seen = Arc::new(Mutex::new(vec![]));
            let scheduler = Arc::new(RaceScheduler::new(Box::new(Second(gone, seen)), RaceLog::default(), true));
            scheduler.leave(gone);
            let end = branch(&scheduler, left, &mut None, None, &AtomicBool::new(false), &Mutex::new(vec![]));
            assert_eq!(end, Some(planned(left)));
        }
    }

    #[test]
    fn a_race_that_was_stopped_or_killed_anywhere_ends_as_one_that_nobody_stopped() {
        for (loser, alternate) in [Side::Source, Side::Candidate].into_iter().flat_map(|l| [(l, true), (l, false)]) {
            let (whole, ..) = process(loser, alternate, RaceLog::default(), &mut [None, None], None);
            let fates = [Side::Source, Side::Candidate]
                .into_iter()
                .flat_map(|side| (1..planned(side)).map(move |step| (side, step)))
                .flat_map(|(side, step)| [true, false].map(|killed| Fate { side, step, killed }));
            for fate in fates {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("race.json");
                let open = || RaceLog::open(&path).unwrap();
                let mut saved = [None, None];
                let (first, ..) = process(loser, alternate, open(), &mut saved, Some(fate));
                let (second, ..) = process(loser, alternate, open(), &mut saved, None);
                let told = || format!("{fate:?}: {first:?}, then {second:?}");
                // A branch that had ended already is trained to its end again, or was put away: the same.
                assert_eq!(second, whole, "{}", told());
            }
        }
    }
}
