//! Head and cross-entropy where the head is not trained, for processors with AVX-512: the softmax goes along with the
//! sums (Milakov and Gimelshein 2018; for a sum weighted by it, Dao et al. 2022), so that of the logits only a tile
//! that stays in the first cache ever exists, and each part of the head's matrix is read once for both products.
//!
//! Everything is transposed: logits are `[vocabulary, rows]`, so that the head's rows are left operands as they stand in
//! memory, and what comes out of the first product is the right operand of the second.

use super::cross_entropy::{Head, Lost};
use super::product::{Numbers, rows};
use super::scratch::Scratch;
use super::simd::{column_exponentials, column_maxima, column_scale};
use super::tile::{self, Block, LANES, Stretch};
use super::{Shared, uninit_buffer};
use rayon::prelude::*;

/// Most rows of hidden states a task takes, and of the head at a time; fewer where rows are long, so that both, and the
/// sums, stay in the second cache.
const MOST: usize = 128;

/// Tasks to share out among threads, about.
const TASKS: usize = 32;

/// What a part of the vocabulary says of a block of rows.
struct Partial {
    /// The largest logit but the target's, and the sum of all exponentials but the target's, with respect to it.
    top: Vec<f32>,
    total: Vec<f32>,
    /// The target's logit, where it lies in this part.
    own: Vec<Option<f32>>,
    /// The sum of the head's rows weighted by those exponentials, `[d, width]` for each panel.
    sum: Option<Scratch>,
}

/// See [`super::cross_entropy::linear_cross_entropy`]; without gradients of the head.
///
/// # Safety
/// The processor is [`tile::available`].
pub(super) unsafe fn loss(head: &Head<'_>) -> Lost {
    let (n, d, v) = (head.targets.len(), head.d, head.v);
    let most = ((1 << 17) / d / LANES * LANES).clamp(2 * LANES, MOST);
    let width = n.div_ceil(n.div_ceil(most).max(1)).next_multiple_of(LANES);
    let blocks = n.div_ceil(width.max(1));
    let height = ((1 << 16) / d / 8 * 8).clamp(16, MOST);
    // Where there are too few rows to go round, tasks share the vocabulary. As many for any number of threads, so that
    // the sums do not depend on it.
    let parts = TASKS.div_ceil(blocks.max(1)).min(v.div_ceil(4 * height));
    let share = v.div_ceil(parts.max(1)).next_multiple_of(8);
    let parts = v.div_ceil(share.max(1));
    let block = |index: usize| Block { first: index * width, columns: width.min(n - index * width) };
    let partials: Vec<Partial> = (0..blocks * parts)
        .into_par_iter()
        .map(|index| {
            let from = index / blocks * share;
            // SAFETY: by the caller's promise.
            unsafe { partial(head, block(index % blocks), (from, share.min(v - from)), height) }
        })
        .collect();
    let mut nats = vec![0f32; n];
    let mut dh = head.factors.as_ref().map(|_| uninit_buffer(n * d));
    let place = dh.as_mut().map(|dh| Shared(dh.as_mut_ptr()));
    nats.par_chunks_mut(width.max(1)).enumerate().for_each(|(index, nats)| {
        let of_block: Vec<&Partial> = partials.iter().skip(index).step_by(blocks).collect();
        for (row, nats) in nats.iter_mut().enumerate() {
            // SAFETY: every row of the gradient is one row's of the block, and of no other block's.
            let out = place.map(|place| unsafe { place.row((index * width + row) * d, d) });
            *nats = merged(head, &of_block, block(index), row, out);
        }
    });
    Lost { nats, dh, dw: None }
}

