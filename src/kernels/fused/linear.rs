//! One or more linear maps of the same input, side by side, with their low-rank side paths and a residual: the
//! outputs share one buffer, the inputs' gradients are summed by the matrix products themselves, and the side paths'
//! small factors are put together so that each takes one product, not one a map. A norm or a gate before the maps is
//! part of the operation: what comes out of it is not kept, but made again.

use super::norm::{normed, normed_back, weight_gradient};
use super::product::{Keep, Left, Size, Term, Threads, product, products, rows, rows_of};
use super::simd::add;
use super::swiglu::{gated, gated_back};
use super::{Taped, contiguous, dims, made, parts, slice, stored, uninit_buffer, untracked};
use crate::kernels::{Activation, After, Before, Dropout, Map};
use burn::backend::Flex;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// Most maps of one input: q, k, v.
const MAPS: usize = 3;
/// Places on the tape: input, residual, weight, bias, a, b of each map, and the weight of a norm before them.
const PARENTS: usize = 2 + 4 * MAPS + 1;

#[derive(Debug)]
struct Linears;

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    before: Entrance,
    maps: Vec<Held>,
    side: Option<Joint>,
}

/// What stands before the maps.
#[derive(Clone, Debug)]
enum Entrance {
    Open,
    Norm(FlexTensor, f32),
    Gate(Activation),
}

/// What comes out of an entrance.
struct Entered<'a> {
    x: Cow<'a, [f32]>,
    /// Of a norm's rows, 1 / rms.
    inverse: Vec<f32>,
}

impl Entrance {
    /// Numbers of a row behind it.
    fn inside(&self, width: usize) -> usize {
        if matches!(self, Self::Gate(_)) { width / 2 } else { width }
    }

    fn of<'a>(&self, x: &'a [f32], width: usize) -> Entered<'a> {
        match self {
            Self::Open => Entered { x: Cow::Borrowed(x), inverse: Vec::new() },
            Self::Norm(weight, epsilon) => {
                let (x, inverse) = normed(x, slice(weight), *epsilon);
                Entered { x: Cow::Owned(x), inverse }
            }
            Self::Gate(activation) => {
                Entered { x: Cow::Owned(gated(x, self.inside(width), *activation)), inverse: Vec::new() }
            }
        }
    }
}

/// A map as the backward pass needs it. A weight of 16 bits asks for no gradient.
#[derive(Clone, Debug)]
struct Held {
    weight: FlexTensor,
    out: usize,
    /// b `[out, rank]`, its rank and the place of its columns in the joint.
    b: Option<(FlexTensor, usize, usize, f32)>,
}

/// All side paths of one input.
#[derive(Clone, Debug)]
struct Joint {
    /// Each a, `[rank, in]`: put together only while they are multiplied with.
    a: Vec<FlexTensor>,
    /// dropout(x) aᵀ: `[n, ranks]`.
    h: Arc<Vec<f32>>,
    ranks: usize,
    dropout: Option<Dropout>,
}

