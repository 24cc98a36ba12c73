//! Does a device compute what the CPU computes? A product, a reduction and an attention, each against the CPU's fused
//! operation, with the time of the first call (compilation and tuning) and of a later one. What is found of CUDA's parts,
//! and where.

use crate::kernels::{self, Heads, KernelError};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// One operation, on a device and on the CPU.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Which operation.
    pub operation: &'static str,
    /// Largest difference from the CPU's numbers, relative to the largest of them.
    pub difference: f64,
    /// Largest difference that is accepted.
    pub tolerance: f64,
    /// Seconds of the first call.
    pub first_seconds: f64,
    /// Seconds of a later call.
    pub later_seconds: f64,
}

impl Checked {
    /// Whether the device computed right.
    pub fn holds(&self) -> bool {
        self.difference <= self.tolerance
    }
}

/// A part of CUDA, and where it was found.
#[derive(Debug, Clone, Serialize)]
pub struct CudaPart {
    /// What it is.
    pub name: &'static str,
    /// Where; `None` where it was not found.
    pub path: Option<PathBuf>,
    /// What to do when it is missing.
    pub hint: &'static str,
}

/// Numbers in -0.5..0.5 that look random and are the same everywhere.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 2_654_435_761 + seed * 40_503) % 10_007) as f32 / 10_007.0 - 0.5).collect()
}

fn tensor<const D: usize>(shape: [usize; D], seed: usize, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers(shape.iter().product(), seed), shape), device)
}

/// Checks a device against the CPU. Products of f32 may run as TF32 on a GPU, and of bf16 round to 8 bits: tolerances are
/// theirs.
///
/// # Errors
/// [`KernelError::Backend`] where the device fails.
pub fn check(device: &Device) -> Result<Vec<Checked>, KernelError> {
    let product = |d: &Device| tensor::<2>([257, 513], 1, d).matmul(tensor::<2>([513, 129], 2, d));
    let narrow = |d: &Device| {
        let (a, b) = (tensor::<2>([256, 512], 1, d), tensor::<2>([512, 128], 2, d));
        a.cast(FloatDType::BF16).matmul(b.cast(FloatDType::BF16)).cast(FloatDType::F32)
    };
    let reduction = |d: &Device| tensor::<2>([1000, 1024], 3, d).exp().sum_dim(1);
    let attention = |d: &Device| {
        let heads = Heads { query: 8, key_value: 4, window: None, scale: None };
        let (cos, sin) = (tensor::<2>([64, 16], 4, d).cos(), tensor::<2>([64, 16], 4, d).sin());
        let seen = kernels::attention(tensor::<3>([2, 64, 16 * 32], 5, d), None, &cos, &sin, heads);
        seen.reshape([2 * 64, 8 * 32])
    };
    type Operation<'a> = (&'static str, f64, &'a dyn Fn(&Device) -> Tensor<2>);
    let operations: [Operation<'_>; 4] = [
        ("product, f32", 2e-3, &product),
        ("product, bf16", 2e-2, &narrow),
        ("reduction", 1e-5, &reduction),
        ("attention", 2e-3, &attention),
    ];
    let cpu = Device::flex();
    let mut found = Vec::new();
    for (operation, tolerance, of) in operations {
        let right = kernels::numbers(of(&cpu))?;
        let start = Instant::now();
        let there = kernels::numbers(of(device))?;
        let first_seconds = start.elapsed().as_secs_f64();
        let start = Instant::now();
        kernels::numbers(of(device))?;
        let later_seconds = start.elapsed().as_secs_f64();
        let largest = right.iter().fold(f64::MIN_POSITIVE, |m, x| m.max(f64::from(x.abs())));
        let apart = |(a, b): (&f32, &f32)| f64::from((a - b).abs());
        // A number that is none counts as far away.
        let difference = right.iter().zip(&there).map(apart).fold(0.0, |m, x| if x <= m { m } else { x });
        let difference = if there.iter().all(|x| x.is_finite()) { difference / largest } else { f64::INFINITY };
        found.push(Checked { operation, difference, tolerance, first_seconds, later_seconds });
    }
    Ok(found)
}

/// CUDA's parts that are needed at run time: the driver's library, NVRTC, and headers.
pub fn cuda_parts() -> Vec<CudaPart> {
    let home = std::env::var_os("CUDA_PATH")
        .map(PathBuf::from)
        .or_else(|| ["/usr/local/cuda", "/opt/cuda"].map(PathBuf::from).into_iter().find(|path| path.is_dir()));
    let mut folders: Vec<PathBuf> =
        std::env::var_os("LD_LIBRARY_PATH").map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default();
    folders.extend(home.iter().flat_map(|home| ["lib64", "lib"].map(|lib| home.join(lib))));
    folders.extend(
        [
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/lib64",
            "/usr/lib",
            "/usr/local/nvidia/lib64",
        ]
        .map(PathBuf::from),
    );
    let library = |names: &[&str]| {
        folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name))).find(|path| path.exists())
    };
    let header = home.map(|home| home.join("include/cuda_runtime.h")).filter(|path| path.is_file());
    vec![
        CudaPart {
            name: "driver (libcuda)",
            path: library(&["libcuda.so.1", "libcuda.so"]),
            hint: "install NVIDIA's driver; in a container, start it with GPU access (--gpus all)",
        },
        CudaPart {
            name: "NVRTC (libnvrtc)",
            path: library(&["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"]),
            hint: "install the CUDA toolkit 12 or 13 and put its lib64 into LD_LIBRARY_PATH",
        },
        CudaPart {
            name: "CUDA headers (cuda_runtime.h)",
            path: header,
            hint: "install the CUDA toolkit's headers and set CUDA_PATH to the folder that holds include/",
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_agrees_with_itself_on_every_operation() {
        let checked = check(&Device::flex()).unwrap();
        assert_eq!(checked.len(), 4);
        assert!(checked.iter().all(|c| c.difference == 0.0 && c.holds()), "{checked:?}");
        assert!(!Checked { difference: f64::INFINITY, ..checked[0].clone() }.holds());
    }

    #[test]
    fn every_missing_part_of_cuda_comes_with_a_hint() {
        let parts = cuda_parts();
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|p| !p.hint.is_empty() && p.path.as_ref().is_none_or(|path| path.exists())));
    }
}
