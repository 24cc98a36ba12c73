//! Tokens that both vocabularies share and that a helper space knows: what a new token can be expressed by.

use super::space::AuxiliarySpace;
use super::table::dot;
use super::table::{BLOCK, EmbeddingTable};
use crate::domain::vocabulary::{Mapping, Origin};
use std::collections::HashSet;

/// Shared tokens with their helper vectors side by side.
pub struct Anchors {
    /// Rows in the old matrix.
    rows: Vec<u32>,
    /// Helper vectors, of unit length, one after the other.
    vectors: Vec<f32>,
    /// How long they were before.
    lengths: Vec<f32>,
    dimensions: usize,
}

/// A row whose norm is below this share of the mean norm was never trained.
const UNTRAINED: f32 = 0.05;

impl Anchors {
    /// Shared tokens with a vector in the candidate's `space`. Rows of `source` that were never trained, and rows that
    /// another anchor has already, are left out: they say nothing and make least squares singular.
    pub fn new(space: &AuxiliarySpace<'_>, mapping: &Mapping, source: &EmbeddingTable<'_>) -> Self {
        let shared: Vec<(u32, u32)> = mapping
            .origins
            .iter()
            .enumerate()
            .filter_map(|(id, origin)| match origin {
                Origin::Exact(old) if (*old as usize) < source.rows() => Some((id as u32, *old)),
                _ => None,
            })
            .filter(|(id, _)| space.has(*id))
            .collect();
        let norms = source.norms(&shared.iter().map(|(_, old)| *old).collect::<Vec<u32>>());
        let mean = norms.iter().sum::<f32>() / norms.len().max(1) as f32;
        let mut seen: HashSet<u32> = HashSet::new();
        let dimensions = space.dimensions();
        let vectors = Vec::with_capacity(shared.len() * dimensions);
        let mut anchors = Self { rows: vec![], vectors, lengths: vec![], dimensions };
        for ((id, old), norm) in shared.into_iter().zip(norms) {
            if norm > UNTRAINED * mean
                && seen.insert(old)
                && let Some(vector) = space.get(id)
            {
                anchors.rows.push(old);
                anchors.vectors.extend_from_slice(&vector);
                anchors.lengths.push(space.length(id));
            }
            if anchors.rows.len().is_multiple_of(BLOCK) {
                space.release();
            }
        }
        space.release();
        anchors
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of the old matrix behind anchor `i`.
    pub(super) fn row(&self, i: usize) -> u32 {
        self.rows[i]
    }

    /// The helper vector of anchor `i`.
    pub(super) fn vector(&self, i: usize) -> &[f32] {
        &self.vectors[i * self.dimensions..(i + 1) * self.dimensions]
    }

    /// Length of the helper vector of anchor `i` before it was made a unit vector.
    pub(super) fn length(&self, i: usize) -> f32 {
        self.lengths[i]
    }

    /// All helper vectors, `[anchors, dimensions]`.
    pub(super) fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// Length of a helper vector.
    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Cosine of a unit vector to every anchor.
    pub(super) fn cosines(&self, vector: &[f32]) -> Vec<f32> {
        self.vectors.chunks_exact(self.dimensions.max(1)).map(|a| dot(a, vector)).collect()
    }
}

/// The weighted sum of rows; weights with the rows they belong to.
pub(super) fn combine(source: &EmbeddingTable<'_>, weights: impl Iterator<Item = (u32, f32)>, row: &mut [f32]) {
    row.fill(0.0);
    for (id, weight) in weights {
        source.add(id, weight, row);
    }
}
