//! Matrix products on plain slices, by the `gemm` crate, behind checks of the bounds.

/// A matrix in a slice: element (i, j) is at `i * row + j * col`.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    data: &'a [f32],
    row: usize,
    col: usize,
}

/// Rows of `stride` numbers one after another.
pub(super) fn rows(data: &[f32], stride: usize) -> View<'_> {
    View { data, row: stride, col: 1 }
}

impl<'a> View<'a> {
    /// The same matrix without its first `count` rows.
    pub(super) fn after(self, count: usize) -> View<'a> {
        View { data: &self.data[count * self.row..], ..self }
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

/// destination = (destination if kept) + scale · a b, the destination's rows `stride` apart.
pub(super) fn product(
    (destination, stride): (&mut [f32], usize),
    keep: Keep,
    (a, b): (View<'_>, View<'_>),
    size: Size,
    scale: f32,
    threads: Threads,
) {
    let Size { m, n, .. } = size;
    let needed = if m * n == 0 { 0 } else { (m - 1) * stride + n };
    assert!(n <= stride || m <= 1, "rows of {n} overlap at a stride of {stride}");
    assert!(needed <= destination.len(), "{m} x {n} do not fit into {} numbers", destination.len());
    // SAFETY: the bounds were just checked.
    unsafe { product_at((destination.as_mut_ptr(), stride), keep, (a, b), size, scale, threads) }
}

/// [`product`] to a place that other threads write around.
///
/// # Safety
/// The destination's `m` rows of `n`, `stride` apart, lie within one buffer and nobody else touches them.
pub(super) unsafe fn product_at(
    (destination, stride): (*mut f32, usize),
    keep: Keep,
    (a, b): (View<'_>, View<'_>),
    Size { m, k, n }: Size,
    scale: f32,
    threads: Threads,
) {
    a.check(m, k);
    b.check(k, n);
    if m * n == 0 {
        return;
    }
    let parallelism = match threads {
        // Below about a million multiplications waking the threads costs more than they save.
        Threads::All if m * n * k >= 1 << 20 => gemm::Parallelism::Rayon(0),
        Threads::All | Threads::One => gemm::Parallelism::None,
    };
    // SAFETY: sources were checked above, the destination by the caller's promise.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            destination,
            1,
            stride as isize,
            keep == Keep::Add,
            a.data.as_ptr(),
            a.col as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.col as isize,
            b.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}
