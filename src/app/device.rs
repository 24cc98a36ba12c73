//! Devices: which there are, whether they compute right, how fast they train, and compiled kernels made ahead.

use super::AppError;
use crate::domain::strategy::Checkpointing;
use crate::files::FileError;
use crate::model::device::{choose, gpu_cache, gpus};
use crate::model::device_check::{Checked, CudaPart, check, cuda_parts};
use crate::model::{ModelConfig, ModelError};
use crate::train::timing::{Timed, Timing, time_steps};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A device that work can run on.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// The name that `--device` takes.
    pub name: String,
    /// Why it would be chosen, or what is the matter with it.
    pub note: String,
    /// Bytes of memory; `None` where nobody tells.
    pub memory: Option<u64>,
    /// Whether it answers.
    pub answers: bool,
}

/// What there is to run on.
#[derive(Debug, Clone, Serialize)]
pub struct Devices {
    /// The devices.
    pub devices: Vec<Listed>,
    /// CUDA's parts on this machine.
    pub cuda: Vec<CudaPart>,
    /// Whether this binary can use them.
    pub built_with_cuda: bool,
    /// Where compiled kernels are kept.
    pub cache: PathBuf,
}

/// The devices of this machine.
pub fn devices() -> Devices {
    let names = std::iter::once("cpu".to_string()).chain((0..gpus()).map(|i| format!("cuda:{i}")));
    let listed = |name: String| match choose(&name) {
        Ok(chosen) => Listed { name, note: chosen.why, memory: chosen.memory, answers: true },
        Err(e) => Listed { name, note: e.to_string(), memory: None, answers: false },
    };
    Devices {
        devices: names.map(listed).collect(),
        cuda: cuda_parts(),
        built_with_cuda: cfg!(feature = "cuda"),
        cache: gpu_cache(),
    }
}

/// Checks what a device computes against the CPU.
///
/// # Errors
/// Where there is no such device, or it fails.
pub fn check_device(device: &str) -> Result<(String, Vec<Checked>), AppError> {
    let chosen = choose(device)?;
    Ok((chosen.name.clone(), check(&chosen.device).map_err(ModelError::from)?))
}

/// What `time_device` trains for a moment.
#[derive(Debug, Clone)]
pub struct TimeRequest {
    /// A config.json, or a folder that holds one; no weights are needed.
    pub model: PathBuf,
    /// The device.
    pub device: String,
    /// Layers, where not all of them: kernels are the same in each.
    pub layers: Option<usize>,
    /// Rows of the vocabulary, where not the model's.
    pub rows: Option<usize>,
    /// What is timed.
    pub timed: Timed,
}

/// Times training steps of a model's shape with random weights. With the device's caches cold the first step compiles and
/// tunes every kernel, and so warms them.
///
/// # Errors
/// A config.json that cannot be read, a device that is not there or fails.
pub fn time_device(request: &TimeRequest) -> Result<(String, Timing), AppError> {
    let path = if request.model.is_dir() { request.model.join("config.json") } else { request.model.clone() };
    let text = std::fs::read_to_string(&path).map_err(FileError::reading(&path)).map_err(ModelError::from)?;
    let config = shortened(&path, &text, request.layers)?;
    let config = match request.rows {
        Some(rows) => config.with_rows(rows),
        None => config,
    };
    let chosen = choose(&request.device)?;
    Ok((chosen.name.clone(), time_steps(&config, &chosen.device, &request.timed)?))
}

/// A configuration with fewer layers.
fn shortened(path: &Path, text: &str, layers: Option<usize>) -> Result<ModelConfig, AppError> {
    let parsed = ModelConfig::parse(path, text)?;
    let Some(layers) = layers.filter(|n| *n < parsed.size.layers) else { return Ok(parsed) };
    let mut value: serde_json::Value =
        serde_json::from_str(text).map_err(|source| ModelError::from(FileError::Json { path: path.into(), source }))?;
    value["num_hidden_layers"] = layers.into();
    if let Some(types) = value.get_mut("layer_types").and_then(serde_json::Value::as_array_mut) {
        types.truncate(layers);
    }
    Ok(ModelConfig::parse(path, &value.to_string())?)
}

/// No checkpointing, half of the layers, all: as a user types it.
pub fn checkpointing(share: f64) -> Checkpointing {
    if share >= 1.0 { Checkpointing::All(true) } else { Checkpointing::Share(share) }
}