/// See [`super::super::linears`].
pub fn linears(x: Tensor<3>, before: Before, maps: Vec<Map>, after: After) -> Tensor<3> {
    assert!(maps.len() <= MAPS, "{} maps of one input; {MAPS} at most", maps.len());
    let (residual, known) = match after {
        After::Nothing => (None, false),
        After::Residual(residual) => (Some(residual), false),
        After::Known(residual) => (Some(residual), true),
    };
    let mut taped = x.is_autodiff() || residual.as_ref().is_some_and(Tensor::is_autodiff);
    let shape = x.dims();
    let (before, norm_node) = match before {
        Before::Nothing => (Entrance::Open, untracked()),
        Before::Norm { weight, epsilon } => {
            taped |= weight.is_autodiff();
            let (weight, node) = parts(weight);
            (Entrance::Norm(weight, epsilon), node)
        }
        Before::Gate(activation) => (Entrance::Gate(activation), untracked()),
    };
    let (x, x_node) = parts(x);
    let entered = before.of(slice(&x), shape[2]);
    let (xs, n, inside): (&[f32], _, _) = (&entered.x, shape[0] * shape[1], before.inside(shape[2]));
    let mut nodes = vec![x_node];
    let total: usize = maps.iter().map(|m| m.weight.dims()[0]).sum();
    // The residual's numbers are where the products add to.
    let (mut y, mut keep) = (None, Keep::Overwrite);
    match residual {
        Some(residual) => {
            let (residual, node) = parts(residual);
            nodes.push(node);
            y = Some(if known { vec![0.0; n * total] } else { copied(slice(&residual)) });
            keep = Keep::Add;
        }
        None => nodes.push(untracked()),
    }
    let mut y = y.unwrap_or_else(|| uninit_buffer(n * total));
    let dropout = maps.iter().find_map(|m| m.side.as_ref().and_then(|s| s.dropout));
    let (mut held, mut a_each, mut ranks) = (Vec::new(), Vec::new(), 0);
    let mut biases = Vec::new();
    for map in maps {
        taped |= map.is_autodiff();
        let out = map.weight.dims()[0];
        let (weight, node) = parts(map.weight);
        nodes.push(node);
        match map.bias {
            Some(bias) => {
                let (bias, node) = parts(bias);
                nodes.push(node);
                biases.push(Some(bias));
            }
            None => {
                nodes.push(untracked());
                biases.push(None);
            }
        }
        let b = match map.side {
            Some(side) => {
                let ((a, a_node), (b, b_node)) = (parts(side.a), parts(side.b));
                nodes.extend([a_node, b_node]);
                let (rank, first) = (dims(&a)[0], ranks);
                a_each.push(a);
                ranks += rank;
                Some((b, rank, first, side.scale))
            }
            None => {
                nodes.extend([untracked(), untracked()]);
                None
            }
        };
        held.push(Held { weight, out, b });
    }
    nodes.resize_with(PARENTS - 1, untracked);
    nodes.push(norm_node);

    let input = Left::new(rows(xs, inside), n, inside, Threads::All);
    let side = (ranks > 0).then(|| {
        let mut h = uninit_buffer(n * ranks);
        let dropped = dropout.map(|d| dropped(xs, d));
        let dropped = dropped.as_deref().map(|x| Left::new(rows(x, inside), n, inside, Threads::All));
        let a = below_each_other(&a_each);
        let a = rows(&a, inside).transposed();
        let term = Term { a: dropped.as_ref().unwrap_or(&input), b: a, scale: 1.0 };
        products((&mut h, ranks), Keep::Overwrite, &[term], (n, ranks), Threads::All);
        drop(dropped);
        Joint { a: a_each, h: Arc::new(h), ranks, dropout }
    });
    let mut first = 0;
    let to_make = if known { &[][..] } else { &held };
    for (map, bias) in to_make.iter().zip(&biases) {
        let through = map.b.as_ref().zip(side.as_ref()).map(|((b, rank, from, scale), joint)| {
            let h = Left::new(rows(&joint.h[*from..], joint.ranks), n, *rank, Threads::All);
            (h, rows(slice(b), *rank).transposed(), *scale)
        });
        let mut terms = vec![Term { a: &input, b: rows_of(stored(&map.weight), inside).transposed(), scale: 1.0 }];
        terms.extend(through.as_ref().map(|(h, b, scale)| Term { a: h, b: *b, scale: *scale }));
        products((&mut y[first..], total), keep, &terms, (n, map.out), Threads::All);
        if let Some(bias) = bias {
            y.par_chunks_mut(total).for_each(|row| add(&mut row[first..first + map.out], slice(bias)));
        }
        first += map.out;
    }
    drop(input);
    drop(entered);
    let y = made(y, [shape[0], shape[1], total]);
    if !taped {
        return Tensor::from_primitive::<Flex>(y);
    }
    let nodes: [_; PARENTS] = nodes.try_into().expect("resized to the number of parents above");
    let y = match Linears.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(State { x, before, maps: held, side }, y),
        OpsKind::UnTracked(op) => op.finish(y),
    };
    Tensor::from_primitive::<Taped>(y)
}

