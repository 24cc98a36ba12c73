//! A run on disk: everything needed to go on as if nothing had happened. When to save is the loop's business.
//!
//! Layout of the folder it is given: one folder a checkpoint, `step-NNNNNNNN`, with `state.json` (where the run stands,
//! and the length and sha256 of the other file), `tensors.safetensors` (its numbers) and `rewind-NNNNNNNN.safetensors` for every
//! snapshot that it could still be rewound to. A checkpoint is written under a temporary name, synced, then renamed: it is there
//! whole or not at all. The last two are kept; a damaged one is passed over for the one before it.

use super::books::Books;
use super::error::TrainError;
use super::load::Load;
use super::params::TrainableParams;
use super::rewind::{OnDisk, Snapshots, is_whole};
use super::snapshot::{Live, Snapshot};
use super::tensors;
use crate::files::FileError;
use crate::model::evaluate::Scores;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Version of the layout. A reader refuses what it does not know.
const VERSION: u32 = 3;

/// How many checkpoints are kept.
pub const CHECKPOINTS: usize = 2;

/// Where a run stands, but for its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RunProgress {
    /// What the run is: a checkpoint of another text, plan or model is not gone on from.
    pub(super) fingerprint: String,
    pub(super) step: u64,
    pub(super) updates: u64,
    pub(super) position: u64,
    pub(super) rate_factor: f64,
    pub(super) elapsed: f64,
    pub(super) books: Books,
    pub(super) looks: Vec<f64>,
    pub(super) before: Option<Scores>,
    pub(super) load: Load,
    /// What the reviewer must be told again.
    pub(super) reviewer: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
struct State {
    version: u32,
    tensors_bytes: u64,
    tensors_sha256: String,
    rewinds: Vec<OnDisk>,
    progress: RunProgress,
}

/// A checkpoint as it was found.
pub(super) struct Found {
    pub(super) progress: RunProgress,
    /// The run's numbers.
    pub(super) snapshot: Snapshot,
    /// The checkpoint's folder.
    pub(super) place: PathBuf,
    /// Snapshots that it holds.
    pub(super) rewinds: Vec<OnDisk>,
}

/// Saves a checkpoint and forgets the oldest.
///
/// # Errors
/// [`FileError::Write`] where the disk refuses; what was there before is intact then.
pub(super) fn save(
    folder: &Path,
    progress: &RunProgress,
    live: &Live<'_>,
    snapshots: &Snapshots,
) -> Result<(), TrainError> {
    fs::create_dir_all(folder).map_err(FileError::writing(folder))?;
    let place = folder.join(format!("step-{:08}", progress.step));
    let failed = || FileError::writing(&place);
    let temporary = tempfile::Builder::new().prefix(".writing-").tempdir_in(folder).map_err(failed())?;
    let tensors_path = temporary.path().join("tensors.safetensors");
    live.write(&tensors_path)?;
    let finish = || -> std::io::Result<()> {
        let state = State {
            version: VERSION,
            tensors_bytes: fs::metadata(&tensors_path)?.len(),
            tensors_sha256: sha256(&tensors_path)?,
            rewinds: snapshots.link_into(temporary.path())?,
            progress: progress.clone(),
        };
        let state_path = temporary.path().join("state.json");
        fs::write(&state_path, serde_json::to_vec(&state)?)?;
        for path in [&state_path, temporary.path()] {
            File::open(path)?.sync_all()?;
        }
        if place.exists() {
            // The same step again, after a rewind: the older one goes first, the one before it is still there.
            fs::remove_dir_all(&place)?;
        }
        fs::rename(temporary.path(), &place)?;
        File::open(folder)?.sync_all()
    };
    finish().map_err(failed())?;
    let all = found(folder)?;
    let young = |path: &PathBuf| *path > place;
    // After a rewind there may be checkpoints of a future that will not come.
    for path in all.iter().filter(|p| young(p)).chain(all.iter().filter(|p| !young(p)).rev().skip(CHECKPOINTS)) {
        fs::remove_dir_all(path).map_err(FileError::writing(path))?;
    }
    Ok(())
}

/// The youngest checkpoint that is whole; `None` where there is none. Damaged ones are named in `passed_over`. What a
/// killed process was about to write is removed. `optimized` are the parameters and the optimizer's buffers.
///
/// # Errors
/// [`TrainError::Checkpoint`] where every checkpoint is damaged, or the youngest whole one is of another run.
pub(super) fn load(
    folder: &Path,
    fingerprint: &str,
    optimized: (&TrainableParams, &[&str]),
    passed_over: &mut Vec<String>,
) -> Result<Option<Found>, TrainError> {
    sweep(folder);
    let all = found(folder)?;
    for path in all.iter().rev() {
        match read(path, optimized) {
            Ok(checkpoint) => {
                if checkpoint.progress.fingerprint != fingerprint {
                    return Err(TrainError::Checkpoint {
                        path: path.clone(),
                        what: "is of another run: its text, settings or model differ".into(),
                    });
                }
                return Ok(Some(checkpoint));
            }
            Err(e) => passed_over.push(e.to_string()),
        }
    }
    match passed_over.last() {
        Some(what) => {
            Err(TrainError::Checkpoint { path: folder.into(), what: format!("holds no whole checkpoint: {what}") })
        }
        None => Ok(None),
    }
}

/// Removes temporary folders; where they cannot be removed they only take room.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(".writing-") || name.starts_with(".rewinds-"))
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// All checkpoints of a folder, the youngest last; none where there is no folder.
fn found(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(e) => return Err(FileError::reading(folder)(e).into()),
    };
    let named = |path: &PathBuf| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("step-"));
    let mut all: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(named).collect();
    all.sort();
    Ok(all)
}

fn read(path: &Path, (params, buffers): (&TrainableParams, &[&str])) -> Result<Found, TrainError> {
    let damaged = |what: String| TrainError::Checkpoint { path: path.into(), what };
    let (state_path, tensors_path) = (path.join("state.json"), path.join("tensors.safetensors"));
    let text = fs::read(&state_path).map_err(FileError::reading(&state_path))?;
    let broken = |e: serde_json::Error| damaged(format!("has a damaged state: {e}"));
    let state: serde_json::Value = serde_json::from_slice(&text).map_err(broken)?;
    if state["version"] != VERSION {
        return Err(damaged(format!("has layout {}, this program knows {VERSION}", state["version"])));
    }
    let state: State = serde_json::from_value(state).map_err(broken)?;
    let bytes = fs::read(&tensors_path).map_err(FileError::reading(&tensors_path))?;
    if bytes.len() as u64 != state.tensors_bytes || HEXLOWER.encode(&Sha256::digest(&bytes)) != state.tensors_sha256 {
        return Err(damaged("was cut short or changed after it was written".into()));
    }
    if !state.rewinds.iter().all(|snapshot| is_whole(path, snapshot)) {
        return Err(damaged("has lost a snapshot to rewind to".into()));
    }
    let State { progress, rewinds, .. } = state;
    let snapshot = tensors::read(&bytes, params, buffers, (progress.step, progress.updates)).map_err(damaged)?;
    Ok(Found { progress, snapshot, place: path.into(), rewinds })
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    std::io::copy(&mut file, &mut HashWriter(&mut hasher))?;
    Ok(HEXLOWER.encode(&hasher.finalize()))
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
