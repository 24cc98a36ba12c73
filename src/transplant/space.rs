//! A helper space: static vectors of a tokenizer's tokens, learnt from text alone. Tokens that stand in like contexts
//! come out near each other. What the nearness is used for is not known here.
//!
//! Positive pointwise mutual information of tokens with their neighbours, factorised (Levy and Goldberg 2014: what
//! skip-gram with negative sampling does, without its chance), the factors by a randomised range finder (Halko 2011).

use super::error::TransplantError;
use super::table::{BLOCK, EmbeddingTable, dot};
use crate::model::Matrix;
use crate::tokenizer::Coder;
use faer::{Mat, MatRef};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;

/// How a space is learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct SpaceConfig {
    /// Length of a vector. Default 100.
    pub dimensions: usize,
    /// Neighbours to each side; the nearer count more (linearly). Default 5.
    pub window: usize,
    /// The most frequent tokens serve as contexts. Default 4,096.
    pub contexts: usize,
    /// Times a token must occur to get a vector. Default 3.
    pub least: u64,
    /// Seed of the range finder.
    pub seed: u64,
}

impl Default for SpaceConfig {
    fn default() -> Self {
        Self { dimensions: 100, window: 5, contexts: 4096, least: 3, seed: 0 }
    }
}

/// Vectors of unit length by token id.
#[derive(Debug, Clone)]
pub struct AuxiliarySpace<'a> {
    vectors: Vectors<'a>,
    counts: Vec<u64>,
    /// How long the vectors were before; empty where the length says nothing.
    lengths: Vec<f32>,
}

/// Where they are.
#[derive(Debug, Clone)]
enum Vectors<'a> {
    /// In memory, of unit length; a token without one has zeros.
    Held(Matrix),
    /// Rows of a donor, read and made unit vectors when they are asked for; a token without one has a length of 0.
    Donor(EmbeddingTable<'a>),
}

/// Directions beyond those asked for, and rounds of refinement, in the range finder.
const OVERSAMPLING: usize = 16;
const ROUNDS: usize = 4;

impl<'a> AuxiliarySpace<'a> {
    /// Learns from documents.
    ///
    /// # Errors
    /// Where the tokenizer fails, or the text is too small to tell anything.
    pub fn learn<S: AsRef<str> + Sync>(
        coder: &Coder,
        documents: &[S],
        config: &SpaceConfig,
    ) -> Result<Self, TransplantError> {
        let documents: Vec<Vec<u32>> = coder.encode(documents)?.into_iter().map(|e| e.ids).collect();
        let counts = counts(&documents, coder.rows());
        let mut frequent: Vec<u32> = (0..coder.rows() as u32).filter(|id| counts[*id as usize] > 0).collect();
        frequent.sort_by_key(|id| (std::cmp::Reverse(counts[*id as usize]), *id));
        frequent.truncate(config.contexts);
        let rows = association(&documents, &counts, &frequent, config);
        let dimensions = config.dimensions.min(frequent.len());
        if dimensions == 0 {
            return Err(TransplantError::Data("the text is too small to learn a helper space from".into()));
        }
        let vectors = factors(&rows, frequent.len(), dimensions, config.seed)?;
        Ok(Self { vectors: Vectors::Held(vectors), counts, lengths: vec![] })
    }

