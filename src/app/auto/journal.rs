//! The run's journal: every event as a line of JSON, from which every curve can be redrawn, and what earlier processes
//! spent on the run. It lies in the run's folder, unless whoever asked for the run keeps the journal (and then writes it).

use super::super::{AppError, Settings};
use crate::domain::event::{Event, Observer};
use crate::store::{self, Journal, JournalEntry};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// What earlier processes spent on a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Earlier {
    /// Wall seconds, from the run's beginning (or resumption) to the end of each process.
    pub(super) seconds: f64,
    /// Seconds that each branch was trained, by its name.
    pub(super) branches: BTreeMap<String, f64>,
}

/// The journal as this process has it.
pub(super) struct RunJournal {
    /// `None` where the caller writes it.
    own: Option<Journal>,
}

impl RunJournal {
    /// Opens the journal of a run; what earlier processes left in it comes with it.
    pub(super) fn open(settings: &Settings, out: &Path) -> Result<(Self, Earlier), AppError> {
        if let Some(path) = settings.journal() {
            return Ok((Self { own: None }, Earlier::read(path)?));
        }
        std::fs::create_dir_all(out).map_err(|source| AppError::File { verb: "make", path: out.into(), source })?;
        let path = out.join(store::JOURNAL);
        let earlier = Earlier::read(&path)?;
        let began = Instant::now();
        let clock = move || Some(began.elapsed().as_secs_f64());
        Ok((Self { own: Some(Journal::open(path, store::Sync::default(), clock)?) }, earlier))
    }

    /// Who writes the journal, where that is not the caller.
    pub(super) fn observer(&mut self) -> Option<&mut dyn Observer> {
        self.own.as_mut().map(|journal| journal as &mut dyn Observer)
    }

    /// Everything is on the disk.
    pub(super) fn finish(self) -> Result<(), AppError> {
        Ok(self.own.map_or(Ok(()), Journal::finish)?)
    }
}

impl Earlier {
    fn read(path: &Path) -> Result<Self, AppError> {
        if !path.exists() {
            return Ok(Self::default());
        }
        Ok(Self::of(&store::read_journal(path)?.entries))
    }

    fn of(entries: &[JournalEntry]) -> Self {
        let mut branches = BTreeMap::new();
        for entry in entries {
            if let (Some(branch), Event::Step(m)) = (&entry.branch, &entry.event) {
                branches.insert(branch.clone(), m.elapsed);
            }
        }
        // Each process' lines count from its own beginning.
        let sessions = entries.chunk_by(|a, b| a.t <= b.t || b.t.is_none());
        Self { seconds: sessions.map(session_seconds).sum(), branches }
    }
}

/// Seconds that one process spent on the run: from where the run began in it, or, in a journal from before there was such
/// a line, from its first line, if it trained a branch. What came before a run began (a base, say) is not the run's.
fn session_seconds(entries: &[JournalEntry]) -> f64 {
    let began = entries.iter().find(|e| matches!(e.event, Event::Began(_))).map(|e| e.t);
    let trained = entries.iter().any(|e| e.branch.is_some());
    let from = match began {
        Some(began) => began.unwrap_or_default(),
        None if trained => 0.0,
        None => return 0.0,
    };
    entries.iter().filter_map(|e| e.t).next_back().map_or(0.0, |end| end - from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::RunConfig;
    use crate::domain::strategy::Strategy;
    use crate::domain::{directive::Measurement, example};

    fn line(t: f64, branch: Option<&str>, event: Event) -> JournalEntry {
        JournalEntry { v: 1, n: 0, t: Some(t), branch: branch.map(str::to_string), event }
    }

    fn note() -> Event {
        Event::Note { text: String::new() }
    }

    fn began() -> Event {
        let run = example::run("20260102T030405Z-00000001");
        Event::Began(Box::new(RunConfig {
            id: run.id,
            started: run.started,
            version: run.version,
            resumed: false,
            request: run.request,
            strategy: Strategy::Keep,
            fallback_order: Vec::new(),
            stages: BTreeMap::new(),
        }))
    }

    fn step(elapsed: f64) -> Event {
        Event::Step(Measurement {
            step: 1,
            steps_planned: 2,
            bytes_seen: 1,
            tokens_seen: 1,
            loss: 1.0,
            bits_per_byte: 1.0,
            gradient_norm: 1.0,
            learning_rate: 1.0,
            tokens_per_second: 1.0,
            elapsed,
            peak_memory: 0,
        })
    }

    #[test]
    fn a_run_s_configuration_is_read_back_from_its_line() {
        let Event::Began(mut config) = began() else { panic!("it begins") };
        let rules = crate::decide::RuleBook::embedded().unwrap();
        config.stages = rules.stages().map(|(stage, config)| (stage, config.clone())).collect();
        config.fallback_order = vec![Strategy::Direct, Strategy::Keep];
        let entry = line(0.5, None, Event::Began(config));
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<JournalEntry>(&text).unwrap(), entry);
        assert!(text.contains("\"event\":\"began\"") && text.contains("\"parallel.a\":{\"rank\":"), "{text}");
    }

    #[test]
    fn a_run_has_spent_what_each_process_took_from_where_the_run_began_in_it() {
        let entries = [
            // Died before the run began.
            line(0.0, None, note()),
            line(90.0, None, step(80.0)),
            // Began after 5 s.
            line(0.0, None, note()),
            line(5.0, None, began()),
            line(12.0, Some("keep"), step(3.0)),
            // Resumed at once.
            line(0.0, None, began()),
            line(4.0, Some("keep"), step(6.0)),
            // A process of an older version.
            line(0.0, None, note()),
            line(2.0, Some("direct"), step(1.0)),
            // This one, in which the run has yet to begin.
            line(1.0, None, note()),
        ];
        let branches = [("keep".to_string(), 6.0), ("direct".to_string(), 1.0)].into();
        assert_eq!(Earlier::of(&entries), Earlier { seconds: 7.0 + 4.0 + 2.0, branches });
        assert_eq!(Earlier::of(&[]), Earlier::default());
    }
}
