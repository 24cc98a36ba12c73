//! Which decisions were given? A line of JSON for each, written in batches by one thread: whoever asks does not wait for
//! the disk. A decision follows from profile, resources, rules and scorer alone, so that the line names these and not
//! the whole answer. A crash loses the lines of the last [`PAUSE`] at most. The file lies beside the history, and
//! `hibrit history decisions` reads it with the history's own log.

use super::error::ServiceError;
use crate::app::rotated;
use crate::domain::decision::Recommendation;
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

/// The log of decisions.
#[derive(Debug)]
pub struct RecommendationLog {
    to: SyncSender<Recommendation>,
    recent: Arc<Mutex<VecDeque<Recommendation>>>,
}

impl RecommendationLog {
    /// Opens the file. It is rotated at `bytes`, and `files` old ones are kept.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn open(path: PathBuf, bytes: u64, files: usize) -> Result<Self, ServiceError> {
        let fail = |source| ServiceError::File { verb: "write", path: path.clone(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fail)?;
        }
        let file = append(&path).map_err(fail)?;
        let (to, from) = sync_channel(WAITING);
        let kept = path.clone();
        std::thread::Builder::new()
            .name("recommendation-log".into())
            .spawn(move || keep(&from, BufWriter::new(file), &kept, bytes, files))
            .map_err(|source| ServiceError::Runtime { source })?;
        Ok(Self { to, recent: Arc::default() })
    }

    /// Writes a decision down, soon.
    pub fn note(&self, entry: Recommendation) {
        {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.push_front(entry.clone());
            recent.truncate(RECENT);
        }
        // The thread ends only with the log.
        let _ = self.to.send(entry);
    }

    /// The latest decisions.
    pub fn recent(&self, count: usize) -> Vec<Recommendation> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).iter().take(count).cloned().collect()
    }
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn keep(from: &Receiver<Recommendation>, mut to: BufWriter<File>, path: &Path, bytes: u64, files: usize) {
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
        if let Err(error) = write(&mut to, &batch).and_then(|()| rotate(&mut to, path, bytes, files)) {
            tracing::error!(%error, lines = batch.len(), "the decision log could not be written");
        }
        if ended {
            return;
        }
    }
}

fn write(to: &mut BufWriter<File>, batch: &[Recommendation]) -> std::io::Result<()> {
    for entry in batch {
        serde_json::to_writer(&mut *to, entry)?;
        to.write_all(b"\n")?;
    }
    to.flush()?;
    to.get_ref().sync_data()
}

fn rotate(to: &mut BufWriter<File>, path: &Path, bytes: u64, files: usize) -> std::io::Result<()> {
    if to.get_ref().metadata()?.len() < bytes {
        return Ok(());
    }
    for number in (1..files).rev() {
        let from = rotated(path, number);
        if from.exists() {
            std::fs::rename(from, rotated(path, number + 1))?;
        }
    }
    std::fs::rename(path, rotated(path, 1))?;
    *to = BufWriter::new(append(path)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::resources::Resources;
    use crate::domain::strategy::Strategy;

    fn entry(n: usize) -> Recommendation {
        Recommendation {
            id: format!("d{n}"),
            at: "2026-01-01T00:00:00Z".into(),
            profile: "p".into(),
            pair: None,
            resources: Resources::default(),
            strategy: Strategy::Keep,
            confidence: 0.5,
            rules_sha256: "r".into(),
            scorer: None,
            version: "0".into(),
        }
    }

    #[test]
    fn every_decision_is_on_the_disk_soon_and_old_logs_are_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let log = RecommendationLog::open(folder.path().join("decisions.jsonl"), 2_000, 3).unwrap();
        let lines = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default().lines().count();
        let total = || ["decisions.jsonl", "decisions.1.jsonl", "decisions.2.jsonl"].map(lines).iter().sum::<usize>();
        for n in 0..20 {
            log.note(entry(n));
        }
        let until = std::time::Instant::now() + Duration::from_secs(10);
        // The log is rotated after its lines are written.
        while (total() < 20 || !folder.path().join("decisions.1.jsonl").exists()) && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(total(), 20);
        assert!(folder.path().join("decisions.1.jsonl").exists());
        assert_eq!(log.recent(3).iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["d19", "d18", "d17"]);
    }
}