    /// Vectors over given contexts instead of factors: comparable between tokenizers if the contexts are. `contexts`
    /// are ids of this tokenizer.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn over_contexts<S: AsRef<str> + Sync>(
        coder: &Coder,
        documents: &[S],
        contexts: &[u32],
        config: &SpaceConfig,
    ) -> Result<Self, TransplantError> {
        let documents: Vec<Vec<u32>> = coder.encode(documents)?.into_iter().map(|e| e.ids).collect();
        let counts = counts(&documents, coder.rows());
        let rows = association(&documents, &counts, contexts, config);
        let mut vectors = Matrix::zeros(rows.len(), contexts.len());
        for (i, row) in rows.iter().enumerate() {
            row.iter().for_each(|(c, x)| vectors.row_mut(i)[*c as usize] = *x);
            unit(vectors.row_mut(i));
        }
        Ok(Self { vectors: Vectors::Held(vectors), counts, lengths: vec![] })
    }

    /// The embeddings of a donor: a model that uses this tokenizer already. `tokens` are the ids that are tokens. They stay
    /// where they are.
    ///
    /// # Errors
    /// [`TransplantError::Mismatch`] where a token has no row.
    pub fn of_donor(donor: EmbeddingTable<'a>, tokens: &[u32]) -> Result<Self, TransplantError> {
        let rows = tokens.iter().max().map_or(0, |id| *id as usize + 1);
        if rows > donor.rows() {
            return Err(TransplantError::Mismatch(format!(
                "the donor has {} rows and the candidate tokenizer needs {rows}: it is a model of another tokenizer",
                donor.rows()
            )));
        }
        let mut lengths = vec![0f32; rows];
        tokens.iter().zip(donor.norms(tokens)).for_each(|(id, norm)| lengths[*id as usize] = norm);
        Ok(Self { vectors: Vectors::Donor(donor), counts: vec![], lengths })
    }

    /// Nearness to given tokens as a vector: comparable between spaces if the tokens are the same (Moschella 2023).
    pub fn relative_to(&self, pivots: &[u32]) -> AuxiliarySpace<'static> {
        let width = pivots.len().max(1);
        let pivots: Vec<Option<Cow<'_, [f32]>>> = pivots.iter().map(|id| self.get(*id)).collect();
        let mut vectors = Matrix::zeros(self.rows(), pivots.len());
        for (block, rows) in vectors.data_mut().chunks_mut(width * BLOCK).enumerate() {
            rows.par_chunks_mut(width).enumerate().for_each(|(i, row)| {
                if let Some(own) = self.get((block * BLOCK + i) as u32) {
                    for (x, pivot) in row.iter_mut().zip(&pivots) {
                        *x = pivot.as_ref().map_or(0.0, |p| dot(&own, p));
                    }
                    unit(row);
                }
            });
            self.release();
        }
        AuxiliarySpace { vectors: Vectors::Held(vectors), counts: vec![], lengths: vec![] }
    }

    /// One more than the highest id.
    fn rows(&self) -> usize {
        match &self.vectors {
            Vectors::Held(vectors) => vectors.rows(),
            Vectors::Donor(_) => self.lengths.len(),
        }
    }

    /// How long a token's vector was before it was made a unit vector; 1 where that says nothing.
    pub fn length(&self, id: u32) -> f32 {
        self.lengths.get(id as usize).copied().unwrap_or(1.0)
    }

    /// Length of a vector.
    pub fn dimensions(&self) -> usize {
        match &self.vectors {
            Vectors::Held(vectors) => vectors.cols(),
            Vectors::Donor(donor) => donor.cols(),
        }
    }

    /// Whether a token has a vector.
    pub fn has(&self, id: u32) -> bool {
        match &self.vectors {
            Vectors::Held(v) => (id as usize) < v.rows() && v.row(id as usize).iter().any(|x| *x != 0.0),
            Vectors::Donor(_) => self.lengths.get(id as usize).is_some_and(|length| *length > 0.0),
        }
    }

    /// A token's vector, if it has one.
    pub fn get(&self, id: u32) -> Option<Cow<'_, [f32]>> {
        self.has(id).then(|| match &self.vectors {
            Vectors::Held(vectors) => Cow::Borrowed(vectors.row(id as usize)),
            Vectors::Donor(donor) => {
                let mut row = vec![0f32; donor.cols()];
                donor.copy(id, &mut row);
                unit(&mut row);
                Cow::Owned(row)
            }
        })
    }

    /// Lets the system have back the pages of a donor's file that were read.
    pub fn release(&self) {
        if let Vectors::Donor(donor) = &self.vectors {
            donor.release();
        }
    }

    /// How often each token occurs in the text.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }
}

fn unit(vector: &mut [f32]) {
    let norm = dot(vector, vector).sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x /= norm);
    }
}

fn counts(documents: &[Vec<u32>], rows: usize) -> Vec<u64> {
    let mut counts = vec![0u64; rows];
    for id in documents.iter().flatten() {
        if let Some(count) = counts.get_mut(*id as usize) {
            *count += 1;
        }
    }
    counts
}

