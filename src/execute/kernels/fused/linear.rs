//! One or more linear maps of the same input, side by side, with their low-rank side paths and a residual: the
//! outputs share one buffer, the inputs' gradients are summed by the matrix products themselves, and the side paths'
//! small factors are put together so that each takes one product, not one a map.

use super::product::{Keep, Size, Threads, product, rows};
use super::simd::add;
use super::{Taped, contiguous, dims, made, nowhere, parts, room, slice};
use crate::execute::kernels::{Dropout, Map};
use burn::backend::Flex;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;
use std::sync::Arc;

/// Most maps of one input: q, k, v.
const MAPS: usize = 3;
/// Places on the tape: input, residual, and weight, bias, a, b of each map.
const PARENTS: usize = 2 + 4 * MAPS;

#[derive(Debug)]
struct Linears;

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    maps: Vec<Held>,
    side: Option<Joint>,
}

/// A map's frozen view.
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
    /// All a, one below the other: `[ranks, in]`.
    a: Arc<Vec<f32>>,
    /// dropout(x) aᵀ: `[n, ranks]`.
    h: Arc<Vec<f32>>,
    ranks: usize,
    dropout: Option<Dropout>,
}

/// See [`super::super::linears`].
pub fn linears(x: Tensor<3>, maps: Vec<Map>, residual: Option<Tensor<3>>) -> Tensor<3> {
    assert!(maps.len() <= MAPS, "{} maps of one input; {MAPS} at most", maps.len());
    let mut taped = x.is_autodiff() || residual.as_ref().is_some_and(Tensor::is_autodiff);
    let shape = x.dims();
    let (n, inside) = (shape[0] * shape[1], shape[2]);
    let (x, x_node) = parts(x);
    let mut nodes = vec![x_node];
    let total: usize = maps.iter().map(|m| m.weight.dims()[0]).sum();
    // The residual's numbers are where the products add to.
    let (mut y, mut keep) = (None, Keep::Overwrite);
    match residual {
        Some(residual) => {
            let (residual, node) = parts(residual);
            nodes.push(node);
            y = Some(slice(&residual).to_vec());
            keep = Keep::Add;
        }
        None => nodes.push(nowhere()),
    }
    let mut y = y.unwrap_or_else(|| room(n * total));
    let dropout = maps.iter().find_map(|m| m.side.as_ref().and_then(|s| s.dropout));
    let (mut held, mut a_joint, mut ranks) = (Vec::new(), Vec::new(), 0);
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
                nodes.push(nowhere());
                biases.push(None);
            }
        }
        let b = match map.side {
            Some(side) => {
                let ((a, a_node), (b, b_node)) = (parts(side.a), parts(side.b));
                nodes.extend([a_node, b_node]);
                let (rank, first) = (dims(&a)[0], ranks);
                a_joint.extend_from_slice(slice(&a));
                ranks += rank;
                Some((b, rank, first, side.scale))
            }
            None => {
                nodes.extend([nowhere(), nowhere()]);
                None
            }
        };
        held.push(Held { weight, out, b });
    }
    nodes.resize_with(PARENTS, nowhere);

    let xs = slice(&x);
    let side = (ranks > 0).then(|| {
        let mut h = room(n * ranks);
        let dropped = dropout.map(|d| dropped(xs, d));
        let input = rows(dropped.as_deref().unwrap_or(xs), inside);
        let size = Size { m: n, k: inside, n: ranks };
        product(
            (&mut h, ranks),
            Keep::Overwrite,
            (input, rows(&a_joint, inside).transposed()),
            size,
            1.0,
            Threads::All,
        );
        Joint { a: Arc::new(a_joint), h: Arc::new(h), ranks, dropout }
    });
    let mut first = 0;
    for (map, bias) in held.iter().zip(&biases) {
        let place = &mut y[first..];
        let size = Size { m: n, k: inside, n: map.out };
        let weight = rows(slice(&map.weight), inside).transposed();
        product((place, total), keep, (rows(xs, inside), weight), size, 1.0, Threads::All);
        if let (Some((b, rank, from, scale)), Some(joint)) = (&map.b, &side) {
            let h = rows(&joint.h[*from..], joint.ranks);
            let size = Size { m: n, k: *rank, n: map.out };
            product((place, total), Keep::Add, (h, rows(slice(b), *rank).transposed()), size, *scale, Threads::All);
        }
        if let Some(bias) = bias {
            y.par_chunks_mut(total).for_each(|row| add(&mut row[first..first + map.out], slice(bias)));
        }
        first += map.out;
    }
    let y = made(y, [shape[0], shape[1], total]);
    if !taped {
        return Tensor::from_primitive::<Flex>(y);
    }
    let nodes: [_; PARENTS] = nodes.try_into().expect("resized to the number of parents above");
    let y = match Linears.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(State { x, maps: held, side }, y),
        OpsKind::UnTracked(op) => op.finish(y),
    };
    Tensor::from_primitive::<Taped>(y)
}

