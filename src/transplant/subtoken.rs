//! `subtoken`: a token's row is the mean of the rows of the pieces the old vocabulary writes it in (fast vocabulary
//! transfer, Gee 2022), or a weighted mean (AdaptiVocab).

use super::{InitContext, Initialiser, MatrixRole};
use crate::domain::vocabulary::Origin;

/// How pieces count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighting {
    /// All alike.
    Equal,
    /// By the bytes they stand for.
    Bytes,
    /// By place: exp(-2i) on input, where the first piece says most, exp(2i) on output, where the last piece's
    /// prediction is what follows; the sum of both where one matrix is used for both.
    Order,
}

/// Answers for tokens the old vocabulary writes in pieces.
pub struct Subtoken(pub Weighting);

impl Initialiser for Subtoken {
    fn name(&self) -> &'static str {
        "subtoken"
    }

    fn fill(&self, ground: &InitContext<'_>, _: u32, origin: &Origin, row: &mut [f32]) -> bool {
        let Origin::Pieces(pieces) = origin else { return false };
        let weights: Vec<f64> = (0..pieces.len()).map(|i| self.weight(ground.side(), pieces, i)).collect();
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            return false;
        }
        row.fill(0.0);
        for (&(id, _), weight) in pieces.iter().zip(&weights) {
            ground.source().add(id, (weight / total) as f32, row);
        }
        true
    }
}

impl Subtoken {
    fn weight(&self, side: MatrixRole, pieces: &[(u32, u32)], i: usize) -> f64 {
        // Both counted from the end they favour, so that long tokens do not overflow.
        let (from_first, from_last) = ((-2.0 * i as f64).exp(), (-2.0 * (pieces.len() - 1 - i) as f64).exp());
        match (self.0, side) {
            (Weighting::Equal, _) => 1.0,
            (Weighting::Bytes, _) => f64::from(pieces[i].1),
            (Weighting::Order, MatrixRole::Input) => from_first,
            (Weighting::Order, MatrixRole::Output) => from_last,
            (Weighting::Order, MatrixRole::Tied) => from_first + from_last,
        }
    }
}
