//! The numbers of a run in a file, one tensor at a time: no second copy of them is ever in memory. The file is
//! safetensors with `value.NAME` of every trained parameter and a tensor for each of the optimizer's buffers (AdamW's
//! `first.NAME`, `second.NAME`), f32; where only the touched rows have any, `rows.NAME` says which, u32. Where the file lies and whether it can be trusted is not known here.

use super::error::TrainError;
use super::optimizer::OptimizerState;
use super::params::TrainableParams;
use super::snapshot::{Live, Snapshot};
use crate::files::FileError;
use crate::kernels;
use safetensors::tensor::SafeTensors;
use serde_json::{Map, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// One tensor of the file.
struct Part {
    kind: Kind,
    parameter: usize,
    shape: Vec<usize>,
}

/// What a tensor of the file is.
#[derive(Clone, Copy)]
enum Kind {
    /// The parameter itself.
    Value,
    /// The rows that have state.
    Rows,
    /// One of the optimizer's buffers, by number and name.
    Buffer(usize, &'static str),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Rows => "rows",
            Self::Buffer(_, name) => name,
        }
    }

    fn dtype(self) -> &'static str {
        match self {
            Self::Rows => "U32",
            Self::Value | Self::Buffer(..) => "F32",
        }
    }
}

impl Live<'_> {
    /// Writes the file and waits until the disk has it.
    ///
    /// # Errors
    /// [`FileError::Write`] where the disk refuses, [`TrainError::Kernel`] where a parameter cannot be read back.
    pub(super) fn write(&self, path: &Path) -> Result<(), TrainError> {
        let parts = self.parts();
        let mut header = Map::new();
        let mut end = 0;
        for part in &parts {
            let begin = end;
            end += 4 * part.shape.iter().product::<usize>();
            let name = format!("{}.{}", part.kind.name(), self.params.parameters()[part.parameter].name);
            header.insert(name, json!({"dtype": part.kind.dtype(), "shape": part.shape, "data_offsets": [begin, end]}));
        }
        let mut header = serde_json::Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let failed = || FileError::writing(path);
        let mut file = BufWriter::new(File::create(path).map_err(failed())?);
        file.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed())?;
        file.write_all(&header).map_err(failed())?;
        for part in &parts {
            self.write_part(part, &mut file).map_err(|e| match e {
                Trouble::Disk(e) => FileError::writing(path)(e).into(),
                Trouble::Device(e) => e,
            })?;
        }
        let file = file.into_inner().map_err(|e| FileError::writing(path)(e.into_error()))?;
        Ok(file.sync_all().map_err(failed())?)
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for (parameter, (p, state)) in self.params.parameters().iter().zip(self.optimizer.state()).enumerate() {
            let mut add = |kind, shape| parts.push(Part { kind, parameter, shape });
            add(Kind::Value, p.shape.clone());
            let shape = match state {
                OptimizerState::Whole(buffers) if buffers.is_empty() => continue,
                OptimizerState::Whole(_) | OptimizerState::OnDevice(_) => p.shape.clone(),
                OptimizerState::Rows(rows) => {
                    let touched = rows.iter().flatten().count();
                    add(Kind::Rows, vec![touched]);
                    vec![touched, p.count() / rows.len().max(1)]
                }
            };
            for (number, name) in self.optimizer.buffers().iter().enumerate() {
                add(Kind::Buffer(number, name), shape.clone());
            }
        }
        parts
    }

    fn write_part(&self, part: &Part, file: &mut dyn Write) -> Result<(), Trouble> {
        let lacks = || Trouble::Device(TrainError::Mismatch("an optimizer keeps fewer buffers than it names".into()));
        let of = |buffers: &[Vec<f32>], number: usize| buffers.get(number).cloned().ok_or_else(lacks);
        match (part.kind, &self.optimizer.state()[part.parameter]) {
            (Kind::Value, _) => numbers(file, &self.params.value(self.model, part.parameter).map_err(Trouble::Device)?),
            (Kind::Rows, OptimizerState::Rows(rows)) => {
                for (i, _) in rows.iter().enumerate().filter(|(_, row)| row.is_some()) {
                    file.write_all(&(i as u32).to_le_bytes()).map_err(Trouble::Disk)?;
                }
                Ok(())
            }
            (Kind::Rows, OptimizerState::Whole(_) | OptimizerState::OnDevice(_)) => Ok(()),
            (Kind::Buffer(number, _), OptimizerState::Rows(rows)) => {
                rows.iter().flatten().try_for_each(|row| numbers(file, &of(row, number)?))
            }
            (Kind::Buffer(number, _), OptimizerState::Whole(buffers)) => numbers(file, &of(buffers, number)?),
            (Kind::Buffer(number, _), OptimizerState::OnDevice(buffers)) => {
                let buffer = buffers.get(number).ok_or_else(lacks)?;
                let there = kernels::numbers(buffer.clone()).map_err(|e| Trouble::Device(e.into()))?;
                numbers(file, &there)
            }
        }
    }
}

