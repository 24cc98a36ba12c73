//! What is going on in runs now? A track for every job that is under way: a journal on the disk that gets every event,
//! a signal for whoever follows it, and a flag that ends it. Followers read the journal, so that a slow one costs no
//! memory, one that comes back goes on where it was, and all of it survives the service. Knows no HTTP.

use crate::app::{self, AppError, Journal, JournalSync};
use crate::domain::event::{Event, Observer};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;
use tokio::sync::watch;

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Progress {
    /// What goes on.
    pub phase: String,
    /// Done so far, in the phase's unit.
    pub done: u64,
    /// To be done in all; 0 where that is not known.
    pub total: u64,
    /// The phase's unit.
    pub unit: String,
    /// The last thing that was said.
    pub note: String,
    /// Training loss of the last step, bits per byte.
    pub bits_per_byte: Option<f64>,
    /// Tokens a second.
    pub tokens_per_second: Option<f64>,
}

/// A job that is under way.
#[derive(Debug)]
pub struct JobHandle {
    /// Set to end it.
    pub stop: Arc<AtomicBool>,
    /// The lease's fence.
    pub fence: u64,
    progress: Mutex<Progress>,
    changed: watch::Sender<u64>,
}

impl JobHandle {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// All jobs that are under way.
#[derive(Debug)]
pub struct ActiveJobs {
    /// Where services before this one kept journals.
    old: PathBuf,
    tracks: RwLock<HashMap<String, Arc<JobHandle>>>,
    /// Counts what happens to jobs from outside: queued, begun, ended.
    changed_jobs: watch::Sender<u64>,
}

impl ActiveJobs {
    /// `old`: the folder in which services before this one kept journals.
    pub fn new(old: PathBuf) -> Self {
        Self { old, tracks: RwLock::default(), changed_jobs: watch::Sender::new(0) }
    }

    /// The journal of a job whose run has this folder; it may not be there yet. One that an older service began goes on
    /// where it is.
    pub fn journal(&self, job: &str, out: &Path) -> PathBuf {
        let (own, old) = (out.join(app::JOURNAL), self.old.join(format!("{job}.jsonl")));
        if !own.exists() && old.exists() { old } else { own }
    }

    /// A job begins.
    pub fn begin(&self, job: &str, fence: u64) -> Arc<JobHandle> {
        let track = Arc::new(JobHandle {
            stop: Arc::new(AtomicBool::new(false)),
            fence,
            progress: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        self.tracks.write().unwrap_or_else(PoisonError::into_inner).insert(job.into(), track.clone());
        self.notify();
        track
    }

    /// A job is over.
    pub fn end(&self, job: &str) {
        self.tracks.write().unwrap_or_else(PoisonError::into_inner).remove(job);
        self.notify();
    }

    /// Something happened to a job.
    pub fn notify(&self) {
        self.changed_jobs.send_modify(|n| *n += 1);
    }

    /// The track of a job that is under way.
    pub fn track(&self, job: &str) -> Option<Arc<JobHandle>> {
        self.tracks.read().unwrap_or_else(PoisonError::into_inner).get(job).cloned()
    }

    /// All jobs that are under way.
    pub fn all(&self) -> Vec<(String, Arc<JobHandle>)> {
        let tracks = self.tracks.read().unwrap_or_else(PoisonError::into_inner);
        tracks.iter().map(|(id, track)| (id.clone(), track.clone())).collect()
    }

    /// Asks every job to save its state and end.
    pub fn stop_all(&self) {
        for (_, track) in self.all() {
            track.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Wakes whoever waits for anything to happen to jobs.
    pub fn changed_jobs(&self) -> watch::Receiver<u64> {
        self.changed_jobs.subscribe()
    }

    /// Wakes whoever waits for events of a job.
    pub fn changed(&self, job: &str) -> Option<watch::Receiver<u64>> {
        self.track(job).map(|track| track.changed.subscribe())
    }
}

/// Writes a job's events to its journal and wakes its followers.
pub struct Recorder {
    journal: Journal,
    track: Arc<JobHandle>,
}

impl Recorder {
    /// Goes on with the journal, or begins it.
    pub fn open(path: &Path, track: Arc<JobHandle>) -> Result<Self, AppError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| AppError::File {
                verb: "make",
                path: folder.into(),
                source,
            })?;
        }
        let began = Instant::now();
        let journal = Journal::open(path, JournalSync::default(), move || Some(began.elapsed().as_secs_f64()))?;
        Ok(Self { journal, track })
    }

    /// Everything is on the disk.
    pub fn finish(self) -> Result<(), AppError> {
        Ok(self.journal.finish()?)
    }
}

impl Observer for Recorder {
    fn branch(&mut self, name: Option<&str>) {
        self.journal.branch(name);
    }

    fn observe(&mut self, event: &Event) {
        {
            let mut progress = self.track.progress.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Event::Phase { name, total, unit } => {
                    (progress.phase, progress.total, progress.unit) = (name.clone(), *total, unit.clone());
                    progress.done = 0;
                }
                Event::Progress { done } => progress.done = *done,
                Event::Step(m) => {
                    progress.done = m.step;
                    progress.bits_per_byte = Some(m.bits_per_byte).filter(|v| v.is_finite());
                    progress.tokens_per_second = Some(m.tokens_per_second).filter(|v| v.is_finite());
                }
                Event::Note { text } => progress.note = text.clone(),
                Event::Finished { .. } => progress.done = progress.total,
                Event::Began(_) | Event::Ended { .. } => {}
                Event::Evaluated { .. } | Event::Directed { .. } | Event::Incident(_) => {}
            }
        }
        // Progress within a phase is told by the track alone; the journal keeps what can be drawn or read.
        if !matches!(event, Event::Progress { .. }) {
            self.journal.observe(event);
        }
        self.track.changed.send_modify(|n| *n += 1);
    }
}
