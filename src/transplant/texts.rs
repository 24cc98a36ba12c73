//! What methods learn from.

use super::table::EmbeddingTable;
use crate::model::Decoder;
use crate::tokenizer::Coder;

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
    pub donor: Option<EmbeddingTable<'a>>,
    /// `distill`: the model as it was.
    pub teacher: Option<&'a Decoder>,
    /// `omp`: anchors a token is written in, at most.
    pub terms: Option<usize>,
    /// Dimensions of a helper space learnt from text.
    pub dimensions: Option<usize>,
}