/// Rows of a sparse matrix: column and value, by column.
type Sparse = Vec<Vec<(u32, f32)>>;

/// Positive mutual information of every token with every context, contexts smoothed to the power 0.75. Whole numbers
/// are counted, so that the order of counting does not matter.
fn association(documents: &[Vec<u32>], counts: &[u64], contexts: &[u32], config: &SpaceConfig) -> Sparse {
    const SHARDS: usize = 32;
    let place: HashMap<u32, u32> = contexts.iter().enumerate().map(|(i, id)| (*id, i as u32)).collect();
    let context_of: Vec<Option<u32>> = (0..counts.len() as u32).map(|id| place.get(&id).copied()).collect();
    let window = config.window;
    let count_shard = |shard: usize| {
        let mut pairs: HashMap<(u32, u32), u32, foldhash::fast::FixedState> = HashMap::default();
        for ids in documents {
            for (i, &id) in ids.iter().enumerate() {
                if id as usize % SHARDS != shard || counts.get(id as usize).is_none_or(|c| *c < config.least) {
                    continue;
                }
                let (from, to) = (i.saturating_sub(window), (i + window + 1).min(ids.len()));
                for (j, other) in ids[from..to].iter().enumerate().map(|(j, o)| (from + j, o)) {
                    if j != i
                        && let Some(Some(context)) = context_of.get(*other as usize)
                    {
                        *pairs.entry((id, *context)).or_default() += (window + 1 - i.abs_diff(j)) as u32;
                    }
                }
            }
        }
        let mut pairs: Vec<((u32, u32), u32)> = pairs.into_iter().collect();
        pairs.sort_unstable();
        pairs
    };
    let shards: Vec<Vec<((u32, u32), u32)>> = (0..SHARDS).into_par_iter().map(count_shard).collect();
    let mut by_token = vec![0u64; counts.len()];
    let mut by_context = vec![0u64; contexts.len()];
    for ((id, context), n) in shards.iter().flatten() {
        by_token[*id as usize] += u64::from(*n);
        by_context[*context as usize] += u64::from(*n);
    }
    let smoothed: Vec<f64> = by_context.iter().map(|n| (*n as f64).powf(0.75)).collect();
    let total: f64 = smoothed.iter().sum();
    let mut rows: Sparse = vec![Vec::new(); counts.len()];
    for ((id, context), n) in shards.into_iter().flatten() {
        let expected = by_token[id as usize] as f64 * smoothed[context as usize] / total;
        let information = (f64::from(n) / expected).ln();
        if information > 0.0 {
            rows[id as usize].push((context, information as f32));
        }
    }
    rows
}

