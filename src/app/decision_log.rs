//! Every decision is logged, with all it rests on; what became of it is found through the run it led to. Also what other
//! rules or another scorer would have decided then, and what that would have earned.

use super::{AppError, Settings, now};
use crate::decide::{PastDecision, Replayed};
use crate::domain::decision::{Decision, DecisionLog, LoggedDecision, Recommendation};
use crate::domain::event::{Event, Observer};
use crate::domain::metric::Share;
use crate::domain::profile::Profile;
use crate::domain::run::Run;
use crate::domain::strategy::Strategy;
use crate::learn::{self, OffPolicy};
use crate::store::{History, run_id};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Logs advice. That a log cannot be written is told, not an error: the advice stands without it.
pub(super) fn advice(
    settings: &Settings,
    profile: &Profile,
    decision: &Decision,
    train_bytes: Option<u64>,
    observer: &mut dyn Observer,
) {
    let logged = LoggedDecision {
        id: run_id(jiff::Timestamp::now(), rand::random()),
        at: now(),
        version: env!("CARGO_PKG_VERSION").into(),
        run: None,
        profile: profile.clone(),
        train_bytes,
        propensity: certain(),
        taken: None,
        decision: decision.clone(),
    };
    let written = settings.history().and_then(|history| Ok(history.log_decision(&logged)?));
    if let Err(error) = written {
        observer.observe(&Event::Note { text: format!("warning: this decision is not logged: {error}") });
    }
}

/// Logs the decision of a run that begins.
pub(super) fn of_run(history: &History, run: &Run, taken: Strategy, propensity: Share) -> Result<(), AppError> {
    history.log_decision(&LoggedDecision {
        id: run.id.clone(),
        at: run.started.clone(),
        version: run.version.clone(),
        run: Some(run.id.clone()),
        profile: run.profile.clone(),
        train_bytes: Some(run.request.train_bytes),
        propensity,
        taken: (taken != run.decision.strategy).then_some(taken),
        decision: run.decision.clone(),
    })?;
    Ok(())
}

/// The propensity of what is decided without exploration.
pub(super) fn certain() -> Share {
    // One of one is a share.
    Share::of(1, 1).unwrap_or(Share::ZERO)
}

/// What exploration takes: mostly what was decided, with probability `epsilon` anything that may be taken here, all
/// alike. Also the probability of what was taken, which off-policy estimates need.
pub(super) fn explore(decision: &Decision, epsilon: f64, executable: &[Strategy], seed: u64) -> (Strategy, Share) {
    use rand::{RngExt, SeedableRng};
    let free = |a: &&crate::domain::decision::Alternative| {
        a.vetoes.is_empty() && a.strategy != Strategy::Emergency && executable.contains(&a.strategy)
    };
    let feasible: Vec<Strategy> = decision.alternatives.iter().filter(free).map(|a| a.strategy).collect();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let wanders = random.random_bool(epsilon.clamp(0.0, 1.0)) && !feasible.is_empty();
    let drawn = if wanders { feasible.get(random.random_range(0..feasible.len())).copied() } else { None };
    let taken = drawn.unwrap_or(decision.strategy);
    let propensity = learn::propensity(taken == decision.strategy, feasible.len(), epsilon);
    (taken, Share::new(propensity).unwrap_or(certain()))
}

/// Recommendations of services that a list shows at most, the latest.
const LISTED: usize = 1_000;

/// What was decided here, and what services recommended lately.
pub fn decision_log(settings: &Settings) -> Result<DecisionLog, AppError> {
    let mut recommendations = recommended(settings)?;
    recommendations.truncate(LISTED);
    Ok(DecisionLog { decisions: decisions(settings)?, recommendations })
}

/// What a service recommended under this id, or under the only one in the whole log that begins so.
pub fn recommendation(settings: &Settings, wanted: &str) -> Result<Option<Recommendation>, AppError> {
    let mut fitting = recommended(settings)?;
    fitting.retain(|r| !wanted.is_empty() && r.id.starts_with(wanted));
    if let Some(exact) = fitting.iter().position(|r| r.id == wanted) {
        return Ok(Some(fitting.swap_remove(exact)));
    }
    let alone = fitting.len() == 1 && !decisions(settings)?.iter().any(|(d, _)| d.id.starts_with(wanted));
    Ok(fitting.pop().filter(|_| alone))
}

