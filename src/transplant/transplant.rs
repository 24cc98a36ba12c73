//! A whole transplant: both matrices of a model moved by one named method, with the texts it learns from where it
//! needs any. Which method is right for a case is not known here.

use super::align::Align;
use super::anchors::Anchors;
use super::clp::Clp;
use super::distill::{Distilling, distill};
use super::focus::Focus;
use super::omp::Omp;
use super::overlap::{Exact, Specials};
use super::random::Random;
use super::space::{Space, SpaceConfig, dot};
use super::subtoken::{Subtoken, Weighting};
use super::table::Table;
use super::trans::Trans;
use super::wechsel::Wechsel;
use super::{Ground, Initialiser, Method, Moved, Side, rows};
use crate::domain::vocabulary::Mapping;
use crate::model::ExecuteError;
use crate::model::{Decoder, Matrix};
use crate::tokenizer::Coder;
use rayon::prelude::*;
use std::sync::Arc;

/// Methods that learn from text first. Shared tokens are copied, what the method has no answer for is put together
/// from pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    /// Mixed from near shared tokens (sparsemax).
    Focus,
    /// Mixed from all shared tokens.
    Clp,
    /// Written as a sparse sum of shared tokens.
    Omp,
    /// Copied from the old token of the same contexts.
    Align,
    /// Mixed from near old tokens across two languages.
    Wechsel,
    /// Mixed from the old tokens that translate it in parallel text.
    Trans,
}

/// Anchors a token is written in by `omp`. The paper takes 64 in the space of a donor model; in a space of 100
/// dimensions learnt from a few megabytes more than 4 fit its noise (docs/transplant.md).
pub const OMP_TERMS: usize = 4;

/// The same in the embeddings of a donor.
const DONOR_TERMS: usize = 64;

/// Any method, by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// Needs the matrix and the mapping alone.
    Plain(Method),
    /// Needs text.
    Learnt(Learnt),
    /// Begins as `subtoken`; then rows that are no copies are trained until the model, reading new tokens, is in the states
    /// that the old ones put it in. Needs text and the model.
    Distill,
}

const LEARNT: [(&str, Learnt); 6] = [
    ("focus", Learnt::Focus),
    ("clp", Learnt::Clp),
    ("omp", Learnt::Omp),
    ("align", Learnt::Align),
    ("wechsel", Learnt::Wechsel),
    ("trans", Learnt::Trans),
];

impl Named {
    /// All of them, with their names.
    pub fn all() -> impl Iterator<Item = (&'static str, Named)> {
        let learnt = LEARNT.into_iter().map(|(name, m)| (name, Named::Learnt(m)));
        let plain = Method::all().map(|(name, m)| (name, Named::Plain(m)));
        plain.chain(learnt).chain([("distill", Named::Distill)])
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(Self::all().find(|(_, m)| m == self).map_or("", |(name, _)| name))
    }
}

impl std::str::FromStr for Named {
    type Err = ExecuteError;
    fn from_str(text: &str) -> Result<Self, ExecuteError> {
        Self::all().find(|(name, _)| *name == text).map(|(_, m)| m).ok_or_else(|| {
            let known: Vec<&str> = Self::all().map(|(name, _)| name).collect();
            ExecuteError::Data(format!("the method {text:?} is not known; known are {}", known.join(", ")))
        })
    }
}

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
pub struct Request<'a> {
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

/// What a learnt method learns from.
pub struct Texts<'a> {
    /// The old tokenizer.
    pub source: &'a Coder,
    /// The new tokenizer.
    pub candidate: &'a Coder,
    /// Text of the kind the model will be used on.
    pub documents: &'a [String],
    /// `wechsel`: text in the language the model knows.
    pub source_documents: &'a [String],
    /// `wechsel`: words that translate each other, (known language, new language).
    pub pairs: &'a [(String, String)],
    /// `trans`: lines that translate each other, (known language, new language).
    pub parallel: &'a [(String, String)],
    /// Ids that are tokens of the old tokenizer.
    pub source_tokens: &'a [u32],
    /// Ids that are tokens of the new one.
    pub candidate_tokens: &'a [u32],
    /// Input embeddings of a model that uses the new tokenizer already: then they are the helper space, and no text is
    /// needed.
    pub donor: Option<Table<'a>>,
    /// `distill`: the model as it was.
    pub teacher: Option<&'a Decoder>,
    /// `omp`: anchors a token is written in, at most.
    pub terms: Option<usize>,
    /// Dimensions of a helper space learnt from text.
    pub dimensions: Option<usize>,
}

