//! Which runs are wanted, who carries each out, and what became of it? A file of its own (redb), held open by one
//! service. What a run is, and how it is carried out, is not known here: a task is bytes that make sense to whoever
//! queued it.
//!
//! States: queued -> leased -> running -> done, failed or cancelled. A worker holds a job by a lease that it prolongs
//! by heartbeats. Every lease has a fence, a number that only grows: who writes with an old one is refused, so a worker
//! that was given up for dead cannot overwrite what its successor does. Every change is one transaction, on the disk
//! when the call returns; heartbeats alone may be lost.
//!
//! The tables: `jobs` (id -> [`Job`] as JSON), `waiting` (place in the queue -> id), `keys` (idempotency key -> id),
//! `meta` (`place`, `fence`: the last numbers given; `schema`).

use super::error::StoreError;
use jiff::{SignedDuration, Timestamp};
use redb::{Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use redb::{ReadTransaction, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const JOBS: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("jobs");
const WAITING: TableDefinition<'static, u64, &'static str> = TableDefinition::new("waiting");
const KEYS: TableDefinition<'static, &'static str, &'static str> = TableDefinition::new("keys");
const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");

/// Version of the layout.
const SCHEMA: u64 = 1;
/// Page cache, bytes.
const CACHE: usize = 4 << 20;

/// How a job stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// Waits for a worker.
    Queued,
    /// A worker has it and has not begun.
    Leased,
    /// A worker carries it out.
    Running,
    /// Carried out.
    Done,
    /// Ended without a result.
    Failed,
    /// Somebody cancelled it; what was learnt is kept, and it can be resumed.
    Cancelled,
}

impl State {
    /// Whether nothing more happens by itself.
    pub fn is_terminal(self) -> bool {
        matches!(self, State::Done | State::Failed | State::Cancelled)
    }
}

/// Who holds a job, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The worker's name.
    pub worker: String,
    /// The number that guards writing.
    pub fence: u64,
    /// When it ends unless it is prolonged.
    pub until: Timestamp,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Unique.
    pub id: String,
    /// What is to be done.
    pub task: serde_json::Value,
    /// The client's idempotency key.
    pub key: Option<String>,
    /// How it stands.
    pub state: State,
    /// Place in the queue: smaller comes first.
    pub place: u64,
    /// How often a worker has taken it.
    pub attempts: u32,
    /// How often its worker died.
    pub crashes: u32,
    /// Whether somebody wants it to end.
    pub cancel: bool,
    /// Who holds it.
    pub lease: Option<Lease>,
    /// When it was queued.
    pub submitted: Timestamp,
    /// When it was first begun.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// What came of handing a task in.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// It is queued.
    New(Job),
    /// The same task was handed in under this key before.
    Known(Job),
    /// Another task was handed in under this key before.
    Conflict(Job),
}

/// What came of cancelling.
#[derive(Debug, Clone, PartialEq)]
pub enum Cancelled {
    /// It had not begun and will not.
    AtOnce(Job),
    /// Its worker is to end it.
    Asked(Job),
}

/// How a worker leaves a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// Carried out.
    Done,
    /// Without a result.
    Failed(String),
    /// As somebody asked.
    Cancelled,
    /// The service ends; somebody else goes on later.
    HandedBack,
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    database: Database,
    path: PathBuf,
}

