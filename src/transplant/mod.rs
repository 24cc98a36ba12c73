//! Rows for a new vocabulary, made from the rows of the old one: which method answers for which token. It works on
//! plain matrices and knows no model; which bytes a token stands for, and how the old vocabulary writes them, comes
//! in as a [`Mapping`].
//!
//! A method is a chain of [`Initialiser`]s: for every row the first link that has an answer gives it. Input and
//! output matrices are moved separately; where they are tied there is one matrix, moved once. `distill` alone goes on
//! from there: it trains the rows that are not copies, and needs the model.

mod align;
mod anchors;
mod clp;
mod distill;
mod error;
mod focus;
mod matrices;
mod mean;
mod method;
mod omp;
mod overlap;
mod random;
mod space;
mod subtoken;
mod table;
mod texts;
mod trans;
mod wechsel;

pub use align::Align;
pub use anchors::Anchors;
pub use clp::Clp;
pub use distill::Distilling;
pub use error::TransplantError;
pub use focus::Focus;
pub use matrices::{Norms, TransplantInputs, mean_norm, transplant, transplant_apart, with_norm};
pub use mean::Mean;
pub use method::{Method, OMP_TERMS, chain_of};
pub use omp::Omp;
pub use overlap::{Exact, RoleCopies, is_copy};
pub use random::Random;
pub use space::{AuxiliarySpace, SpaceConfig};
pub use subtoken::{Subtoken, Weighting};
pub use table::EmbeddingTable;
pub use texts::Texts;
pub use trans::Trans;
pub use wechsel::{Wechsel, dictionary};

use crate::domain::vocabulary::{Mapping, Origin};
use crate::model::Matrix;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Which of a model's matrices is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatrixRole {
    /// The input embeddings.
    Input,
    /// The output matrix.
    Output,
    /// The one matrix of a tied model, which is both.
    Tied,
}

/// What a new row can be made from.
pub struct InitContext<'a> {
    source: EmbeddingTable<'a>,
    tokens: &'a [u32],
    mapping: &'a Mapping,
    side: MatrixRole,
    seed: u64,
    /// Made when first asked for: it reads the whole matrix.
    statistics: OnceLock<(Vec<f32>, Vec<f32>)>,
}

impl<'a> InitContext<'a> {
    /// `source` is `[rows, hidden]`; `tokens` are the ids that are tokens of the old vocabulary: rows beyond them are
    /// padding and stay out of all statistics.
    ///
    /// # Errors
    /// [`TransplantError::Mismatch`] when a token or an origin has no row, or there is no token at all.
    pub fn new(
        source: impl Into<EmbeddingTable<'a>>,
        tokens: &'a [u32],
        mapping: &'a Mapping,
        side: MatrixRole,
        seed: u64,
    ) -> Result<Self, TransplantError> {
        let source = source.into();
        let origins = mapping.origins.iter().flat_map(|o| match o {
            Origin::Exact(id) | Origin::Role(id) => vec![*id],
            Origin::Pieces(pieces) => pieces.iter().map(|p| p.0).collect(),
            Origin::Nothing => vec![],
        });
        if let Some(id) = tokens.iter().copied().chain(origins).find(|id| *id as usize >= source.rows()) {
            return Err(TransplantError::Mismatch(format!(
                "token {id} of the original tokenizer has no row in an embedding matrix of {} rows",
                source.rows()
            )));
        }
        if tokens.is_empty() {
            return Err(TransplantError::Mismatch("the original tokenizer has no tokens to learn from".into()));
        }
        Ok(Self { source, tokens, mapping, side, seed, statistics: OnceLock::new() })
    }

    /// The old matrix.
    pub fn source(&self) -> &EmbeddingTable<'a> {
        &self.source
    }

    /// Which matrix it is.
    pub fn side(&self) -> MatrixRole {
        self.side
    }

    /// Mean of the tokens' rows, by dimension.
    pub fn mean(&self) -> &[f32] {
        &self.statistics().0
    }

    /// Standard deviation of the tokens' rows, by dimension.
    pub fn std(&self) -> &[f32] {
        &self.statistics().1
    }

    fn statistics(&self) -> &(Vec<f32>, Vec<f32>) {
        self.statistics.get_or_init(|| self.source.statistics(self.tokens))
    }

    /// Seed of everything random.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

