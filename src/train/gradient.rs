//! Gradients of the trained parameters: added up over micro-batches, their norm. It knows parameters by place and shape,
//! not what they do. Embeddings that are only looked up have gradients by row: the rest of the table is zero and not
//! there.

use super::adamw::Trained;
use crate::kernels::{self, numbers};
use crate::model::ExecuteError;
use crate::model::{Group, RowGradient, Step};
use burn::tensor::{Tensor, s};
use rayon::prelude::*;
use std::collections::HashMap;

/// Numbers a core works on at a time; fixed, so that sums do not depend on the number of cores.
const PIECE: usize = 1 << 15;

/// The gradient of a parameter.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    /// Nothing yet.
    None,
    /// All of it.
    Whole(Vec<f32>),
    /// The rows that were touched, one after another, and which row of the matrix lies where.
    Rows { places: HashMap<u32, usize>, values: Vec<f32> },
    /// All of it, row-major, on the device.
    OnDevice(Tensor<1>),
}

impl Slot {
    /// A row of `width` numbers; `None` where it is zero because nothing touched it, or not at the host.
    pub(super) fn row(&self, row: usize, width: usize) -> Option<&[f32]> {
        match self {
            Self::None | Self::OnDevice(_) => None,
            Self::Whole(values) => values.get(row * width..(row + 1) * width),
            Self::Rows { places, values } => {
                let place = places.get(&u32::try_from(row).ok()?)?;
                values.get(place * width..(place + 1) * width)
            }
        }
    }

    fn scale(&mut self, factor: f32) {
        match self {
            Self::None => {}
            Self::Whole(values) | Self::Rows { values, .. } => values.iter_mut().for_each(|x| *x *= factor),
            Self::OnDevice(values) => *values = values.clone() * factor,
        }
    }

    /// Zero for the first `rows` rows of `width` numbers.
    fn freeze(&mut self, rows: usize, width: usize) {
        match self {
            Self::None => {}
            Self::Whole(values) => values.iter_mut().take(rows * width).for_each(|x| *x = 0.0),
            Self::Rows { places, values } => {
                let frozen = places.iter().filter(|(row, _)| (**row as usize) < rows).map(|(_, place)| *place);
                for place in frozen {
                    values.iter_mut().skip(place * width).take(width).for_each(|x| *x = 0.0);
                }
            }
            Self::OnDevice(values) => {
                let end = (rows * width).min(values.dims()[0]);
                *values = values.clone().slice_fill(s![0..end], 0.0);
            }
        }
    }

    fn add(&mut self, new: Vec<f32>) {
        match self {
            Self::Whole(sum) => {
                let pieces = sum.par_chunks_mut(PIECE).zip(new.par_chunks(PIECE));
                pieces.for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a += b));
            }
            Self::None | Self::Rows { .. } | Self::OnDevice(_) => *self = Self::Whole(new),
        }
    }

    fn add_on_device(&mut self, new: Tensor<1>) {
        *self = Self::OnDevice(match std::mem::replace(self, Self::None) {
            Self::OnDevice(sum) => sum + new,
            _ => new,
        });
    }

    fn add_rows_on_device(&mut self, shape: [usize; 2], new: RowGradient) {
        let sum = match std::mem::replace(self, Self::None) {
            Self::OnDevice(sum) => sum.reshape(shape),
            _ => Tensor::zeros(shape, &new.values.device()),
        };
        *self = Self::OnDevice(kernels::scatter_rows(sum, new.values, &new.ids).reshape([-1]));
    }

    fn add_rows(&mut self, ids: &[u32], new: &[f32]) {
        let width = new.len() / ids.len().max(1);
        if !matches!(self, Self::Rows { .. }) {
            *self = Self::Rows { places: HashMap::new(), values: Vec::new() };
        }
        let Self::Rows { places, values } = self else { return };
        for (id, new) in ids.iter().zip(new.chunks(width.max(1))) {
            let count = places.len();
            let place = *places.entry(*id).or_insert(count);
            if place == count {
                values.extend_from_slice(new);
            } else {
                let sum = &mut values[place * width..(place + 1) * width];
                sum.iter_mut().zip(new).for_each(|(a, b)| *a += b);
            }
        }
    }
}

/// Gradients of the trained parameters, in their order, summed over micro-batches.
#[derive(Debug, Clone)]
pub struct Gradient {
    slots: Vec<Slot>,
}

impl Gradient {
    /// Nothing yet.
    pub fn none(trained: &Trained) -> Self {
        Self { slots: vec![Slot::None; trained.parameters().len()] }
    }

    #[cfg(test)]
    pub(super) fn of(slots: Vec<Slot>) -> Self {
        Self { slots }
    }

    pub(super) fn slot(&self, index: usize) -> Option<&Slot> {
        self.slots.get(index)
    }

