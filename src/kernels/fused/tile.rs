//! Matrix products for processors with AVX-512, after Goto and van de Geijn (2008): right operands are copied into
//! panels in the order in which they are read, left ones are read where they are if their rows are contiguous, and
//! tiles of 8 x 48 sums stay in registers. Several products of one destination are one pass over it. Bounds and threads
//! are the caller's business ([`super::product`]).

use super::Shared;
use super::product::{Numbers, View};
use super::scratch::Scratch;
use super::share::share_out;
use half::bf16;
use rayon::prelude::*;
use std::arch::x86_64::*;
use std::hint::black_box;
use std::ops::Range;

/// Most rows of a tile.
pub(super) const ROWS: usize = 8;
/// Numbers of a vector.
pub(super) const LANES: usize = 16;
/// Most vectors of a tile's row: 24 sums, three vectors of columns and a broadcast are 28 of the 32 registers.
pub(super) const ACROSS: usize = 3;
/// Most steps along the inner dimension between two visits of the destination: a panel of rows stays in the first
/// cache.
const DEPTH: usize = 512;
/// Most columns a task takes: its panels stay in the second cache.
const WIDTH: usize = 480;

/// Most rows of a product whose operands are not copied: a copy has to be read often enough.
const FEW: usize = 48;
/// Most numbers of an operand that is not copied either, for any number of rows: the first caches hold it.
const SMALL: usize = 1 << 15;

/// A part of a term's inner dimension.
#[derive(Clone, Copy)]
pub(super) struct Slice {
    pub(super) term: usize,
    pub(super) from: usize,
    pub(super) count: usize,
}

/// Whether this processor can.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma")
}

/// A left operand `[m, k]` in a form that tiles read.
pub(super) struct Panels<'a> {
    numbers: Form<'a>,
    m: usize,
    k: usize,
}

enum Form<'a> {
    /// Where it was, with how far apart rows and steps are: a tile reads eight rows at once.
    InPlace(&'a [f32], usize, usize),
    /// Copied once for every product it is part of: slice after slice of the inner dimension, in each panel after
    /// panel, in each step after step.
    Copied(Scratch),
}

/// Rows of a panel: nearly the same for all, since a last one of two rows would run at a third of the speed.
fn height(m: usize) -> usize {
    m.div_ceil(m.div_ceil(ROWS).max(1))
}

impl<'a> Panels<'a> {
    /// Of a matrix.
    ///
    /// # Safety
    /// The processor is [`available`]; the view holds `m x k`.
    pub(super) unsafe fn of(view: &View<'a>, (m, k): (usize, usize), threads: usize) -> Self {
        let small = m <= FEW || m * k <= SMALL;
        if let Numbers::F32(data) = view.data
            && (view.col == 1 || view.row == 1 && small)
        {
            return Self { numbers: Form::InPlace(data, view.row, view.col), m, k };
        }
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
        Self { numbers: Form::Copied(numbers), m, k }
    }

    /// A slice of the panel of `rows` that begins with row `first`, and how far apart its rows and steps are.
    fn at(&self, slice: Slice, first: usize, rows: usize) -> (*const f32, usize, usize) {
        match &self.numbers {
            Form::InPlace(data, row, step) => (data[first * row + slice.from * step..].as_ptr(), *row, *step),
            Form::Copied(numbers) => (numbers[self.m * slice.from + first * slice.count..].as_ptr(), 1, rows),
        }
    }
}

/// A block of columns as panels of up to [`ACROSS`] vectors, nearly the same for all.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) first: usize,
    pub(super) columns: usize,
}

impl Block {
    /// Vectors, the last filled with zeros.
    pub(super) fn vectors(self) -> usize {
        self.columns.div_ceil(LANES)
    }

    /// The first vector of each panel, and how many it has.
    pub(super) fn panels(self) -> impl Iterator<Item = (usize, usize)> {
        let vectors = self.vectors();
        let panels = vectors.div_ceil(ACROSS);
        (0..panels).map(move |panel| {
            let first = panel * vectors / panels;
            (first, (panel + 1) * vectors / panels - first)
        })
    }
}

/// A stretch of steps of a tile: what is multiplied with what.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    pub(super) depth: usize,
    pub(super) a: *const f32,
    /// How far apart rows and steps of `a` are.
    pub(super) row: usize,
    pub(super) step: usize,
    pub(super) b: *const f32,
    /// How far apart steps of `b` are.
    pub(super) apart: usize,
    /// What is read next in the place of `a`, so that it is on its way: rows as far apart as `a`'s. May be any place.
    pub(super) next: *const f32,
}

