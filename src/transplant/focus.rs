//! `focus`: a new token's row is the mix of shared tokens' rows that its nearness to them in a helper space gives,
//! with weights by sparsemax (Dobler and de Melo 2023; their helper vectors are trained by CBOW, ours are factors of
//! co-occurrence counts).

use super::anchors::{Anchors, combine};
use super::space::AuxiliarySpace;
use super::{InitContext, Initialiser};
use crate::domain::vocabulary::Origin;
use std::sync::Arc;

/// Answers for tokens the helper space knows.
pub struct Focus<'a> {
    /// The candidate's helper space.
    pub space: Arc<AuxiliarySpace<'a>>,
    /// What new tokens are mixed from.
    pub anchors: Arc<Anchors>,
}

impl Initialiser for Focus<'_> {
    fn name(&self) -> &'static str {
        "focus"
    }

    fn fill(&self, ground: &InitContext<'_>, id: u32, _: &Origin, row: &mut [f32]) -> bool {
        let Some(vector) = self.space.get(id).filter(|_| !self.anchors.is_empty()) else { return false };
        let weights = sparsemax(&self.anchors.cosines(&vector));
        self.space.release();
        combine(ground.source(), weights.into_iter().map(|(i, w)| (self.anchors.row(i), w)), row);
        true
    }
}

/// The nearest point of the simplex (Martins and Astudillo 2016): index and weight of what is not zero.
fn sparsemax(z: &[f32]) -> Vec<(usize, f32)> {
    let mut order: Vec<usize> = (0..z.len()).collect();
    order.sort_by(|a, b| z[*b].total_cmp(&z[*a]));
    let (mut sum, mut tau) = (0f64, 0f64);
    for (k, &i) in order.iter().enumerate() {
        let value = f64::from(z[i]);
        if 1.0 + (k + 1) as f64 * value <= sum + value {
            break;
        }
        sum += value;
        tau = (sum - 1.0) / (k + 1) as f64;
    }
    let weight = |i: &usize| (*i, (f64::from(z[*i]) - tau) as f32);
    order.iter().map(weight).take_while(|(_, w)| *w > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparsemax_is_the_nearest_point_of_the_simplex() {
        // By hand: tau = (1.0 + 0.8 - 1) / 2 = 0.4.
        let weights = sparsemax(&[0.1, 1.0, 0.8]);
        assert_eq!(weights.iter().map(|w| w.0).collect::<Vec<_>>(), [1, 2]);
        assert!((weights[0].1 - 0.6).abs() < 1e-6 && (weights[1].1 - 0.4).abs() < 1e-6);
        let even = sparsemax(&[0.3; 5]);
        assert!(even.len() == 5 && even.iter().all(|w| (w.1 - 0.2).abs() < 1e-6));
        assert_eq!(sparsemax(&[3.0, 0.0]), [(0, 1.0)]);
        assert!(sparsemax(&[]).is_empty());
    }
}