/// Matrices of one width as one.
fn below_each_other(matrices: &[FlexTensor]) -> Vec<f32> {
    matrices.iter().map(slice).collect::<Vec<_>>().concat()
}

/// Numbers that one task goes through.
const BLOCK: usize = 1 << 14;

/// x again, by all threads: fresh memory is cleared by the system as it is written.
fn copied(x: &[f32]) -> Vec<f32> {
    let mut out = uninit_buffer(x.len());
    out.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).for_each(|(out, x)| out.copy_from_slice(x));
    out
}

/// x with the mask of a dropout.
fn dropped(x: &[f32], dropout: Dropout) -> Vec<f32> {
    let mut out = uninit_buffer(x.len());
    out.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).enumerate().for_each(|(block, (out, x))| {
        for (i, (out, x)) in out.iter_mut().zip(x).enumerate() {
            *out = x * dropout.factor(block * BLOCK + i);
        }
    });
    out
}

fn dropped_in_place(x: &mut [f32], dropout: Dropout) {
    x.par_chunks_mut(BLOCK).enumerate().for_each(|(block, x)| {
        for (i, x) in x.iter_mut().enumerate() {
            *x *= dropout.factor(block * BLOCK + i);
        }
    });
}

impl Backward<Flex, PARENTS> for Linears {
    type State = State;

