//! Root-mean-square norm, rows in parallel.

use super::simd::{add, add_product, norm_row, norm_row_back};
use super::{Taped, contiguous, dims, made, parts, slice, uninit_buffer};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;
use std::sync::Arc;

/// Rows a task takes.
const BLOCK: usize = 16;

#[derive(Debug)]
struct RmsNorm;

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    weight: FlexTensor,
    /// 1 / rms by row.
    inverse: Arc<Vec<f32>>,
}

/// See [`super::super::rms_norm`].
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f32) -> Tensor<D> {
    let taped = x.is_autodiff() || weight.is_autodiff();
    let ((x, x_node), (weight, weight_node)) = (parts(x), parts(weight));
    let (y, inverse) = normed(slice(&x), slice(&weight), epsilon);
    let y = made(y, dims(&x));
    if !taped {
        return Tensor::from_primitive::<Flex>(y);
    }
    let y = match RmsNorm.prepare::<NoCheckpointing>([x_node, weight_node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(State { x, weight, inverse: Arc::new(inverse) }, y),
        OpsKind::UnTracked(op) => op.finish(y),
    };
    Tensor::from_primitive::<Taped>(y)
}

/// Rows of the weight's length, normed, and 1 / rms of each.
pub(super) fn normed(x: &[f32], weight: &[f32], epsilon: f32) -> (Vec<f32>, Vec<f32>) {
    let d = weight.len();
    let (mut y, mut inverse) = (uninit_buffer(x.len()), uninit_buffer(x.len() / d));
    y.par_chunks_mut(d * BLOCK).zip(inverse.par_chunks_mut(BLOCK)).zip(x.par_chunks(d * BLOCK)).for_each(
        |((y, inverse), x)| {
            for ((y, inverse), x) in y.chunks_mut(d).zip(inverse).zip(x.chunks(d)) {
                *inverse = norm_row(x, weight, y, epsilon);
            }
        },
    );
    (y, inverse)
}

/// The gradient of [`normed`] with respect to x.
pub(super) fn normed_back(x: &[f32], weight: &[f32], dy: &[f32], inverse: &[f32]) -> Vec<f32> {
    let d = weight.len();
    let mut dx = uninit_buffer(x.len());
    let rows = dx.par_chunks_mut(d * BLOCK).zip(x.par_chunks(d * BLOCK)).zip(dy.par_chunks(d * BLOCK));
    rows.zip(inverse.par_chunks(BLOCK)).for_each(|(((dx, x), dy), inverse)| {
        for (((dx, x), dy), inverse) in dx.chunks_mut(d).zip(x.chunks(d)).zip(dy.chunks(d)).zip(inverse) {
            norm_row_back(x, weight, dy, *inverse, dx);
        }
    });
    dx
}

impl Backward<Flex, 2> for RmsNorm {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let State { x, weight, inverse } = ops.state;
        let (xs, w, dys) = (slice(&x), slice(&weight), slice(&dy));
        let [x_node, weight_node] = ops.parents;
        if let Some(node) = weight_node {
            grads.register::<Flex>(node.id, made(weight_gradient(xs, dys, &inverse, w.len()), [w.len()]));
        }
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, made(normed_back(xs, w, dys, &inverse), dims(&x)));
        }
    }
}

/// Sum over rows of x · dy / rms. Blocks are summed in order, so that the result does not depend on the threads.
pub(super) fn weight_gradient(x: &[f32], dy: &[f32], inverse: &[f32], d: usize) -> Vec<f32> {
    let blocks = x.par_chunks(d * 64).zip(dy.par_chunks(d * 64)).zip(inverse.par_chunks(64));
    let parts: Vec<Vec<f32>> = blocks
        .map(|((x, dy), inverse)| {
            let mut total = vec![0.0; d];
            for ((x, dy), inverse) in x.chunks(d).zip(dy.chunks(d)).zip(inverse) {
                add_product(&mut total, x, dy, *inverse);
            }
            total
        })
        .collect();
    let mut total = vec![0.0; d];
    for part in &parts {
        add(&mut total, part);
    }
    total
}
