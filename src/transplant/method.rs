//! The methods by name, and the chain of links that each one is. Which method is right for a case is not known here.

use super::Initialiser;
use super::align::Align;
use super::anchors::Anchors;
use super::clp::Clp;
use super::error::TransplantError;
use super::focus::Focus;
use super::mean::Mean;
use super::omp::Omp;
use super::overlap::{Exact, RoleCopies};
use super::random::Random;
use super::space::{AuxiliarySpace, SpaceConfig};
use super::subtoken::{Subtoken, Weighting};
use super::table::EmbeddingTable;
use super::texts::Texts;
use super::trans::Trans;
use super::wechsel::Wechsel;
use crate::domain::vocabulary::Mapping;
use std::sync::Arc;
use strum::IntoEnumIterator;

/// How rows are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
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
    /// Mixed from near shared tokens (sparsemax). From here on methods need text; shared tokens are copied, and what the
    /// method has no answer for is put together from pieces.
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
    /// Begins as `subtoken`; then rows that are no copies are trained until the model, reading new tokens, is in the states
    /// that the old ones put it in. Needs the model as well.
    Distill,
}

/// Anchors a token is written in by `omp`. The paper takes 64 in the space of a donor model; in a space of 100
/// dimensions learnt from a few megabytes more than 4 fit its noise (docs/transplant.md).
pub const OMP_TERMS: usize = 4;

/// The same in the embeddings of a donor.
const DONOR_TERMS: usize = 64;

impl Method {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether it learns from text, and so needs [`Texts`].
    pub fn needs_text(self) -> bool {
        match self {
            Self::Random
            | Self::Mean
            | Self::Overlap
            | Self::OverlapMean
            | Self::Subtoken
            | Self::SubtokenBytes
            | Self::SubtokenOrder => false,
            Self::Focus | Self::Clp | Self::Omp | Self::Align | Self::Wechsel | Self::Trans | Self::Distill => true,
        }
    }

    /// The method of this name, among those that need no text.
    ///
    /// # Errors
    /// [`TransplantError::Mismatch`] where there is none; it lists them.
    pub fn without_text(name: &str) -> Result<Self, TransplantError> {
        named(name, Self::all().filter(|method| !method.needs_text())).map_err(TransplantError::Mismatch)
    }
}

/// The method of this name; else what to say.
fn named(name: &str, all: impl Iterator<Item = Method>) -> Result<Method, String> {
    let all: Vec<Method> = all.collect();
    all.iter().copied().find(|method| method.name() == name).ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|method| method.name()).collect();
        format!("the method {name:?} is not known; known are {}", known.join(", "))
    })
}

impl std::str::FromStr for Method {
    type Err = TransplantError;
    fn from_str(text: &str) -> Result<Self, TransplantError> {
        named(text, Self::all()).map_err(TransplantError::Data)
    }
}

pub(super) fn lacks(method: Method, what: &str) -> TransplantError {
    TransplantError::Data(format!("the method {method} learns from text: {what} is missing"))
}

