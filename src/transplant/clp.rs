//! `clp`: a new token's row is the mean of all shared tokens' rows, weighted by cosine in a helper space; negative
//! cosines count nothing (Ostendorff and Rehm 2023).

use super::anchors::{Anchors, combine};
use super::space::AuxiliarySpace;
use super::{InitContext, Initialiser};
use crate::domain::vocabulary::Origin;
use std::sync::Arc;

/// Answers for tokens the helper space knows.
pub struct Clp<'a> {
    /// The candidate's helper space.
    pub space: Arc<AuxiliarySpace<'a>>,
    /// What new tokens are mixed from.
    pub anchors: Arc<Anchors>,
}

impl Initialiser for Clp<'_> {
    fn name(&self) -> &'static str {
        "clp"
    }

    fn fill(&self, ground: &InitContext<'_>, id: u32, _: &Origin, row: &mut [f32]) -> bool {
        let Some(vector) = self.space.get(id) else { return false };
        let cosines = self.anchors.cosines(&vector);
        let total: f32 = cosines.iter().filter(|c| **c > 0.0).sum();
        if total <= 0.0 {
            return false;
        }
        let weights = cosines.iter().enumerate().filter(|(_, c)| **c > 0.0);
        self.space.release();
        combine(ground.source(), weights.map(|(i, c)| (self.anchors.row(i), c / total)), row);
        true
    }
}
