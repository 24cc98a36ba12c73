//! What can go wrong with a tokenizer or between two, what shows it, and what to do about it.

use super::reason::Reason;
use crate::domain::details::DigitPolicy;
use crate::domain::outcome::Side;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a token stands that frames a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// At its beginning.
    Beginning,
    /// At its end.
    End,
}

/// What can go wrong. Shares are in 0..=1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr, strum::VariantNames)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TrapFinding {
    /// Unknown tokens swallow a share of the text's bytes.
    UnknownCharacters { tokens: u64, share: f64 },
    /// A share of the lines does not come back.
    RoundTrip { share: f64 },
    /// A character outside the vocabulary becomes an unknown token.
    NoByteFallback,
    /// Upper case is lost.
    CaseLost,
    /// Turkish dotted and dotless i are not kept apart.
    TurkishI,
    /// Accents are lost.
    AccentsLost,
    /// Text is composed (NFC).
    Nfc,
    /// Compatibility characters are replaced (NFKC).
    Nfkc,
    /// Runs of spaces are joined.
    WhiteSpace,
    /// Line ends are lost.
    LineEnds,
    /// Tabs are lost.
    Tabs,
    /// Suffixes after an apostrophe are cut as English contractions.
    Apostrophes,
    /// Tokens that no text can produce.
    Unreachable { tokens: u64, share: f64 },
    /// Tokens that never occur in the corpus.
    Unused { tokens: u64, share: f64 },
    /// Added tokens are ordinary letters.
    AddedLetters { tokens: u64 },
    /// Ids below the highest stand for no token.
    Holes { ids: u64 },
    /// Numbers are split otherwise.
    DigitPolicy { before: DigitPolicy, after: DigitPolicy },
    /// Only one of the two has a token for an edge of a text.
    SequenceMarks { only: Side, edge: Edge },
    /// The templates set different tokens at an edge of a text.
    Template { edge: Edge, original: Option<String>, candidate: Option<String> },
    /// The candidate lacks tokens for what the original has one for.
    Roles { padding: bool, unknown: bool },
    /// The candidate lacks the original's chat marks.
    ChatMarks,
    /// The candidate has many control tokens.
    ManyControlTokens { tokens: u64 },
    /// The model has rows that are no token.
    PaddingRows { rows: u64, tokens: u64 },
    /// The model has fewer rows than the tokenizer has tokens.
    TooFewRows { rows: u64, tokens: u64 },
}

impl TrapFinding {
    /// A short name: `unknown_characters`, `digit_policy`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PaddingRows { .. } | Self::TooFewRows { .. } => "rows",
            other => other.into(),
        }
    }

    /// What to do, in an English sentence.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::UnknownCharacters { .. } => {
                "add byte fallback or the missing characters to the tokenizer, or clean the text"
            }
            Self::RoundTrip { .. } => "look at what is lost; what a model writes will lack it",
            Self::NoByteFallback => "expect emoji and rare scripts to be lost, or give the tokenizer byte tokens",
            Self::CaseLost
            | Self::TurkishI
            | Self::AccentsLost
            | Self::Nfc
            | Self::Nfkc
            | Self::WhiteSpace
            | Self::LineEnds
            | Self::Tabs => "train and evaluate on text as the tokenizer gives it back, or change its normaliser",
            Self::Apostrophes => {
                "expect worse morphology after apostrophes; a pre-tokenizer without contractions avoids it"
            }
            Self::Unreachable { .. } => "their rows are never trained; leave them out",
            Self::Unused { .. } => "give more text, or a smaller vocabulary",
            Self::AddedLetters { .. } => "check how words with them are split",
            Self::Holes { .. } => "their rows are kept out of means and masked",
            Self::DigitPolicy { .. } => {
                "expect arithmetic to suffer; test it, or take a candidate with the original's digit policy"
            }
            Self::SequenceMarks { .. } => "give both the same policy: what stands first takes much of the attention",
            Self::Template { .. } => "train and use the model with one policy; hibrit's own is the same for both sides",
            Self::Roles { .. } => "name one in its tokenizer_config.json, or tools will invent one",
            Self::ChatMarks => "add the chat marks and the template to the candidate before training on dialogues",
            Self::ManyControlTokens { .. } => "remove what is not used",
            Self::PaddingRows { .. } => "padding rows are kept out of means and anchors",
            Self::TooFewRows { .. } => "this is not the model's tokenizer; give the one that lies beside it",
        }
    }
}

impl Reason for TrapFinding {
    const KEYS: &'static [&'static str; 2] = &["finding", "found"];
}