    /// Adds a micro-batch's gradients.
    ///
    /// # Errors
    /// [`ExecuteError::Backend`] where they cannot be read back.
    pub fn add(&mut self, trained: &Trained, mut step: Step) -> Result<(), ExecuteError> {
        let on_device = trained.keeper().is_some();
        for (slot, p) in self.slots.iter_mut().zip(trained.parameters()) {
            if let Some(rows) = step.rows.take_if(|rows| rows.parameter == p.id) {
                match *p.shape {
                    [rows_there, width] if on_device => slot.add_rows_on_device([rows_there, width], rows),
                    _ => slot.add_rows(&rows.ids, &numbers(rows.values)?),
                }
                continue;
            }
            let new = match p.shape.len() {
                1 => step.grads.remove::<1>(p.id),
                _ => step.grads.remove::<2>(p.id).map(|matrix| matrix.reshape([-1])),
            };
            match new {
                Some(new) if on_device => slot.add_on_device(new),
                Some(new) => slot.add(numbers(new)?),
                None => {}
            }
        }
        Ok(())
    }

    /// Forgets what the first `rows` rows of the embeddings and the head would learn: without a gradient and without
    /// decay they stay as they are.
    pub fn freeze_rows(&mut self, trained: &Trained, rows: usize) {
        for (slot, p) in self.slots.iter_mut().zip(trained.parameters()) {
            if matches!(p.group, Group::Embedding | Group::Head) {
                slot.freeze(rows, p.width());
            }
        }
    }

    /// Multiplies everything.
    pub fn scale(&mut self, factor: f32) {
        self.slots.iter_mut().for_each(|slot| slot.scale(factor));
    }

    /// Euclidean norm over everything; NaN or infinite where any number is.
    ///
    /// # Errors
    /// [`ExecuteError::Backend`] where it cannot be read back.
    pub fn norm(&self) -> Result<f64, ExecuteError> {
        let of_piece = |piece: &[f32]| piece.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
        let (mut squares, mut there) = (Vec::new(), Vec::new());
        for slot in &self.slots {
            match slot {
                Slot::None => {}
                Slot::Whole(values) | Slot::Rows { values, .. } => {
                    squares.push(values.par_chunks(PIECE).map(of_piece).collect::<Vec<f64>>().iter().sum::<f64>());
                }
                Slot::OnDevice(values) => there.push(values.clone().square().sum()),
            }
        }
        // A group at a time: each reading waits for the device, but a kernel with hundreds of inputs took NVRTC 72 s to
        // compile (docs/gpu.md).
        for group in there.chunks(READ_AT_ONCE) {
            squares.extend(numbers(Tensor::cat(group.to_vec(), 0))?.into_iter().map(f64::from));
        }
        Ok(squares.iter().sum::<f64>().sqrt())
    }
}

/// Squares that are read from a device at once.
const READ_AT_ONCE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_is_over_all_parameters_and_shows_what_is_not_finite() {
        let gradient = Gradient::of(vec![Slot::Whole(vec![3.0]), Slot::None, Slot::Whole(vec![4.0, 0.0])]);
        assert_eq!(gradient.norm().unwrap(), 5.0);
        assert!(!Gradient::of(vec![Slot::Whole(vec![1.0, f32::NAN])]).norm().unwrap().is_finite());
    }

    #[test]
    fn rows_that_come_more_than_once_are_added_up() {
        let mut slot = Slot::None;
        slot.add_rows(&[7, 2, 7], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        slot.add_rows(&[2], &[0.5, 0.5]);
        assert_eq!(slot.row(7, 2), Some(&[6.0, 8.0][..]));
        assert_eq!(slot.row(2, 2), Some(&[3.5, 4.5][..]));
        assert_eq!(slot.row(0, 2), None);
        slot.freeze(3, 2);
        assert_eq!((slot.row(7, 2), slot.row(2, 2)), (Some(&[6.0, 8.0][..]), Some(&[0.0, 0.0][..])));
    }

    #[test]
    fn frozen_rows_have_no_gradient_and_the_others_keep_theirs() {
        let mut rows = Slot::None;
        rows.add_rows(&[7, 2], &[1.0, 2.0, 3.0, 4.0]);
        rows.freeze(5, 2);
        assert_eq!((rows.row(7, 2), rows.row(2, 2)), (Some(&[1.0, 2.0][..]), Some(&[0.0, 0.0][..])));
        let mut whole = Slot::Whole(vec![1.0, 2.0, 3.0, 4.0]);
        whole.freeze(1, 2);
        assert_eq!((whole.row(0, 2), whole.row(1, 2)), (Some(&[0.0, 0.0][..]), Some(&[3.0, 4.0][..])));
    }
}