/// x with the mask of a dropout.
fn dropped(x: &[f32], dropout: Dropout) -> Vec<f32> {
    let mut out = room(x.len());
    const BLOCK: usize = 1 << 14;
    out.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).enumerate().for_each(|(block, (out, x))| {
        for (i, (out, x)) in out.iter_mut().zip(x).enumerate() {
            *out = x * dropout.factor(block * BLOCK + i);
        }
    });
    out
}

impl Backward<Flex, PARENTS> for Linears {
    type State = State;

    fn backward(self, ops: Ops<State, PARENTS>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy_tensor = contiguous(grads.consume::<Flex>(&ops.node));
        let State { x, maps, side } = ops.state;
        let wanted = ops.parents.map(|p| p.map(|p| p.id));
        let (x_shape, total) = (dims(&x), maps.iter().map(|m| m.out).sum::<usize>());
        let (xs, dy) = (slice(&x), slice(&dy_tensor));
        let inside = x_shape[2];
        let n = xs.len() / inside;
        // Output gradient times b, for all side paths: `[n, ranks]`.
        let mut dh = side.as_ref().map(|joint| room(n * joint.ranks));
        let mut dx = wanted[0].map(|_| room(xs.len()));
        let mut first = 0;
        for (i, map) in maps.iter().enumerate() {
            let place = rows(&dy[first..], total);
            let [weight_id, bias_id, _, b_id]: [Option<NodeId>; 4] = std::array::from_fn(|j| wanted[2 + 4 * i + j]);
            if let Some(dx) = &mut dx {
                let keep = if i == 0 { Keep::Overwrite } else { Keep::Add };
                let size = Size { m: n, k: map.out, n: inside };
                product((dx, inside), keep, (place, rows(slice(&map.weight), inside)), size, 1.0, Threads::All);
            }
            if let Some(id) = weight_id {
                let mut dw = room(map.out * inside);
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
                let size = Size { m: n, k: map.out, n: *rank };
                let ab = (place, rows(slice(b), *rank));
                product((&mut dh[*from..], joint.ranks), Keep::Overwrite, ab, size, *scale, Threads::All);
                if let Some(id) = b_id {
                    let mut db = room(map.out * rank);
                    let size = Size { m: map.out, k: n, n: *rank };
                    let ab = (place.transposed(), rows(&joint.h[*from..], joint.ranks));
                    product((&mut db, *rank), Keep::Overwrite, ab, size, *scale, Threads::All);
                    grads.register::<Flex>(id, made(db, [map.out, *rank]));
                }
            }
            first += map.out;
        }
        if let (Some(joint), Some(dh)) = (&side, &dh) {
            let dropped = joint.dropout.map(|d| dropped(xs, d));
            let input = rows(dropped.as_deref().unwrap_or(xs), inside);
            let mut da = room(joint.ranks * inside);
            let size = Size { m: joint.ranks, k: n, n: inside };
            let ab = (rows(dh, joint.ranks).transposed(), input);
            product((&mut da, inside), Keep::Overwrite, ab, size, 1.0, Threads::All);
            for (i, map) in maps.iter().enumerate() {
                if let (Some((_, rank, from, _)), Some(id)) = (&map.b, wanted[2 + 4 * i + 2]) {
                    let own = da[from * inside..(from + rank) * inside].to_vec();
                    grads.register::<Flex>(id, made(own, [*rank, inside]));
                }
            }
            if let Some(dx) = &mut dx {
                let size = Size { m: n, k: joint.ranks, n: inside };
                let ab = (rows(dh, joint.ranks), rows(&joint.a, inside));
                match joint.dropout {
                    None => product((dx, inside), Keep::Add, ab, size, 1.0, Threads::All),
                    Some(dropout) => {
                        let mut through = room(xs.len());
                        product((&mut through, inside), Keep::Overwrite, ab, size, 1.0, Threads::All);
                        add(dx, &self::dropped(&through, dropout));
                    }
                }
            }
        }
        if let (Some(id), Some(dx)) = (wanted[0], dx) {
            grads.register::<Flex>(id, made(dx, x_shape));
        }
        if let Some(id) = wanted[1] {
            grads.register::<Flex>(id, dy_tensor);
        }
    }
}
