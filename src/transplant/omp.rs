//! `omp`: a new token's vector in a helper space is written as a sparse sum of shared tokens' vectors (orthogonal
//! matching pursuit), and the same sum of their rows is its row (Goddard and Fernandes Neto 2025). The pursuit never
//! touches the vectors again after the first products: it goes by the anchors' products with each other (Rubinstein 2008).

use super::anchors::{Anchors, combine};
use super::space::AuxiliarySpace;
use super::{InitContext, Initialiser, PendingRow};
use crate::domain::vocabulary::Origin;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use std::borrow::Cow;
use std::sync::Arc;

/// Answers for tokens the helper space knows.
pub struct Omp<'a> {
    /// The candidate's helper space.
    space: Arc<AuxiliarySpace<'a>>,
    /// What new tokens are written in.
    anchors: Arc<Anchors>,
    /// How many anchors a token is written in, at most.
    terms: usize,
    /// Products of the anchors with each other, `[anchors, anchors]`, where they are worth their room.
    products: Option<Vec<f32>>,
}

/// A direction of unit length of which less than this is new is already in the basis, and a rest that has less than this
/// in common with every anchor is noise.
const DEPENDENT: f32 = 1e-2;
const NOISE: f32 = 1e-3;

/// Largest number of products that are kept: 1 GiB. With few terms each is made when it is needed.
const ROOM: usize = 1 << 28;
const FEW: usize = 8;

impl<'a> Omp<'a> {
    /// Prepares the pursuit.
    pub fn new(space: Arc<AuxiliarySpace<'a>>, anchors: Arc<Anchors>, terms: usize) -> Self {
        let n = anchors.len();
        let worth = terms > FEW && n.checked_mul(n).is_some_and(|all| all <= ROOM);
        let products = worth.then(|| {
            let mut all = vec![0f32; n * n];
            let a = MatRef::from_row_major_slice(anchors.vectors(), n, anchors.dimensions());
            let to = MatMut::from_row_major_slice_mut(&mut all, n, n);
            matmul(to, Accum::Replace, a, a.transpose(), 1.0, faer::get_global_parallelism());
            all
        });
        Self { space, anchors, terms, products }
    }

    /// The row from the products of its vector with the anchors.
    fn write(&self, ground: &InitContext<'_>, id: u32, products: &[f32], row: &mut [f32]) -> bool {
        let n = self.anchors.len();
        let terms = pursue(products, self.terms, |i| match &self.products {
            Some(all) => Cow::Borrowed(&all[i * n..(i + 1) * n]),
            None => Cow::Owned(self.anchors.cosines(self.anchors.vector(i))),
        });
        // The pursuit knows unit vectors; the sum is of vectors as long as they are.
        let length = self.space.length(id);
        let weight = |(i, c): &(usize, f32)| (self.anchors.row(*i), c * length / self.anchors.length(*i));
        combine(ground.source(), terms.iter().map(weight), row);
        !terms.is_empty()
    }
}

impl Initialiser for Omp<'_> {
    fn name(&self) -> &'static str {
        "omp"
    }

    fn fill(&self, ground: &InitContext<'_>, id: u32, _: &Origin, row: &mut [f32]) -> bool {
        let Some(vector) = self.space.get(id).filter(|_| !self.anchors.is_empty()) else { return false };
        self.write(ground, id, &self.anchors.cosines(&vector), row)
    }

    /// The products of many vectors with all anchors are one product of matrices: the anchors are read once for all.
    fn fill_all(&self, ground: &InitContext<'_>, open: &mut [PendingRow<'_>]) {
        let (n, d) = (self.anchors.len(), self.anchors.dimensions());
        let known: Vec<usize> = (0..open.len()).filter(|i| self.space.has(open[*i].id)).collect();
        if n == 0 || known.is_empty() {
            return;
        }
        let mut vectors: Vec<f32> = Vec::with_capacity(known.len() * d);
        known.iter().filter_map(|i| self.space.get(open[*i].id)).for_each(|v| vectors.extend_from_slice(&v));
        self.space.release();
        let mut products = vec![0f32; known.len() * n];
        matmul(
            MatMut::from_row_major_slice_mut(&mut products, known.len(), n),
            Accum::Replace,
            MatRef::from_row_major_slice(&vectors, known.len(), d),
            MatRef::from_row_major_slice(self.anchors.vectors(), n, d).transpose(),
            1.0,
            // Other cores have rows of their own.
            Par::Seq,
        );
        for (i, products) in known.into_iter().zip(products.chunks_exact(n)) {
            let PendingRow { id, row, by, .. } = &mut open[i];
            if self.write(ground, *id, products, row) {
                *by = Some(self.name());
            }
        }
    }
}

