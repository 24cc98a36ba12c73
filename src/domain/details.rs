//! What an expert would look at besides a profile's main numbers: how evenly tokens are used, what can go wrong, and
//! what the move is worth. How it is measured is the analyzer's business.

use super::metric::{Pair, Share};
use super::outcome::Side;
use super::reason::{Because, TrapExample, TrapFinding};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The rest of a profile. What needs a corpus is `None` without one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Details {
    /// Share of word occurrences written as one token (single-token retention rate).
    pub strr: Option<Pair<Share>>,
    /// Renyi entropy (alpha 2.5) of the token distribution over the logarithm of the vocabulary's size (Zouhar et al.
    /// 2023).
    pub renyi_efficiency: Option<Pair<Share>>,
    /// Text tokens that no text can produce.
    pub unreachable: Option<Pair<u64>>,
    /// Text tokens that the corpus never uses.
    pub unused: Option<Pair<u64>>,
    /// How numbers are split.
    pub digits: Option<Pair<DigitPolicy>>,
    /// Tokens for a text over tokens for its translation, where a pair of parallel texts was given.
    pub parity: Option<Pair<f64>>,
    /// What the move is worth.
    pub worth: Option<Worth>,
    /// What can go wrong, the most severe first.
    pub traps: Vec<Trap>,
}

/// How a tokenizer splits numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::Display, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DigitPolicy {
    /// Every digit is a token.
    Single,
    /// Groups of three digits, the first or last shorter.
    Triples,
    /// Whatever the merges give.
    Free,
}

/// What the move is worth, in numbers a user pays or gains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Worth {
    /// Tokens saved per million whitespace words of the corpus; negative if more are needed.
    pub tokens_saved_per_million_words: Option<f64>,
    /// How many times the text that fits into the same context.
    pub context_gain: Option<f64>,
    /// Parameters of the embedding and head, before (padding rows included) and after.
    pub embedding_parameters: Option<Pair<u64>>,
    /// The same as bytes at 16 bits.
    pub embedding_bytes: Option<Pair<u64>>,
    /// Relative cost of passing the same text through the model, embeddings apart: the token ratio.
    pub compute: Option<f64>,
    /// Floating-point operations to train on a million words of the corpus, before and after: 6 N a token, N the
    /// parameters that a token passes through (all but the input embeddings, the head among them; Kaplan et al. 2020).
    #[serde(default)]
    pub train_flops_per_million_words: Option<Pair<f64>>,
    /// The same to read or write them: 2 N a token.
    #[serde(default)]
    pub inference_flops_per_million_words: Option<Pair<f64>>,
}

/// How bad a trap is.
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
pub enum Severity {
    /// Text or meaning is lost.
    Serious,
    /// Quality or cost suffers.
    Warning,
    /// Good to know.
    Note,
}

/// Something that can go wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trap {
    /// A short name: unknown_characters, digit_policy, apostrophes ...
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whose; `None` where it is the difference of the two.
    pub side: Option<Side>,
    /// What was found.
    #[serde(flatten)]
    pub finding: Because<TrapFinding>,
    /// An example: from the corpus where it has one.
    pub example: Option<String>,
    /// The example as a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<TrapExample>,
    /// What to do.
    pub advice: String,
}

impl Trap {
    /// With what it is called and what to do about it.
    pub fn of(finding: TrapFinding, severity: Severity, side: Option<Side>, shown: Option<TrapExample>) -> Self {
        Self {
            name: finding.name().into(),
            severity,
            side,
            advice: finding.advice().into(),
            finding: finding.into(),
            example: shown.as_ref().map(ToString::to_string),
            shown,
        }
    }
}