/// Moves both matrices, in memory, by one method.
///
/// # Errors
/// As [`transplant_apart`].
pub fn transplant(
    request: &Request<'_>,
    method: Named,
    texts: Option<&Texts<'_>>,
) -> Result<(Moved, Option<Moved>), ExecuteError> {
    transplant_apart(request, (method, method), texts)
}

/// Moves both matrices, in memory: the input embeddings by the first method, the output matrix by the second. A tied model
/// has one matrix, moved by the first.
///
/// # Errors
/// [`ExecuteError::Data`] where a learnt method lacks its texts, or they are too small; as [`Ground::new`]; where a
/// tokenizer fails.
pub fn transplant_apart(
    request: &Request<'_>,
    (method, output_method): (Named, Named),
    texts: Option<&Texts<'_>>,
) -> Result<(Moved, Option<Moved>), ExecuteError> {
    let links = |method| chain_of(method, request.mapping, &request.input.into(), (texts, request.seed));
    let one = |matrix: &Matrix, side: Side, chain: &[Box<dyn Initialiser + '_>]| -> Result<Moved, ExecuteError> {
        let ground = Ground::new(matrix, request.tokens, request.mapping, side, request.seed)?;
        let mut moved = rows(&ground, chain);
        if request.norms == Norms::Matched {
            let mean = mean_norm(&matrix.into(), request.tokens);
            with_norm(&mut moved.matrix, &moved.by_row, mean);
        }
        Ok(moved)
    };
    let side = if request.output.is_none() { Side::Tied } else { Side::Input };
    let chain = links(method)?;
    let mut input = one(request.input, side, &chain)?;
    let mut output = match request.output {
        None => None,
        Some(m) if output_method == method => Some(one(m, Side::Output, &chain)?),
        Some(m) => Some(one(m, Side::Output, &links(output_method)?)?),
    };
    if [method, output_method].contains(&Named::Distill) {
        let lacking = || lacks(Named::Distill, "the model, or a corpus,");
        let (texts, teacher) = texts.and_then(|t| Some((t, t.teacher?))).ok_or_else(lacking)?;
        if method != Named::Distill {
            let what = "distill fits what the model reads: it cannot make the output matrix alone";
            return Err(ExecuteError::Data(what.into()));
        }
        let how = Distilling { seed: request.seed, ..Distilling::default() };
        let heads = match (&mut output, output_method) {
            (Some(output), Named::Distill) => (Some(output), None),
            (output, _) => (None, output.as_ref().map(|o| &o.matrix)),
        };
        distill(teacher, &mut input, heads, texts, &how)?;
    }
    Ok((input, output))
}

fn lacks(method: Named, what: &str) -> ExecuteError {
    ExecuteError::Data(format!("the method {method} learns from text: {what} is missing"))
}

/// The links of a method, with what they learn from learnt; `source` is the old input matrix. The chain serves both
/// matrices.
///
/// # Errors
/// As [`transplant`].
pub fn chain_of<'a>(
    method: Named,
    mapping: &Mapping,
    source: &Table<'_>,
    (texts, seed): (Option<&Texts<'a>>, u64),
) -> Result<Vec<Box<dyn Initialiser + 'a>>, ExecuteError> {
    let learnt = match method {
        Named::Plain(plain) => return Ok(plain.chain()),
        Named::Distill => return Ok(Method::Subtoken.chain()),
        Named::Learnt(learnt) => learnt,
    };
    if learnt == Learnt::Trans {
        let texts = texts.filter(|t| !t.parallel.is_empty()).ok_or_else(|| lacks(method, "parallel text"))?;
        return Ok(chain(Trans::learn(texts.source, texts.candidate, texts.parallel)?));
    }
    let donor = texts.and_then(|t| t.donor.as_ref());
    let texts = texts.filter(|t| !t.documents.is_empty() || t.donor.is_some());
    let texts = texts.ok_or_else(|| lacks(method, "a corpus (or a donor)"))?;
    let config = SpaceConfig { seed, dimensions: texts.dimensions.unwrap_or(100), ..SpaceConfig::default() };
    let donor = donor.map(|d| Space::of_donor(*d, texts.candidate_tokens)).transpose()?;
    if learnt == Learnt::Align {
        let align = match &donor {
            Some(donor) => {
                let base = Space::of_donor(*source, texts.source_tokens)?;
                Align::with_donor(donor, &base, mapping, texts.source.rows())?
            }
            None => Align::learn(texts.source, texts.candidate, mapping, texts.documents, &config)?,
        };
        return Ok(chain(align));
    }
    let default_terms = if donor.is_some() { DONOR_TERMS } else { OMP_TERMS };
    let space = match donor {
        Some(space) if learnt != Learnt::Wechsel => Arc::new(space),
        _ => Arc::new(Space::learn(texts.candidate, texts.documents, &config)?),
    };
    if learnt == Learnt::Wechsel {
        if texts.source_documents.is_empty() {
            return Err(lacks(method, "text in the language the model knows"));
        }
        if texts.pairs.is_empty() {
            return Err(lacks(method, "a dictionary or parallel text"));
        }
        let old = Space::learn(texts.source, texts.source_documents, &config)?;
        return Ok(chain(Wechsel::learn((old, texts.source), (space, texts.candidate), texts.pairs)?));
    }
    let anchors = Arc::new(Anchors::new(&space, mapping, source));
    Ok(match learnt {
        Learnt::Focus => chain(Focus { space, anchors }),
        Learnt::Clp => chain(Clp { space, anchors }),
        Learnt::Omp | Learnt::Align | Learnt::Wechsel | Learnt::Trans => {
            chain(Omp::new(space, anchors, texts.terms.unwrap_or(default_terms)))
        }
    })
}

