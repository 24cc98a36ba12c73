//! Matrix products for processors with AVX-512, after Goto and van de Geijn (2008): both operands are copied into panels
//! in the order in which they are read, and tiles of 14 x 32 sums stay in registers. Several products of one
//! destination are one pass over it. Bounds and threads are the caller's business ([`super::product`]).

use super::Shared;
use super::product::{Numbers, View};
use super::scratch::Scratch;
use half::bf16;
use rayon::prelude::*;
use std::arch::x86_64::*;

/// Most rows of a tile: 28 sums, two vectors of columns and a broadcast fill the 32 registers.
const ROWS: usize = 14;
/// Columns of a tile: two vectors.
const COLS: usize = 32;
/// Most steps along the inner dimension between two visits of the destination: a panel of rows stays in the first
/// cache.
const DEPTH: usize = 512;
/// Most columns a task takes: its panels stay in the second cache.
const WIDTH: usize = 512;

/// A part of a term's inner dimension.
#[derive(Clone, Copy)]
struct Slice {
    term: usize,
    from: usize,
    count: usize,
}

/// Whether this processor can.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma")
}

/// A left operand `[m, k]` as panels of rows, copied once for every product it is part of: slice after slice of the
/// inner dimension, in each panel after panel, in each step after step.
pub(super) struct Panels {
    numbers: Scratch,
    m: usize,
    k: usize,
}

/// Rows of a panel: nearly the same for all, since a last one of two rows would run at a fifth of the speed.
fn height(m: usize) -> usize {
    m.div_ceil(m.div_ceil(ROWS).max(1))
}

impl Panels {
    /// Of a matrix.
    ///
    /// # Safety
    /// The processor is [`available`]; the view holds `m x k`.
    pub(super) unsafe fn of(view: &View<'_>, (m, k): (usize, usize), threads: usize) -> Self {
        let mut numbers = Scratch::new(m * k);
        let place = Shared(numbers.as_mut_ptr());
        let height = height(m);
        let pack = |panel: usize| {
            let first = panel * height;
            let rows = height.min(m - first);
            for slice in slices(0, k) {
                // SAFETY: panels do not overlap; each is written by one task.
                unsafe { pack_rows(view, slice, (first, rows), place.at(m * slice.from + first * slice.count)) };
            }
        };
        let panels = m.div_ceil(height.max(1));
        if threads > 1 {
            (0..panels).into_par_iter().with_min_len(8).for_each(pack);
        } else {
            (0..panels).for_each(pack);
        }
        Self { numbers, m, k }
    }

    /// A slice of the panel that begins with row `first`.
    fn at(&self, slice: Slice, first: usize) -> *const f32 {
        self.numbers[self.m * slice.from + first * slice.count..].as_ptr()
    }
}

/// A stretch of steps of a tile: what is multiplied with what.
#[derive(Clone, Copy)]
struct Stretch {
    depth: usize,
    a: *const f32,
    b: *const f32,
}