/// U sqrt(S) of the best approximation of `dimensions` ranks, rows of unit length.
fn factors(rows: &Sparse, contexts: usize, dimensions: usize, seed: u64) -> Result<Matrix, TransplantError> {
    let failed = |what: &str| TransplantError::Data(format!("the helper space could not be factorised: {what}"));
    let width = (dimensions + OVERSAMPLING).min(contexts);
    let mut columns: Sparse = vec![Vec::new(); contexts];
    for (row, entries) in rows.iter().enumerate() {
        entries.iter().for_each(|(column, x)| columns[*column as usize].push((row as u32, *x)));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut basis: Vec<f32> = (0..contexts * width).map(|_| rng.random_range(-1.0..1.0)).collect();
    for _ in 0..ROUNDS {
        let image = product(&columns, &product(rows, &basis, width), width);
        let q = MatRef::from_row_major_slice(&image, contexts, width).to_owned().qr().compute_thin_Q();
        basis = row_major(&q);
    }
    let image = product(rows, &basis, width);
    let image = MatRef::from_row_major_slice(&image, rows.len(), width);
    let gram: Mat<f32> = image.transpose() * image;
    let eigen = gram.self_adjoint_eigen(faer::Side::Lower).map_err(|e| failed(&format!("{e:?}")))?;
    // Eigenvalues ascend: the last are the squares of the largest singular values.
    let turn = Mat::from_fn(width, dimensions, |i, j| {
        let k = width - 1 - j;
        let singular = eigen.S()[k].max(0.0).sqrt();
        if singular > 1e-6 { eigen.U()[(i, k)] / singular.sqrt() } else { 0.0 }
    });
    let vectors: Mat<f32> = image * turn;
    let mut vectors = Matrix::new(rows.len(), dimensions, row_major(&vectors)).ok_or_else(|| failed("a wrong size"))?;
    (0..rows.len()).for_each(|i| unit(vectors.row_mut(i)));
    Ok(vectors)
}

fn row_major(m: &Mat<f32>) -> Vec<f32> {
    (0..m.nrows()).flat_map(|i| (0..m.ncols()).map(move |j| m[(i, j)])).collect()
}

/// Sparse times dense (`width` columns, row-major).
fn product(sparse: &Sparse, dense: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0f32; sparse.len() * width];
    out.par_chunks_mut(width).zip(sparse).for_each(|(row, entries)| {
        for (i, x) in entries {
            let other = &dense[*i as usize * width..(*i as usize + 1) * width];
            row.iter_mut().zip(other).for_each(|(a, b)| *a += x * b);
        }
    });
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::tokenizer::{BpeKind, coder_for_tests};

    /// Animals and tools are used alike among themselves.
    pub(crate) fn text() -> Vec<String> {
        let (animals, tools) = (["cat", "dog", "cow", "fox"], ["saw", "axe", "pen", "key"]);
        let place = ["near", "under", "behind"];
        (0..600)
            .map(|i| {
                let (a, t, p) = (animals[i % 4], tools[(i / 2) % 4], place[i % 3]);
                format!("the hungry {a} eats food {p} home . he took the sharp {t} from a drawer {p} work")
            })
            .collect()
    }

    fn setting() -> (Coder, Vec<String>) {
        let text = text();
        let lines: Vec<&str> = text.iter().map(String::as_str).collect();
        (coder_for_tests(BpeKind::ByteLevel, &lines, 330), text)
    }

    fn id(coder: &Coder, word: &str) -> u32 {
        let ids = coder.encode_one(&format!(" {word}")).unwrap().ids;
        assert_eq!(ids.len(), 1, "{word} is one token");
        ids[0]
    }

    #[test]
    fn tokens_of_like_contexts_are_near_each_other() {
        let (coder, text) = setting();
        let config = SpaceConfig { dimensions: 12, ..SpaceConfig::default() };
        let space = AuxiliarySpace::learn(&coder, &text, &config).unwrap();
        let near = |a: &str, b: &str| dot(&space.get(id(&coder, a)).unwrap(), &space.get(id(&coder, b)).unwrap());
        assert!(near("cat", "dog") > near("cat", "saw") + 0.3, "{} {}", near("cat", "dog"), near("cat", "saw"));
        assert!(near("saw", "axe") > near("saw", "food") + 0.3);
        let again = AuxiliarySpace::learn(&coder, &text, &config).unwrap();
        let all = |space: &AuxiliarySpace<'_>| {
            (0..space.rows() as u32).map(|id| space.get(id).map(Cow::into_owned)).collect::<Vec<_>>()
        };
        assert_eq!(all(&space), all(&again), "the same seed gives the same space");
        let norm = near("cat", "cat");
        assert!((norm - 1.0).abs() < 1e-5);
    }

    #[test]
    fn tokens_the_text_never_uses_have_no_vector() {
        let (coder, text) = setting();
        let space =
            AuxiliarySpace::learn(&coder, &text, &SpaceConfig { dimensions: 4, ..SpaceConfig::default() }).unwrap();
        assert!(space.get(coder.opener().unwrap()).is_none());
        assert!(space.get(u32::MAX).is_none());
        assert!(AuxiliarySpace::learn(&coder, &[""], &SpaceConfig::default()).is_err());
    }

    #[test]
    fn a_dot_product_is_the_sum_of_the_products() {
        let a: Vec<f32> = (0..19).map(|x| x as f32).collect();
        assert_eq!(dot(&a, &a), (0..19).map(|x| (x * x) as f32).sum::<f32>());
    }
}