impl Queue {
    /// Opens the queue, or makes an empty one. It stays locked as long as the value lives.
    ///
    /// # Errors
    /// [`StoreError::QueueTaken`] where another process holds it; trouble with the file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|e| StoreError::Queue { path: path.clone(), detail: e.to_string() })?;
        }
        let database = match Builder::new().set_cache_size(CACHE).create(&path) {
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::QueueTaken { path }),
            other => other.map_err(|e| StoreError::Queue { path: path.clone(), detail: e.to_string() })?,
        };
        let queue = Self { database, path };
        queue.write(|t| {
            t.open_table(JOBS).map_err(|e| queue.fault(e))?;
            t.open_table(WAITING).map_err(|e| queue.fault(e))?;
            t.open_table(KEYS).map_err(|e| queue.fault(e))?;
            let mut meta = t.open_table(META).map_err(|e| queue.fault(e))?;
            let schema = meta.get("schema").map_err(|e| queue.fault(e))?.map(|v| v.value());
            match schema {
                None => {
                    meta.insert("schema", SCHEMA).map_err(|e| queue.fault(e))?;
                    Ok(())
                }
                Some(newer) if newer > SCHEMA => Err(StoreError::Newer {
                    path: queue.path.clone(),
                    what: "the queue".into(),
                    found: u32::try_from(newer).unwrap_or(u32::MAX),
                    known: u32::try_from(SCHEMA).unwrap_or(u32::MAX),
                }),
                Some(_) => Ok(()),
            }
        })?;
        Ok(queue)
    }

    /// Hands a task in. With a key, the same task handed in again is the job that is there already, whatever became
    /// of it.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn submit(
        &self,
        id: &str,
        task: &serde_json::Value,
        key: Option<&str>,
        now: Timestamp,
    ) -> Result<Submitted, StoreError> {
        self.write(|t| {
            if let Some(key) = key {
                let keys = t.open_table(KEYS).map_err(|e| self.fault(e))?;
                let known = keys.get(key).map_err(|e| self.fault(e))?.map(|id| id.value().to_string());
                if let Some(known) = known {
                    let job = self.job(t, &known)?;
                    return Ok(if job.task == *task { Submitted::Known(job) } else { Submitted::Conflict(job) });
                }
            }
            let job = Job {
                id: id.into(),
                task: task.clone(),
                key: key.map(str::to_string),
                state: State::Queued,
                place: self.next(t, "place")?,
                attempts: 0,
                crashes: 0,
                cancel: false,
                lease: None,
                submitted: now,
                started: None,
                ended: None,
                failure: None,
            };
            if let Some(key) = key {
                let mut keys = t.open_table(KEYS).map_err(|e| self.fault(e))?;
                keys.insert(key, id).map_err(|e| self.fault(e))?;
            }
            self.put(t, &job)?;
            Ok(Submitted::New(job))
        })
    }

    /// The job with this id.
    ///
    /// # Errors
    /// [`StoreError::NoJob`]; trouble with the file.
    pub fn get(&self, id: &str) -> Result<Job, StoreError> {
        self.read(|t| {
            let jobs = t.open_table(JOBS).map_err(|e| self.fault(e))?;
            let bytes = jobs.get(id).map_err(|e| self.fault(e))?;
            self.decode(bytes.ok_or_else(|| StoreError::NoJob { wanted: id.into() })?.value())
        })
    }

    /// All jobs, the latest first.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn list(&self) -> Result<Vec<Job>, StoreError> {
        let mut jobs = self.read(|t| {
            let table = t.open_table(JOBS).map_err(|e| self.fault(e))?;
            let mut jobs = Vec::new();
            for entry in table.iter().map_err(|e| self.fault(e))? {
                let (_, bytes) = entry.map_err(|e| self.fault(e))?;
                jobs.push(self.decode(bytes.value())?);
            }
            Ok(jobs)
        })?;
        jobs.sort_by_key(|j: &Job| std::cmp::Reverse(j.place));
        Ok(jobs)
    }

    /// Gives the first waiting job to a worker; `None` where nothing waits.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn lease(&self, worker: &str, now: Timestamp, time: SignedDuration) -> Result<Option<Job>, StoreError> {
        // Looked at without writing first: an idle worker must not write to the disk.
        let waiting = self.read(|t| {
            let table = t.open_table(WAITING).map_err(|e| self.fault(e))?;
            Ok(table.first().map_err(|e| self.fault(e))?.is_some())
        })?;
        if !waiting {
            return Ok(None);
        }
        self.write(|t| {
            let first = {
                let mut table = t.open_table(WAITING).map_err(|e| self.fault(e))?;
                let first = table.pop_first().map_err(|e| self.fault(e))?;
                first.map(|(_, id)| id.value().to_string())
            };
            let Some(id) = first else { return Ok(None) };
            let mut job = self.job(t, &id)?;
            job.state = State::Leased;
            job.attempts += 1;
            job.lease = Some(Lease { worker: worker.into(), fence: self.next(t, "fence")?, until: now + time });
            self.put(t, &job)?;
            Ok(Some(job))
        })
    }

    /// The worker begins.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] where the job is no longer this worker's; trouble with the file.
    pub fn start(&self, id: &str, fence: u64, now: Timestamp) -> Result<Job, StoreError> {
        self.write(|t| {
            let mut job = self.held(t, id, fence)?;
            job.state = State::Running;
            job.started.get_or_insert(now);
            self.put(t, &job)?;
            Ok(job)
        })
    }

    /// The worker lives: its lease is prolonged. Tells whether somebody wants the job to end.
    ///
    /// # Errors
    /// As [`Queue::start`].
    pub fn heartbeat(&self, id: &str, fence: u64, now: Timestamp, time: SignedDuration) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin_write().map_err(|e| self.fault(e))?;
        transaction.set_durability(Durability::None).map_err(|e| self.fault(e))?;
        let mut job = self.held(&transaction, id, fence)?;
        if let Some(lease) = &mut job.lease {
            lease.until = now + time;
        }
        self.put(&transaction, &job)?;
        transaction.commit().map_err(|e| self.fault(e))?;
        Ok(job.cancel)
    }

    /// The worker leaves the job.
    ///
    /// # Errors
    /// As [`Queue::start`].
    pub fn finish(&self, id: &str, fence: u64, ending: JobEnd, now: Timestamp) -> Result<Job, StoreError> {
        self.write(|t| {
            let mut job = self.held(t, id, fence)?;
            job.lease = None;
            job.cancel = false;
            job.state = match ending {
                JobEnd::Done => State::Done,
                JobEnd::Failed(why) => {
                    job.failure = Some(why);
                    State::Failed
                }
                JobEnd::Cancelled => State::Cancelled,
                JobEnd::HandedBack => State::Queued,
            };
            job.ended = job.state.is_terminal().then_some(now);
            self.put(t, &job)?;
            Ok(job)
        })
    }

    /// Cancels a job: at once where it waits, else its worker is asked to end it.
    ///
    /// # Errors
    /// [`StoreError::NoJob`]; [`StoreError::WrongState`] where it has ended; trouble with the file.
    pub fn cancel(&self, id: &str, now: Timestamp) -> Result<Cancelled, StoreError> {
        self.write(|t| {
            let mut job = self.job(t, id)?;
            match job.state {
                State::Queued => {
                    job.state = State::Cancelled;
                    job.ended = Some(now);
                    self.put(t, &job)?;
                    Ok(Cancelled::AtOnce(job))
                }
                State::Leased | State::Running => {
                    job.cancel = true;
                    self.put(t, &job)?;
                    Ok(Cancelled::Asked(job))
                }
                State::Done | State::Failed | State::Cancelled => Err(wrong_state(&job, "cancelled")),
            }
        })
    }

    /// Queues a job again that was cancelled or failed; it goes on from what it had.
    ///
    /// # Errors
    /// [`StoreError::NoJob`]; [`StoreError::WrongState`] where it is under way or done; trouble with the file.
    pub fn resume(&self, id: &str) -> Result<Job, StoreError> {
        self.write(|t| {
            let mut job = self.job(t, id)?;
            if !matches!(job.state, State::Failed | State::Cancelled) {
                return Err(wrong_state(&job, "resumed"));
            }
            job.state = State::Queued;
            job.place = self.next(t, "place")?;
            (job.ended, job.failure, job.crashes, job.cancel) = (None, None, 0, false);
            self.put(t, &job)?;
            Ok(job)
        })
    }

    /// Puts jobs back whose worker is gone: those whose lease has run out and, with `all` (at the start, when the lock
    /// on the file proves that no other worker lives), every held one. A job that brought its worker down more than
    /// `crashes` times fails instead, so that it cannot do so for ever. What somebody cancelled meanwhile is cancelled.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn reconcile(&self, now: Timestamp, all: bool, crashes: u32) -> Result<Vec<Job>, StoreError> {
        self.write(|t| {
            let mut gone: Vec<Job> = Vec::new();
            {
                let table = t.open_table(JOBS).map_err(|e| self.fault(e))?;
                for entry in table.iter().map_err(|e| self.fault(e))? {
                    let (_, bytes) = entry.map_err(|e| self.fault(e))?;
                    let job: Job = self.decode(bytes.value())?;
                    let held = matches!(job.state, State::Leased | State::Running);
                    if held && (all || job.lease.as_ref().is_none_or(|l| l.until < now)) {
                        gone.push(job);
                    }
                }
            }
            for job in &mut gone {
                job.lease = None;
                job.crashes += 1;
                job.state = if job.cancel {
                    State::Cancelled
                } else if job.crashes > crashes {
                    job.failure = Some(format!("the service died {} times while carrying it out", job.crashes));
                    State::Failed
                } else {
                    State::Queued
                };
                job.ended = job.state.is_terminal().then_some(now);
                self.put(t, job)?;
            }
            Ok(gone)
        })
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        work(&self.database.begin_read().map_err(|e| self.fault(e))?)
    }

    fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.database.begin_write().map_err(|e| self.fault(e))?;
        let value = work(&transaction)?;
        transaction.commit().map_err(|e| self.fault(e))?;
        Ok(value)
    }

    fn job(&self, t: &WriteTransaction, id: &str) -> Result<Job, StoreError> {
        let jobs = t.open_table(JOBS).map_err(|e| self.fault(e))?;
        let bytes = jobs.get(id).map_err(|e| self.fault(e))?;
        self.decode(bytes.ok_or_else(|| StoreError::NoJob { wanted: id.into() })?.value())
    }

    /// The job, if it is held under this fence.
    fn held(&self, t: &WriteTransaction, id: &str, fence: u64) -> Result<Job, StoreError> {
        let job = self.job(t, id)?;
        match job.lease.as_ref().map(|l| l.fence) {
            Some(now) if now == fence => Ok(job),
            now => Err(StoreError::Fenced { id: id.into(), held: fence, now: now.unwrap_or(0) }),
        }
    }

    /// Writes a job, and its place among the waiting.
    fn put(&self, t: &WriteTransaction, job: &Job) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(job).map_err(|e| self.fault_text(e.to_string()))?;
        t.open_table(JOBS)
            .map_err(|e| self.fault(e))?
            .insert(job.id.as_str(), bytes.as_slice())
            .map_err(|e| self.fault(e))?;
        let mut waiting = t.open_table(WAITING).map_err(|e| self.fault(e))?;
        if job.state == State::Queued {
            waiting.insert(job.place, job.id.as_str()).map_err(|e| self.fault(e))?;
        } else {
            waiting.remove(job.place).map_err(|e| self.fault(e))?;
        }
        Ok(())
    }

    /// The next number of a row.
    fn next(&self, t: &WriteTransaction, row: &str) -> Result<u64, StoreError> {
        let mut meta = t.open_table(META).map_err(|e| self.fault(e))?;
        let last = meta.get(row).map_err(|e| self.fault(e))?.map_or(0, |v| v.value());
        meta.insert(row, last + 1).map_err(|e| self.fault(e))?;
        Ok(last + 1)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Job, StoreError> {
        serde_json::from_slice(bytes).map_err(|e| self.fault_text(e.to_string()))
    }

    fn fault(&self, error: impl Into<redb::Error>) -> StoreError {
        self.fault_text(error.into().to_string())
    }

    fn fault_text(&self, detail: String) -> StoreError {
        StoreError::Queue { path: self.path.clone(), detail }
    }
}

fn wrong_state(job: &Job, wanted: &'static str) -> StoreError {
    StoreError::WrongState { id: job.id.clone(), state: job.state.to_string(), wanted }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
