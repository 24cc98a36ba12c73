//! The tensors of a safetensors file or a sharded set of them, mapped into memory and checked before anything is
//! read. What the tensors mean is not known here.
use super::error::ModelError;
use crate::files::FileError;
use data_encoding::HEXLOWER;
use half::{bf16, f16};
use memmap2::Mmap;
use rayon::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Headers beyond this are refused, as other readers do.
const LONGEST_HEADER: u64 = 100_000_000;

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, strum::Display)]
pub enum Storage {
    /// 32 bits.
    F32,
    /// The upper 16 bits of an f32.
    BF16,
    /// IEEE half precision.
    F16,
}

impl Storage {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::BF16 | Self::F16 => 2,
        }
    }
}

/// Mapped weights of a folder.
#[derive(Debug)]
pub struct Weights {
    shards: Vec<Shard>,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: Mmap,
}

#[derive(Debug, Clone)]
struct Entry {
    shard: usize,
    storage: Storage,
    shape: Vec<usize>,
    /// Within the shard's file.
    bytes: Range<usize>,
}

/// A tensor as the header describes it.
#[derive(Deserialize)]
struct Described {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl Weights {
    /// The weights of a folder: `NAME.safetensors`, or the shards that `NAME.safetensors.index.json` lists.
    ///
    /// # Errors
    /// A file that is missing or cannot be read; a header that is damaged, lies about sizes or overlaps; a tensor in
    /// two shards, or in none although the index lists it.
    pub fn open(folder: &Path, name: &str) -> Result<Self, ModelError> {
        let single = folder.join(format!("{name}.safetensors"));
        let index = folder.join(format!("{name}.safetensors.index.json"));
        if !index.exists() || single.exists() {
            return Self::of_files(&[single]);
        }
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let text = std::fs::read_to_string(&index).map_err(FileError::reading(&index))?;
        let listed: Index =
            serde_json::from_str(&text).map_err(|source| FileError::Json { path: index.clone(), source })?;
        let files: BTreeSet<&String> = listed.weight_map.values().collect();
        if let Some(outside) = files.iter().find(|f| Path::new(f).file_name().is_none_or(|n| n != f.as_str())) {
            return Err(ModelError::Weights { path: index, what: format!("shard {outside:?} is not a file name") });
        }
        let weights = Self::of_files(&files.iter().map(|f| folder.join(f)).collect::<Vec<_>>())?;
        match listed.weight_map.keys().find(|tensor| !weights.entries.contains_key(*tensor)) {
            Some(lost) => {
                Err(ModelError::Tensor { path: index, tensor: lost.clone(), what: "is listed but in no shard".into() })
            }
            None => Ok(weights),
        }
    }

    fn of_files(files: &[PathBuf]) -> Result<Self, ModelError> {
        let mut weights = Self { shards: Vec::new(), entries: BTreeMap::new() };
        for path in files {
            let file = File::open(path).map_err(FileError::reading(path))?;
            // SAFETY: the file is only read; another process that shortened it while it is mapped could make reads
            // fail with a bus error, which no reader of mapped files can rule out.
            let map = unsafe { Mmap::map(&file) }.map_err(FileError::reading(path))?;
            let shard = weights.shards.len();
            for (name, entry) in header(path, &map, shard)? {
                if weights.entries.insert(name.clone(), entry).is_some() {
                    return Err(ModelError::Tensor {
                        path: path.clone(),
                        tensor: name,
                        what: "is in two shards".into(),
                    });
                }
            }
            weights.shards.push(Shard { path: path.clone(), map });
        }
        Ok(weights)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// A tensor's shape; `None` where there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|e| e.shape.as_slice())
    }

    /// How a tensor is stored.
    pub fn storage(&self, name: &str) -> Option<Storage> {
        self.entries.get(name).map(|e| e.storage)
    }

    /// The file that holds a tensor, or the first file.
    pub fn path_of(&self, name: &str) -> &Path {
        let shard = self.entries.get(name).map_or(0, |e| e.shard);
        self.shards.get(shard).map_or(Path::new(""), |s| &s.path)
    }