/// Fills rows, or passes them on to the next link of a chain.
pub trait Initialiser: Sync {
    /// Its name in provenance reports.
    fn name(&self) -> &'static str;
    /// Writes the row of candidate token `id` if it has an answer. `row` has the old matrix' width.
    fn fill(&self, ground: &InitContext<'_>, id: u32, origin: &Origin, row: &mut [f32]) -> bool;
    /// The same for several rows, where that is cheaper than one by one.
    fn fill_all(&self, ground: &InitContext<'_>, open: &mut [PendingRow<'_>]) {
        for PendingRow { id, origin, row, by } in open {
            if self.fill(ground, *id, origin, row) {
                *by = Some(self.name());
            }
        }
    }
}

/// A row that is to be filled.
pub struct PendingRow<'a> {
    /// The candidate's token.
    pub id: u32,
    /// Where it comes from.
    pub origin: &'a Origin,
    /// Its row.
    pub row: &'a mut [f32],
    /// Name of the link that filled it.
    pub by: Option<&'static str>,
}

/// Rows a core fills at a time.
const PIECE: usize = 64;

/// A matrix for the new vocabulary, and where its rows came from.
#[derive(Debug, Clone, PartialEq)]
pub struct TransplantedMatrix {
    /// `[candidate rows, hidden]`.
    pub matrix: Matrix,
    /// Rows by the name of the link that filled them.
    pub provenance: BTreeMap<&'static str, u64>,
    /// By row, the name of the link that filled it.
    pub by_row: Vec<&'static str>,
}

/// Name of rows that no link of a chain had an answer for; they are the mean of the old rows.
const UNANSWERED: &str = "mean";

/// New rows, one a candidate id, on all cores; the same for the same seed whatever the number of cores.
pub fn rows(ground: &InitContext<'_>, chain: &[Box<dyn Initialiser + '_>]) -> TransplantedMatrix {
    let mut matrix = Matrix::zeros(ground.mapping.origins.len(), ground.source.cols());
    let by_row = fill(ground, chain, 0, matrix.data_mut());
    TransplantedMatrix { matrix, provenance: count(&by_row), by_row }
}

/// Some of the new rows: those of the candidate ids from `first` on, as many as `block` has room for. What comes back
/// names the link that filled each.
pub fn fill(
    ground: &InitContext<'_>,
    chain: &[Box<dyn Initialiser + '_>],
    first: usize,
    block: &mut [f32],
) -> Vec<&'static str> {
    let cols = ground.source.cols().max(1);
    let origins = ground.mapping.origins.get(first..).unwrap_or_default();
    let pieces = block.par_chunks_mut(cols * PIECE).zip(origins.par_chunks(PIECE)).enumerate();
    let named = pieces.map(|(piece, (rows, origins))| {
        let from = (first + piece * PIECE) as u32;
        let ids = (from..).zip(rows.chunks_mut(cols)).zip(origins);
        let mut open: Vec<PendingRow<'_>> =
            ids.map(|((id, row), origin)| PendingRow { id, origin, row, by: None }).collect();
        // Filled rows go to the end, so that every link sees those that are still open.
        let mut left = open.len();
        for link in chain {
            link.fill_all(ground, &mut open[..left]);
            open[..left].sort_by_key(|o| o.by.is_some());
            left = open[..left].partition_point(|o| o.by.is_none());
        }
        open[..left].iter_mut().for_each(|o| o.row.copy_from_slice(ground.mean()));
        open.sort_by_key(|o| o.id);
        open.into_iter().map(|o| o.by.unwrap_or(UNANSWERED)).collect::<Vec<_>>()
    });
    named.flatten_iter().collect()
}

