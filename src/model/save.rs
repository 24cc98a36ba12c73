//! Writes tensors and folders so that they are there whole or not at all: under a temporary name in the same folder,
//! then renamed.

use super::config::ModelConfig;
use super::decoder::Decoder;
use super::error::ModelError;
use super::parameters::{Group, Held};
use super::structural::SECOND;
use super::weights::Storage;
use crate::files::FileError;
use half::{bf16, f16};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Dtype {
    /// 32 bits; nothing is lost.
    #[default]
    F32,
    /// The upper 16 bits, rounded to even.
    Bf16,
    /// IEEE half precision, rounded to even; numbers beyond ±65,504 are refused.
    F16,
}

impl From<Storage> for Dtype {
    fn from(storage: Storage) -> Self {
        match storage {
            Storage::F32 => Self::F32,
            Storage::BF16 => Self::Bf16,
            Storage::F16 => Self::F16,
        }
    }
}

impl Dtype {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// In a safetensors header.
    fn tag(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::Bf16 => "BF16",
            Self::F16 => "F16",
        }
    }

    /// In a config.json.
    pub(super) fn torch(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
        }
    }
}

/// Writes a decoder as a Hugging Face folder: config.json (everything it was read with, sizes as they are now) and
/// model.safetensors. The folder is made where it is missing; tokenizer files are not this function's business.
/// A decoder with side paths is saved without them: merge first. The second vocabulary of a structural model is no part
/// of it.
///
/// # Errors
/// [`FileError::Write`] where the disk refuses, [`ModelError::Mismatch`] where the decoder still has side paths,
/// [`ModelError::Kernel`] where a tensor cannot be read back.
pub fn save_model(folder: &Path, decoder: &Decoder, config: &ModelConfig, dtype: Dtype) -> Result<(), ModelError> {
    if decoder.lora().is_some() {
        return Err(ModelError::Mismatch("a model with adapters is merged before it is saved".into()));
    }
    let config = config.clone().with_rows(decoder.config().size.rows).with_tied(decoder.config().size.tied);
    std::fs::create_dir_all(folder).map_err(FileError::writing(folder))?;
    let mut tensors = Vec::new();
    decoder.each_parameter(&mut |name, group, held| {
        if group != Group::Adapter && !name.starts_with(SECOND) {
            tensors.push((name, held_tensor(held)));
        }
    });
    write_tensors(&folder.join("model.safetensors"), &tensors, dtype)?;
    let text = config.with_dtype(dtype.torch()).to_json();
    write_atomically(&folder.join("config.json"), |file| file.write_all(text.as_bytes()))
}

/// A tensor about to be written; its numbers are fetched one tensor at a time.
pub(crate) struct Outgoing<'a> {
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: Box<dyn Fn() -> Result<Vec<f32>, ModelError> + 'a>,
}

/// A parameter's tensor; the parameter's storage is shared, not copied.
pub(crate) fn held_tensor(held: Held<'_>) -> Outgoing<'static> {
    match held {
        Held::Matrix(p) => {
            let p = p.clone();
            Outgoing { shape: held.shape(), numbers: Box::new(move || Held::Matrix(&p).numbers()) }
        }
        Held::Vector(p) => {
            let p = p.clone();
            Outgoing { shape: held.shape(), numbers: Box::new(move || Held::Vector(&p).numbers()) }
        }
    }
}

/// Writes a safetensors file, in the order given.
///
/// # Errors
/// As [`save_model`].
pub(crate) fn write_tensors(path: &Path, tensors: &[(String, Outgoing<'_>)], dtype: Dtype) -> Result<(), ModelError> {
    let mut header = Map::new();
    // transformers refuses a file that does not say which framework's layout it has.
    header.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut end = 0;
    for (name, tensor) in tensors {
        let begin = end;
        end += tensor.shape.iter().product::<usize>() * dtype.bytes();
        header
            .insert(name.clone(), json!({ "dtype": dtype.tag(), "shape": tensor.shape, "data_offsets": [begin, end] }));
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The data begins at a multiple of 8, as the format asks.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut fault = None;
    let written = write_atomically(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for (name, tensor) in tensors {
            let numbers = match (tensor.numbers)() {
                Ok(numbers) => numbers,
                Err(e) => {
                    fault = Some(e);
                    return Err(std::io::Error::other("a tensor could not be read back"));
                }
            };
            for block in numbers.chunks(1 << 16) {
                match dtype {
                    Dtype::F32 => file.write_all(bytemuck::cast_slice(block))?,
                    Dtype::Bf16 => {
                        let half: Vec<bf16> = block.iter().map(|x| bf16::from_f32(*x)).collect();
                        file.write_all(&half.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())?;
                    }
                    Dtype::F16 => {
                        let half: Vec<f16> = block.iter().map(|x| f16::from_f32(*x)).collect();
                        if half.iter().any(|x| !x.is_finite()) {
                            fault = Some(ModelError::Tensor {
                                path: path.into(),
                                tensor: name.clone(),
                                what: "holds a number that is too large for 16 bits of IEEE half precision".into(),
                            });
                            return Err(std::io::Error::other("a number does not fit"));
                        }
                        file.write_all(&half.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())?;
                    }
                }
            }
        }
        Ok(())
    });
    match fault {
        Some(fault) => Err(fault),
        None => written,
    }
}

/// Writes a file beside its place, waits until the disk has it, then renames it into place. Nothing is left behind
/// when writing fails.
///
/// # Errors
/// [`FileError::Write`] with the path.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), ModelError> {
    Ok(crate::files::atomic::write(path, |file| write(file)).map_err(FileError::writing(path))?)
}