/// destination = (destination if `keep`) + the sum of scale · panels · b, `[m, n]`, rows `stride` apart.
///
/// # Safety
/// The processor is [`available`]; the destination's rows lie within one buffer that nobody else touches there; every
/// right operand holds `k x n` for its panels' k; all panels are of `m` rows.
pub(super) unsafe fn sum_of_products(
    (destination, stride): (Shared, usize),
    keep: bool,
    terms: &[(&Panels, View<'_>, f32)],
    (m, n): (usize, usize),
    threads: usize,
) {
    let height = height(m);
    let panels = m.div_ceil(height.max(1));
    let width = n.div_ceil(4 * threads).next_multiple_of(COLS).clamp(2 * COLS, WIDTH);
    let blocks = n.div_ceil(width);
    // Where there are too few columns to go round, tasks share them and copy them more than once.
    let parts = if blocks >= 2 * threads { 1 } else { (4 * threads).div_ceil(blocks).min(panels.div_ceil(4)) };
    let share = panels.div_ceil(parts.max(1));
    for (visit, slices) in visits(terms).iter().enumerate() {
        let depth: usize = slices.iter().map(|s| s.count).sum();
        let keep = keep || visit > 0;
        let task = |index: usize| {
            let (block, part) = (index % blocks, index / blocks);
            let first = block * width;
            let columns = width.min(n - first);
            let across = columns.div_ceil(COLS);
            let mut own = Scratch::new(across * COLS * depth);
            let mut at = 0;
            for slice in slices {
                let (_, b, scale) = &terms[slice.term];
                // SAFETY: there is room for `depth` rows of every panel.
                unsafe { pack_columns(b, *slice, (first, columns), *scale, own.as_mut_ptr().add(at * COLS), depth) };
                at += slice.count;
            }
            let mut stretches = [Stretch { depth: 0, a: own.as_ptr(), b: own.as_ptr() }; MOST];
            for panel in part * share..((part + 1) * share).min(panels) {
                let top = panel * height;
                let rows = height.min(m - top);
                for column in 0..across {
                    let left = first + column * COLS;
                    let wide = COLS.min(n - left);
                    let mut at = column * depth;
                    for (stretch, slice) in stretches.iter_mut().zip(slices) {
                        let b = own[at * COLS..].as_ptr();
                        *stretch = Stretch { depth: slice.count, a: terms[slice.term].0.at(*slice, top), b };
                        at += slice.count;
                    }
                    // SAFETY: by the caller's promise, and both panels were written before.
                    unsafe {
                        let c = destination.at(top * stride + left);
                        tile(rows, wide)(&stretches[..slices.len()], c, stride, keep, wide);
                    }
                }
            }
        };
        if threads > 1 {
            (0..blocks * parts).into_par_iter().for_each(task);
        } else {
            (0..blocks * parts).for_each(task);
        }
    }
}

/// Most slices between two visits of the destination.
const MOST: usize = 8;

/// The slices of a term's inner dimension, none longer than [`DEPTH`].
fn slices(term: usize, k: usize) -> impl Iterator<Item = Slice> {
    let each = k.div_ceil(k.div_ceil(DEPTH).max(1)).next_multiple_of(16).max(16);
    (0..k).step_by(each).map(move |from| Slice { term, from, count: each.min(k - from) })
}

/// What is summed between two visits of the destination: short slices share a visit.
fn visits(terms: &[(&Panels, View<'_>, f32)]) -> Vec<Vec<Slice>> {
    let mut visits: Vec<Vec<Slice>> = Vec::new();
    let mut depth = 0;
    for slice in terms.iter().enumerate().flat_map(|(term, t)| slices(term, t.0.k)) {
        match visits.last_mut() {
            Some(last) if depth + slice.count <= DEPTH + 64 && last.len() < MOST => {
                last.push(slice);
                depth += slice.count;
            }
            _ => {
                depth = slice.count;
                visits.push(vec![slice]);
            }
        }
    }
    visits
}

type Tile = unsafe fn(&[Stretch], *mut f32, usize, bool, usize);

/// The tile for so many rows and columns.
fn tile(rows: usize, columns: usize) -> Tile {
    macro_rules! tiles {
        ($($rows:literal)*) => { [$((tile_of::<$rows, 2> as Tile, tile_of::<$rows, 1> as Tile)),*] };
    }
    const TILES: [(Tile, Tile); ROWS] = tiles!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    let (two, one) = TILES[rows - 1];
    if columns > 16 { two } else { one }
}

/// `R` rows by `V` vectors: c = (c if `keep`) + a b over all stretches; only the first `columns` are stored.
///
/// # Safety
/// AVX-512; in each stretch `a` holds `depth * R` numbers and `b` `depth * COLS`; `c` has rows of `columns`, `stride`
/// apart.
#[target_feature(enable = "avx512f")]
unsafe fn tile_of<const R: usize, const V: usize>(
    stretches: &[Stretch],
    c: *mut f32,
    stride: usize,
    keep: bool,
    columns: usize,
) {
    // SAFETY: by the caller's promises; prefetches may name any place.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        for row in 0..R {
            _mm_prefetch::<_MM_HINT_T0>(c.wrapping_add(row * stride).cast());
            _mm_prefetch::<_MM_HINT_T0>(c.wrapping_add(row * stride + 16).cast());
        }
        for stretch in stretches {
            let (mut a, mut b) = (stretch.a, stretch.b);
            for _ in 0..stretch.depth {
                let vectors: [__m512; V] = std::array::from_fn(|v| _mm512_loadu_ps(b.add(16 * v)));
                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(8 * COLS).cast());
                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(8 * COLS + 16).cast());
                for (row, sums) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*a.add(row));
                    for (sum, vector) in sums.iter_mut().zip(vectors) {
                        *sum = _mm512_fmadd_ps(x, vector, *sum);
                    }
                }
                a = a.add(R);
                b = b.add(COLS);
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let place = c.wrapping_add(row * stride + 16 * v);
                let mask = lanes(columns.saturating_sub(16 * v));
                let sum = if keep { _mm512_add_ps(*sum, _mm512_maskz_loadu_ps(mask, place)) } else { *sum };
                _mm512_mask_storeu_ps(place, mask, sum);
            }
        }
    }
}