    fn backward(self, ops: Ops<State, PARENTS>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy_tensor = contiguous(grads.consume::<Flex>(&ops.node));
        let State { x, before, maps, side } = ops.state;
        let wanted = ops.parents.map(|p| p.map(|p| p.id));
        let (x_shape, total) = (dims(&x), maps.iter().map(|m| m.out).sum::<usize>());
        let dy = slice(&dy_tensor);
        // What goes into the maps is read by side paths and for the weights' gradients; of a norm, its lengths as well.
        let read = side.is_some() || (0..maps.len()).any(|i| wanted[2 + 4 * i].is_some());
        let entered = match &before {
            Entrance::Gate(_) if !read => Entered { x: Cow::Borrowed(&[][..]), inverse: Vec::new() },
            _ => before.of(slice(&x), x_shape[2]),
        };
        let (xs, n, inside): (&[f32], _, _) = (&entered.x, x_shape[0] * x_shape[1], before.inside(x_shape[2]));
        // Output gradient times b, for all side paths: `[n, ranks]`.
        let mut dh = side.as_ref().map(|joint| uninit_buffer(n * joint.ranks));
        let mut outputs = Vec::new();
        let mut first = 0;
        for (i, map) in maps.iter().enumerate() {
            let place = rows(&dy[first..], total);
            let [weight_id, bias_id, _, b_id]: [Option<NodeId>; 4] = std::array::from_fn(|j| wanted[2 + 4 * i + j]);
            let output = Left::new(place, n, map.out, Threads::All);
            if let Some(id) = weight_id {
                let mut dw = uninit_buffer(map.out * inside);
                let size = Size { m: map.out, k: n, n: inside };
                let ab = (place.transposed(), rows(xs, inside));
                product((&mut dw, inside), Keep::Overwrite, ab, size, 1.0, Threads::All);
                grads.register::<Flex>(id, made(dw, [map.out, inside]));
            }
            if let Some(id) = bias_id {
                let mut db = vec![0f32; map.out];
                for row in dy.chunks(total) {
                    add(&mut db, &row[first..first + map.out]);
                }
                grads.register::<Flex>(id, made(db, [map.out]));
            }
            if let (Some((b, rank, from, scale)), Some(joint), Some(dh)) = (&map.b, &side, &mut dh) {
                let term = Term { a: &output, b: rows(slice(b), *rank), scale: *scale };
                products((&mut dh[*from..], joint.ranks), Keep::Overwrite, &[term], (n, *rank), Threads::All);
                if let Some(id) = b_id {
                    // Rows and columns exchanged: the output's gradient is large, and read only once this way.
                    let mut turned = uninit_buffer(rank * map.out);
                    let size = Size { m: *rank, k: n, n: map.out };
                    let ab = (rows(&joint.h[*from..], joint.ranks).transposed(), place);
                    product((&mut turned, map.out), Keep::Overwrite, ab, size, 1.0, Threads::All);
                    let db = (0..map.out).flat_map(|o| (0..*rank).map(move |r| (r, o)));
                    let db = db.map(|(r, o)| scale * turned[r * map.out + o]).collect();
                    grads.register::<Flex>(id, made(db, [map.out, *rank]));
                }
            }
            outputs.push(output);
            first += map.out;
        }
        if let (Some(joint), Some(dh)) = (&side, &dh) {
            let dropped = joint.dropout.map(|d| dropped(xs, d));
            let input = rows(dropped.as_deref().unwrap_or(xs), inside);
            let mut da = uninit_buffer(joint.ranks * inside);
            let size = Size { m: joint.ranks, k: n, n: inside };
            let ab = (rows(dh, joint.ranks).transposed(), input);
            product((&mut da, inside), Keep::Overwrite, ab, size, 1.0, Threads::All);
            for (i, map) in maps.iter().enumerate() {
                if let (Some((_, rank, from, _)), Some(id)) = (&map.b, wanted[2 + 4 * i + 2]) {
                    let own = da[from * inside..(from + rank) * inside].to_vec();
                    grads.register::<Flex>(id, made(own, [*rank, inside]));
                }
            }
        }
        let norm_id = wanted[PARENTS - 1];
        let dx = wanted[0].or(norm_id).map(|_| {
            let mut dx = uninit_buffer(n * inside);
            let through = side.as_ref().zip(dh.as_ref()).map(|(joint, dh)| {
                let dh = Left::new(rows(dh, joint.ranks), n, joint.ranks, Threads::All);
                (dh, below_each_other(&joint.a), joint.dropout)
            });
            let weights = maps.iter().map(|map| rows_of(stored(&map.weight), inside));
            let mut terms: Vec<_> = outputs.iter().zip(weights).map(|(a, b)| Term { a, b, scale: 1.0 }).collect();
            let term = through.as_ref().map(|(dh, a, _)| Term { a: dh, b: rows(a, inside), scale: 1.0 });
            match (term, through.as_ref().and_then(|(_, _, dropout)| *dropout)) {
                (Some(term), Some(dropout)) => {
                    // The side paths' share goes back through the mask first.
                    products((&mut dx, inside), Keep::Overwrite, &[term], (n, inside), Threads::All);
                    dropped_in_place(&mut dx, dropout);
                    products((&mut dx, inside), Keep::Add, &terms, (n, inside), Threads::All);
                }
                (term, _) => {
                    terms.extend(term);
                    products((&mut dx, inside), Keep::Overwrite, &terms, (n, inside), Threads::All);
                }
            }
            dx
        });
        drop(outputs);
        if let Some(mut dx) = dx {
            let raw = slice(&x);
            match &before {
                Entrance::Open => {}
                Entrance::Norm(weight, _) => {
                    let (weight, Entered { x, inverse }) = (slice(weight), entered);
                    drop(x);
                    if let Some(id) = norm_id {
                        grads.register::<Flex>(id, made(weight_gradient(raw, &dx, &inverse, inside), [inside]));
                    }
                    if wanted[0].is_some() {
                        dx = normed_back(raw, weight, &dx, &inverse);
                    }
                }
                Entrance::Gate(activation) => dx = gated_back(raw, &dx, inside, *activation),
            }
            if let Some(id) = wanted[0] {
                grads.register::<Flex>(id, made(dx, x_shape));
            }
        }
        if let Some(id) = wanted[1] {
            grads.register::<Flex>(id, dy_tensor);
        }
    }
}
