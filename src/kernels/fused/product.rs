//! Matrix products on plain slices behind checks of the bounds: by [`super::tile`] where the processor has AVX-512, else
//! by the `gemm` crate. Matrices may be stored in 16 bits; sums are always of 32.

use super::Shared;
#[cfg(target_arch = "x86_64")]
use super::tile;
use half::bf16;

/// A matrix's numbers.
#[derive(Clone, Copy)]
pub(super) enum Numbers<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}

impl Numbers<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F32(data) => data.len(),
            Self::Bf16(data) => data.len(),
        }
    }
}

/// A matrix in a slice: element (i, j) is at `i * row + j * col`.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) data: Numbers<'a>,
    pub(super) row: usize,
    pub(super) col: usize,
}

/// Rows of `stride` numbers one after another.
pub(super) fn rows(data: &[f32], stride: usize) -> View<'_> {
    rows_of(Numbers::F32(data), stride)
}

/// [`rows`] of numbers that may be stored in 16 bits.
pub(super) fn rows_of(data: Numbers<'_>, stride: usize) -> View<'_> {
    View { data, row: stride, col: 1 }
}

impl<'a> View<'a> {
    /// The same matrix without its first `count` rows.
    pub(super) fn after(self, count: usize) -> View<'a> {
        let from = count * self.row;
        let data = match self.data {
            Numbers::F32(data) => Numbers::F32(&data[from..]),
            Numbers::Bf16(data) => Numbers::Bf16(&data[from..]),
        };
        View { data, ..self }
    }

    /// The same matrix, rows and columns exchanged.
    pub(super) fn transposed(self) -> Self {
        Self { row: self.col, col: self.row, ..self }
    }

    /// Panics unless `m x n` elements lie within the slice.
    fn check(&self, m: usize, n: usize) {
        let needed = if m * n == 0 { 0 } else { (m - 1) * self.row + (n - 1) * self.col + 1 };
        assert!(needed <= self.data.len(), "{m} x {n} do not lie in {} numbers", self.data.len());
    }
}

/// Whether a product may use all threads, or is itself one of many that run at once.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Threads {
    All,
    One,
}

/// What to do with what stands in the destination.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Keep {
    Add,
    Overwrite,
}

/// `[m, k] x [k, n]`
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) m: usize,
    pub(super) k: usize,
    pub(super) n: usize,
}

/// A left operand `[m, k]`, made ready once for every product it is part of: copied only where its rows are not contiguous.
pub(super) struct Left<'a> {
    view: View<'a>,
    size: (usize, usize),
    #[cfg(target_arch = "x86_64")]
    panels: Option<tile::Panels<'a>>,
}

impl<'a> Left<'a> {
    /// From a view that holds `m x k`.
    pub(super) fn new(view: View<'a>, m: usize, k: usize, threads: Threads) -> Self {
        view.check(m, k);
        #[cfg(target_arch = "x86_64")]
        let threads = if threads == Threads::All && m * k >= 1 << 15 { rayon::current_num_threads() } else { 1 };
        Self {
            view,
            size: (m, k),
            // SAFETY: the processor can, and the view was just checked.
            #[cfg(target_arch = "x86_64")]
            panels: tile::available().then(|| unsafe { tile::Panels::of(&view, (m, k), threads) }),
        }
    }
}

/// scale · a b.
#[derive(Clone, Copy)]
pub(super) struct Term<'a> {
    pub(super) a: &'a Left<'a>,
    pub(super) b: View<'a>,
    pub(super) scale: f32,
}

impl Term<'_> {
    /// The inner dimension.
    fn k(&self) -> usize {
        self.a.size.1
    }
}

/// destination = (destination if kept) + scale · a b, the destination's rows `stride` apart.
pub(super) fn product(
    destination: (&mut [f32], usize),
    keep: Keep,
    (a, b): (View<'_>, View<'_>),
    Size { m, k, n }: Size,
    scale: f32,
    threads: Threads,
) {
    let a = Left::new(a, m, k, threads);
    products(destination, keep, &[Term { a: &a, b, scale }], (m, n), threads);
}

