//! What a run leaves behind so that it can be resumed: what was asked and decided (`begun.json`). How training itself is
//! resumed from a checkpoint is the trainer's business.

use super::super::{AppError, write_whole};
use super::AutoRequest;
use crate::domain::resources::Costs;
use crate::domain::run::{Request, Run};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Version of the file. A reader refuses what it does not know.
const VERSION: u32 = 1;

/// A run that began.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    /// What was asked, with full paths.
    pub(super) request: AutoRequest,
    /// The run as it began: profile and decision.
    pub(super) run: Run,
    /// What strategies were estimated to cost.
    pub(super) costs: Costs,
}

fn place(out: &Path) -> PathBuf {
    out.join("begun.json")
}

impl Manifest {
    pub(super) fn write(request: &AutoRequest, run: &Run, costs: &Costs) -> Result<(), AppError> {
        let full = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let mut request = request.clone();
        request.source = request.source.as_ref().map(full);
        for path in [&mut request.model, &mut request.candidate, &mut request.out] {
            *path = full(path);
        }
        for path in request.train.iter_mut().chain(&mut request.eval) {
            *path = full(path);
        }
        let manifest = Self { version: VERSION, request, run: run.clone(), costs: costs.clone() };
        let path = place(&manifest.request.out);
        let json = serde_json::to_vec_pretty(&manifest).map_err(|e| AppError::File {
            verb: "write",
            path: path.clone(),
            source: e.into(),
        })?;
        write_whole(&path, &json)
    }

    /// # Errors
    /// [`AppError::NoRun`] where the folder holds no run, or one of another version.
    pub(super) fn read(out: &Path) -> Result<Self, AppError> {
        let path = place(out);
        let none = |why: String| AppError::NoRun { path: out.into(), why };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(none("it has no begun.json".into())),
            Err(source) => return Err(AppError::File { verb: "read", path, source }),
        };
        let version = |v: &serde_json::Value| v.get("version").and_then(serde_json::Value::as_u64);
        match serde_json::from_slice::<serde_json::Value>(&text) {
            Ok(value) if version(&value) != Some(u64::from(VERSION)) => {
                Err(none(format!("its begun.json has version {:?}, this program knows {VERSION}", version(&value))))
            }
            _ => serde_json::from_slice(&text).map_err(|e| none(format!("its begun.json is damaged: {e}"))),
        }
    }
}

/// The run as it ended, where it did.
pub(super) fn ended(out: &Path) -> Result<Option<Run>, AppError> {
    let path = out.join("run.json");
    let damaged =
        |e: serde_json::Error| AppError::NoRun { path: out.into(), why: format!("its run.json is damaged: {e}") };
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(damaged),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AppError::File { verb: "read", path, source }),
    }
}

/// Refuses to resume a run with other inputs than the run began with.
pub(super) fn must_be_the_same(then: &Request, now: &Request, out: &Path) -> Result<(), AppError> {
    let changed: Vec<&str> = [
        ("the model", then.model_sha256 != now.model_sha256),
        ("the training text", then.train_bytes != now.train_bytes),
        ("the held-out text", then.eval_sha256 != now.eval_sha256),
    ]
    .into_iter()
    .filter_map(|(what, changed)| changed.then_some(what))
    .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let why = format!("{} changed since it began", changed.join(" and "));
    Err(AppError::NoRun { path: out.into(), why })
}

/// Whether a folder holds a run that has begun, so that it can be resumed.
pub fn has_begun(out: &Path) -> bool {
    Manifest::read(out).is_ok()
}
