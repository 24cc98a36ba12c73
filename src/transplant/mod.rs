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
mod focus;
mod mean;
mod omp;
mod overlap;
mod random;
mod space;
mod subtoken;
mod table;
mod trans;
mod transplant;
mod wechsel;

pub use align::Align;
pub use anchors::Anchors;
pub use clp::Clp;
pub use distill::Distilling;
pub use focus::Focus;
pub use mean::Mean;
pub use omp::Omp;
pub use overlap::{Exact, Specials};
pub use random::Random;
pub use space::{Space, SpaceConfig};
pub use subtoken::{Subtoken, Weighting};
pub use table::Table;
pub use trans::Trans;
pub use transplant::{
    Learnt, Named, Norms, OMP_TERMS, Request, Texts, chain_of, is_copy, mean_norm, transplant, transplant_apart,
    with_norm,
};
pub use wechsel::{Wechsel, dictionary};

use crate::domain::vocabulary::{Mapping, Origin};
use crate::model::ExecuteError;
use crate::model::Matrix;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Which of a model's matrices is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The input embeddings.
    Input,
    /// The output matrix.
    Output,
    /// The one matrix of a tied model, which is both.
    Tied,
}

/// What a new row can be made from.
pub struct Ground<'a> {
    source: Table<'a>,
    tokens: &'a [u32],
    mapping: &'a Mapping,
    side: Side,
    seed: u64,
    /// Made when first asked for: it reads the whole matrix.
    statistics: OnceLock<(Vec<f32>, Vec<f32>)>,
}

impl<'a> Ground<'a> {
    /// `source` is `[rows, hidden]`; `tokens` are the ids that are tokens of the old vocabulary: rows beyond them are
    /// padding and stay out of all statistics.
    ///
    /// # Errors
    /// [`ExecuteError::Mismatch`] when a token or an origin has no row, or there is no token at all.
    pub fn new(
        source: impl Into<Table<'a>>,
        tokens: &'a [u32],
        mapping: &'a Mapping,
        side: Side,
        seed: u64,
    ) -> Result<Self, ExecuteError> {
        let source = source.into();
        let origins = mapping.origins.iter().flat_map(|o| match o {
            Origin::Exact(id) | Origin::Role(id) => vec![*id],
            Origin::Pieces(pieces) => pieces.iter().map(|p| p.0).collect(),
            Origin::Nothing => vec![],
        });
        if let Some(id) = tokens.iter().copied().chain(origins).find(|id| *id as usize >= source.rows()) {
            return Err(ExecuteError::Mismatch(format!(
                "token {id} of the original tokenizer has no row in an embedding matrix of {} rows",
                source.rows()
            )));
        }
        if tokens.is_empty() {
            return Err(ExecuteError::Mismatch("the original tokenizer has no tokens to learn from".into()));
        }
        Ok(Self { source, tokens, mapping, side, seed, statistics: OnceLock::new() })
    }

    /// The old matrix.
    pub fn source(&self) -> &Table<'a> {
        &self.source
    }

    /// Which matrix it is.
    pub fn side(&self) -> Side {
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
    fn fill(&self, ground: &Ground<'_>, id: u32, origin: &Origin, row: &mut [f32]) -> bool;
    /// The same for several rows, where that is cheaper than one by one.
    fn fill_all(&self, ground: &Ground<'_>, open: &mut [Open<'_>]) {
        for Open { id, origin, row, by } in open {
            if self.fill(ground, *id, origin, row) {
                *by = Some(self.name());
            }
        }
    }
}

/// A row that is to be filled.
pub struct Open<'a> {
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

/// Methods that need nothing but the matrix and the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Every row drawn at random; specials by role. The baseline.
    Random,
    /// Every row the mean; specials by role.
    Mean,
    /// Shared tokens copied, the rest at random.
    Overlap,
    /// Shared tokens copied, the rest the mean: the best head for rows that were not trained (docs/transplant.md).
    OverlapMean,
    /// Shared tokens copied, the rest put together from their pieces, what has none at random. The default.
    #[default]
    Subtoken,
    /// As `subtoken`, pieces weighted by their share of the bytes.
    SubtokenBytes,
    /// As `subtoken`, the first piece heaviest on input and the last on output.
    SubtokenOrder,
}

const NAMES: [(&str, Method); 7] = [
    ("random", Method::Random),
    ("mean", Method::Mean),
    ("overlap", Method::Overlap),
    ("overlap-mean", Method::OverlapMean),
    ("subtoken", Method::Subtoken),
    ("subtoken-bytes", Method::SubtokenBytes),
    ("subtoken-order", Method::SubtokenOrder),
];

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(NAMES.iter().find(|(_, m)| m == self).map_or("", |(name, _)| name))
    }
}

impl std::str::FromStr for Method {
    type Err = ExecuteError;
    fn from_str(text: &str) -> Result<Self, ExecuteError> {
        NAMES.iter().find(|(name, _)| *name == text).map(|(_, m)| *m).ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            ExecuteError::Mismatch(format!("the method {text:?} is not known; known are {}", known.join(", ")))
        })
    }
}

impl Method {
    /// All of them, with their names.
    pub fn all() -> impl Iterator<Item = (&'static str, Method)> {
        NAMES.into_iter()
    }