    /// The stored bytes of a tensor.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let entry = self.entries.get(name)?;
        self.shards.get(entry.shard)?.map.get(entry.bytes.clone())
    }

    /// All numbers of a tensor as f32, row-major.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where it is missing or holds a number that is not finite.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let count = self.shape(name).map_or(0, |s| s.iter().product());
        self.read_range(name, 0..count)
    }

    /// Some of a tensor's numbers, counted row-major: streaming a matrix by blocks of rows.
    ///
    /// # Errors
    /// As [`Weights::read`]; also where the range lies outside the tensor.
    pub fn read_range(&self, name: &str, range: Range<usize>) -> Result<Vec<f32>, ModelError> {
        let fault =
            |what: &str| ModelError::Tensor { path: self.path_of(name).into(), tensor: name.into(), what: what.into() };
        let (Some(storage), Some(bytes)) = (self.storage(name), self.bytes(name)) else {
            return Err(fault("is missing"));
        };
        let size = storage.bytes();
        let bytes =
            bytes.get(range.start * size..range.end * size).ok_or_else(|| fault("is shorter than asked for"))?;
        let mut numbers = vec![0f32; range.len()];
        numbers.par_chunks_mut(1 << 16).zip(bytes.par_chunks(size << 16)).for_each(|(out, stored)| match storage {
            Storage::F32 => convert(out, stored, f32::from_le_bytes),
            Storage::BF16 => convert(out, stored, |b| bf16::from_le_bytes(b).to_f32()),
            Storage::F16 => convert(out, stored, |b| f16::from_le_bytes(b).to_f32()),
        });
        if numbers.par_chunks(1 << 16).any(|c| c.iter().any(|x| !x.is_finite())) {
            return Err(fault("holds a number that is not finite (NaN or infinite)"));
        }
        Ok(numbers)
    }

    /// A matrix to be read row by row; `None` where there is no such matrix.
    pub fn matrix(&self, name: &str) -> Option<StoredMatrix<'_>> {
        let [rows, cols] = *self.shape(name)? else { return None };
        Some(StoredMatrix { weights: self, bytes: self.bytes(name)?, storage: self.storage(name)?, rows, cols })
    }

    /// Lets the system have back the pages of a tensor that were read; they are read again when they are needed.
    pub fn release(&self, name: &str) {
        if let Some(bytes) = self.bytes(name) {
            self.release_bytes(bytes);
        }
    }

    fn release_bytes(&self, bytes: &[u8]) {
        #[cfg(unix)]
        for shard in &self.shards {
            let (start, own) = (bytes.as_ptr() as usize, shard.map.as_ptr() as usize);
            if let Some(offset) = start.checked_sub(own).filter(|o| o + bytes.len() <= shard.map.len()) {
                // SAFETY: the map is of a file, shared and read-only: pages that are dropped come back from the file,
                // with the same contents. Where the system refuses, the pages just stay.
                let _ = unsafe {
                    shard.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, bytes.len())
                };
            }
        }
    }

    /// sha256 over the files in order, in hex.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for shard in &self.shards {
            hash.update(&shard.map[..]);
        }
        HEXLOWER.encode(&hash.finalize())
    }
}

/// A matrix in a mapped file.
#[derive(Debug, Clone, Copy)]
pub struct StoredMatrix<'a> {
    weights: &'a Weights,
    bytes: &'a [u8],
    storage: Storage,
    rows: usize,
    cols: usize,
}