/// destination = (destination if kept) + the sum of the terms, `[m, n]`, rows `stride` apart, in one pass.
pub(super) fn products(
    (destination, stride): (&mut [f32], usize),
    keep: Keep,
    terms: &[Term<'_>],
    (m, n): (usize, usize),
    threads: Threads,
) {
    let needed = if m * n == 0 { 0 } else { (m - 1) * stride + n };
    assert!(n <= stride || m <= 1, "rows of {n} overlap at a stride of {stride}");
    assert!(needed <= destination.len(), "{m} x {n} do not fit into {} numbers", destination.len());
    // SAFETY: the bounds were just checked.
    unsafe { products_at((destination.as_mut_ptr(), stride), keep, terms, (m, n), threads) }
}

/// [`products`] to a place that other threads write around.
///
/// # Safety
/// The destination's `m` rows of `n`, `stride` apart, lie within one buffer and nobody else touches them.
pub(super) unsafe fn products_at(
    (destination, stride): (*mut f32, usize),
    keep: Keep,
    terms: &[Term<'_>],
    (m, n): (usize, usize),
    threads: Threads,
) {
    for t in terms {
        assert_eq!(t.a.size.0, m, "a left operand has another number of rows than the destination");
        t.b.check(t.k(), n);
    }
    let depth: usize = terms.iter().map(Term::k).sum();
    if m * n * depth == 0 {
        if keep == Keep::Overwrite {
            // SAFETY: by the caller's promise.
            (0..m).for_each(|row| unsafe { Shared(destination).row(row * stride, n) }.fill(0.0));
        }
        return;
    }
    let threads = match threads {
        // Below about a million multiplications waking the threads costs more than they save.
        Threads::All if m * n * depth >= 1 << 20 => rayon::current_num_threads(),
        Threads::All | Threads::One => 1,
    };
    #[cfg(target_arch = "x86_64")]
    if let Some(panels) =
        terms.iter().map(|t| t.a.panels.as_ref().map(|p| (p, t.b, t.scale))).collect::<Option<Vec<_>>>()
    {
        // SAFETY: operands were checked above, the destination by the caller's promise.
        unsafe { tile::sum_of_products((Shared(destination), stride), keep == Keep::Add, &panels, (m, n), threads) };
        return;
    }
    // SAFETY: as above.
    unsafe { by_gemm((destination, stride), keep, terms, (m, n), threads) }
}

/// [`products_at`] by the `gemm` crate, term after term.
///
/// # Safety
/// As [`products_at`], and every operand holds what its term says.
unsafe fn by_gemm(
    (destination, stride): (*mut f32, usize),
    keep: Keep,
    terms: &[Term<'_>],
    (m, n): (usize, usize),
    threads: usize,
) {
    let parallelism = if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
    for (i, t) in terms.iter().filter(|t| t.k() > 0).enumerate() {
        let wide = |view: View<'_>| match view.data {
            Numbers::F32(_) => Vec::new(),
            Numbers::Bf16(data) => data.iter().map(|x| x.to_f32()).collect(),
        };
        let left = t.a.view;
        let (a, b) = (wide(left), wide(t.b));
        let pointer = |view: View<'_>, wide: &Vec<f32>| match view.data {
            Numbers::F32(data) => data.as_ptr(),
            Numbers::Bf16(_) => wide.as_ptr(),
        };
        // SAFETY: by the caller's promise.
        unsafe {
            gemm::gemm(
                m,
                n,
                t.k(),
                destination,
                1,
                stride as isize,
                keep == Keep::Add || i > 0,
                pointer(left, &a),
                left.col as isize,
                left.row as isize,
                pointer(t.b, &b),
                t.b.col as isize,
                t.b.row as isize,
                1.0,
                t.scale,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_numbers as numbers;
    use super::*;

    /// In f64, element by element.
    fn plainly(start: &[f32], stride: usize, keep: Keep, terms: &[Term<'_>], (m, n): (usize, usize)) -> Vec<f32> {
        let mut all = start.to_vec();
        let at = |v: &View<'_>, i: usize, j: usize| match v.data {
            Numbers::F32(d) => f64::from(d[i * v.row + j * v.col]),
            Numbers::Bf16(d) => f64::from(d[i * v.row + j * v.col].to_f32()),
        };
        for i in 0..m {
            for j in 0..n {
                let term = |t: &Term<'_>| {
                    f64::from(t.scale) * (0..t.k()).map(|l| at(&t.a.view, i, l) * at(&t.b, l, j)).sum::<f64>()
                };
                let old = if keep == Keep::Add { f64::from(start[i * stride + j]) } else { 0.0 };
                all[i * stride + j] = (old + terms.iter().map(term).sum::<f64>()) as f32;
            }
        }
        all
    }

    #[test]
    fn products_of_every_shape_and_layout_equal_the_plain_sums() {
        // m, n and the inner dimensions of two terms: around the tiles' 8 and 48, one element, several visits.
        let sizes = [
            (1, 1, 1, 1),
            (8, 48, 16, 3),
            (9, 49, 17, 16),
            (29, 50, 7, 600),
            (3, 100, 530, 2),
            (100, 7, 40, 0),
            (70, 130, 1100, 16),
        ];
        for (m, n, k, k2) in sizes {
            for layout in 0..8 {
                let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                let (a2, b2) = (numbers(m * k2, 3), numbers(k2 * n, 4));
                let halves: Vec<bf16> = b.iter().map(|x| bf16::from_f32(*x)).collect();
                let view = |data, rows: usize, cols: usize, turned: bool| {
                    if turned { rows_of(data, rows).transposed() } else { rows_of(data, cols) }
                };
                let right = if layout & 4 == 0 { Numbers::F32(&b) } else { Numbers::Bf16(&halves) };
                let left = Left::new(view(Numbers::F32(&a), m, k, layout & 1 == 1), m, k, Threads::All);
                let left2 = Left::new(view(Numbers::F32(&a2), m, k2, false), m, k2, Threads::One);
                let terms = [
                    Term { a: &left, b: view(right, k, n, layout & 2 == 2), scale: 1.0 },
                    Term { a: &left2, b: view(Numbers::F32(&b2), k2, n, true), scale: 0.5 },
                ];
                let stride = n + 3;
                let start = numbers(m * stride, 5);
                // One term alone may be read where it is.
                let cases =
                    [(Keep::Add, Threads::All, 2), (Keep::Overwrite, Threads::One, 2), (Keep::Add, Threads::All, 1)];
                for (keep, threads, count) in cases {
                    let terms = &terms[..count];
                    let want = plainly(&start, stride, keep, terms, (m, n));
                    let (mut fast, mut other) = (start.clone(), start.clone());
                    products((&mut fast, stride), keep, terms, (m, n), threads);
                    // SAFETY: the same bounds as above.
                    unsafe { by_gemm((other.as_mut_ptr(), stride), keep, terms, (m, n), 1) };
                    for got in [fast, other] {
                        let off = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                        // Up to 1,100 products of numbers below a half, summed in f32 against f64.
                        assert!(off < 2e-5, "{m} x {k}+{k2} x {n}, layout {layout}: off by {off:e}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_empty_sum_is_zero_and_touches_nothing_else() {
        let mut place = vec![7.0; 6];
        products((&mut place, 3), Keep::Overwrite, &[], (2, 2), Threads::All);
        assert_eq!(place, [0.0, 0.0, 7.0, 0.0, 0.0, 7.0]);
    }
}
