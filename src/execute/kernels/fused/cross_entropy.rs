//! Head and cross-entropy by chunks of rows: the logits of a chunk become its gradient in place, go into both
//! products, and are gone.

use super::product::{Keep, Size, Threads, product, rows, rows_of};
use super::scratch::Scratch;
use super::simd::{cross_entropy_row, nats_row};
use super::{dims, made, room, slice, storage, stored};
use crate::execute::kernels::Loss;
use burn::backend::Flex;
use burn::tensor::Tensor;
use rayon::prelude::*;

/// Numbers of logits that exist at once, about: 160 MiB. More rows at once use the head's matrix more often per read.
const ROOM: usize = 5 << 23;

/// Logits of a row that go into a product at once.
const STRETCH: usize = 2048;

/// See [`super::super::linear_cross_entropy`].
pub fn linear_cross_entropy(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    factors: Option<&[f32]>,
    want_weight: bool,
) -> Loss {
    let (hidden, weight) = (storage(hidden), storage(weight));
    let (d, v) = (dims(&hidden)[1], dims(&weight)[0]);
    let w = rows_of(stored(&weight), d);
    // Only rows that count are computed: in chats most targets are ignored.
    let counted: Vec<usize> =
        (0..targets.len()).filter(|i| (targets[*i] as usize) < v && factors.is_none_or(|f| f[*i] != 0.0)).collect();
    let h = slice(&hidden);
    let picked: Vec<f32>;
    let all = counted.len() == targets.len();
    let picked: &[f32] = if all {
        h
    } else {
        picked = counted.iter().flat_map(|i| &h[i * d..(i + 1) * d]).copied().collect();
        &picked
    };
    let n = counted.len();
    // As few chunks as there is room for, all of nearly the same size.
    let most = (ROOM / v).clamp(16, 1024);
    let chunk = n.div_ceil(n.div_ceil(most).max(1)).max(1);
    let mut logits = Scratch::new(chunk * v);
    let mut lost = vec![0f32; n];
    let mut dh = factors.map(|_| room(n * d));
    let mut dw = (want_weight && factors.is_some()).then(|| vec![0f32; v * d]);
    for start in (0..n).step_by(chunk) {
        let m = chunk.min(n - start);
        let x = rows(&picked[start * d..], d);
        product((&mut logits, v), Keep::Overwrite, (x, w.transposed()), Size { m, k: d, n: v }, 1.0, Threads::All);
        let which = &counted[start..start + m];
        logits[..m * v].par_chunks_mut(v).zip(lost[start..start + m].par_iter_mut()).zip(which).for_each(
            |((row, lost), i)| {
                let target = targets[*i] as usize;
                *lost = match factors {
                    Some(factors) => cross_entropy_row(row, target, factors[*i]),
                    None => nats_row(row, target),
                };
            },
        );
        if let Some(dh) = &mut dh {
            let place = &mut dh[start * d..];
            // By stretches of the vocabulary: the copy that the product makes of its left side stays small.
            for first in (0..v).step_by(STRETCH) {
                let (k, keep) = (STRETCH.min(v - first), if first > 0 { Keep::Add } else { Keep::Overwrite });
                let ab = (rows(&logits[first..], v), w.after(first));
                product((&mut *place, d), keep, ab, Size { m, k, n: d }, 1.0, Threads::All);
            }
        }
        if let Some(dw) = &mut dw {
            for first in (0..v).step_by(STRETCH) {
                let size = Size { m: STRETCH.min(v - first), k: m, n: d };
                let ab = (rows(&logits[first..], v).transposed(), x);
                product((&mut dw[first * d..], d), Keep::Add, ab, size, 1.0, Threads::All);
            }
        }
    }
    let mut nats = vec![0f32; targets.len()];
    for (i, lost) in counted.iter().zip(&lost) {
        nats[*i] = *lost;
    }
    let dh = dh.map(|dh| if all { dh } else { spread(&dh, &counted, targets.len(), d) });
    let tensor = |numbers: Vec<f32>, rows: usize| Tensor::from_primitive::<Flex>(made(numbers, [rows, d]));
    Loss { nats, d_hidden: dh.map(|dh| tensor(dh, targets.len())), d_weight: dw.map(|dw| tensor(dw, v)) }
}

/// Rows put back to their places, zeros between them.
fn spread(picked: &[f32], places: &[usize], count: usize, width: usize) -> Vec<f32> {
    let mut all = vec![0f32; count * width];
    for (row, place) in picked.chunks(width).zip(places) {
        all[place * width..(place + 1) * width].copy_from_slice(row);
    }
    all
}
