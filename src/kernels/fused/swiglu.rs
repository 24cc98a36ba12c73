//! The MLP's gate: f(gate) · up, from gate and up side by side; what stands before its maps ([`super::linear`]).

use super::simd::{geglu_row, geglu_row_back, swiglu_row, swiglu_row_back};
use super::uninit_buffer;
use crate::kernels::Activation;
use rayon::prelude::*;

/// Rows a task takes.
const BLOCK: usize = 8;

/// `[n, 2 width]` -> `[n, width]`.
pub(super) fn gated(x: &[f32], width: usize, activation: Activation) -> Vec<f32> {
    let row = match activation {
        Activation::Silu => swiglu_row,
        Activation::GeluTanh => geglu_row,
    };
    let mut y = uninit_buffer(x.len() / 2);
    y.par_chunks_mut(width * BLOCK).zip(x.par_chunks(2 * width * BLOCK)).for_each(|(y, x)| {
        for (y, x) in y.chunks_mut(width).zip(x.chunks(2 * width)) {
            let (gate, up) = x.split_at(width);
            row(gate, up, y);
        }
    });
    y
}

/// The gradient of [`gated`]: `dy` `[n, width]` -> `[n, 2 width]`.
pub(super) fn gated_back(x: &[f32], dy: &[f32], width: usize, activation: Activation) -> Vec<f32> {
    let row = match activation {
        Activation::Silu => swiglu_row_back,
        Activation::GeluTanh => geglu_row_back,
    };
    let mut dx = uninit_buffer(x.len());
    let rows = dx.par_chunks_mut(2 * width * BLOCK).zip(x.par_chunks(2 * width * BLOCK));
    rows.zip(dy.par_chunks(width * BLOCK)).for_each(|((dx, x), dy)| {
        for ((dx, x), dy) in dx.chunks_mut(2 * width).zip(x.chunks(2 * width)).zip(dy.chunks(width)) {
            let ((gate, up), (d_gate, d_up)) = (x.split_at(width), dx.split_at_mut(width));
            row(gate, up, dy, d_gate, d_up);
        }
    });
    dx
}
