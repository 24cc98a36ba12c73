//! Rows to make new rows from: a matrix in memory, or one in a file that is read row by row and never held. What the
//! rows mean is not known here.

use crate::model::{Matrix, StoredMatrix};
use rayon::prelude::*;

/// `[rows, cols]`, read by row.
#[derive(Debug, Clone, Copy)]
pub enum EmbeddingTable<'a> {
    /// In memory.
    Held(&'a Matrix),
    /// In a mapped file, converted as it is read.
    Stored(StoredMatrix<'a>),
}

impl<'a> From<&'a Matrix> for EmbeddingTable<'a> {
    fn from(matrix: &'a Matrix) -> Self {
        Self::Held(matrix)
    }
}

/// Rows that are read between two moments at which the file's pages are given back.
pub(super) const BLOCK: usize = 4096;

impl EmbeddingTable<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Held(m) => m.rows(),
            Self::Stored(m) => m.rows(),
        }
    }

    /// Length of a row.
    pub fn cols(&self) -> usize {
        match self {
            Self::Held(m) => m.cols(),
            Self::Stored(m) => m.cols(),
        }
    }

    /// Writes a row to `to`. Panics when there is no such row, as slices do.
    pub fn copy(&self, id: u32, to: &mut [f32]) {
        match self {
            Self::Held(m) => to.copy_from_slice(m.row(id as usize)),
            Self::Stored(m) => m.each(id as usize, to, |x, e| *x = e),
        }
    }

    /// Adds `weight` times a row to `to`. Panics when there is no such row, as slices do.
    pub fn add(&self, id: u32, weight: f32, to: &mut [f32]) {
        match self {
            Self::Held(m) => to.iter_mut().zip(m.row(id as usize)).for_each(|(x, e)| *x += weight * e),
            Self::Stored(m) => m.each(id as usize, to, |x, e| *x += weight * e),
        }
    }

    /// Euclidean lengths of rows.
    pub fn norms(&self, ids: &[u32]) -> Vec<f32> {
        let blocks = ids.chunks(BLOCK).flat_map(|ids| {
            let norms: Vec<f32> = ids
                .par_iter()
                .map_with(vec![0f32; self.cols()], |row, id| {
                    self.copy(*id, row);
                    dot(row, row).sqrt()
                })
                .collect();
            self.release();
            norms
        });
        blocks.collect()
    }

    /// Mean and standard deviation of rows, by dimension; sums in f64.
    pub(super) fn statistics(&self, ids: &[u32]) -> (Vec<f32>, Vec<f32>) {
        let cols = self.cols();
        let zero = || (vec![0f64; cols], vec![0f64; cols]);
        let (mut sum, mut square) = zero();
        for block in ids.chunks(BLOCK) {
            let one = &|ids: &[u32]| {
                let (mut sum, mut square) = zero();
                let mut row = vec![0f32; cols];
                for &id in ids {
                    self.copy(id, &mut row);
                    for ((s, q), &x) in sum.iter_mut().zip(&mut square).zip(&row) {
                        *s += f64::from(x);
                        *q += f64::from(x) * f64::from(x);
                    }
                }
                (sum, square)
            };
            // Fixed pieces, added in order, so that the sums do not depend on the number of cores. Threads of their own:
            // rayon's may be waiting for these very sums.
            let pieces = std::thread::scope(|scope| {
                let running: Vec<_> = block.chunks(1024).map(|ids| scope.spawn(move || one(ids))).collect();
                running
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                    .collect::<Vec<_>>()
            });
            for (s, q) in &pieces {
                sum.iter_mut().zip(s).for_each(|(a, b)| *a += b);
                square.iter_mut().zip(q).for_each(|(a, b)| *a += b);
            }
            self.release();
        }
        let n = ids.len().max(1) as f64;
        let mean: Vec<f64> = sum.iter().map(|s| s / n).collect();
        let std = square.iter().zip(&mean).map(|(q, m)| (q / n - m * m).max(0.0).sqrt() as f32).collect();
        (mean.iter().map(|m| *m as f32).collect(), std)
    }

    /// Lets the system have back the pages of the file that were read.
    pub fn release(&self) {
        if let Self::Stored(m) = self {
            m.release();
        }
    }
}

/// Sum of products.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums side by side, so that the compiler can use wide registers.
    let mut sums = [0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        sums.iter_mut().zip(x.iter().zip(y)).for_each(|(s, (x, y))| *s += x * y);
    }
    sums.iter().sum::<f32>() + rest
}