enum Trouble {
    Disk(std::io::Error),
    Device(TrainError),
}

fn numbers(file: &mut dyn Write, numbers: &[f32]) -> Result<(), Trouble> {
    for block in numbers.chunks(1 << 14) {
        let bytes: Vec<u8> = block.iter().flat_map(|x| x.to_le_bytes()).collect();
        file.write_all(&bytes).map_err(Trouble::Disk)?;
    }
    Ok(())
}

/// The numbers of a file's bytes; `buffers` are the optimizer's.
///
/// # Errors
/// What is wrong with them, in words.
pub(super) fn read(
    bytes: &[u8],
    params: &TrainableParams,
    buffers: &[&str],
    (step, updates): (u64, u64),
) -> Result<Snapshot, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| format!("has damaged tensors: {e}"))?;
    let raw = |kind: &str, name: &str| file.tensor(&format!("{kind}.{name}")).ok().map(|view| words(view.data()));
    let numbers = |kind: &str, name: &str, count: usize| -> Result<Vec<f32>, String> {
        let found: Vec<f32> = raw(kind, name).unwrap_or_default().into_iter().map(f32::from_bits).collect();
        if found.len() == count { Ok(found) } else { Err(format!("holds another {name} than the model")) }
    };
    let all = |name: &str, count: usize| -> Result<Vec<Vec<f32>>, String> {
        buffers.iter().map(|kind| numbers(kind, name, count)).collect()
    };
    let mut snapshot = Snapshot { step, updates, values: vec![], state: vec![] };
    for p in params.parameters() {
        snapshot.values.push(numbers("value", &p.name, p.count())?);
        let has_state = buffers.iter().any(|kind| file.tensor(&format!("{kind}.{}", p.name)).is_ok());
        // A run that was saved on one kind of device continues on another.
        snapshot.state.push(match (&*p.shape, raw("rows", &p.name)) {
            (&[rows, width], Some(touched)) => {
                let mut rows = vec![None; rows];
                let found = all(&p.name, touched.len() * width)?;
                for (i, row) in touched.iter().enumerate() {
                    let place = rows.get_mut(*row as usize);
                    let place = place.ok_or_else(|| format!("has a row {row} that {} has not", p.name))?;
                    *place = Some(found.iter().map(|all| all[i * width..(i + 1) * width].to_vec()).collect());
                }
                OptimizerState::Rows(rows)
            }
            (_, Some(_)) => return Err(format!("keeps the optimizer's state of {} in another form", p.name)),
            (_, None) if has_state => OptimizerState::Whole(all(&p.name, p.count())?),
            (_, None) => OptimizerState::blank(p, params, buffers.len()),
        });
    }
    Ok(snapshot)
}

/// Little-endian words of a tensor's data.
fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