/// Goes through rows `from..from + count` of the head.
///
/// # Safety
/// The processor is [`tile::available`].
unsafe fn partial(head: &Head<'_>, block: Block, (from, count): (usize, usize), height: usize) -> Partial {
    let d = head.d;
    let across = block.vectors() * LANES;
    let targets = &head.targets[block.first..block.first + block.columns];
    let mut states = Scratch::new(across * d);
    let whole = tile::Slice { term: 0, from: 0, count: d };
    // SAFETY: there is room for d steps of every panel; the view holds the block's rows.
    unsafe { tile::pack_columns(&rows(head.h, d).transposed(), whole, block, 1.0, states.as_mut_ptr(), (0, d)) };
    let mut sum = head.factors.as_ref().map(|_| {
        let mut sum = Scratch::new(across * d);
        sum.fill(0.0);
        sum
    });
    // Finite, so that differences are never those of two infinities.
    let (mut top, mut total) = (vec![f32::MIN; across], vec![0f32; across]);
    let mut own = vec![None; block.columns];
    let widest = tile::ACROSS * LANES;
    let mut logits = Scratch::new(height * widest);
    let mut wide = Scratch::new(if matches!(head.w, Numbers::Bf16(_)) { height * d } else { 0 });
    let mut before = vec![0f32; widest];
    for first in (from..from + count).step_by(height) {
        let many = height.min(from + count - first);
        let matrix: &[f32] = match head.w {
            Numbers::F32(w) => &w[first * d..(first + many) * d],
            Numbers::Bf16(w) => {
                for (wide, w) in wide.iter_mut().zip(&w[first * d..(first + many) * d]) {
                    *wide = w.to_f32();
                }
                &wide[..many * d]
            }
        };
        for (vector, vectors) in block.panels() {
            let (place, width) = (vector * LANES, vectors * LANES);
            let logits = &mut logits[..many * width];
            for row in (0..many).step_by(tile::ROWS) {
                let rows = tile::ROWS.min(many - row);
                let a = matrix[row * d..].as_ptr();
                let (b, next) = (states[place * d..].as_ptr(), a.wrapping_add(rows * d));
                let stretch = Stretch { depth: d, a, row: d, step: 1, b, apart: width, next };
                let c = logits[row * width..].as_mut_ptr();
                // SAFETY: rows of the head and a packed panel of d steps; the tile lies within the logits.
                unsafe { tile::tile(rows, vectors, false)(&[stretch], c, width, false, width) };
            }
            // The targets' logits are set aside: what is left of 1 is then exact where they are nearly all.
            let here = |column: usize| {
                let target = *targets.get(place + column)? as usize;
                (first..first + many).contains(&target).then(|| (target - first) * width + column)
            };
            let set_aside: Vec<(usize, usize)> =
                (0..width).filter_map(|column| here(column).map(|at| (column, at))).collect();
            for (column, at) in &set_aside {
                own[place + column] = Some(std::mem::replace(&mut logits[*at], f32::MIN));
            }
            let (top, total) = (&mut top[place..place + width], &mut total[place..place + width]);
            let before = &mut before[..width];
            before.copy_from_slice(top);
            column_maxima(logits, top);
            if before != top {
                // Before: now the factors of what was summed so far.
                column_exponentials(before, top, &mut [0.0; tile::ACROSS * LANES]);
                column_scale(total, before);
                if let Some(sum) = &mut sum {
                    column_scale(&mut sum[place * d..(place + width) * d], before);
                }
            }
            column_exponentials(logits, top, total);
            for (column, at) in set_aside {
                total[column] -= std::mem::take(&mut logits[at]);
            }
            let Some(sum) = &mut sum else { continue };
            for row in (0..d).step_by(tile::ROWS) {
                let rows = tile::ROWS.min(d - row);
                let a = matrix[row..].as_ptr();
                let stretch = Stretch { depth: many, a, row: 1, step: d, b: logits.as_ptr(), apart: width, next: a };
                let c = sum[place * d + row * width..].as_mut_ptr();
                // SAFETY: columns of the head and the logits are of `many` steps; the tile lies within the sums.
                unsafe { tile::tile(rows, vectors, false)(&[stretch], c, width, true, width) };
            }
        }
    }
    top.truncate(block.columns);
    total.truncate(block.columns);
    Partial { top, total, own, sum }
}

/// A row's nats, and its gradient to `out`, from all parts of the vocabulary.
fn merged(head: &Head<'_>, partials: &[&Partial], block: Block, row: usize, out: Option<&mut [f32]>) -> f32 {
    let index = block.first + row;
    let top = partials.iter().map(|p| p.top[row]).fold(f32::MIN, f32::max);
    let weight = |p: &Partial| (p.top[row] - top).exp();
    let total: f32 = partials.iter().map(|p| p.total[row] * weight(p)).sum();
    // NaN where a logit is: the trainer has to see it.
    let above = partials.iter().find_map(|p| p.own[row]).unwrap_or(f32::NAN) - top;
    // All with respect to the larger of the target's logit and the others', so that nothing overflows.
    let (others, whole, scale) = if above > 0.0 {
        let others = total * (-above).exp();
        (others, 1.0 + others, (-above).exp())
    } else {
        (total, total + above.exp(), 1.0)
    };
    let (Some(out), Some(factors)) = (out, &head.factors) else {
        return nats(others, whole, above);
    };
    let factor = factors[index];
    let (vector, vectors) = block.panels().find(|(first, count)| row < (first + count) * LANES).unwrap_or((0, 1));
    let (place, width) = (vector * LANES, vectors * LANES);
    out.fill(0.0);
    for p in partials {
        let Some(sum) = &p.sum else { continue };
        let k = factor * weight(p) * scale / whole;
        for (i, out) in out.iter_mut().enumerate() {
            *out += k * sum[place * head.d + i * width + row - place];
        }
    }
    let (target, missing) = (head.targets[index] as usize * head.d, factor * others / whole);
    match head.w {
        Numbers::F32(w) => out.iter_mut().zip(&w[target..]).for_each(|(out, w)| *out -= missing * w),
        Numbers::Bf16(w) => out.iter_mut().zip(&w[target..]).for_each(|(out, w)| *out -= missing * w.to_f32()),
    }
    nats(others, whole, above)
}

/// -ln of the target's share: `above` is its logit less the largest of the others'.
fn nats(others: f32, whole: f32, above: f32) -> f32 {
    if above > 0.0 { others.ln_1p() } else { whole.ln() - above }
}
