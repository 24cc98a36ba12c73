//! Both matrices of a model moved by one method, or by one each, in memory. What a method does is not known here.

use super::distill::{Distilling, distill};
use super::error::TransplantError;
use super::method::{Method, chain_of, lacks};
use super::overlap::is_copy;
use super::table::{EmbeddingTable, dot};
use super::texts::Texts;
use super::{InitContext, Initialiser, MatrixRole, TransplantedMatrix, rows};
use crate::domain::vocabulary::Mapping;
use crate::model::Matrix;
use rayon::prelude::*;

/// What happens to the lengths of new rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Norms {
    /// Rows stay as the method made them.
    #[default]
    Kept,
    /// Rows that are not copies get the old rows' mean norm: the mean of pieces is shorter than they are, and in a head
    /// a row's norm acts as a prior of its token.
    Matched,
}

/// What is moved.
pub struct TransplantInputs<'a> {
    /// Input embeddings, `[rows, hidden]`.
    pub input: &'a Matrix,
    /// Output matrix; `None` where tied.
    pub output: Option<&'a Matrix>,
    /// Ids that are tokens of the old vocabulary.
    pub tokens: &'a [u32],
    /// Where every new token comes from.
    pub mapping: &'a Mapping,
    /// Lengths of new rows.
    pub norms: Norms,
    /// Seed of everything random.
    pub seed: u64,
}

/// Moves both matrices, in memory, by one method.
///
/// # Errors
/// As [`transplant_apart`].
pub fn transplant(
    request: &TransplantInputs<'_>,
    method: Method,
    texts: Option<&Texts<'_>>,
) -> Result<(TransplantedMatrix, Option<TransplantedMatrix>), TransplantError> {
    transplant_apart(request, (method, method), texts)
}