/// The first `count` lanes.
#[inline(always)]
fn lanes(count: usize) -> __mmask16 {
    if count >= 16 { 0xFFFF } else { (1 << count) - 1 }
}

/// Numbers that are read sixteen at a time as f32.
trait Wide: Copy {
    fn one(self) -> f32;
    /// # Safety
    /// AVX-512; the masked lanes lie within the buffer.
    unsafe fn sixteen(from: *const Self, mask: __mmask16) -> __m512;
}

impl Wide for f32 {
    #[inline(always)]
    fn one(self) -> f32 {
        self
    }

    #[inline(always)]
    unsafe fn sixteen(from: *const Self, mask: __mmask16) -> __m512 {
        // SAFETY: by the caller's promise.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }
}

impl Wide for bf16 {
    #[inline(always)]
    fn one(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    unsafe fn sixteen(from: *const Self, mask: __mmask16) -> __m512 {
        // SAFETY: by the caller's promise; a bf16 is the upper half of an f32. Without masked loads of 16-bit lanes in
        // the base set, a part of a vector goes through an array.
        unsafe {
            let halves = if mask == 0xFFFF {
                _mm256_loadu_si256(from.cast())
            } else {
                let mut part = [0u16; 16];
                for (lane, half) in part.iter_mut().enumerate().filter(|(lane, _)| mask >> lane & 1 == 1) {
                    *half = (*from.add(lane)).to_bits();
                }
                _mm256_loadu_si256(part.as_ptr().cast())
            };
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
        }
    }
}

/// Rows of a left operand as a panel `[count][rows]`.
///
/// # Safety
/// AVX-512; the rows and the slice lie within the operand, `out` has room.
#[target_feature(enable = "avx512f")]
unsafe fn pack_rows(view: &View<'_>, slice: Slice, rows: (usize, usize), out: *mut f32) {
    // SAFETY: by the caller's promises.
    unsafe {
        match view.data {
            Numbers::F32(data) => pack_panel(data.as_ptr(), view, slice, rows, out),
            Numbers::Bf16(data) => pack_panel(data.as_ptr(), view, slice, rows, out),
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn pack_panel<T: Wide>(
    data: *const T,
    view: &View<'_>,
    Slice { from, count, .. }: Slice,
    (first, rows): (usize, usize),
    out: *mut f32,
) {
    // SAFETY: by the caller's promises.
    unsafe {
        let own = lanes(rows);
        if view.col == 1 {
            for start in (0..count).step_by(16) {
                let steps = 16.min(count - start);
                let mut block = [_mm512_setzero_ps(); 16];
                for (row, vector) in block.iter_mut().enumerate().take(rows) {
                    let place = data.add((first + row) * view.row + from + start);
                    *vector = T::sixteen(place, lanes(steps));
                }
                transpose(&mut block);
                for (step, vector) in block.iter().enumerate().take(steps) {
                    _mm512_mask_storeu_ps(out.add((start + step) * rows), own, *vector);
                }
            }
        } else if view.row == 1 {
            for step in 0..count {
                let vector = T::sixteen(data.add(first + (from + step) * view.col), own);
                _mm512_mask_storeu_ps(out.add(step * rows), own, vector);
            }
        } else {
            for (step, row) in (0..count).flat_map(|step| (0..rows).map(move |row| (step, row))) {
                let place = data.add((first + row) * view.row + (from + step) * view.col);
                *out.add(step * rows + row) = (*place).one();
            }
        }
    }
}

/// Columns of a right operand, times `scale`, as panels of [`COLS`], `depth` steps apart; what lies beyond the last column is zero.
///
/// # Safety
/// AVX-512; the columns and the slice lie within the operand, `out` has room.
#[target_feature(enable = "avx512f")]
unsafe fn pack_columns(
    view: &View<'_>,
    slice: Slice,
    columns: (usize, usize),
    scale: f32,
    out: *mut f32,
    depth: usize,
) {
    // SAFETY: by the caller's promises.
    unsafe {
        match view.data {
            Numbers::F32(data) => pack_panels(data.as_ptr(), view, slice, columns, scale, (out, depth)),
            Numbers::Bf16(data) => pack_panels(data.as_ptr(), view, slice, columns, scale, (out, depth)),
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn pack_panels<T: Wide>(
    data: *const T,
    view: &View<'_>,
    Slice { from, count, .. }: Slice,
    (first, columns): (usize, usize),
    scale: f32,
    (out, depth): (*mut f32, usize),
) {
    // SAFETY: by the caller's promises.
    unsafe {
        let by = _mm512_set1_ps(scale);
        // Half panels of 16 columns; the last may be an empty one.
        let halves = columns.div_ceil(COLS) * 2;
        let place = |half: usize, step: usize| out.add(half / 2 * COLS * depth + step * COLS + half % 2 * 16);
        if view.col == 1 {
            for step in 0..count {
                let row = data.add((from + step) * view.row + first);
                for half in 0..halves {
                    let mask = lanes(columns.saturating_sub(16 * half));
                    let vector = T::sixteen(row.wrapping_add(16 * half), mask);
                    _mm512_storeu_ps(place(half, step), _mm512_mul_ps(by, vector));
                }
            }
            return;
        }
        for half in 0..halves {
            let across = columns.saturating_sub(16 * half).min(16);
            for start in (0..count).step_by(16) {
                let steps = 16.min(count - start);
                let mut block = [_mm512_setzero_ps(); 16];
                for (column, vector) in block.iter_mut().enumerate().take(across) {
                    let from = data.add((first + 16 * half + column) * view.col + (from + start) * view.row);
                    *vector = if view.row == 1 {
                        T::sixteen(from, lanes(steps))
                    } else {
                        let mut part = [0f32; 16];
                        (0..steps).for_each(|step| part[step] = (*from.add(step * view.row)).one());
                        _mm512_loadu_ps(part.as_ptr())
                    };
                }
                transpose(&mut block);
                for (step, vector) in block.iter().enumerate().take(steps) {
                    _mm512_storeu_ps(place(half, start + step), _mm512_mul_ps(by, *vector));
                }
            }
        }
    }
}

/// Sixteen vectors of sixteen, rows and columns exchanged.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(block: &mut [__m512; 16]) {
    let mut pairs = [_mm512_setzero_ps(); 16];
    for i in 0..8 {
        pairs[2 * i] = _mm512_unpacklo_ps(block[2 * i], block[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_ps(block[2 * i], block[2 * i + 1]);
    }
    for i in 0..4 {
        let [a, b, c, d] = std::array::from_fn(|j| _mm512_castps_pd(pairs[4 * i + j]));
        block[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        block[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        block[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        block[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
    for i in 0..4 {
        for upper in [0, 8] {
            pairs[upper + i] = _mm512_shuffle_f32x4::<0x88>(block[upper + i], block[upper + 4 + i]);
            pairs[upper + 4 + i] = _mm512_shuffle_f32x4::<0xDD>(block[upper + i], block[upper + 4 + i]);
        }
    }
    for i in 0..4 {
        for lower in [0, 4] {
            block[lower + i] = _mm512_shuffle_f32x4::<0x88>(pairs[lower + i], pairs[8 + lower + i]);
            block[8 + lower + i] = _mm512_shuffle_f32x4::<0xDD>(pairs[lower + i], pairs[8 + lower + i]);
        }
    }
}