/// The links of a method, with what they learn from learnt; `source` is the old input matrix. The chain serves both
/// matrices.
///
/// # Errors
/// [`TransplantError::Data`] where a method lacks its texts, or they are too small; where a tokenizer fails.
pub fn chain_of<'a>(
    method: Method,
    mapping: &Mapping,
    source: &EmbeddingTable<'_>,
    (texts, seed): (Option<&Texts<'a>>, u64),
) -> Result<Vec<Box<dyn Initialiser + 'a>>, TransplantError> {
    let corpus = || {
        let texts = texts.filter(|t| !t.documents.is_empty() || t.donor.is_some());
        let texts = texts.ok_or_else(|| lacks(method, "a corpus (or a donor)"))?;
        let config = SpaceConfig { seed, dimensions: texts.dimensions.unwrap_or(100), ..SpaceConfig::default() };
        Ok::<_, TransplantError>((texts, config))
    };
    let donor =
        |texts: &Texts<'a>| texts.donor.map(|d| AuxiliarySpace::of_donor(d, texts.candidate_tokens)).transpose();
    // The space that new tokens are near to shared ones in, and the shared ones.
    let anchored = || {
        let (texts, config) = corpus()?;
        let space = match donor(texts)? {
            Some(donor) => donor,
            None => AuxiliarySpace::learn(texts.candidate, texts.documents, &config)?,
        };
        let anchors = Arc::new(Anchors::new(&space, mapping, source));
        Ok::<_, TransplantError>((texts, Arc::new(space), anchors))
    };
    Ok(match method {
        Method::Random => vec![Box::new(RoleCopies), Box::new(Random)],
        Method::Mean => vec![Box::new(RoleCopies), Box::new(Mean)],
        Method::Overlap => vec![Box::new(Exact), Box::new(RoleCopies), Box::new(Random)],
        Method::OverlapMean => vec![Box::new(Exact), Box::new(RoleCopies), Box::new(Mean)],
        Method::Subtoken | Method::Distill => of_pieces(Weighting::Equal),
        Method::SubtokenBytes => of_pieces(Weighting::Bytes),
        Method::SubtokenOrder => of_pieces(Weighting::Order),
        Method::Focus => {
            let (_, space, anchors) = anchored()?;
            learnt(Focus { space, anchors })
        }
        Method::Clp => {
            let (_, space, anchors) = anchored()?;
            learnt(Clp { space, anchors })
        }
        Method::Omp => {
            let (texts, space, anchors) = anchored()?;
            let terms = if texts.donor.is_some() { DONOR_TERMS } else { OMP_TERMS };
            learnt(Omp::new(space, anchors, texts.terms.unwrap_or(terms)))
        }
        Method::Align => {
            let (texts, config) = corpus()?;
            learnt(match donor(texts)? {
                Some(donor) => {
                    let base = AuxiliarySpace::of_donor(*source, texts.source_tokens)?;
                    Align::with_donor(&donor, &base, mapping, texts.source.rows())?
                }
                None => Align::learn(texts.source, texts.candidate, mapping, texts.documents, &config)?,
            })
        }
        Method::Wechsel => {
            let (texts, config) = corpus()?;
            if texts.source_documents.is_empty() {
                return Err(lacks(method, "text in the language the model knows"));
            }
            if texts.pairs.is_empty() {
                return Err(lacks(method, "a dictionary or parallel text"));
            }
            let space = Arc::new(AuxiliarySpace::learn(texts.candidate, texts.documents, &config)?);
            let old = AuxiliarySpace::learn(texts.source, texts.source_documents, &config)?;
            learnt(Wechsel::learn((old, texts.source), (space, texts.candidate), texts.pairs)?)
        }
        Method::Trans => {
            let texts = texts.filter(|t| !t.parallel.is_empty()).ok_or_else(|| lacks(method, "parallel text"))?;
            learnt(Trans::learn(texts.source, texts.candidate, texts.parallel)?)
        }
    })
}

/// Shared tokens copied, specials by role, then pieces, then chance.
fn of_pieces<'a>(weighting: Weighting) -> Vec<Box<dyn Initialiser + 'a>> {
    vec![Box::new(Exact), Box::new(RoleCopies), Box::new(Subtoken(weighting)), Box::new(Random)]
}

/// Shared tokens copied, specials by role, then the method, then pieces, then chance.
fn learnt<'a>(method: impl Initialiser + 'a) -> Vec<Box<dyn Initialiser + 'a>> {
    let pieces = Subtoken(Weighting::Equal);
    vec![Box::new(Exact), Box::new(RoleCopies), Box::new(method), Box::new(pieces), Box::new(Random)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_known_by_its_name_and_an_unknown_one_is_told_them() {
        let names: Vec<&str> = Method::all().map(Method::name).collect();
        let expected = "random mean overlap overlap-mean subtoken subtoken-bytes subtoken-order focus clp omp align \
                        wechsel trans distill";
        assert_eq!(names.join(" "), expected);
        for method in Method::all() {
            assert_eq!((method.name().parse::<Method>().unwrap(), method.to_string()), (method, method.name().into()));
        }
        assert!("magic".parse::<Method>().unwrap_err().to_string().contains("wechsel"));
        let plain = Method::without_text("omp").unwrap_err().to_string();
        assert!(plain.contains("subtoken-order") && !plain.contains("wechsel"), "{plain}");
        assert_eq!(Method::without_text("mean").unwrap(), Method::Mean);
    }
}