fn recommended(settings: &Settings) -> Result<Vec<Recommendation>, AppError> {
    let path = settings.recommendations();
    let mut lines = Vec::new();
    for path in std::iter::once(path.clone()).chain((1..).map(|n| rotated(&path, n))) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => break,
            Err(source) => return Err(AppError::File { verb: "read", path, source }),
        };
        // The last line may be torn by a crash.
        lines.extend(text.lines().filter_map(|line| serde_json::from_str::<Recommendation>(line).ok()));
    }
    lines.sort_by(|a, b| (&b.at, &b.id).cmp(&(&a.at, &a.id)));
    Ok(lines)
}

/// Where a log of recommendations goes when it is full; the higher the number, the older.
pub fn rotated(path: &Path, number: usize) -> PathBuf {
    path.with_extension(format!("{number}.jsonl"))
}

/// Logged decisions, the newest first, each with the run it led to.
fn decisions(settings: &Settings) -> Result<Vec<(LoggedDecision, Option<Run>)>, AppError> {
    let Some(history) = settings.existing_history()? else { return Ok(Vec::new()) };
    let mut all = history.decisions()?;
    all.sort_by(|a, b| (&b.0.at, &b.0.id).cmp(&(&a.0.at, &a.0.id)));
    Ok(all)
}

/// The logged decision with this id, or the only one whose id begins so.
pub fn decision(settings: &Settings, wanted: &str) -> Result<(LoggedDecision, Option<Run>), AppError> {
    let mut found = decisions(settings)?;
    let fits = |id: &str| !wanted.is_empty() && id.starts_with(wanted);
    if found.iter().any(|(d, _)| d.id == wanted) {
        found.retain(|(d, _)| d.id == wanted);
    }
    let known = || found.iter().map(|(d, _)| d.id.clone()).take(5).collect::<Vec<_>>().join(", ");
    let matching = found.iter().filter(|(d, _)| fits(&d.id)).count();
    if matching != 1 {
        return Err(AppError::NoDecision { wanted: wanted.into(), matching, known: known() });
    }
    let known = known();
    let missing = || AppError::NoDecision { wanted: wanted.into(), matching: 0, known };
    found.into_iter().find(|(d, _)| fits(&d.id)).ok_or_else(missing)
}

/// Past decisions made again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// Each of them.
    pub decisions: Vec<Replayed>,
    /// What today's way of deciding would have earned where past ones took the same: bits per byte against `keep`.
    pub earned: OffPolicy,
    /// Past decisions that this rests on: carried out as decided, with a known end.
    pub known: u64,
}

/// Past decisions under today's rules and scorer.
pub fn replay(settings: &Settings) -> Result<Vec<Replayed>, AppError> {
    Ok(hindsight(settings)?.decisions)
}

