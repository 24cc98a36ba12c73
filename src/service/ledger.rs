//! Which decisions were given? A line of JSON for each, written in batches by one thread: whoever asks does not wait for
//! the disk. A decision follows from profile, resources, rules and scorer alone, so that the line names these and not
//! the whole answer. A crash loses the lines of the last [`PAUSE`] at most.

use super::error::HttpError;
use crate::domain::resources::Resources;
use crate::domain::strategy::Strategy;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long lines are gathered before they go to the disk together.
const PAUSE: Duration = Duration::from_millis(50);
/// Lines that may wait; beyond that, whoever decides waits too.
const WAITING: usize = 4_096;
/// Lines that are kept at hand.
const RECENT: usize = 200;

/// A decision in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entry {
    /// Unique.
    pub id: String,
    /// When (UTC, RFC 3339).
    pub at: String,
    /// The profile it rests on.
    pub profile: String,
    /// What there was to work with.
    #[schema(value_type = Object)]
    pub resources: Resources,
    /// What was recommended.
    #[schema(value_type = String)]
    pub strategy: Strategy,
    /// How sure.
    pub confidence: f64,
    /// sha256 of the rules.
    pub rules_sha256: String,
    /// The live scorer.
    pub scorer: Option<String>,
    /// hibrit's version.
    pub version: String,
}

/// The log of decisions.
#[derive(Debug)]
pub struct Ledger {
    to: SyncSender<Entry>,
    recent: Arc<Mutex<VecDeque<Entry>>>,
}

impl Ledger {
    /// Opens `decisions.jsonl` in a folder. It is turned over at `bytes`, and `files` old ones are kept.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn open(folder: &Path, bytes: u64, files: usize) -> Result<Self, HttpError> {
        let path = folder.join("decisions.jsonl");
        let fail = |source| HttpError::File { verb: "write", path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(fail)?;
        let file = append(&path).map_err(fail)?;
        let (to, from) = sync_channel(WAITING);
        let kept = path.clone();
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || keep(&from, BufWriter::new(file), &kept, bytes, files))
            .map_err(|source| HttpError::Runtime { source })?;
        Ok(Self { to, recent: Arc::default() })
    }

    /// Writes a decision down, soon.
    pub fn note(&self, entry: Entry) {
        {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.push_front(entry.clone());
            recent.truncate(RECENT);
        }
        // The thread ends only with the ledger.
        let _ = self.to.send(entry);
    }

    /// The latest decisions.
    pub fn recent(&self, count: usize) -> Vec<Entry> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).iter().take(count).cloned().collect()
    }
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn keep(from: &Receiver<Entry>, mut to: BufWriter<File>, path: &Path, bytes: u64, files: usize) {
    loop {
        let Ok(first) = from.recv() else { return };
        let mut batch = vec![first];
        let until = std::time::Instant::now() + PAUSE;
        let ended = loop {
            match from.recv_timeout(until.saturating_duration_since(std::time::Instant::now())) {
                Ok(entry) => batch.push(entry),
                Err(RecvTimeoutError::Timeout) => break false,
                Err(RecvTimeoutError::Disconnected) => break true,
            }
        };
        if let Err(error) = write(&mut to, &batch).and_then(|()| turn_over(&mut to, path, bytes, files)) {
            tracing::error!(%error, lines = batch.len(), "the decision log could not be written");
        }
        if ended {
            return;
        }
    }
}

fn write(to: &mut BufWriter<File>, batch: &[Entry]) -> std::io::Result<()> {
    for entry in batch {
        serde_json::to_writer(&mut *to, entry)?;
        to.write_all(b"\n")?;
    }
    to.flush()?;
    to.get_ref().sync_data()
}

/// Where a log that is full goes.
fn numbered(path: &Path, number: usize) -> PathBuf {
    path.with_extension(format!("{number}.jsonl"))
}

fn turn_over(to: &mut BufWriter<File>, path: &Path, bytes: u64, files: usize) -> std::io::Result<()> {
    if to.get_ref().metadata()?.len() < bytes {
        return Ok(());
    }
    for number in (1..files).rev() {
        let from = numbered(path, number);
        if from.exists() {
            std::fs::rename(from, numbered(path, number + 1))?;
        }
    }
    std::fs::rename(path, numbered(path, 1))?;
    *to = BufWriter::new(append(path)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: usize) -> Entry {
        Entry {
            id: format!("d{n}"),
            at: "2026-01-01T00:00:00Z".into(),
            profile: "p".into(),
            resources: Resources::default(),
            strategy: Strategy::Keep,
            confidence: 0.5,
            rules_sha256: "r".into(),
            scorer: None,
            version: "0".into(),
        }
    }

    #[test]
    fn every_decision_is_on_the_disk_soon_and_old_logs_are_turned_over() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), 2_000, 3).unwrap();
        let lines = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default().lines().count();
        let total = || ["decisions.jsonl", "decisions.1.jsonl", "decisions.2.jsonl"].map(lines).iter().sum::<usize>();
        for n in 0..20 {
            ledger.note(entry(n));
        }
        let until = std::time::Instant::now() + Duration::from_secs(10);
        // The log is turned over after its lines are written.
        while (total() < 20 || !folder.path().join("decisions.1.jsonl").exists()) && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(total(), 20);
        assert!(folder.path().join("decisions.1.jsonl").exists());
        assert_eq!(ledger.recent(3).iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["d19", "d18", "d17"]);
    }
}
