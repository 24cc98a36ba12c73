//! A model's folder written anew with other embeddings, block by block: no tensor is ever in memory whole, and every
//! number is stored as it was. Where the new rows come from is not known here.

use super::config::ModelConfig;
use super::error::ModelError;
use super::folder::{EMBEDDINGS, HEAD, ModelFolder, expected};
use super::save::{Dtype, write_atomically};
use super::weights::{Storage, Weights};
use crate::files::FileError;
use half::{bf16, f16};
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;

/// Fills rows from the given one on, as many as the block has room for.
pub type Filler<'a> = Box<dyn FnMut(usize, &mut [f32]) -> Result<(), ModelError> + 'a>;

/// A matrix that is made while it is written.
pub struct NewTable<'a> {
    /// Its rows.
    pub rows: usize,
    /// Makes them.
    pub fill: Filler<'a>,
}

/// Numbers of a new table that are in memory at once.
const BLOCK: usize = 1 << 22;
/// Bytes of a tensor that are copied at once.
const PIECE: usize = 1 << 22;

/// Writes `out/model.safetensors` and `out/config.json`: the tensors of `folder`, but `input` in place of its input
/// embeddings and `output` as its head; tied without one. Control tokens are those of `config`.
///
/// # Errors
/// [`ModelError::Tensor`] where a number, old or new, is not finite; [`FileError::Write`] where the disk refuses;
/// whatever the fillers say. Nothing is left under the final names then.
pub fn write_with_tables(
    folder: &ModelFolder,
    config: &ModelConfig,
    out: &Path,
    mut input: NewTable<'_>,
    mut output: Option<NewTable<'_>>,
) -> Result<(), ModelError> {
    std::fs::create_dir_all(out).map_err(FileError::writing(out))?;
    let weights = folder.weights();
    let config = config.clone().with_rows(input.rows).with_tied(output.is_none());
    let storage = |name: &str| weights.storage(name).or(weights.storage(EMBEDDINGS)).unwrap_or(Storage::F32);
    let tensors = expected(&config);
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut end = 0;
    for (name, shape) in &tensors {
        let begin = end;
        end += shape.iter().product::<usize>() * storage(name).bytes();
        let dtype = storage(name).to_string();
        header.insert(name.clone(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [begin, end] }));
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut fault = None;
    let path = out.join("model.safetensors");
    let written = write_atomically(&path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for (name, _) in &tensors {
            let done = match (name.as_str(), &mut output) {
                (EMBEDDINGS, _) => table(file, &mut input, config.size.hidden, storage(name), (weights, name)),
                (HEAD, Some(head)) => table(file, head, config.size.hidden, storage(name), (weights, name)),
                _ => copy(file, weights, name),
            };
            weights.release(name);
            match done {
                Ok(()) => {}
                Err(Trouble::Disk(e)) => return Err(e),
                Err(Trouble::Other(e)) => {
                    fault = Some(e);
                    return Err(std::io::Error::other("a tensor could not be made"));
                }
            }
        }
        Ok(())
    });
    match fault {
        Some(fault) => return Err(fault),
        None => written?,
    }
    let text = config.with_dtype(Dtype::from(storage(EMBEDDINGS)).torch()).to_json();
    write_atomically(&out.join("config.json"), |file| file.write_all(text.as_bytes()))
}

enum Trouble {
    Disk(std::io::Error),
    Other(ModelError),
}

fn not_finite(weights: &Weights, name: &str) -> Trouble {
    Trouble::Other(ModelError::Tensor {
        path: weights.path_of(name).into(),
        tensor: name.into(),
        what: "holds a number that is not finite (NaN or infinite)".into(),
    })
}

/// Makes a table and writes it.
fn table(
    file: &mut dyn Write,
    new: &mut NewTable<'_>,
    cols: usize,
    storage: Storage,
    (weights, name): (&Weights, &str),
) -> Result<(), Trouble> {
    let rows_at_once = (BLOCK / cols.max(1)).clamp(64, 1 << 14);
    let mut block = vec![0f32; rows_at_once.min(new.rows) * cols];
    let mut bytes = Vec::new();
    for first in (0..new.rows).step_by(rows_at_once) {
        let count = rows_at_once.min(new.rows - first) * cols;
        let block = &mut block[..count];
        (new.fill)(first, block).map_err(Trouble::Other)?;
        if block.par_chunks(1 << 16).any(|c| c.iter().any(|x| !x.is_finite())) {
            return Err(not_finite(weights, name));
        }
        bytes.clear();
        bytes.resize(count * storage.bytes(), 0);
        match storage {
            Storage::F32 => put(&mut bytes, block, f32::to_le_bytes),
            Storage::BF16 => put(&mut bytes, block, |x| bf16::from_f32(x).to_le_bytes()),
            Storage::F16 => put(&mut bytes, block, |x| f16::from_f32(x).to_le_bytes()),
        }
        file.write_all(&bytes).map_err(Trouble::Disk)?;
        weights.release(name);
    }
    Ok(())
}

fn put<const N: usize>(bytes: &mut [u8], numbers: &[f32], store: impl Fn(f32) -> [u8; N] + Sync) {
    let pieces = bytes.par_chunks_mut(N << 14).zip(numbers.par_chunks(1 << 14));
    pieces.for_each(|(to, from)| to.as_chunks_mut::<N>().0.iter_mut().zip(from).for_each(|(b, x)| *b = store(*x)));
}

/// Copies a tensor as it is stored.
fn copy(file: &mut dyn Write, weights: &Weights, name: &str) -> Result<(), Trouble> {
    let (Some(bytes), Some(storage)) = (weights.bytes(name), weights.storage(name)) else {
        return Err(Trouble::Other(ModelError::Mismatch(format!("the tensor {name} is missing"))));
    };
    for piece in bytes.chunks(PIECE) {
        let finite = match storage {
            Storage::F32 => piece.as_chunks::<4>().0.iter().all(|b| f32::from_le_bytes(*b).is_finite()),
            Storage::BF16 => piece.as_chunks::<2>().0.iter().all(|b| bf16::from_le_bytes(*b).is_finite()),
            Storage::F16 => piece.as_chunks::<2>().0.iter().all(|b| f16::from_le_bytes(*b).is_finite()),
        };
        if !finite {
            return Err(not_finite(weights, name));
        }
        file.write_all(piece).map_err(Trouble::Disk)?;
        weights.release(name);
    }
    Ok(())
}
