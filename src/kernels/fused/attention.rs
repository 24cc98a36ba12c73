//! Causal attention from the raw projections: per-head norms, rotary positions, softmax and values in one operation.
//! The weights of attention are never kept: blocks of rows see only the keys before them, and the backward pass makes
//! each block again from the logarithm of its sums (Dao 2022).

use super::product::{Keep, Left, Size, Term, Threads, View, product, products_at, rows};
use super::simd::{add, softmax_row, softmax_row_again, softmax_row_back, turned_back_row, turned_rows};
use super::{Shared, Taped, contiguous, made, parts, slice, storage, uninit_buffer, untracked};
use crate::kernels::{HeadNorms, Heads};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Query rows that are handled at once.
const BLOCK: usize = 64;

#[derive(Debug)]
struct Attention;

#[derive(Clone, Debug)]
struct State {
    inputs: Inputs,
    /// Logarithm of the sum of exponentials, `[batch, heads, length]`.
    log_sums: Arc<Vec<f32>>,
}

/// Everything both passes read.
#[derive(Clone, Debug)]
struct Inputs {
    /// `[batch, length, (heads + 2 kv_heads) * head_dim]`
    qkv: FlexTensor,
    /// Weights of the norms on queries and keys, and their epsilon.
    norms: Option<(FlexTensor, FlexTensor, f32)>,
    cos: FlexTensor,
    sin: FlexTensor,
    heads: Heads,
    batch: usize,
    length: usize,
    head_dim: usize,
}

impl Inputs {
    /// Numbers between a position and the next.
    fn stride(&self) -> usize {
        (self.heads.query + 2 * self.heads.key_value) * self.head_dim
    }

    /// Query heads that share a key head.
    fn group(&self) -> usize {
        self.heads.query / self.heads.key_value
    }

    /// Where head `head` (queries, then keys, then values) of sequence `b` begins in `qkv`.
    fn place(&self, b: usize, head: usize) -> usize {
        b * self.length * self.stride() + head * self.head_dim
    }

    /// The norm's weight for a head, if it has one.
    fn norm(&self, head: usize) -> Option<(&[f32], f32)> {
        let (q, k, epsilon) = self.norms.as_ref()?;
        Some((slice(if head < self.heads.query { q } else { k }), *epsilon))
    }

    /// A query or key head normed and turned: `[length, head_dim]`.
    fn turned(&self, b: usize, head: usize, out: &mut [f32]) {
        let raw = &slice(&self.qkv)[self.place(b, head)..];
        turned_rows(raw, self.stride(), self.norm(head), self.angles(), out, self.head_dim);
    }

    /// Cosines and sines, `[positions, head_dim / 2]`.
    fn angles(&self) -> (&[f32], &[f32]) {
        (slice(&self.cos), slice(&self.sin))
    }

    /// The values of a key head, `[length, head_dim]` in place.
    fn values(&self, b: usize, kv: usize) -> View<'_> {
        let head = self.heads.query + self.heads.key_value + kv;
        rows(&slice(&self.qkv)[self.place(b, head)..], self.stride())
    }

    /// Blocks of query rows with the keys any of them sees.
    fn blocks(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let (length, window) = (self.length, self.heads.window);
        (0..length).step_by(BLOCK).map(move |start| {
            let end = (start + BLOCK).min(length);
            (start..end, window.map_or(0, |w| (start + 1).saturating_sub(w))..end)
        })
    }

    /// The keys row `t` sees, counted from the first key of its block.
    fn seen(&self, t: usize, keys: &Range<usize>) -> Range<usize> {
        let first = self.heads.window.map_or(0, |w| (t + 1).saturating_sub(w));
        first.saturating_sub(keys.start)..t + 1 - keys.start
    }

    fn scale(&self) -> f32 {
        self.heads.scale.unwrap_or_else(|| 1.0 / (self.head_dim as f32).sqrt())
    }

    /// Every pair of sequence and key head: the tasks.
    fn tasks(&self) -> impl IndexedParallelIterator<Item = (usize, usize)> {
        let kv = self.heads.key_value;
        (0..self.batch * kv).into_par_iter().map(move |i| (i / kv, i % kv))
    }
}