impl fmt::Display for TrapFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCharacters { tokens, share } => {
                write!(f, "{tokens} unknown tokens swallow {:.4}% of the text's bytes", share * 100.0)
            }
            Self::RoundTrip { share } => write!(f, "{:.2}% of the lines do not come back as they were", share * 100.0),
            Self::NoByteFallback => {
                write!(f, "no byte fallback: a character outside its vocabulary becomes an unknown token")
            }
            Self::CaseLost => write!(f, "upper case is lost"),
            Self::TurkishI => write!(f, "Turkish dotted and dotless i are not kept apart"),
            Self::AccentsLost => write!(f, "accents are lost"),
            Self::Nfc => write!(f, "text is composed (NFC)"),
            Self::Nfkc => write!(f, "compatibility characters are replaced (NFKC)"),
            Self::WhiteSpace => write!(f, "runs of spaces are joined"),
            Self::LineEnds => write!(f, "line ends are lost"),
            Self::Tabs => write!(f, "tabs are lost"),
            Self::Apostrophes => write!(f, "suffixes after an apostrophe are cut as English contractions"),
            Self::Unreachable { tokens, share } => {
                write!(f, "{tokens} tokens ({:.2}%) can be produced by no text", share * 100.0)
            }
            Self::Unused { tokens, share } => write!(
                f,
                "{tokens} tokens ({:.1}%) never occur in the corpus, so training will not reach them",
                share * 100.0
            ),
            Self::AddedLetters { tokens } => {
                write!(f, "{tokens} added tokens are ordinary letters, so words are cut at them")
            }
            Self::Holes { ids } => write!(f, "{ids} ids below the highest stand for no token"),
            Self::DigitPolicy { before, after } => {
                write!(f, "numbers are split otherwise: {before} before, {after} after")
            }
            Self::SequenceMarks { only, edge } => {
                let who = if *only == Side::Source { "original" } else { "candidate" };
                let edge = if *edge == Edge::Beginning { "beginning" } else { "end" };
                write!(f, "only the {who} has a token for the {edge} of a text")
            }
            Self::Template { edge, original, candidate } => {
                let place = if *edge == Edge::Beginning { "before" } else { "after" };
                let named = |token: &Option<String>| token.clone().unwrap_or_else(|| "nothing".into());
                let (original, candidate) = (named(original), named(candidate));
                write!(f, "the original's template sets {original} {place} a text, the candidate's {candidate}")
            }
            Self::Roles { padding, unknown } => {
                let lacking = match (padding, unknown) {
                    (true, true) => "padding and for what is unknown",
                    (true, false) => "padding",
                    (false, _) => "what is unknown",
                };
                write!(f, "the candidate lacks the original's token for {lacking}")
            }
            Self::ChatMarks => write!(f, "the original has chat marks that the candidate lacks"),
            Self::ManyControlTokens { tokens } => write!(f, "the candidate has {tokens} control tokens"),
            Self::PaddingRows { rows, tokens } => {
                write!(f, "the model has {rows} rows for {tokens} tokens: {} are padding", rows.saturating_sub(*tokens))
            }
            Self::TooFewRows { rows, tokens } => {
                write!(f, "the model has {rows} rows, fewer than the tokenizer's {tokens}")
            }
        }
    }
}

/// What shows a trap. Tokens are written as they stand in the tokenizer's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TrapExample {
    /// A piece of text and how often it occurs.
    Text { text: String, times: u64 },
    /// A text, and what it comes back as.
    ComesBack { text: String, back: String, times: Option<u64> },
    /// A text, and the tokens it is written with.
    Written { text: String, tokens: String },
    /// Some tokens.
    Tokens { tokens: String },
    /// An added token, and what it does to a text.
    Cuts { token: String, text: String, tokens: String },
    /// An id.
    Id { id: u32 },
    /// A text as both tokenizers write it.
    Differs { text: String, before: String, after: String },
}

impl fmt::Display for TrapExample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text, times } => write!(f, "{text:?}, {times} times"),
            Self::ComesBack { text, back, times: None } => write!(f, "{text:?} comes back as {back:?}"),
            Self::ComesBack { text, back, times: Some(times) } => {
                write!(f, "{text:?} comes back as {back:?}, {times} times")
            }
            Self::Written { text, tokens } => write!(f, "{text:?} is {tokens}"),
            Self::Tokens { tokens } => f.write_str(tokens),
            Self::Cuts { token, text, tokens } => write!(f, "{token:?}; {text:?} is {tokens}"),
            Self::Id { id } => write!(f, "id {id}"),
            Self::Differs { text, before, after } => write!(f, "{text:?} is {before} before, {after} after"),
        }
    }
}
