//! What happens while a run goes on, one JSON line an event, beside the run: it survives a crash, and curves are drawn
//! from it again. Whether the run ends well is not known here.

use super::error::StoreError;
use crate::domain::event::{Event, Observer};
use crate::domain::outcome::CurvePoint;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Name of a journal in its run's folder.
pub const JOURNAL: &str = "journal.jsonl";

/// Version of the lines.
const VERSION: u32 = 1;

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Version of the line.
    pub v: u32,
    /// Place in the journal, from 0, over all sessions of the run.
    pub n: u64,
    /// Seconds since the session's journal was opened; `None` where the clock was not given.
    pub t: Option<f64>,
    /// The branch it happened in, where one was named.
    pub branch: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// How soon a line must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// After every event that matters beyond its step (evaluations, directives, incidents, ends of phases); steps and
    /// progress at the latest 64 lines later. A power cut loses at most those; a crash of the process nothing.
    #[default]
    Milestones,
    /// After every line.
    Always,
    /// When the system pleases. A crash of the process alone still loses nothing.
    Never,
}

/// Lines that may wait for the disk under [`Sync::Milestones`].
const UNSYNCED: u32 = 64;

/// A journal open for appending. As an [`Observer`] it cannot fail: its first failure is kept and told by
/// [`Journal::finish`].
pub struct Journal {
    path: PathBuf,
    to: BufWriter<File>,
    sync: Sync,
    next: u64,
    waiting: u32,
    branch: Option<String>,
    clock: Box<dyn FnMut() -> Option<f64> + Send>,
    failed: Option<std::io::Error>,
}

impl Journal {
    /// Opens the journal at `path` for appending, and makes it where there is none. A torn last line (of a crash) is
    /// cut off first. `clock` gives the seconds for each line's `t`.
    ///
    /// # Errors
    /// [`StoreError::Exchange`] with the path.
    pub fn open(
        path: impl AsRef<Path>,
        sync: Sync,
        clock: impl FnMut() -> Option<f64> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        let open = || {
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |last| last + 1);
            if whole < bytes.len() {
                file.set_len(whole as u64)?;
            }
            file.seek(SeekFrom::End(0))?;
            let lines = bytes.iter().take(whole).filter(|b| **b == b'\n').count() as u64;
            Ok((file, lines))
        };
        let (file, next) = open().map_err(|e| broken(&path, e))?;
        let to = BufWriter::new(file);
        Ok(Self { path, to, sync, next, waiting: 0, branch: None, clock: Box::new(clock), failed: None })
    }

    /// From here on, lines name this branch.
    pub fn branch(&mut self, name: Option<&str>) {
        self.branch = name.map(str::to_string);
    }

    /// Appends one event.
    ///
    /// # Errors
    /// [`StoreError::Exchange`] with the path.
    pub fn append(&mut self, event: &Event) -> Result<(), StoreError> {
        self.write(event).map_err(|e| broken(&self.path, e))
    }

    /// Everything is on the disk.
    ///
    /// # Errors
    /// The first failure since the journal was opened.
    pub fn finish(mut self) -> Result<(), StoreError> {
        if let Some(first) = self.failed.take() {
            return Err(broken(&self.path, first));
        }
        let end = self.to.flush().and_then(|()| self.to.get_ref().sync_all());
        end.map_err(|e| broken(&self.path, e))
    }

    fn write(&mut self, event: &Event) -> std::io::Result<()> {
        let (n, t) = (self.next, (self.clock)());
        let entry = JournalEntry { v: VERSION, n, t, branch: self.branch.clone(), event: event.clone() };
        let mut line = serde_json::to_vec(&entry).map_err(std::io::Error::other)?;
        line.push(b'\n');
        self.to.write_all(&line)?;
        // To the system at once: then a crash of this process loses nothing.
        self.to.flush()?;
        self.next += 1;
        self.waiting += 1;
        let due = match self.sync {
            Sync::Always => true,
            Sync::Milestones => is_milestone(event) || self.waiting >= UNSYNCED,
            Sync::Never => false,
        };
        if due {
            self.to.get_ref().sync_data()?;
            self.waiting = 0;
        }
        Ok(())
    }
}

impl Observer for Journal {
    fn branch(&mut self, name: Option<&str>) {
        Journal::branch(self, name);
    }

    fn observe(&mut self, event: &Event) {
        if self.failed.is_none()
            && let Err(e) = self.write(event)
        {
            self.failed = Some(e);
        }
    }
}

