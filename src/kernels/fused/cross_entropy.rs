//! Head and cross-entropy. Of a head that is trained, or on a processor without AVX-512, by chunks of rows: the logits of
//! a chunk become its gradient in place, go into both products, and are gone. Else see [`super::online`].

use super::product::{Keep, Numbers, Size, Threads, product, rows, rows_of};
use super::scratch::Scratch;
use super::simd::{cross_entropy_row, nats_row};
use super::{dims, made, slice, storage, stored, uninit_buffer};
use crate::kernels::Loss;
use burn::backend::Flex;
use burn::tensor::Tensor;
use rayon::prelude::*;

/// Numbers of logits that exist at once, about: 32 MiB. More rows at once use the head's matrix more often per read.
const ROOM: usize = 1 << 23;

/// Logits of a row that go into a product at once.
const STRETCH: usize = 2048;

/// A head and the rows that count.
pub(super) struct Head<'a> {
    /// Hidden states `[n, d]`.
    pub(super) h: &'a [f32],
    /// The head `[v, d]`.
    pub(super) w: Numbers<'a>,
    pub(super) d: usize,
    pub(super) v: usize,
    /// What each row should say.
    pub(super) targets: Vec<u32>,
    /// What each row's gradient is multiplied with; none where no gradient is wanted.
    pub(super) factors: Option<Vec<f32>>,
}

/// What is lost, and the gradients that are wanted.
pub(super) struct Lost {
    pub(super) nats: Vec<f32>,
    pub(super) dh: Option<Vec<f32>>,
    pub(super) dw: Option<Vec<f32>>,
}

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
    let head = Head {
        h: picked,
        w: stored(&weight),
        d,
        v,
        targets: counted.iter().map(|i| targets[*i]).collect(),
        factors: factors.map(|f| counted.iter().map(|i| f[*i]).collect()),
    };
    let lost = if want_weight { by_chunks(&head, true) } else { frozen(&head) };
    let mut nats = vec![0f32; targets.len()];
    for (i, lost) in counted.iter().zip(&lost.nats) {
        nats[*i] = *lost;
    }
    let dh = lost.dh.map(|dh| if all { dh } else { spread(&dh, &counted, targets.len(), d) });
    let tensor = |numbers: Vec<f32>, rows: usize| Tensor::from_primitive::<Flex>(made(numbers, [rows, d]));
    Loss { nats, d_hidden: dh.map(|dh| tensor(dh, targets.len())), d_weight: lost.dw.map(|dw| tensor(dw, v)) }
}

/// Where the head is not trained.
fn frozen(head: &Head<'_>) -> Lost {
    #[cfg(target_arch = "x86_64")]
    if super::tile::available() {
        // SAFETY: the processor was just asked.
        return unsafe { super::online::loss(head) };
    }
    by_chunks(head, false)
}