/// The same with what it would have earned. Decisions of runs from before there was a log count too.
pub fn hindsight(settings: &Settings) -> Result<Replay, AppError> {
    let book = settings.rules()?;
    let (runs, logged, scorer) = match settings.existing_history()? {
        Some(history) => (history.all()?, history.decisions()?, history.live_scorer()?),
        None => (Vec::new(), Vec::new(), None),
    };
    let logs: HashMap<&str, &LoggedDecision> =
        logged.iter().filter_map(|(d, _)| Some((d.run.as_deref()?, d))).collect();
    let advice = logged.iter().filter(|(d, _)| d.run.is_none());
    let past: Vec<PastDecision> = runs.iter().map(PastDecision::from).chain(advice.map(|(d, _)| d.into())).collect();
    let decisions = crate::decide::replay(&book, &past, scorer.as_ref());
    let now: HashMap<&str, Option<Strategy>> = decisions.iter().map(|r| (r.run.as_str(), r.now)).collect();
    let of = |run: &Run| {
        let log = logs.get(run.id.as_str());
        let outcome = run.outcome.as_ref()?;
        // What a person insisted on was not drawn with any probability.
        let taken = match run.request.forced {
            None => log.and_then(|l| l.taken).unwrap_or(run.decision.strategy),
            Some(_) => return None,
        };
        let saved =
            outcome.saved_against_keep.or((taken == Strategy::Keep).then_some(0.0)).filter(|s| s.is_finite())?;
        let propensity = log.map_or(1.0, |l| l.propensity.get());
        let wanted = f64::from(u8::from(now.get(run.id.as_str()) == Some(&Some(taken))));
        (propensity > 0.0).then_some(learn::Replayed { propensity, wanted, saved })
    };
    let known: Vec<learn::Replayed> = runs.iter().filter_map(of).collect();
    Ok(Replay { earned: learn::off_policy(&known)?, known: known.len() as u64, decisions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::example;

    #[test]
    fn exploration_takes_what_was_decided_but_for_its_share_and_never_a_vetoed_strategy() {
        let mut decision = example::decision(Strategy::Direct);
        let veto = crate::domain::decision::MatchedRow {
            table: "vetoes".into(),
            row: "no".into(),
            output: "veto".into(),
            because: "no".into(),
        };
        for a in decision.alternatives.iter_mut().filter(|a| a.strategy == Strategy::Structural) {
            a.vetoes.push(veto.clone());
        }
        let executable = [Strategy::Keep, Strategy::Direct, Strategy::Structural, Strategy::Sequential];
        let taken: Vec<(Strategy, Share)> = (0..2000).map(|seed| explore(&decision, 0.3, &executable, seed)).collect();
        let of = |s: Strategy| taken.iter().filter(|t| t.0 == s).count() as f64 / 2000.0;
        assert_eq!(of(Strategy::Structural) + of(Strategy::Emergency), 0.0);
        // Three are feasible: 0.7 + 0.1 and 0.1 each; three standard errors of 2,000 draws are 0.027.
        for (strategy, share) in [(Strategy::Direct, 0.8), (Strategy::Keep, 0.1), (Strategy::Sequential, 0.1)] {
            assert!((of(strategy) - share).abs() < 0.027, "{strategy} {}", of(strategy));
            assert!(taken.iter().filter(|t| t.0 == strategy).all(|t| (t.1.get() - share).abs() < 1e-12));
        }
        assert!((0..50).all(|seed| explore(&decision, 0.0, &executable, seed) == (Strategy::Direct, certain())));
    }

    #[test]
    fn decisions_are_logged_and_found_again_with_what_became_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(None, Some(folder.path().join("past.redb")));
        let run = example::run("20260102T030405Z-00000001");
        advice(&settings, &run.profile, &run.decision, None, &mut crate::domain::event::Silent);
        let history = settings.history().unwrap();
        history.begin(&run).unwrap();
        of_run(&history, &run, Strategy::Keep, certain()).unwrap();
        let all = decisions(&settings).unwrap();
        assert_eq!(all.len(), 2);
        let (logged, became) = decision(&settings, "20260102").unwrap();
        assert_eq!(
            (logged.taken, became.as_ref().map(|r| r.id.as_str())),
            (Some(Strategy::Keep), Some(run.id.as_str()))
        );
        assert!(matches!(decision(&settings, ""), Err(AppError::NoDecision { matching: 0, .. })));
        assert!(matches!(decision(&settings, "2"), Err(AppError::NoDecision { matching: 2, .. })));

        // By hand: one run, carried out as decided by an example that today's rules decide in their own way.
        let replayed = hindsight(&settings).unwrap();
        assert_eq!((replayed.decisions.len(), replayed.known), (2, 1));
        assert!(!replayed.earned.verdict);
    }

    #[test]
    fn what_services_recommended_is_read_from_all_their_files_and_a_torn_line_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(None, Some(folder.path().join("past.redb")));
        assert_eq!(recommended(&settings).unwrap(), []);
        let given = |n: u32| Recommendation {
            id: format!("2026010{n}T000000Z-00000001"),
            at: format!("2026-01-0{n}T00:00:00Z"),
            profile: "p".into(),
            pair: Some(["source".into(), "candidate".into()]),
            resources: Default::default(),
            strategy: Strategy::Keep,
            confidence: 0.5,
            rules_sha256: "r".into(),
            scorer: None,
            version: "0".into(),
        };
        let path = settings.recommendations();
        let line = |n| format!("{}\n", serde_json::to_string(&given(n)).unwrap());
        std::fs::write(rotated(&path, 1), line(1) + &line(2)).unwrap();
        std::fs::write(&path, line(3) + "{\"id\": \"20260104").unwrap();
        assert_eq!(decision_log(&settings).unwrap().recommendations, [given(3), given(2), given(1)]);
        assert_eq!(recommendation(&settings, "20260102").unwrap(), Some(given(2)));
        assert_eq!(recommendation(&settings, "2026010").unwrap(), None, "several begin so");
    }

    #[test]
    fn a_log_that_cannot_be_written_is_told_and_the_advice_stands() {
        #[derive(Default)]
        struct Notes(Vec<String>);
        impl Observer for Notes {
            fn observe(&mut self, event: &Event) {
                if let Event::Note { text } = event {
                    self.0.push(text.clone());
                }
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(None, Some(folder.path().to_path_buf()));
        let mut notes = Notes::default();
        advice(&settings, &example::profile(), &example::decision(Strategy::Keep), None, &mut notes);
        assert!(notes.0.iter().any(|n| n.contains("not logged")), "{:?}", notes.0);
    }
}