fn is_milestone(event: &Event) -> bool {
    match event {
        Event::Began(_) | Event::Ended { .. } => true,
        Event::Evaluated { .. } | Event::Directed { .. } | Event::Incident(_) | Event::Finished { .. } => true,
        Event::Phase { .. } | Event::Progress { .. } | Event::Step(_) | Event::Note { .. } => false,
    }
}

fn broken(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Exchange { what: format!("the journal {}", path.display()), source }
}

/// A journal as read back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JournalReplay {
    /// All lines that could be read, in order.
    pub entries: Vec<JournalEntry>,
    /// Whether the last line was torn: the process died while it was written.
    pub torn: bool,
    /// Lines in between that could not be read: number (from 1) and why.
    pub bad: Vec<(u64, String)>,
}

impl JournalReplay {
    /// The learning curve of a branch (or, with `None`, of all lines that name none): a point where it was evaluated,
    /// and the training loss averaged over the steps since the last point. Points that a rewind took back are left out.
    pub fn curve(&self, branch: Option<&str>) -> Vec<CurvePoint> {
        let mut curve: Vec<CurvePoint> = Vec::new();
        let (mut sum, mut steps) = (0.0, 0_u32);
        for entry in self.entries.iter().filter(|e| e.branch.as_deref() == branch) {
            match &entry.event {
                Event::Step(m) => {
                    if m.bits_per_byte.is_finite() {
                        sum += m.bits_per_byte;
                        steps += 1;
                    }
                }
                Event::Evaluated { at, evaluation } => {
                    curve.retain(|p| p.step < at.step);
                    let mean = (steps > 0).then(|| sum / f64::from(steps));
                    curve.push(CurvePoint {
                        train_bits_per_byte: at.train_bits_per_byte.or(mean),
                        eval_bits_per_byte: Some(evaluation.bits_per_byte.get()),
                        ..*at
                    });
                    (sum, steps) = (0.0, 0);
                }
                Event::Began(_)
                | Event::Ended { .. }
                | Event::Phase { .. }
                | Event::Progress { .. }
                | Event::Directed { .. }
                | Event::Incident(_)
                | Event::Note { .. }
                | Event::Finished { .. } => {}
            }
        }
        curve
    }
}

/// Reads a journal back. A torn last line is normal after a crash and only marked; other bad lines are reported.
///
/// # Errors
/// [`StoreError::Exchange`] where the file cannot be read at all.
pub fn read_journal(path: impl AsRef<Path>) -> Result<JournalReplay, StoreError> {
    let path = path.as_ref();
    let mut replay = JournalReplay::default();
    let mut from = BufReader::new(File::open(path).map_err(|e| broken(path, e))?);
    for number in 1.. {
        let mut line = Vec::new();
        if from.read_until(b'\n', &mut line).map_err(|e| broken(path, e))? == 0 {
            break;
        }
        let whole = line.ends_with(b"\n");
        match read_line(&line) {
            Ok(entry) if entry.v > VERSION => {
                replay.bad.push((
                    number,
                    format!("format {} is newer than this version of hibrit supports ({VERSION})", entry.v),
                ));
            }
            Ok(entry) if whole => replay.entries.push(entry),
            Ok(_) => replay.torn = true,
            Err(_) if !whole => replay.torn = true,
            Err(e) => replay.bad.push((number, e.to_string())),
        }
    }
    Ok(replay)
}

/// Numbers of a step that may not be finite when training goes wrong. JSON has no word for them: they are written as
/// null, and read back as "not a number".
const STEP_NUMBERS: [&str; 6] =
    ["loss", "bits_per_byte", "gradient_norm", "learning_rate", "tokens_per_second", "elapsed"];

fn read_line(line: &[u8]) -> Result<JournalEntry, serde_json::Error> {
    let first = match serde_json::from_slice::<JournalEntry>(line) {
        Ok(entry) => return Ok(entry),
        Err(e) => e,
    };
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(line) else { return Err(first) };
    let lost: Vec<&str> = STEP_NUMBERS.into_iter().filter(|n| fields.get(*n).is_some_and(|v| v.is_null())).collect();
    for name in &lost {
        fields.insert((*name).to_string(), 0.0.into());
    }
    let mut entry: JournalEntry = serde_json::from_value(serde_json::Value::Object(fields))?;
    if let Event::Step(m) = &mut entry.event {
        let numbers = [
            &mut m.loss,
            &mut m.bits_per_byte,
            &mut m.gradient_norm,
            &mut m.learning_rate,
            &mut m.tokens_per_second,
            &mut m.elapsed,
        ];
        for (name, number) in STEP_NUMBERS.into_iter().zip(numbers) {
            if lost.contains(&name) {
                *number = f64::NAN;
            }
        }
    }
    Ok(entry)
}