impl StoredMatrix<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Length of a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// A row; `None` where there is none, or a number of it is not finite.
    pub fn row(&self, row: usize) -> Option<Vec<f32>> {
        let mut numbers = vec![0f32; self.cols];
        (row < self.rows).then(|| self.each(row, &mut numbers, |x, e| *x = e))?;
        numbers.iter().all(|x| x.is_finite()).then_some(numbers)
    }

    /// Passes the numbers of a row along those of `to`. Panics when there is no such row, as slices do.
    pub fn each(&self, row: usize, to: &mut [f32], take: impl Fn(&mut f32, f32)) {
        let size = self.storage.bytes() * self.cols;
        let bytes = &self.bytes[row * size..(row + 1) * size];
        match self.storage {
            Storage::F32 => along(to, bytes, f32::from_le_bytes, take),
            Storage::BF16 => along(to, bytes, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16), take),
            Storage::F16 => along(to, bytes, |b| f16::from_le_bytes(b).to_f32(), take),
        }
    }

    /// Lets the system have back the pages that were read.
    pub fn release(&self) {
        self.weights.release_bytes(self.bytes);
    }
}

fn along<const N: usize>(to: &mut [f32], stored: &[u8], number: impl Fn([u8; N]) -> f32, take: impl Fn(&mut f32, f32)) {
    to.iter_mut().zip(stored.as_chunks::<N>().0).for_each(|(x, b)| take(x, number(*b)));
}

fn convert<const N: usize>(out: &mut [f32], stored: &[u8], number: impl Fn([u8; N]) -> f32) {
    let (whole, _) = stored.as_chunks::<N>();
    for (x, bytes) in out.iter_mut().zip(whole) {
        *x = number(*bytes);
    }
}

/// The checked header of one file: 8 bytes of length, JSON, then the data, every byte of it described once.
fn header(path: &Path, map: &[u8], shard: usize) -> Result<Vec<(String, Entry)>, ModelError> {
    let damaged = |what: String| ModelError::Weights { path: path.into(), what };
    let (length, rest) = map.split_first_chunk::<8>().ok_or_else(|| damaged("it is too short for a header".into()))?;
    let length = u64::from_le_bytes(*length);
    if length > LONGEST_HEADER || length > rest.len() as u64 {
        return Err(damaged(format!(
            "its header claims {length} bytes, but only {} follow; it is not a safetensors file, or cut short",
            rest.len()
        )));
    }
    let (text, data) = rest.split_at(length as usize);
    let described: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(|e| damaged(format!("its header is not valid JSON ({e})")))?;
    let mut entries = Vec::new();
    for (name, value) in described {
        if name == "__metadata__" {
            continue;
        }
        let fault = |what: String| ModelError::Tensor { path: path.into(), tensor: name.clone(), what };
        let tensor: Described =
            serde_json::from_value(value).map_err(|e| fault(format!("is described wrongly ({e})")))?;
        let storage = match tensor.dtype.as_str() {
            "F32" => Storage::F32,
            "BF16" => Storage::BF16,
            "F16" => Storage::F16,
            other => return Err(fault(format!("is stored as {other}; F32, BF16 and F16 can be read"))),
        };
        let [begin, end] = tensor.data_offsets;
        if begin > end || end > data.len() {
            return Err(fault(format!(
                "lies at bytes {begin}..{end}, but the file holds {} bytes of data: it is cut short, or the header lies",
                data.len()
            )));
        }
        let wanted = tensor.shape.iter().try_fold(storage.bytes(), |n, d| n.checked_mul(*d));
        if wanted != Some(end - begin) {
            return Err(fault(format!(
                "has shape {:?} of {storage}, which does not fit its {} bytes",
                tensor.shape,
                end - begin
            )));
        }
        let start = 8 + text.len();
        entries.push((name, Entry { shard, storage, shape: tensor.shape, bytes: start + begin..start + end }));
    }
    let mut order: Vec<&(String, Entry)> = entries.iter().collect();
    order.sort_by_key(|(_, e)| (e.bytes.start, e.bytes.end));
    for pair in order.windows(2) {
        if let [(first, a), (second, b)] = pair
            && b.bytes.start < a.bytes.end
        {
            return Err(ModelError::Tensor {
                path: path.into(),
                tensor: second.clone(),
                what: format!("overlaps with {first}"),
            });
        }
    }
    Ok(entries)
}