/// How many rows each link filled.
pub fn count(by_row: &[&'static str]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for name in by_row {
        *counts.entry(*name).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five rows of three; the last two are padding and would spoil any statistics.
    pub(super) fn source() -> Matrix {
        let data = vec![1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 5.0, 5.0, 5.0, 900.0, 900.0, 900.0, -7.0, 1e6, 0.0];
        Matrix::new(5, 3, data).unwrap()
    }

    fn mapping() -> Mapping {
        Mapping {
            origins: vec![Origin::Role(2), Origin::Exact(1), Origin::Pieces(vec![(0, 1), (1, 3)]), Origin::Nothing],
        }
    }

    fn chain(method: Method) -> Vec<Box<dyn Initialiser>> {
        chain_of(method, &mapping(), &(&source()).into(), (None, 1)).unwrap()
    }

    fn moved(method: Method, side: MatrixRole, seed: u64) -> TransplantedMatrix {
        let (source, mapping) = (source(), mapping());
        let ground = InitContext::new(&source, &[0, 1, 2], &mapping, side, seed).unwrap();
        rows(&ground, &chain(method))
    }

    #[test]
    fn shared_rows_and_specials_are_copied_bit_for_bit_and_the_rest_is_the_mean_of_the_pieces() {
        let m = moved(Method::Subtoken, MatrixRole::Input, 1);
        assert_eq!(m.matrix.row(0), [5.0, 5.0, 5.0]);
        assert_eq!(m.matrix.row(1), [3.0, 2.0, 1.0]);
        assert_eq!(m.matrix.row(2), [2.0, 2.0, 2.0]);
        let counts = [("exact", 1), ("random", 1), ("special", 1), ("subtoken", 1)];
        assert_eq!(m.provenance, BTreeMap::from(counts));
        assert_eq!(m.by_row, ["special", "exact", "subtoken", "random"]);
    }

    #[test]
    fn pieces_can_be_weighted_by_bytes_or_by_order() {
        let bytes = moved(Method::SubtokenBytes, MatrixRole::Input, 1);
        assert_eq!(bytes.matrix.row(2), [2.5, 2.0, 1.5]);
        let first = moved(Method::SubtokenOrder, MatrixRole::Input, 1);
        let last = moved(Method::SubtokenOrder, MatrixRole::Output, 1);
        // Weights 1 and e^-2, normalised: 0.880797 and 0.119203; f32 rounding.
        assert!((first.matrix.row(2)[0] - 1.238406).abs() < 1e-5, "{:?}", first.matrix.row(2));
        assert!((last.matrix.row(2)[0] - 2.761594).abs() < 1e-5, "{:?}", last.matrix.row(2));
        // One matrix for both: of two pieces both are at an end.
        assert_eq!(moved(Method::SubtokenOrder, MatrixRole::Tied, 1).matrix.row(2), [2.0, 2.0, 2.0]);
    }

    #[test]
    fn padding_rows_stay_out_of_the_statistics() {
        let m = moved(Method::Mean, MatrixRole::Input, 1);
        for row in 1..4 {
            assert_eq!(m.matrix.row(row), [3.0, 3.0, 3.0]);
        }
        let (source, mapping) = (source(), mapping());
        let ground = InitContext::new(&source, &[0, 1, 2], &mapping, MatrixRole::Input, 1).unwrap();
        // Standard deviation of 1, 3, 5: sqrt(8/3).
        assert!((ground.std()[0] - (8.0f32 / 3.0).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn random_rows_follow_the_seed_and_the_distribution() {
        assert_eq!(moved(Method::Random, MatrixRole::Input, 7), moved(Method::Random, MatrixRole::Input, 7));
        assert_ne!(
            moved(Method::Random, MatrixRole::Input, 7).matrix,
            moved(Method::Random, MatrixRole::Input, 8).matrix
        );
        let source = source();
        let mapping = Mapping { origins: vec![Origin::Nothing; 20_000] };
        let ground = InitContext::new(&source, &[0, 1, 2], &mapping, MatrixRole::Input, 3).unwrap();
        let m = rows(&ground, &chain(Method::Random));
        let (mean, std) = EmbeddingTable::Held(&m.matrix).statistics(&(0..20_000).collect::<Vec<_>>());
        for d in 0..3 {
            // Standard error of the mean of 20,000 draws is std/141: 5 of them.
            assert!((mean[d] - ground.mean()[d]).abs() < 5.0 * ground.std()[d] / 141.0, "{mean:?}");
            assert!((std[d] / ground.std()[d] - 1.0).abs() < 0.03, "{std:?}");
        }
    }

    #[test]
    fn an_origin_without_a_row_is_refused_by_name() {
        let source = source();
        let mapping = Mapping { origins: vec![Origin::Pieces(vec![(0, 1), (9, 1)])] };
        let error = InitContext::new(&source, &[0], &mapping, MatrixRole::Input, 1).err().unwrap();
        assert!(error.to_string().contains("token 9"), "{error}");
    }
}