/// Shared tokens copied, specials by role, then the method, then pieces, then chance.
fn chain<'a>(method: impl Initialiser + 'a) -> Vec<Box<dyn Initialiser + 'a>> {
    let pieces = Subtoken(Weighting::Equal);
    vec![Box::new(Exact), Box::new(Specials), Box::new(method), Box::new(pieces), Box::new(Random)]
}

/// The mean length of the old tokens' rows.
pub fn mean_norm(source: &Table<'_>, tokens: &[u32]) -> f32 {
    let old = source.norms(tokens);
    (old.iter().map(|n| f64::from(*n)).sum::<f64>() / old.len().max(1) as f64) as f32
}

/// Whether rows that a link of this name filled are copies of old rows.
pub fn is_copy(by: &str) -> bool {
    [Exact.name(), Specials.name()].contains(&by)
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
    use super::super::space::tests::text;
    use super::*;
    use crate::domain::vocabulary::Origin;
    use crate::tokenizer::{BpeKind, coder_for_tests};

    #[test]
    fn every_method_is_known_by_its_name_and_an_unknown_one_is_told_them() {
        for (name, method) in Named::all() {
            assert_eq!((name.parse::<Named>().unwrap(), method.to_string()), (method, name.to_string()));
        }
        assert!("magic".parse::<Named>().unwrap_err().to_string().contains("wechsel"));
    }

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
        let request =
            Request { input: &input, output: None, tokens: &tokens, mapping: &mapping, norms: Norms::Kept, seed: 1 };
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
        for (name, method) in LEARNT {
            let (moved, output) = transplant(&request, Named::Learnt(method), Some(&texts)).unwrap();
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
        let space = Space::learn(&coder, &documents, &config).unwrap();
        let (mut donor, mut base) = (Matrix::zeros(rows, 12), Matrix::zeros(rows, rows + 12));
        for i in 0..rows {
            base.row_mut(i)[i] = 1.0;
            if let Some(vector) = space.get(i as u32) {
                donor.row_mut(i).iter_mut().zip(&*vector).for_each(|(x, v)| *x = 3.0 * v);
                base.row_mut(i)[rows..].copy_from_slice(donor.row(i));
            }
        }
        let request = Request { input: &base, ..request };
        let texts = Texts { documents: &[], donor: Some(Table::Held(&donor)), ..texts };
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
        let texts = Texts { donor: Some(Table::Held(&small)), ..texts };
        let error = transplant(&request, Named::Learnt(Learnt::Omp), Some(&texts)).unwrap_err();
        assert!(error.to_string().contains("another tokenizer"), "{error}");
        let error = transplant(&request, Named::Learnt(Learnt::Focus), None).unwrap_err();
        assert!(error.to_string().contains("corpus"), "{error}");
    }

    #[test]
    fn matched_norms_leave_copies_alone_and_give_the_rest_the_old_mean_norm() {
        let input = Matrix::new(2, 2, vec![3.0, 4.0, 0.0, 1.0]).unwrap();
        let mapping = Mapping { origins: vec![Origin::Exact(0), Origin::Pieces(vec![(0, 1), (1, 1)])] };
        let norms = Norms::Matched;
        let request =
            Request { input: &input, output: Some(&input), tokens: &[0, 1], mapping: &mapping, norms, seed: 1 };
        let (moved, output) = transplant(&request, Named::Plain(Method::Subtoken), None).unwrap();
        assert_eq!(moved.matrix.row(0), [3.0, 4.0]);
        // The mean of norms 5 and 1.
        assert!((dot(moved.matrix.row(1), moved.matrix.row(1)).sqrt() - 3.0).abs() < 1e-6);
        assert_eq!(output.unwrap().matrix, moved.matrix);
    }
}