/// See [`super::super::attention`].
pub fn attention(
    qkv: Tensor<3>,
    norms: Option<HeadNorms>,
    cos: &Tensor<2>,
    sin: &Tensor<2>,
    heads: Heads,
) -> Tensor<3> {
    let mut taped = qkv.is_autodiff();
    let [batch, length, width] = qkv.dims();
    let head_dim = width / (heads.query + 2 * heads.key_value);
    let (qkv, qkv_node) = parts(qkv);
    let mut nodes = [qkv_node, untracked(), untracked()];
    let norms = norms.map(|norms| {
        taped |= norms.query.is_autodiff() || norms.key.is_autodiff();
        let ((q, q_node), (k, k_node)) = (parts(norms.query), parts(norms.key));
        nodes[1] = q_node;
        nodes[2] = k_node;
        (q, k, norms.epsilon)
    });
    let (cos, sin) = (storage(cos.clone()), storage(sin.clone()));
    let inputs = Inputs { qkv, norms, cos, sin, heads, batch, length, head_dim };
    let mut out = uninit_buffer(batch * length * heads.query * head_dim);
    let mut log_sums = uninit_buffer(batch * heads.query * length);
    let (place, sums) = (Shared(out.as_mut_ptr()), Shared(log_sums.as_mut_ptr()));
    // SAFETY: each task writes the columns of its own heads and their own log sums.
    inputs.tasks().for_each(|task| unsafe { forward(&inputs, task, place, sums) });
    let out = made(out, [batch, length, heads.query * head_dim]);
    if !taped {
        return Tensor::from_primitive::<Flex>(out);
    }
    let out = match Attention.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(State { inputs, log_sums: Arc::new(log_sums) }, out),
        OpsKind::UnTracked(op) => op.finish(out),
    };
    Tensor::from_primitive::<Taped>(out)
}

/// All query heads of one key head.
///
/// # Safety
/// `out` holds `[batch, length, heads * head_dim]`, `log_sums` `[batch, heads, length]`; nobody else writes the places
/// of this task's heads.
unsafe fn forward(inputs: &Inputs, (b, kv): (usize, usize), out: Shared, log_sums: Shared) {
    let Inputs { heads, length, head_dim: hd, .. } = *inputs;
    let (mut q, mut k) = (uninit_buffer(length * hd), uninit_buffer(length * hd));
    let mut weights = uninit_buffer(BLOCK.min(length) * length);
    inputs.turned(b, heads.query + kv, &mut k);
    let keys_across = across(&k, hd, length, hd);
    let values = inputs.values(b, kv);
    for head in kv * inputs.group()..(kv + 1) * inputs.group() {
        inputs.turned(b, head, &mut q);
        for (queries, keys) in inputs.blocks() {
            let (m, n) = (queries.len(), keys.len());
            let ab = (rows(&q[queries.start * hd..], hd), rows(&keys_across[keys.start..], length));
            product((&mut weights, n), Keep::Overwrite, ab, Size { m, k: hd, n }, 1.0, Threads::One);
            for (t, row) in queries.clone().zip(weights.chunks_mut(n)) {
                let seen = inputs.seen(t, &keys);
                let log_sum = softmax_row(&mut row[seen.clone()], inputs.scale());
                row[..seen.start].fill(0.0);
                row[seen.end..].fill(0.0);
                // SAFETY: the place of this head's row.
                unsafe { *log_sums.at((b * heads.query + head) * length + t) = log_sum };
            }
            let stride = heads.query * hd;
            let weights = Left::new(rows(&weights, n), m, n, Threads::One);
            let weighed = [Term { a: &weights, b: values.after(keys.start), scale: 1.0 }];
            // SAFETY: rows of this head's columns.
            unsafe {
                let place = out.at((b * length + queries.start) * stride + head * hd);
                products_at((place, stride), Keep::Overwrite, &weighed, (m, hd), Threads::One);
            }
        }
    }
}

/// Rows of `width`, `stride` apart in `x`, as columns `[width, length]`: keys and values as right operands that
/// products read where they are.
fn across(x: &[f32], stride: usize, length: usize, width: usize) -> Vec<f32> {
    let mut turned = uninit_buffer(width * length);
    // Some rows at a time, so that a line is written whole.
    for first in (0..length).step_by(16) {
        for i in 0..width {
            for (t, out) in turned[i * length..][first..length.min(first + 16)].iter_mut().enumerate() {
                *out = x[(first + t) * stride + i];
            }
        }
    }
    turned
}

impl Backward<Flex, 3> for Attention {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let State { inputs, log_sums } = ops.state;
        let [qkv_node, q_node, k_node] = ops.parents;
        let shape = [inputs.batch, inputs.length, inputs.stride()];
        let mut dqkv = uninit_buffer(shape.iter().product());
        let place = Shared(dqkv.as_mut_ptr());
        let weights: Vec<[Vec<f32>; 2]> = inputs
            .tasks()
            // SAFETY: each task writes the columns of its own heads.
            .map(|task| unsafe { backward(&inputs, task, slice(&dy), &log_sums, place) })
            .collect();
        for (which, node) in [q_node, k_node].into_iter().enumerate() {
            if let Some(node) = node {
                let mut total = vec![0f32; inputs.head_dim];
                for task in &weights {
                    add(&mut total, &task[which]);
                }
                grads.register::<Flex>(node.id, made(total, [inputs.head_dim]));
            }
        }
        if let Some(node) = qkv_node {
            grads.register::<Flex>(node.id, made(dqkv, shape));
        }
    }
}