/// Orthogonal matching pursuit over atoms of unit length: index and coefficient of at most `terms` of them whose sum is
/// near a target. `first` are the target's products with all atoms, `products_of(i)` those of atom i. Each round takes
/// the atom nearest to what is left, then all coefficients are the least-squares ones.
fn pursue<'a>(first: &[f32], terms: usize, products_of: impl Fn(usize) -> Cow<'a, [f32]>) -> Vec<(usize, f32)> {
    // Products of what is left with all atoms.
    let mut rest = first.to_vec();
    let mut chosen: Vec<usize> = vec![];
    // Row k: products of all atoms with the k-th direction of the basis.
    let mut basis: Vec<Vec<f32>> = vec![];
    // Row k: the chosen atom k in the basis; lower triangular, so that coefficients follow from the last to the first.
    let mut triangle: Vec<Vec<f32>> = vec![];
    let mut shares: Vec<f32> = vec![];
    let mut passed_over = vec![false; rest.len()];
    while chosen.len() < terms {
        let open = rest.iter().zip(&passed_over).enumerate().filter(|(_, (_, passed))| !**passed);
        let Some((best, nearness)) =
            open.map(|(i, (x, _))| (i, x.abs())).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
        else {
            break;
        };
        if nearness < NOISE {
            break;
        }
        passed_over[best] = true;
        let mut along: Vec<f32> = basis.iter().map(|b| b[best]).collect();
        let norm = (1.0 - along.iter().map(|x| x * x).sum::<f32>()).max(0.0).sqrt();
        if norm < DEPENDENT {
            continue;
        }
        let mut direction = products_of(best).into_owned();
        for (b, share) in basis.iter().zip(&along) {
            direction.iter_mut().zip(b).for_each(|(d, b)| *d -= share * b);
        }
        let share = rest[best] / norm;
        direction.iter_mut().zip(&mut rest).for_each(|(d, r)| {
            *d /= norm;
            *r -= share * *d;
        });
        along.push(norm);
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
    use super::super::table::dot;
    use super::*;

    fn pursue_among(target: &[f32], atoms: &[&[f32]], terms: usize) -> Vec<(usize, f32)> {
        let products = |v: &[f32]| atoms.iter().map(|a| dot(a, v)).collect::<Vec<f32>>();
        pursue(&products(target), terms, |i| Cow::Owned(products(atoms[i])))
    }

    #[test]
    fn a_sum_of_atoms_is_found_again() {
        let s = 0.5f32.sqrt();
        let atoms: [&[f32]; 4] = [&[1.0, 0.0, 0.0], &[s, s, 0.0], &[0.0, 0.0, 1.0], &[1.0, 0.0, 0.0]];
        let target: Vec<f32> = (0..3).map(|d| 0.6 * atoms[1][d] - 0.3 * atoms[2][d] + 0.1 * atoms[0][d]).collect();
        let mut terms = pursue_among(&target, &atoms, 4);
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
        assert_eq!(pursue_among(&[0.9, 0.1], &atoms, 1), [(1, 0.9)]);
        assert!(pursue_among(&[0.0, 0.0], &atoms, 2).is_empty());
    }

    #[test]
    fn coefficients_are_the_least_squares_ones() {
        // Six atoms in eight dimensions, all of them taken: what is left is orthogonal to every one.
        let atoms: Vec<Vec<f32>> = (0..6)
            .map(|i| {
                let v: Vec<f32> = (0..8).map(|d| ((i * 31 + d * 17 + i * d * 7) % 19) as f32 - 9.0).collect();
                let norm = dot(&v, &v).sqrt();
                v.iter().map(|x| x / norm).collect()
            })
            .collect();
        let atoms: Vec<&[f32]> = atoms.iter().map(Vec::as_slice).collect();
        let target: Vec<f32> = (0..8).map(|d| (d as f32 * 0.7).sin()).collect();
        let terms = pursue_among(&target, &atoms, 6);
        assert_eq!(terms.len(), 6);
        let rest: Vec<f32> =
            (0..8).map(|d| target[d] - terms.iter().map(|(i, c)| c * atoms[*i][d]).sum::<f32>()).collect();
        for atom in &atoms {
            assert!(dot(atom, &rest).abs() < 1e-4, "{}", dot(atom, &rest));
        }
    }
}
