//! Gradients of the trained parameters: added up over micro-batches, their norm. It knows parameters by place and shape,
//! not what they do. Embeddings that are only looked up have gradients by row: the rest of the table is zero and not
//! there.

use super::error::TrainError;
use super::params::TrainableParams;
use crate::kernels::{self, numbers};
use crate::model::{Group, RowGradient, Step};
use burn::tensor::{Tensor, s};
use rayon::prelude::*;
use std::collections::HashMap;

/// Numbers a core works on at a time; fixed, so that sums do not depend on the number of cores.
const PIECE: usize = 1 << 15;

/// The gradient of a parameter.
#[derive(Debug, Clone)]
pub(super) enum ParamGrad {
    /// Nothing yet.
    None,
    /// All of it.
    Whole(Vec<f32>),
    /// The rows that were touched, one after another, and which row of the matrix lies where.
    Rows { places: HashMap<u32, usize>, values: Vec<f32> },
    /// All of it, row-major, on the device.
    OnDevice(Tensor<1>),
}

impl ParamGrad {
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
    params: Vec<ParamGrad>,
}

impl Gradient {
    /// Nothing yet.
    pub fn none(params: &TrainableParams) -> Self {
        Self { params: vec![ParamGrad::None; params.parameters().len()] }
    }

    #[cfg(test)]
    pub(super) fn of(params: Vec<ParamGrad>) -> Self {
        Self { params }
    }

    pub(super) fn of_param(&self, index: usize) -> Option<&ParamGrad> {
        self.params.get(index)
    }

    /// Adds a micro-batch's gradients.
    ///
    /// # Errors
    /// [`TrainError::Kernel`] where they cannot be read back.
    pub fn add(&mut self, params: &TrainableParams, mut step: Step) -> Result<(), TrainError> {
        let on_device = params.state_device().is_some();
        for (own, p) in self.params.iter_mut().zip(params.parameters()) {
            if let Some(rows) = step.rows.take_if(|rows| rows.parameter == p.id) {
                match *p.shape {
                    [rows_there, width] if on_device => own.add_rows_on_device([rows_there, width], rows),
                    _ => own.add_rows(&rows.ids, &numbers(rows.values)?),
                }
                continue;
            }
            let new = match p.shape.len() {
                1 => step.grads.remove::<1>(p.id),
                _ => step.grads.remove::<2>(p.id).map(|matrix| matrix.reshape([-1])),
            };
            match new {
                Some(new) if on_device => own.add_on_device(new),
                Some(new) => own.add(numbers(new)?),
                None => {}
            }
        }
        Ok(())
    }

    /// Forgets what the first `rows` rows of the embeddings and the head would learn: without a gradient and without
    /// decay they stay as they are.
    pub fn freeze_rows(&mut self, params: &TrainableParams, rows: usize) {
        for (own, p) in self.params.iter_mut().zip(params.parameters()) {
            if matches!(p.group, Group::Embedding | Group::Head) {
                own.freeze(rows, p.width());
            }
        }
    }

    /// Multiplies everything.
    pub fn scale(&mut self, factor: f32) {
        self.params.iter_mut().for_each(|own| own.scale(factor));
    }

    /// Euclidean norm over everything; NaN or infinite where any number is.
    ///
    /// # Errors
    /// [`TrainError::Kernel`] where it cannot be read back.
    pub fn norm(&self) -> Result<f64, TrainError> {
        let of_piece = |piece: &[f32]| piece.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
        let (mut squares, mut there) = (Vec::new(), Vec::new());
        for own in &self.params {
            match own {
                ParamGrad::None => {}
                ParamGrad::Whole(values) | ParamGrad::Rows { values, .. } => {
                    squares.push(values.par_chunks(PIECE).map(of_piece).collect::<Vec<f64>>().iter().sum::<f64>());
                }
                ParamGrad::OnDevice(values) => there.push(values.clone().square().sum()),
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
        let gradient =
            Gradient::of(vec![ParamGrad::Whole(vec![3.0]), ParamGrad::None, ParamGrad::Whole(vec![4.0, 0.0])]);
        assert_eq!(gradient.norm().unwrap(), 5.0);
        assert!(!Gradient::of(vec![ParamGrad::Whole(vec![1.0, f32::NAN])]).norm().unwrap().is_finite());
    }

    #[test]
    fn rows_that_come_more_than_once_are_added_up() {
        let mut own = ParamGrad::None;
        own.add_rows(&[7, 2, 7], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        own.add_rows(&[2], &[0.5, 0.5]);
        assert_eq!(own.row(7, 2), Some(&[6.0, 8.0][..]));
        assert_eq!(own.row(2, 2), Some(&[3.5, 4.5][..]));
        assert_eq!(own.row(0, 2), None);
        own.freeze(3, 2);
        assert_eq!((own.row(7, 2), own.row(2, 2)), (Some(&[6.0, 8.0][..]), Some(&[0.0, 0.0][..])));
    }

    #[test]
    fn frozen_rows_have_no_gradient_and_the_others_keep_theirs() {
        let mut rows = ParamGrad::None;
        rows.add_rows(&[7, 2], &[1.0, 2.0, 3.0, 4.0]);
        rows.freeze(5, 2);
        assert_eq!((rows.row(7, 2), rows.row(2, 2)), (Some(&[1.0, 2.0][..]), Some(&[0.0, 0.0][..])));
        let mut whole = ParamGrad::Whole(vec![1.0, 2.0, 3.0, 4.0]);
        whole.freeze(1, 2);
        assert_eq!((whole.row(0, 2), whole.row(1, 2)), (Some(&[0.0, 0.0][..]), Some(&[3.0, 4.0][..])));
    }
}