/// destination = (destination if `keep`) + the sum of scale · panels · b, `[m, n]`, rows `stride` apart.
///
/// # Safety
/// The processor is [`available`]; the destination's rows lie within one buffer that nobody else touches there; every
/// right operand holds `k x n` for its panels' k; all panels are of `m` rows.
pub(super) unsafe fn sum_of_products(
    (destination, stride): (Shared, usize),
    keep: bool,
    terms: &[(&Panels<'_>, View<'_>, f32)],
    (m, n): (usize, usize),
    threads: usize,
) {
    let height = height(m);
    let panels = m.div_ceil(height.max(1));
    let blocks = n.div_ceil(WIDTH).max(2 * threads).next_multiple_of(threads);
    let width = n.div_ceil(blocks).next_multiple_of(LANES).max(4 * LANES);
    let blocks = n.div_ceil(width);
    // Where there are few rows, or columns that the first caches hold, a copy would cost more than it saves.
    let standing = |slice: &Slice| match (terms[slice.term].1, terms[slice.term].2) {
        (View { data: Numbers::F32(data), row, col: 1 }, 1.0) if m <= FEW || n * terms[slice.term].0.k <= SMALL => {
            Some((data, row))
        }
        _ => None,
    };
    for (visit, slices) in visits(terms).iter().enumerate() {
        let in_place = slices.iter().all(|slice| standing(slice).is_some());
        let depth: usize = if in_place { 0 } else { slices.iter().map(|s| s.count).sum() };
        let keep = keep || visit > 0;
        let block = |index: usize| Block { first: index * width, columns: width.min(n - index * width) };
        let pack = |index: usize, own: Shared| {
            let mut at = 0;
            for slice in slices.iter().filter(|_| !in_place) {
                let (_, b, scale) = &terms[slice.term];
                // SAFETY: there is room for `depth` steps of every panel, and one task packs a block.
                unsafe { pack_columns(b, *slice, block(index), *scale, own.at(0), (at, depth)) };
                at += slice.count;
            }
        };
        let multiply = |index: usize, own: Shared, rows: Range<usize>| {
            let block = block(index);
            let none = own.0.cast_const();
            let mut stretches = [Stretch { depth: 0, a: none, row: 0, step: 0, b: none, apart: 0, next: none }; MOST];
            for panel in rows {
                let top = panel * height;
                let rows = height.min(m - top);
                for (vector, vectors) in block.panels() {
                    let left = block.first + vector * LANES;
                    let wide = (vectors * LANES).min(n - left);
                    let mut at = 0;
                    for (stretch, slice) in stretches.iter_mut().zip(slices) {
                        let (b, apart) = match standing(slice).filter(|_| in_place) {
                            Some((data, apart)) => (data[slice.from * apart + left..].as_ptr(), apart),
                            None => {
                                at += slice.count;
                                let from = vector * depth + vectors * (at - slice.count);
                                (none.wrapping_add(from * LANES), vectors * LANES)
                            }
                        };
                        let (a, row, step) = terms[slice.term].0.at(*slice, top, rows);
                        // Once for each panel of rows; one that was copied stands in the order in which it is read.
                        let next = if vector == 0 && step == 1 { a.wrapping_add(rows * row) } else { a };
                        *stretch = Stretch { depth: slice.count, a, row, step, b, apart, next };
                    }
                    // SAFETY: by the caller's promise, and the panels of columns were written before.
                    unsafe {
                        let c = destination.at(top * stride + left);
                        tile(rows, vectors, in_place)(&stretches[..slices.len()], c, stride, keep, wide);
                    }
                }
            }
        };
        share_out((blocks, panels), (threads, width * depth), pack, multiply);
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
fn visits(terms: &[(&Panels<'_>, View<'_>, f32)]) -> Vec<Vec<Slice>> {
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

pub(super) type Tile = unsafe fn(&[Stretch], *mut f32, usize, bool, usize);

/// The tile for so many rows and vectors.
pub(super) fn tile(rows: usize, vectors: usize, in_place: bool) -> Tile {
    macro_rules! tiles {
        ($in_place:literal: $($rows:literal)*) => {
            [$([
                tile_of::<$rows, 1, $in_place> as Tile,
                tile_of::<$rows, 2, $in_place> as Tile,
                tile_of::<$rows, 3, $in_place> as Tile,
            ]),*]
        };
    }
    const COPIED: [[Tile; ACROSS]; ROWS] = tiles!(false: 1 2 3 4 5 6 7 8);
    const IN_PLACE: [[Tile; ACROSS]; ROWS] = tiles!(true: 1 2 3 4 5 6 7 8);
    (if in_place { IN_PLACE } else { COPIED })[rows - 1][vectors - 1]
}

/// `R` rows by `V` vectors: c = (c if `keep`) + a b over all stretches; only the first `columns` are stored.
///
/// # Safety
/// AVX-512; in each stretch `a` holds `R` rows of `depth` numbers and `b` `depth` rows of `V` vectors; `c` has rows of
/// `columns`, `stride` apart.
#[target_feature(enable = "avx512f")]
unsafe fn tile_of<const R: usize, const V: usize, const IN_PLACE: bool>(
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
            for v in 0..V {
                _mm_prefetch::<_MM_HINT_T0>(c.wrapping_add(row * stride + v * LANES).cast());
            }
        }
        // A right operand that stands where it was may end within the last vector.
        let last = lanes(columns - LANES * (V - 1));
        for stretch in stretches {
            let (mut a, mut b) = (stretch.a, stretch.b);
            // Seven rows are reached from the first through four registers (times 1, 2, 4). The compiler must not know
            // that they are multiples of each other: it would keep a pointer for each row, and has no room for them.
            let bytes = |rows: usize| black_box(rows * stretch.row * size_of::<f32>());
            let (one, three, five, seven) = (bytes(1), bytes(3), bytes(5), bytes(7));
            let away = |row: usize| match row {
                0 => 0,
                1 => one,
                2 => 2 * one,
                3 => three,
                4 => 4 * one,
                5 => five,
                6 => 2 * three,
                _ => seven,
            };
            let apart = if IN_PLACE { stretch.apart } else { LANES * V };
            let mut next = stretch.next;
            let mut left = stretch.depth;
            while left > 0 {
                // A line of each row for every line that is used.
                let steps = left.min(LANES);
                for row in 0..R {
                    _mm_prefetch::<_MM_HINT_T0>(next.wrapping_byte_add(away(row)).cast());
                }
                next = next.wrapping_add(LANES);
                for _ in 0..steps {
                    let vectors: [__m512; V] = std::array::from_fn(|v| {
                        if IN_PLACE && v + 1 == V {
                            _mm512_maskz_loadu_ps(last, b.wrapping_add(LANES * v))
                        } else {
                            _mm512_loadu_ps(b.add(LANES * v))
                        }
                    });
                    for v in 0..V {
                        _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(8 * apart + v * LANES).cast());
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let x = _mm512_set1_ps(*a.byte_add(away(row)));
                        for (sum, vector) in sums.iter_mut().zip(vectors) {
                            *sum = _mm512_fmadd_ps(x, vector, *sum);
                        }
                    }
                    a = a.wrapping_add(stretch.step);
                    b = b.wrapping_add(apart);
                }
                left -= steps;
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let place = c.wrapping_add(row * stride + LANES * v);
                let mask = lanes(columns.saturating_sub(LANES * v));
                let sum = if keep { _mm512_add_ps(*sum, _mm512_maskz_loadu_ps(mask, place)) } else { *sum };
                _mm512_mask_storeu_ps(place, mask, sum);
            }
        }
    }
}