fn by_chunks(head: &Head<'_>, want_weight: bool) -> Lost {
    let (d, v, n) = (head.d, head.v, head.targets.len());
    let w = rows_of(head.w, d);
    // As few chunks as there is room for, all of nearly the same size.
    let most = (ROOM / v).clamp(16, 1024);
    let chunk = n.div_ceil(n.div_ceil(most).max(1)).max(1);
    let mut logits = Scratch::new(chunk * v);
    let mut lost = vec![0f32; n];
    let mut dh = head.factors.as_ref().map(|_| uninit_buffer(n * d));
    let mut dw = (want_weight && head.factors.is_some()).then(|| vec![0f32; v * d]);
    for start in (0..n).step_by(chunk) {
        let m = chunk.min(n - start);
        let x = rows(&head.h[start * d..], d);
        product((&mut logits, v), Keep::Overwrite, (x, w.transposed()), Size { m, k: d, n: v }, 1.0, Threads::All);
        logits[..m * v].par_chunks_mut(v).zip(&mut lost[start..start + m]).enumerate().for_each(|(i, (row, lost))| {
            let target = head.targets[start + i] as usize;
            *lost = match &head.factors {
                Some(factors) => cross_entropy_row(row, target, factors[start + i]),
                None => nats_row(row, target),
            };
        });
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
    Lost { nats: lost, dh, dw }
}

/// Rows put back to their places, zeros between them.
fn spread(picked: &[f32], places: &[usize], count: usize, width: usize) -> Vec<f32> {
    let mut all = vec![0f32; count * width];
    for (row, place) in picked.chunks(width).zip(places) {
        all[place * width..(place + 1) * width].copy_from_slice(row);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;

    fn numbers(count: usize, seed: u32, size: f32) -> Vec<f32> {
        super::super::test_numbers(count, seed).into_iter().map(|x| x * size).collect()
    }

    /// In f64, logit by logit: nats and gradient.
    fn plainly(head: &Head<'_>, w: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let (d, v) = (head.d, head.v);
        let (mut nats, mut dh) = (Vec::new(), Vec::new());
        for (i, h) in head.h.chunks(d).enumerate() {
            let dot = |w: &[f32]| h.iter().zip(w).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let logits: Vec<f64> = w.chunks(d).map(dot).collect();
            let top = logits.iter().copied().fold(f64::MIN, f64::max);
            let total: f64 = logits.iter().map(|l| (l - top).exp()).sum();
            let target = head.targets[i] as usize;
            nats.push(total.ln() + top - logits[target]);
            let factor = head.factors.as_ref().map_or(0.0, |f| f64::from(f[i]));
            for j in 0..d {
                let row = (0..v).map(|r| {
                    let share = (logits[r] - top).exp() / total - if r == target { 1.0 } else { 0.0 };
                    factor * share * f64::from(w[r * d + j])
                });
                dh.push(row.sum());
            }
        }
        (nats, dh)
    }

    #[test]
    fn the_loss_along_the_vocabulary_equals_plain_sums_and_the_one_by_chunks() {
        // Rows, dimensions, vocabulary: around the tiles' 8 and 48, one of each, several parts and blocks; then how
        // large the logits are, from all alike to one that has everything.
        for (n, d, v) in [(1, 1, 1), (1, 8, 2), (3, 5, 17), (50, 48, 300), (130, 33, 1025), (260, 64, 3000)] {
            for (size, halves) in [(0.1, false), (2.0, true), (60.0, false)] {
                let h = numbers(n * d, 1, 2.0);
                let mut w = numbers(v * d, 2, size);
                let stored: Vec<bf16> = w.iter().map(|x| bf16::from_f32(*x)).collect();
                if halves {
                    w = stored.iter().map(|x| x.to_f32()).collect();
                }
                for factors in [None, Some(numbers(n, 3, 1.0))] {
                    let head = Head {
                        h: &h,
                        w: if halves { Numbers::Bf16(&stored) } else { Numbers::F32(&w) },
                        d,
                        v,
                        targets: (0..n).map(|i| (i * 7919 % v) as u32).collect(),
                        factors: factors.clone(),
                    };
                    let (nats, dh) = plainly(&head, &w);
                    for (name, lost) in [("frozen", frozen(&head)), ("by chunks", by_chunks(&head, false))] {
                        let what = format!("{name}, {n} x {d}, {v} rows, logits of {size}");
                        for (got, want) in lost.nats.iter().zip(&nats) {
                            let off = (f64::from(*got) - want).abs();
                            assert!(off < 1e-5 * (1.0 + want), "{what}: {got} nats, {want} in f64");
                        }
                        assert_eq!(lost.dh.is_some(), factors.is_some(), "{what}");
                        for (got, want) in lost.dh.iter().flatten().zip(&dh) {
                            let off = (f64::from(*got) - want).abs();
                            // A logit of some hundreds is itself only known to 1e-5 or so.
                            assert!(off < 1e-5 * f64::from(1.0 + size), "{what}: gradient {got}, {want} in f64");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_logit_that_is_no_number_makes_a_loss_that_is_none() {
        let w = numbers(40 * 4, 2, 1.0);
        for bad in [f32::NAN, f32::INFINITY] {
            let mut h = numbers(3 * 4, 1, 1.0);
            h[5] = bad;
            let head = Head { h: &h, w: Numbers::F32(&w), d: 4, v: 40, targets: vec![3, 4, 5], factors: None };
            let lost = frozen(&head).nats;
            assert!(lost[0].is_finite() && !lost[1].is_finite() && lost[2].is_finite(), "{bad}: {lost:?}");
        }
    }
}
