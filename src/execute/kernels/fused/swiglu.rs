//! The MLP's gate: silu(gate) · up, from gate and up side by side.

use super::simd::{swiglu_row, swiglu_row_back};
use super::{Taped, contiguous, dims, made, parts, room, slice};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

/// Rows a task takes.
const BLOCK: usize = 8;

#[derive(Debug)]
struct SwiGlu;

/// See [`super::super::swiglu`].
pub fn swiglu(x: Tensor<3>) -> Tensor<3> {
    let taped = x.is_autodiff();
    let (x, node) = parts(x);
    let mut shape = dims(&x);
    let width = shape[2] / 2;
    shape[2] = width;
    let xs = slice(&x);
    let mut y = room(xs.len() / 2);
    y.par_chunks_mut(width * BLOCK).zip(xs.par_chunks(2 * width * BLOCK)).for_each(|(y, x)| {
        for (y, x) in y.chunks_mut(width).zip(x.chunks(2 * width)) {
            let (gate, up) = x.split_at(width);
            swiglu_row(gate, up, y);
        }
    });
    let y = made(y, shape);
    if !taped {
        return Tensor::from_primitive::<Flex>(y);
    }
    let y = match SwiGlu.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(x, y),
        OpsKind::UnTracked(op) => op.finish(y),
    };
    Tensor::from_primitive::<Taped>(y)
}

impl Backward<Flex, 1> for SwiGlu {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let x = ops.state;
        let [Some(node)] = ops.parents else { return };
        let shape = dims(&x);
        let width = shape[2] / 2;
        let mut dx = room(slice(&x).len());
        let rows = dx.par_chunks_mut(2 * width * BLOCK).zip(slice(&x).par_chunks(2 * width * BLOCK));
        rows.zip(slice(&dy).par_chunks(width * BLOCK)).for_each(|((dx, x), dy)| {
            for ((dx, x), dy) in dx.chunks_mut(2 * width).zip(x.chunks(2 * width)).zip(dy.chunks(width)) {
                let ((gate, up), (d_gate, d_up)) = (x.split_at(width), dx.split_at_mut(width));
                swiglu_row_back(gate, up, dy, d_gate, d_up);
            }
        });
        grads.register::<Flex>(node.id, made(dx, shape));
    }
}
