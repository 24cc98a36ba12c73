//! Which device the work runs on, and why. It detects and names; what runs there is not its business.

use super::error::ModelError;
use crate::model::memory;
use burn::tensor::Device;
use std::path::PathBuf;

/// A device with the reason it was chosen.
#[derive(Debug, Clone)]
pub struct ChosenDevice {
    /// The device, without autodiff.
    pub device: Device,
    /// `cpu` or `cuda:N`.
    pub name: String,
    /// Why this one, in a sentence for the user.
    pub why: String,
    /// Memory it has, bytes: a GPU's own, this machine's for the CPU; `None` where nobody tells.
    pub memory: Option<u64>,
}

/// The CPU.
pub fn cpu(why: &str) -> ChosenDevice {
    ChosenDevice { device: Device::flex(), name: "cpu".into(), why: why.into(), memory: memory::total() }
}

/// The device a user asked for: `cpu`, `cuda:N` (or `cuda`), or `auto` (a GPU where one answers, else the CPU).
///
/// # Errors
/// [`ModelError::Device`] for an unknown name or a GPU that is not there.
pub fn choose(asked: &str) -> Result<ChosenDevice, ModelError> {
    let fault = |why: String| ModelError::Device { asked: asked.into(), why };
    match asked {
        "cpu" => Ok(cpu("the CPU was asked for")),
        "auto" => Ok(gpu(0).unwrap_or_else(|why| cpu(&format!("the CPU is used because {why}")))),
        _ => {
            let index = match asked.split_once(':') {
                None if asked == "cuda" => 0,
                Some(("cuda", index)) => {
                    index.parse().map_err(|_| fault(format!("{index:?} is not the number of a GPU")))?
                }
                _ => return Err(fault("the devices are cpu, cuda:N and auto".into())),
            };
            gpu(index).map_err(fault)
        }
    }
}

/// Another device of the same kind, for work at the same time; the same one where there is no other.
pub fn another(than: &ChosenDevice) -> ChosenDevice {
    let index = than.name.strip_prefix("cuda:").and_then(|i| i.parse::<usize>().ok());
    index.and_then(|i| gpu(i + 1).or_else(|_| gpu(i.wrapping_sub(1))).ok()).unwrap_or_else(|| than.clone())
}

/// The folder that compiled GPU kernels and their tuning are kept in: `HIBRIT_GPU_CACHE`, else in the user's cache folder.
/// It holds one database for each version of hibrit and model of GPU.
pub fn gpu_cache() -> PathBuf {
    std::env::var_os("HIBRIT_GPU_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        let user = directories::ProjectDirs::from("", "", "hibrit").map(|dirs| dirs.cache_dir().to_path_buf());
        user.unwrap_or_else(|| std::env::temp_dir().join("hibrit")).join("gpu")
    })
}

/// Sets the GPU runtime up so that kernels compiled once and tuned once stay so. Must come before anything else asks for
/// a GPU; what a `cubecl.toml` or CubeCL's own environment variables say goes first.
#[cfg(feature = "cuda")]
fn keep_compiled_kernels() {
    use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig, cache::CacheConfig};
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let mut config = CubeClRuntimeConfig::from_current_dir();
        config.compilation.cache = true;
        config.environment.path = CacheConfig::Directory(gpu_cache());
        config.environment.name = format!("hibrit-{}-{}", env!("CARGO_PKG_VERSION"), gpu_models());
        // Where somebody was first, their settings hold, and kernels are compiled anew at every start.
        let _ = CubeClRuntimeConfig::try_set(config.override_from_env());
    });
}

/// The GPUs' models as NVIDIA's driver tells them, in a form that suits a file's name: what is tuned for one must not be
/// used on another that shares the user's folder.
#[cfg(feature = "cuda")]
fn gpu_models() -> String {
    let folders = std::fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
    let texts = folders.filter_map(|gpu| std::fs::read_to_string(gpu.path().join("information")).ok());
    let model =
        |text: String| Some(text.lines().find_map(|l| l.strip_prefix("Model:"))?.trim().replace([' ', '/'], "-"));
    let mut models: Vec<String> = texts.filter_map(model).collect();
    models.sort();
    models.dedup();
    if models.is_empty() { "unknown".into() } else { models.join("+") }
}

/// CUDA GPUs that answer here, by their numbers.
#[cfg(feature = "cuda")]
pub fn gpus() -> usize {
    keep_compiled_kernels();
    Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec().len()
}

/// CUDA GPUs that answer here, by their numbers.
#[cfg(not(feature = "cuda"))]
pub fn gpus() -> usize {
    0
}

#[cfg(feature = "cuda")]
fn gpu(index: usize) -> Result<ChosenDevice, String> {
    let found = gpus();
    if index >= found {
        return Err(match found {
            0 => "no CUDA GPU answers here".into(),
            n => format!("there are only {n} CUDA GPUs, counted from 0"),
        });
    }
    let device = Device::cuda(index);
    // A device is made lazily: only the first wait tells whether it works.
    device.sync().map_err(|e| format!("GPU {index} does not answer ({e:?})"))?;
    // Burn does not pass on what its runtime knows of the GPU.
    let known = cubecl::Device::cuda(index).ok();
    let memory = known.and_then(|gpu| gpu.client().properties().memory.max_memory());
    Ok(ChosenDevice { device, name: format!("cuda:{index}"), why: format!("GPU {index} of {found} answers"), memory })
}

#[cfg(not(feature = "cuda"))]
fn gpu(_: usize) -> Result<ChosenDevice, String> {
    Err("this binary was built without the feature `cuda`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_auto_says_why() {
        assert_eq!(choose("cpu").map(|c| c.name).ok().as_deref(), Some("cpu"));
        let auto = choose("auto").expect("auto always finds a device");
        assert!(!auto.why.is_empty());
        assert!(auto.memory.is_none_or(|bytes| bytes > 64 << 20), "{:?}", auto.memory);
    }

    #[test]
    fn an_unknown_device_is_an_error_that_lists_the_known() {
        let error = choose("tpu").map(|c| c.name).unwrap_err().to_string();
        assert!(error.contains("cuda:N"), "{error}");
        assert!(choose("cuda:x").is_err());
    }
}