/// Moves both matrices, in memory: the input embeddings by the first method, the output matrix by the second. A tied model
/// has one matrix, moved by the first.
///
/// # Errors
/// [`TransplantError::Data`] where a learnt method lacks its texts, or they are too small; as [`InitContext::new`]; where a
/// tokenizer fails.
pub fn transplant_apart(
    request: &TransplantInputs<'_>,
    (method, output_method): (Method, Method),
    texts: Option<&Texts<'_>>,
) -> Result<(TransplantedMatrix, Option<TransplantedMatrix>), TransplantError> {
    let links = |method| chain_of(method, request.mapping, &request.input.into(), (texts, request.seed));
    let one = |matrix: &Matrix,
               side: MatrixRole,
               chain: &[Box<dyn Initialiser + '_>]|
     -> Result<TransplantedMatrix, TransplantError> {
        let ground = InitContext::new(matrix, request.tokens, request.mapping, side, request.seed)?;
        let mut moved = rows(&ground, chain);
        if request.norms == Norms::Matched {
            let mean = mean_norm(&matrix.into(), request.tokens);
            with_norm(&mut moved.matrix, &moved.by_row, mean);
        }
        Ok(moved)
    };
    let side = if request.output.is_none() { MatrixRole::Tied } else { MatrixRole::Input };
    let chain = links(method)?;
    let mut input = one(request.input, side, &chain)?;
    let mut output = match request.output {
        None => None,
        Some(m) if output_method == method => Some(one(m, MatrixRole::Output, &chain)?),
        Some(m) => Some(one(m, MatrixRole::Output, &links(output_method)?)?),
    };
    if [method, output_method].contains(&Method::Distill) {
        let lacking = || lacks(Method::Distill, "the model, or a corpus,");
        let (texts, teacher) = texts.and_then(|t| Some((t, t.teacher?))).ok_or_else(lacking)?;
        if method != Method::Distill {
            let what = "distill fits what the model reads: it cannot make the output matrix alone";
            return Err(TransplantError::Data(what.into()));
        }
        let how = Distilling { seed: request.seed, ..Distilling::default() };
        let heads = match (&mut output, output_method) {
            (Some(output), Method::Distill) => (Some(output), None),
            (output, _) => (None, output.as_ref().map(|o| &o.matrix)),
        };
        distill(teacher, &mut input, heads, texts, &how)?;
    }
    Ok((input, output))
}

/// The mean length of the old tokens' rows.
pub fn mean_norm(source: &EmbeddingTable<'_>, tokens: &[u32]) -> f32 {
    let old = source.norms(tokens);
    (old.iter().map(|n| f64::from(*n)).sum::<f64>() / old.len().max(1) as f64) as f32
}

/// Rows that are no copies get this length; rows of zero stay.
pub fn with_norm(rows: &mut Matrix, by_row: &[&'static str], length: f32) {
    let cols = rows.cols().max(1);
    rows.data_mut().par_chunks_mut(cols).zip(by_row).for_each(|(row, by)| {
        let own = dot(row, row).sqrt();
        if !is_copy(by) && own > 0.0 {
            row.iter_mut().for_each(|x| *x *= length / own);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::space::{AuxiliarySpace, SpaceConfig, tests::text};
    use super::*;
    use crate::domain::vocabulary::Origin;
    use crate::tokenizer::{BpeKind, coder_for_tests};

    #[test]
    fn every_learnt_method_mixes_new_tokens_from_their_kind() {
        let documents = text();
        let lines: Vec<&str> = documents.iter().map(String::as_str).collect();
        let coder = coder_for_tests(BpeKind::ByteLevel, &lines, 330);
        let id = |word: &str| coder.encode_one(&format!(" {word}")).unwrap().ids[0];
        // The same vocabulary twice, but the new one's "fox" is not in the old one. Row i says who it is.
        let rows = coder.rows();
        let mut input = Matrix::zeros(rows, rows);
        (0..rows).for_each(|i| input.row_mut(i)[i] = 1.0);
        let mut origins: Vec<Origin> = (0..rows as u32).map(Origin::Exact).collect();
        origins[id("fox") as usize] = Origin::Nothing;
        let mapping = Mapping { origins };
        let tokens: Vec<u32> = (0..rows as u32).collect();
        let request = TransplantInputs {
            input: &input,
            output: None,
            tokens: &tokens,
            mapping: &mapping,
            norms: Norms::Kept,
            seed: 1,
        };
        let pairs: Vec<(String, String)> =
            ["cat", "dog", "saw", "axe", "eats", "took", "food"].map(|w| (w.to_string(), w.to_string())).to_vec();
        let parallel: Vec<(String, String)> = documents.iter().map(|d| (d.clone(), d.clone())).collect();
        let texts = Texts {
            source: &coder,
            candidate: &coder,
            documents: &documents,
            source_documents: &documents,
            pairs: &pairs,
            parallel: &parallel,
            source_tokens: &tokens,
            candidate_tokens: &tokens,
            donor: None,
            teacher: None,
            terms: None,
            dimensions: None,
        };
        for method in Method::all().filter(|m| m.needs_text() && *m != Method::Distill) {
            let name = method.name();
            let (moved, output) = transplant(&request, method, Some(&texts)).unwrap();
            assert!(output.is_none());
            assert_eq!(moved.provenance.get(name), Some(&1), "{:?}", moved.provenance);
            let row = moved.matrix.row(id("fox") as usize);
            let kind = |words: [&str; 3]| words.iter().map(|w| row[id(w) as usize].max(0.0)).sum::<f32>();
            // `align`, `wechsel` and `trans` know the old "fox" and may find it: it counts as an animal.
            let own = row[id("fox") as usize];
            let (animals, tools) = (kind(["cat", "dog", "cow"]) + own, kind(["saw", "axe", "pen"]));
            assert!(animals > 1.5 * tools, "{name}: {animals} {tools}");
        }
        // The same from a donor's embeddings instead of text: the base says who a row is, and beside it where it stands.
        let config = SpaceConfig { dimensions: 12, ..SpaceConfig::default() };
        let space = AuxiliarySpace::learn(&coder, &documents, &config).unwrap();
        let (mut donor, mut base) = (Matrix::zeros(rows, 12), Matrix::zeros(rows, rows + 12));
        for i in 0..rows {
            base.row_mut(i)[i] = 1.0;
            if let Some(vector) = space.get(i as u32) {
                donor.row_mut(i).iter_mut().zip(&*vector).for_each(|(x, v)| *x = 3.0 * v);
                base.row_mut(i)[rows..].copy_from_slice(donor.row(i));
            }
        }
        let request = TransplantInputs { input: &base, ..request };
        let texts = Texts { documents: &[], donor: Some(EmbeddingTable::Held(&donor)), ..texts };
        for name in ["focus", "clp", "omp", "align"] {
            let moved = transplant(&request, name.parse().unwrap(), Some(&texts)).unwrap().0;
            assert_eq!(moved.provenance.get(name), Some(&1), "{:?}", moved.provenance);
            assert!(moved.matrix.data().iter().all(|x| x.is_finite()));
            let row = moved.matrix.row(id("fox") as usize);
            // Where it stands by what it is made of is where the donor has it.
            let near = |word: &str| dot(&row[rows..], donor.row(id(word) as usize));
            let of = |words: [&str; 3]| words.iter().map(|w| near(w)).sum::<f32>();
            let (animals, tools) = (of(["cat", "dog", "cow"]), of(["saw", "axe", "pen"]));
            assert!(animals > 1.2 * tools.max(0.0), "{name}: {animals} {tools}");
        }
        let small = Matrix::zeros(3, 12);
        let texts = Texts { donor: Some(EmbeddingTable::Held(&small)), ..texts };
        let error = transplant(&request, Method::Omp, Some(&texts)).unwrap_err();
        assert!(error.to_string().contains("another tokenizer"), "{error}");
        let error = transplant(&request, Method::Focus, None).unwrap_err();
        assert!(error.to_string().contains("corpus"), "{error}");
    }

    #[test]
    fn matched_norms_leave_copies_alone_and_give_the_rest_the_old_mean_norm() {
        let input = Matrix::new(2, 2, vec![3.0, 4.0, 0.0, 1.0]).unwrap();
        let mapping = Mapping { origins: vec![Origin::Exact(0), Origin::Pieces(vec![(0, 1), (1, 1)])] };
        let norms = Norms::Matched;
        let request = TransplantInputs {
            input: &input,
            output: Some(&input),
            tokens: &[0, 1],
            mapping: &mapping,
            norms,
            seed: 1,
        };
        let (moved, output) = transplant(&request, Method::Subtoken, None).unwrap();
        assert_eq!(moved.matrix.row(0), [3.0, 4.0]);
        // The mean of norms 5 and 1.
        assert!((dot(moved.matrix.row(1), moved.matrix.row(1)).sqrt() - 3.0).abs() < 1e-6);
        assert_eq!(output.unwrap().matrix, moved.matrix);
    }
}