    /// The links, in order.
    pub fn chain(self) -> Vec<Box<dyn Initialiser>> {
        let subtoken = |w| -> Vec<Box<dyn Initialiser>> {
            vec![Box::new(Exact), Box::new(Specials), Box::new(Subtoken(w)), Box::new(Random)]
        };
        match self {
            Method::Random => vec![Box::new(Specials), Box::new(Random)],
            Method::Mean => vec![Box::new(Specials), Box::new(Mean)],
            Method::Overlap => vec![Box::new(Exact), Box::new(Specials), Box::new(Random)],
            Method::OverlapMean => vec![Box::new(Exact), Box::new(Specials), Box::new(Mean)],
            Method::Subtoken => subtoken(Weighting::Equal),
            Method::SubtokenBytes => subtoken(Weighting::Bytes),
            Method::SubtokenOrder => subtoken(Weighting::Order),
        }
    }
}

/// A matrix for the new vocabulary, and where its rows came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
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
pub fn rows(ground: &Ground<'_>, chain: &[Box<dyn Initialiser + '_>]) -> Moved {
    let mut matrix = Matrix::zeros(ground.mapping.origins.len(), ground.source.cols());
    let by_row = fill(ground, chain, 0, matrix.data_mut());
    Moved { matrix, provenance: count(&by_row), by_row }
}

/// Some of the new rows: those of the candidate ids from `first` on, as many as `block` has room for. What comes back
/// names the link that filled each.
pub fn fill(
    ground: &Ground<'_>,
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
        let mut open: Vec<Open<'_>> = ids.map(|((id, row), origin)| Open { id, origin, row, by: None }).collect();
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

    fn moved(method: Method, side: Side, seed: u64) -> Moved {
        let (source, mapping) = (source(), mapping());
        let ground = Ground::new(&source, &[0, 1, 2], &mapping, side, seed).unwrap();
        rows(&ground, &method.chain())
    }

    #[test]
    fn shared_rows_and_specials_are_copied_bit_for_bit_and_the_rest_is_the_mean_of_the_pieces() {
        let m = moved(Method::Subtoken, Side::Input, 1);
        assert_eq!(m.matrix.row(0), [5.0, 5.0, 5.0]);
        assert_eq!(m.matrix.row(1), [3.0, 2.0, 1.0]);
        assert_eq!(m.matrix.row(2), [2.0, 2.0, 2.0]);
        let counts = [("exact", 1), ("random", 1), ("special", 1), ("subtoken", 1)];
        assert_eq!(m.provenance, BTreeMap::from(counts));
        assert_eq!(m.by_row, ["special", "exact", "subtoken", "random"]);
    }

    #[test]
    fn pieces_can_be_weighted_by_bytes_or_by_order() {
        let bytes = moved(Method::SubtokenBytes, Side::Input, 1);
        assert_eq!(bytes.matrix.row(2), [2.5, 2.0, 1.5]);
        let first = moved(Method::SubtokenOrder, Side::Input, 1);
        let last = moved(Method::SubtokenOrder, Side::Output, 1);
        // Weights 1 and e^-2, normalised: 0.880797 and 0.119203; f32 rounding.
        assert!((first.matrix.row(2)[0] - 1.238406).abs() < 1e-5, "{:?}", first.matrix.row(2));
        assert!((last.matrix.row(2)[0] - 2.761594).abs() < 1e-5, "{:?}", last.matrix.row(2));
        // One matrix for both: of two pieces both are at an end.
        assert_eq!(moved(Method::SubtokenOrder, Side::Tied, 1).matrix.row(2), [2.0, 2.0, 2.0]);
    }

    #[test]
    fn padding_rows_stay_out_of_the_statistics() {
        let m = moved(Method::Mean, Side::Input, 1);
        for row in 1..4 {
            assert_eq!(m.matrix.row(row), [3.0, 3.0, 3.0]);
        }
        let (source, mapping) = (source(), mapping());
        let ground = Ground::new(&source, &[0, 1, 2], &mapping, Side::Input, 1).unwrap();
        // Standard deviation of 1, 3, 5: sqrt(8/3).
        assert!((ground.std()[0] - (8.0f32 / 3.0).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn random_rows_follow_the_seed_and_the_distribution() {
        assert_eq!(moved(Method::Random, Side::Input, 7), moved(Method::Random, Side::Input, 7));
        assert_ne!(moved(Method::Random, Side::Input, 7).matrix, moved(Method::Random, Side::Input, 8).matrix);
        let source = source();
        let mapping = Mapping { origins: vec![Origin::Nothing; 20_000] };
        let ground = Ground::new(&source, &[0, 1, 2], &mapping, Side::Input, 3).unwrap();
        let m = rows(&ground, &Method::Random.chain());
        let (mean, std) = Table::Held(&m.matrix).statistics(&(0..20_000).collect::<Vec<_>>());
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
        let error = Ground::new(&source, &[0], &mapping, Side::Input, 1).err().unwrap();
        assert!(error.to_string().contains("token 9"), "{error}");
    }

    #[test]
    fn methods_are_known_by_name() {
        for (name, method) in Method::all() {
            assert_eq!((name.parse::<Method>().unwrap(), method.to_string()), (method, name.to_string()));
        }
        assert!("magic".parse::<Method>().unwrap_err().to_string().contains("subtoken"));
    }
}