/// The first `count` lanes.
#[inline(always)]
fn lanes(count: usize) -> __mmask16 {
    if count >= LANES { 0xFFFF } else { (1 << count) - 1 }
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

/// Columns of a right operand, times `scale`, as the block's panels of `depth` steps, from step `at` on; what lies
/// beyond the last column is zero.
///
/// # Safety
/// AVX-512; the columns and the slice lie within the operand, `out` has room.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn pack_columns(
    view: &View<'_>,
    slice: Slice,
    block: Block,
    scale: f32,
    out: *mut f32,
    steps: (usize, usize),
) {
    // SAFETY: by the caller's promises.
    unsafe {
        match view.data {
            Numbers::F32(data) => pack_panels(data.as_ptr(), view, slice, block, scale, (out, steps)),
            Numbers::Bf16(data) => pack_panels(data.as_ptr(), view, slice, block, scale, (out, steps)),
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn pack_panels<T: Wide>(
    data: *const T,
    view: &View<'_>,
    Slice { from, count, .. }: Slice,
    block: Block,
    scale: f32,
    (out, (at, depth)): (*mut f32, (usize, usize)),
) {
    // SAFETY: by the caller's promises.
    unsafe {
        let by = _mm512_set1_ps(scale);
        let place = |(first, vectors): (usize, usize), v: usize, step: usize| {
            out.add((first * depth + (at + step) * vectors + v) * LANES)
        };
        if view.col == 1 {
            // Some steps at a time: whole lines on both sides, and few places at once.
            for start in (0..count).step_by(8) {
                for panel in block.panels() {
                    for step in start..count.min(start + 8) {
                        let row = data.add((from + step) * view.row + block.first);
                        for v in 0..panel.1 {
                            let column = (panel.0 + v) * LANES;
                            let vector = T::sixteen(row.wrapping_add(column), lanes(block.columns - column));
                            _mm512_storeu_ps(place(panel, v, step), _mm512_mul_ps(by, vector));
                        }
                    }
                }
            }
            return;
        }
        for (panel, v) in block.panels().flat_map(|panel| (0..panel.1).map(move |v| (panel, v))) {
            let column = (panel.0 + v) * LANES;
            let across = LANES.min(block.columns - column);
            for start in (0..count).step_by(16) {
                let steps = 16.min(count - start);
                let mut square = [_mm512_setzero_ps(); 16];
                for (i, vector) in square.iter_mut().enumerate().take(across) {
                    let from = data.add((block.first + column + i) * view.col + (from + start) * view.row);
                    *vector = if view.row == 1 {
                        T::sixteen(from, lanes(steps))
                    } else {
                        let mut part = [0f32; 16];
                        (0..steps).for_each(|step| part[step] = (*from.add(step * view.row)).one());
                        _mm512_loadu_ps(part.as_ptr())
                    };
                }
                transpose(&mut square);
                for (step, vector) in square.iter().enumerate().take(steps) {
                    _mm512_storeu_ps(place(panel, v, start + step), _mm512_mul_ps(by, *vector));
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
