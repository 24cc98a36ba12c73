//! `omp`: a new token's vector in a helper space is written as a sparse sum of shared tokens' vectors (orthogonal
//! matching pursuit), and the same sum of their rows is its row (Goddard and Fernandes Neto 2025).

use super::anchors::{Anchors, combine};
use super::space::{Space, dot};
use super::{Ground, Initialiser};
use crate::domain::vocabulary::Origin;

/// Answers for tokens the helper space knows.
pub struct Omp<'a> {
    /// The candidate's helper space.
    pub space: &'a Space,
    /// What new tokens are written in.
    pub anchors: &'a Anchors,
    /// How many anchors a token is written in, at most.
    pub terms: usize,
}

/// Anchors are chosen among this many nearest.
const NEAREST: usize = 1024;

/// A direction that adds less than this to the basis is already in it.
const DEPENDENT: f32 = 1e-3;

impl Initialiser for Omp<'_> {
    fn name(&self) -> &'static str {
        "omp"
    }

    fn fill(&self, ground: &Ground<'_>, id: u32, _: &Origin, row: &mut [f32]) -> bool {
        let Some(vector) = self.space.get(id).filter(|_| !self.anchors.is_empty()) else { return false };
        let cosines = self.anchors.cosines(vector);
        let mut nearest: Vec<usize> = (0..cosines.len()).collect();
        if nearest.len() > NEAREST {
            let by = |a: &usize, b: &usize| cosines[*b].abs().total_cmp(&cosines[*a].abs()).then(a.cmp(b));
            nearest.select_nth_unstable_by(NEAREST, by);
            nearest.truncate(NEAREST);
            nearest.sort_unstable();
        }
        let atoms: Vec<&[f32]> = nearest.iter().map(|i| self.anchors.vector(*i)).collect();
        let terms = pursue(vector, &atoms, self.terms);
        combine(ground.source(), terms.iter().map(|(i, c)| (self.anchors.row(nearest[*i]), *c)), row);
        !terms.is_empty()
    }
}

/// Orthogonal matching pursuit: index and coefficient of at most `terms` atoms of unit length whose sum is near
/// `target`. Each round takes the atom nearest to what is left, then all coefficients are the least-squares ones.
fn pursue(target: &[f32], atoms: &[&[f32]], terms: usize) -> Vec<(usize, f32)> {
    let mut rest = target.to_vec();
    let (mut chosen, mut basis): (Vec<usize>, Vec<Vec<f32>>) = (vec![], vec![]);
    // Row j: the chosen atom j in the basis; lower triangular, so that coefficients follow from the last to the first.
    let mut triangle: Vec<Vec<f32>> = vec![];
    let mut shares: Vec<f32> = vec![];
    let mut passed_over = vec![false; atoms.len()];
    while chosen.len() < terms {
        let open = (0..atoms.len()).filter(|i| !passed_over[*i]).map(|i| (i, dot(atoms[i], &rest).abs()));
        let Some((best, nearness)) = open.max_by(|a, b| a.1.total_cmp(&b.1)) else { break };
        if nearness < DEPENDENT {
            break;
        }
        passed_over[best] = true;
        let mut direction = atoms[best].to_vec();
        let mut along = Vec::with_capacity(basis.len() + 1);
        for b in &basis {
            let share = dot(b, &direction);
            direction.iter_mut().zip(b).for_each(|(d, b)| *d -= share * b);
            along.push(share);
        }
        let norm = dot(&direction, &direction).sqrt();
        if norm < DEPENDENT {
            continue;
        }
        direction.iter_mut().for_each(|d| *d /= norm);
        along.push(norm);
        let share = dot(&direction, &rest);
        rest.iter_mut().zip(&direction).for_each(|(r, d)| *r -= share * d);
        chosen.push(best);
        basis.push(direction);
        triangle.push(along);
        shares.push(share);
    }
    let mut coefficients = vec![0f32; chosen.len()];
    for j in (0..chosen.len()).rev() {
        let later: f32 = (j + 1..chosen.len()).map(|k| coefficients[k] * triangle[k][j]).sum();
        coefficients[j] = (shares[j] - later) / triangle[j][j];
    }
    chosen.into_iter().zip(coefficients).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_atoms_is_found_again() {
        let s = 0.5f32.sqrt();
        let atoms: [&[f32]; 4] = [&[1.0, 0.0, 0.0], &[s, s, 0.0], &[0.0, 0.0, 1.0], &[1.0, 0.0, 0.0]];
        let target: Vec<f32> = (0..3).map(|d| 0.6 * atoms[1][d] - 0.3 * atoms[2][d] + 0.1 * atoms[0][d]).collect();
        let mut terms = pursue(&target, &atoms, 4);
        terms.sort_by_key(|t| t.0);
        let written: Vec<f32> = (0..3).map(|d| terms.iter().map(|(i, c)| c * atoms[*i][d]).sum()).collect();
        for (w, t) in written.iter().zip(&target) {
            assert!((w - t).abs() < 1e-6, "{written:?} {target:?}");
        }
        assert_eq!(terms.len(), 3, "an atom that is there already adds nothing");
    }

    #[test]
    fn the_first_term_is_the_nearest_atom_and_terms_are_at_most_as_many_as_asked() {
        let atoms: [&[f32]; 2] = [&[0.0, 1.0], &[1.0, 0.0]];
        assert_eq!(pursue(&[0.9, 0.1], &atoms, 1), [(1, 0.9)]);
        assert!(pursue(&[0.0, 0.0], &atoms, 2).is_empty());
    }
}
