//! What two tokenizers have in common and what moving between them would mean for a text: the evidence a
//! decision rests on. How it is measured is the analyzer's business; what follows from it, the decider's.

use super::details::Details;
use super::metric::{BytesPerToken, Coverage, Fertility, Pair, Share, Similarity, TokenRatio};
use super::reason::{Because, SimilarityMethod, Warnings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The profile of a tokenizer pair on a corpus (spec section 4). Metrics that need a corpus are `None` without one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// The original tokenizer.
    pub source: TokenizerSummary,
    /// The candidate tokenizer.
    pub candidate: TokenizerSummary,
    /// The text it was measured on.
    pub corpus: Option<CorpusSummary>,
    /// How much of the candidate the original already knows.
    pub coverage: CoverageMetrics,
    /// How the candidate's tokens match, by class, in the order of [`Match`].
    pub matches: Vec<MatchCount>,
    /// Tokens per whitespace word.
    pub fertility: Option<Pair<Fertility>>,
    /// UTF-8 bytes per token.
    pub bytes_per_token: Option<Pair<BytesPerToken>>,
    /// Candidate's tokens / original's tokens.
    pub token_ratio: Option<TokenRatio>,
    /// Share of lines that decode to themselves.
    pub round_trip: Option<Pair<Share>>,
    /// Share of tokens that are unknown.
    pub unknown_rate: Option<Pair<Share>>,
    /// Share of the text's bytes that unknown tokens swallow.
    pub unknown_bytes: Option<Pair<Share>>,
    /// How well the original's space can express the candidate's tokens.
    pub similarity: SimilarityScore,
    /// The model, where one was given.
    pub model: Option<ModelSummary>,
    /// What a person should know before going on.
    #[serde(flatten)]
    pub warnings: Warnings,
    /// What an expert would look at besides; `None` in profiles of before it was measured.
    #[serde(default)]
    pub details: Option<Details>,
}

/// A tokenizer in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenizerSummary {
    /// What the user called it: a path.
    pub name: String,
    /// sha256 of the tokenizer's file.
    pub sha256: String,
    /// bpe, unigram, wordpiece, wordlevel.
    pub model: String,
    /// How token strings stand for bytes: byte_level, metaspace, wordpiece, plain.
    pub alphabet: String,
    /// Whether unknown characters fall back to byte tokens.
    pub byte_fallback: bool,
    /// Tokens, specials included.
    pub tokens: u64,
    /// Control tokens.
    pub special_tokens: u64,
    /// One more than the highest id.
    pub rows: u64,
}

/// The text a profile was measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CorpusSummary {
    /// The files.
    pub files: Vec<String>,
    /// sha256 over the files' contents in order.
    pub sha256: String,
    /// UTF-8 bytes of text, line ends left out.
    pub bytes: u64,
    /// Lines (documents) that are not empty.
    pub lines: u64,
    /// Whitespace-separated words.
    pub words: u64,
    /// Tokens each tokenizer needs, special tokens left out.
    pub tokens: Pair<u64>,
}

/// Coverage of the candidate by the original.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CoverageMetrics {
    /// Share of the candidate's tokens (specials left out) whose bytes are a token of the original.
    pub vocabulary: Coverage,
    /// The same with token strings compared as they stand in the files: the usual mistake, shown beside the truth.
    pub vocabulary_naive: Coverage,
    /// Share of the candidate's token occurrences on the corpus that are covered.
    pub corpus: Option<Coverage>,
}

/// How a candidate token matches the original's vocabulary; the first class that fits.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Match {
    /// A control token, matched by role if at all.
    Special,
    /// A byte-fallback token.
    Byte,
    /// The same bytes.
    Exact,
    /// The same but for the leading space.
    Space,
    /// The same but for case.
    Case,
    /// The same after Unicode normalisation (NFC or NFKC).
    Normal,
    /// A number the original writes digit by digit.
    Digits,
    /// None of these: the original writes it in pieces, or not at all.
    None,
}

/// How many tokens are of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatchCount {
    /// The class.
    pub class: Match,
    /// Candidate tokens of the class.
    pub types: u64,
    /// Their share of the candidate's vocabulary.
    pub type_share: Share,
    /// Occurrences on the corpus.
    pub occurrences: Option<u64>,
    /// Their share of all occurrences.
    pub occurrence_share: Option<Share>,
}

/// What a similarity score was computed from; better bases come later in the list.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Basis {
    /// How the candidate's tokens decompose into the original's.
    Surface,
    /// Co-occurrence vectors on the corpus.
    Contextual,
    /// Held-out rows of the model's embeddings, rebuilt.
    Reconstruction,
}

/// A similarity with its basis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SimilarityScore {
    /// The score of the best basis that was available.
    pub score: Similarity,
    /// That basis.
    pub basis: Basis,
    /// All bases that were computed.
    pub all: Vec<BasisScore>,
}

/// One basis' score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BasisScore {
    /// The basis.
    pub basis: Basis,
    /// Its score.
    pub score: Similarity,
    /// What chance alone would give, where that is meaningful.
    pub chance: Option<f64>,
    /// How it was measured.
    #[serde(flatten)]
    pub note: Because<SimilarityMethod>,
}

/// The model in short, as far as a decision needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelSummary {
    /// Folder.
    pub name: String,
    /// The family, as config.json's model_type.
    pub family: String,
    /// All parameters.
    pub parameters: u64,
    /// Rows of the embedding matrix, padding included.
    pub embedding_rows: u64,
    /// Width of a row.
    pub hidden: u64,
    /// Whether input and output embeddings are one matrix.
    pub tied: bool,
}
