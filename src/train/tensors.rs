//! The numbers of a run in a file, one tensor at a time: no second copy of them is ever in memory. The file is
//! safetensors with `value.NAME`, `first.NAME`, `second.NAME` of every trained parameter, f32; where only the touched
//! rows have moments, `rows.NAME` says which, u32. Where the file lies and whether it can be trusted is not known here.

use super::adamw::{AdamW, History, Moments, Trained};
use super::state::Snapshot;
use crate::kernels;
use crate::model::Decoder;
use crate::model::ExecuteError;
use safetensors::tensor::SafeTensors;
use serde_json::{Map, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A run as it lives.
pub(super) struct Live<'a> {
    pub(super) model: &'a Decoder,
    pub(super) trained: &'a Trained,
    pub(super) optimizer: &'a AdamW,
}

/// One tensor of the file.
struct Part {
    kind: &'static str,
    parameter: usize,
    dtype: &'static str,
    shape: Vec<usize>,
}

impl Live<'_> {
    /// Writes the file and waits until the disk has it.
    ///
    /// # Errors
    /// [`ExecuteError::Write`] where the disk refuses, [`ExecuteError::Backend`] where a parameter cannot be read back.
    pub(super) fn write(&self, path: &Path) -> Result<(), ExecuteError> {
        let parts = self.parts();
        let mut header = Map::new();
        let mut end = 0;
        for part in &parts {
            let begin = end;
            end += 4 * part.shape.iter().product::<usize>();
            let name = format!("{}.{}", part.kind, self.trained.parameters()[part.parameter].name);
            header.insert(name, json!({"dtype": part.dtype, "shape": part.shape, "data_offsets": [begin, end]}));
        }
        let mut header = serde_json::Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let failed = || ExecuteError::writing(path);
        let mut file = BufWriter::new(File::create(path).map_err(failed())?);
        file.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed())?;
        file.write_all(&header).map_err(failed())?;
        for part in &parts {
            self.write_part(part, &mut file).map_err(|e| match e {
                Trouble::Disk(e) => ExecuteError::writing(path)(e),
                Trouble::Device(e) => e,
            })?;
        }
        let file = file.into_inner().map_err(|e| ExecuteError::writing(path)(e.into_error()))?;
        file.sync_all().map_err(failed())
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for (parameter, (p, history)) in self.trained.parameters().iter().zip(&self.optimizer.moments).enumerate() {
            let mut add = |kind, dtype, shape| parts.push(Part { kind, parameter, dtype, shape });
            add("value", "F32", p.shape.clone());
            match history {
                History::Whole(moments) if moments.first.is_empty() => {}
                History::Whole(_) | History::OnDevice(_) => {
                    add("first", "F32", p.shape.clone());
                    add("second", "F32", p.shape.clone());
                }
                History::Rows(rows) => {
                    let touched = rows.iter().flatten().count();
                    let shape = vec![touched, p.count() / rows.len().max(1)];
                    add("rows", "U32", vec![touched]);
                    add("first", "F32", shape.clone());
                    add("second", "F32", shape);
                }
            }
        }
        parts
    }

    fn write_part(&self, part: &Part, file: &mut dyn Write) -> Result<(), Trouble> {
        let of = |moments: &Moments| if part.kind == "first" { moments.first.clone() } else { moments.second.clone() };
        match (part.kind, &self.optimizer.moments[part.parameter]) {
            ("value", _) => numbers(file, &self.trained.value(self.model, part.parameter).map_err(Trouble::Device)?),
            ("rows", History::Rows(rows)) => {
                for (i, _) in rows.iter().enumerate().filter(|(_, row)| row.is_some()) {
                    file.write_all(&(i as u32).to_le_bytes()).map_err(Trouble::Disk)?;
                }
                Ok(())
            }
            (_, History::Rows(rows)) => rows.iter().flatten().try_for_each(|m| numbers(file, &of(m))),
            (_, History::Whole(moments)) => numbers(file, &of(moments)),
            (kind, History::OnDevice([first, second])) => {
                let moment = if kind == "first" { first } else { second };
                numbers(file, &kernels::numbers(moment.clone()).map_err(Trouble::Device)?)
            }
        }
    }
}

enum Trouble {
    Disk(std::io::Error),
    Device(ExecuteError),
}

fn numbers(file: &mut dyn Write, numbers: &[f32]) -> Result<(), Trouble> {
    for block in numbers.chunks(1 << 14) {
        let bytes: Vec<u8> = block.iter().flat_map(|x| x.to_le_bytes()).collect();
        file.write_all(&bytes).map_err(Trouble::Disk)?;
    }
    Ok(())
}

/// The numbers of a file's bytes.
///
/// # Errors
/// What is wrong with them, in words.
pub(super) fn read(bytes: &[u8], trained: &Trained, step: u64, updates: u64) -> Result<Snapshot, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| format!("has damaged tensors: {e}"))?;
    let raw = |kind: &str, name: &str| file.tensor(&format!("{kind}.{name}")).ok().map(|view| words(view.data()));
    let numbers = |kind: &str, name: &str, count: usize| -> Result<Vec<f32>, String> {
        let found: Vec<f32> = raw(kind, name).unwrap_or_default().into_iter().map(f32::from_bits).collect();
        if found.len() == count { Ok(found) } else { Err(format!("holds another {name} than the model")) }
    };
    let mut snapshot = Snapshot { step, updates, values: vec![], moments: vec![] };
    for p in trained.parameters() {
        snapshot.values.push(numbers("value", &p.name, p.count())?);
        // A run that was saved on one kind of device goes on on another.
        snapshot.moments.push(match (&*p.shape, raw("rows", &p.name), raw("first", &p.name)) {
            (_, None, None) => trained.blank(p),
            (&[rows, width], Some(touched), _) => {
                let mut rows = vec![None; rows];
                let count = touched.len() * width;
                let (first, second) = (numbers("first", &p.name, count)?, numbers("second", &p.name, count)?);
                for (i, row) in touched.iter().enumerate() {
                    let place = rows.get_mut(*row as usize);
                    let place = place.ok_or_else(|| format!("has a row {row} that {} has not", p.name))?;
                    let range = i * width..(i + 1) * width;
                    *place = Some(Moments { first: first[range.clone()].to_vec(), second: second[range].to_vec() });
                }
                History::Rows(rows)
            }
            (_, None, Some(_)) => History::Whole(Moments {
                first: numbers("first", &p.name, p.count())?,
                second: numbers("second", &p.name, p.count())?,
            }),
            _ => return Err(format!("keeps the moments of {} in another form", p.name)),
        });
    }
    Ok(snapshot)
}

/// Little-endian words of a tensor's data.
fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