/// Gradients of one key head and its query heads; gives the shares of the norms' weights.
///
/// # Safety
/// `dqkv` is laid out as `qkv`; nobody else writes the places of this task's heads.
unsafe fn backward(
    inputs: &Inputs,
    (b, kv): (usize, usize),
    dy: &[f32],
    log_sums: &[f32],
    dqkv: Shared,
) -> [Vec<f32>; 2] {
    let Inputs { heads, length, head_dim: hd, .. } = *inputs;
    let (mut q, mut k) = (uninit_buffer(length * hd), uninit_buffer(length * hd));
    let mut dq = uninit_buffer(length * hd);
    let (mut dk, mut dv) = (vec![0f32; length * hd], vec![0f32; length * hd]);
    let (mut p, mut dp) = (uninit_buffer(BLOCK.min(length) * length), uninit_buffer(BLOCK.min(length) * length));
    let mut shares = [vec![0f32; hd], vec![0f32; hd]];
    let key_head = heads.query + kv;
    inputs.turned(b, key_head, &mut k);
    let keys_across = across(&k, hd, length, hd);
    let values = &slice(&inputs.qkv)[inputs.place(b, key_head + heads.key_value)..];
    let values_across = across(values, inputs.stride(), length, hd);
    let stride = heads.query * hd;
    for head in kv * inputs.group()..(kv + 1) * inputs.group() {
        inputs.turned(b, head, &mut q);
        for (queries, keys) in inputs.blocks() {
            let (m, n) = (queries.len(), keys.len());
            let (qs, ks) = (rows(&q[queries.start * hd..], hd), rows(&k[keys.start * hd..], hd));
            let dys = rows(&dy[(b * length + queries.start) * stride + head * hd..], stride);
            let square = Size { m, k: hd, n };
            let weights = (qs, rows(&keys_across[keys.start..], length));
            product((&mut p, n), Keep::Overwrite, weights, square, 1.0, Threads::One);
            let dvs = (dys, rows(&values_across[keys.start..], length));
            product((&mut dp, n), Keep::Overwrite, dvs, square, 1.0, Threads::One);
            for ((t, p), dp) in queries.clone().zip(p.chunks_mut(n)).zip(dp.chunks_mut(n)) {
                let seen = inputs.seen(t, &keys);
                let log_sum = log_sums[(b * heads.query + head) * length + t];
                softmax_row_again(&mut p[seen.clone()], inputs.scale(), log_sum);
                softmax_row_back(&p[seen.clone()], &mut dp[seen.clone()], inputs.scale());
                for row in [p, dp] {
                    row[..seen.start].fill(0.0);
                    row[seen.end..].fill(0.0);
                }
            }
            let (p, dp) = (rows(&p, n), rows(&dp, n));
            let tall = Size { m: n, k: m, n: hd };
            product((&mut dv[keys.start * hd..], hd), Keep::Add, (p.transposed(), dys), tall, 1.0, Threads::One);
            product((&mut dk[keys.start * hd..], hd), Keep::Add, (dp.transposed(), qs), tall, 1.0, Threads::One);
            let flat = Size { m, k: n, n: hd };
            product((&mut dq[queries.start * hd..], hd), Keep::Overwrite, (dp, ks), flat, 1.0, Threads::One);
        }
        // SAFETY: the caller's promise, this head's columns.
        unsafe { turn_back(inputs, b, head, &mut dq, dqkv, &mut shares[0]) };
    }
    // SAFETY: as above.
    unsafe { turn_back(inputs, b, key_head, &mut dk, dqkv, &mut shares[1]) };
    for (t, row) in dv.chunks(hd).enumerate() {
        let place = inputs.place(b, key_head + heads.key_value) + t * inputs.stride();
        // SAFETY: as above.
        unsafe { dqkv.row(place, hd) }.copy_from_slice(row);
    }
    shares
}

/// The gradient of [`Inputs::turned`]: `d` `[length, head_dim]` goes back through positions and norm into `dqkv`.
///
/// # Safety
/// As [`backward`].
unsafe fn turn_back(inputs: &Inputs, b: usize, head: usize, d: &mut [f32], dqkv: Shared, share: &mut [f32]) {
    let (place, hd, stride) = (inputs.place(b, head), inputs.head_dim, inputs.stride());
    let (raw, norm, half) = (&slice(&inputs.qkv)[place..], inputs.norm(head), inputs.head_dim / 2);
    let (cos, sin) = inputs.angles();
    for (t, d) in d.chunks_mut(hd).enumerate() {
        // SAFETY: by the caller's promise.
        let out = unsafe { dqkv.row(place + t * stride, hd) };
        let angles = (&cos[t * half..][..half], &sin[t * half..][..half]);
        turned_back_row(&raw[t * stride..][..hd], norm, angles, d, out, share);
    }
}
