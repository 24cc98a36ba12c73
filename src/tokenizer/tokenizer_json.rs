//! What does a tokenizer's file say besides its vocabulary? The long lists are counted and not kept. How text is
//! encoded is not known here.

use super::regex_analysis::explodes;
use foldhash::fast::FixedState;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use tokenizers::AddedToken;

/// No real tokenizer has more tokens; a file that claims more is refused before anything is built from it.
pub(crate) const MOST_TOKENS: usize = 4_000_000;
/// The same for merges.
const MOST_MERGES: usize = 4_000_000;

/// A tokenizer.json.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenizerJson {
    #[serde(default)]
    pub added_tokens: Option<Vec<Added>>,
    #[serde(default)]
    pub normalizer: Option<Value>,
    #[serde(default)]
    pub pre_tokenizer: Option<Value>,
    #[serde(default)]
    pub post_processor: Option<Value>,
    #[serde(default)]
    pub decoder: Option<Value>,
    #[serde(default)]
    pub model: Option<Model>,
}

/// A token that was added to the model's vocabulary.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Added {
    pub content: String,
    #[serde(default)]
    pub special: bool,
    #[serde(default)]
    pub normalized: bool,
    #[serde(default)]
    pub lstrip: bool,
    #[serde(default)]
    pub rstrip: bool,
    #[serde(default)]
    pub single_word: bool,
}

impl Added {
    /// As the library knows it.
    pub fn token(&self) -> AddedToken {
        AddedToken::from(self.content.clone(), self.special)
            .normalized(self.normalized)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .single_word(self.single_word)
    }
}

/// The model's small fields.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    #[serde(default)]
    pub unk_token: Option<String>,
    #[serde(default)]
    pub unk_id: Option<u32>,
    #[serde(default)]
    pub byte_fallback: Option<bool>,
    #[serde(default)]
    pub continuing_subword_prefix: Option<String>,
    #[serde(default)]
    pub end_of_word_suffix: Option<String>,
    #[serde(default)]
    pub max_input_chars_per_word: Option<u64>,
    #[serde(default)]
    pub dropout: Option<f64>,
    #[serde(default)]
    pub ignore_merges: Option<bool>,
    #[serde(default)]
    pub fuse_unk: Option<bool>,
    #[serde(default)]
    pub vocab: Option<VocabField>,
    #[serde(default)]
    pub merges: Option<Merges>,
}

/// A vocabulary as it stands in the file.
#[derive(Debug)]
pub(crate) enum VocabField {
    /// Tokens with their ids, in the order of the file.
    Ids(Vec<(String, u32)>),
    /// A list whose order gives the ids (Unigram): how many.
    List(usize),
}

impl VocabField {
    pub fn len(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::List(count) => *count,
        }
    }
}

/// Merges in order of rank.
#[derive(Debug)]
pub(crate) struct Merges(pub Vec<(String, String)>);

/// What kind of tokenizer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModelKind {
    Bpe,
    Unigram,
    WordPiece,
    WordLevel,
}

impl ModelKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bpe => "bpe",
            Self::Unigram => "unigram",
            Self::WordPiece => "wordpiece",
            Self::WordLevel => "wordlevel",
        }
    }
}

impl Model {
    /// The kind that is named, or, where none is, the kind whose fields are there.
    ///
    /// # Errors
    /// The name, when it is not a known kind.
    pub fn kind(&self) -> Result<ModelKind, String> {
        Ok(match self.kind.as_deref() {
            Some("BPE") => ModelKind::Bpe,
            Some("Unigram") => ModelKind::Unigram,
            Some("WordPiece") => ModelKind::WordPiece,
            Some("WordLevel") => ModelKind::WordLevel,
            Some(other) => return Err(other.to_owned()),
            None if matches!(self.vocab, Some(VocabField::List(_))) => ModelKind::Unigram,
            None if self.merges.is_some() => ModelKind::Bpe,
            None if self.continuing_subword_prefix.is_some() || self.max_input_chars_per_word.is_some() => {
                ModelKind::WordPiece
            }
            None => ModelKind::WordLevel,
        })
    }
}

/// Every object in `part` (a normaliser, a pre-tokenizer, a decoder) that has a `type`, the nested ones too, in order.
pub(crate) fn steps(part: Option<&Value>) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut open: Vec<&Value> = part.into_iter().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                if map.contains_key("type") {
                    found.push(value);
                }
                open.extend(map.values().rev());
            }
            Value::Array(list) => open.extend(list.iter().rev()),
            _ => {}
        }
    }
    found
}

/// The first regular expression of the file's steps that may take exponential time.
pub(crate) fn exploding_regex(skeleton: &TokenizerJson) -> Option<&str> {
    [&skeleton.normalizer, &skeleton.pre_tokenizer, &skeleton.decoder]
        .into_iter()
        .flat_map(|part| steps(part.as_ref()))
        .filter_map(|step| step.pointer("/pattern/Regex").and_then(Value::as_str))
        .find(|regex| explodes(regex))
}

/// Ids by token.
pub(crate) type ByText<'a> = HashMap<&'a str, u32, FixedState>;

/// A list by token.
///
/// # Errors
/// The first token that stands in the list twice, or two that share an id.
pub(crate) fn by_text(list: &[(String, u32)]) -> Result<ByText<'_>, String> {
    let mut found = ByText::with_capacity_and_hasher(list.len(), FixedState::default());
    if let Some((token, _)) = list.iter().find(|(token, id)| found.insert(token, *id).is_some()) {
        return Err(format!("the token {token:?} stands in it twice"));
    }
    let mut ids: Vec<u32> = list.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    let shared = ids.windows(2).find_map(|w| w.first().filter(|a| w.last() == Some(a)));
    match shared {
        Some(shared) => {
            let tokens = list.iter().filter(|(_, id)| id == shared).map(|(token, _)| format!("{token:?}"));
            let tokens: Vec<String> = tokens.take(2).collect();
            Err(format!("the tokens {} share the id {shared}", tokens.join(" and ")))
        }
        None => Ok(found),
    }
}

/// Whether a step of this type is part of it.
pub(crate) fn has_step(part: Option<&Value>, kind: &str) -> bool {
    steps(part).iter().any(|s| s.get("type").and_then(Value::as_str) == Some(kind))
}

impl<'de> Deserialize<'de> for VocabField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VocabVisitor)
    }
}

struct VocabVisitor;

impl<'de> Visitor<'de> for VocabVisitor {
    type Value = VocabField;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a vocabulary")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VocabField, A::Error> {
        let mut ids = Vec::new();
        while let Some((token, id)) = map.next_entry::<String, u32>()? {
            if ids.len() == MOST_TOKENS || id as usize > MOST_TOKENS {
                return Err(A::Error::custom(format!("token {token:?} with id {id} is more than any tokenizer has")));
            }
            ids.push((token, id));
        }
        Ok(VocabField::Ids(ids))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<VocabField, A::Error> {
        let mut count = 0;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
            if count > MOST_TOKENS {
                return Err(A::Error::custom(format!(
                    "more than {MOST_TOKENS} tokens are more than any tokenizer has"
                )));
            }
        }
        Ok(VocabField::List(count))
    }
}

impl<'de> Deserialize<'de> for Merges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(MergesVisitor)
    }
}

struct MergesVisitor;

impl<'de> Visitor<'de> for MergesVisitor {
    type Value = Merges;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of merges")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Merges, A::Error> {
        let mut merges = Vec::new();
        while let Some(Merge(pair)) = seq.next_element()? {
            if merges.len() == MOST_MERGES {
                return Err(A::Error::custom(format!(
                    "more than {MOST_MERGES} merges are more than any tokenizer has"
                )));
            }
            merges.extend(pair);
        }
        Ok(Merges(merges))
    }
}

/// A merge, written as a string with a space or as a pair; `None` for a version line.
struct Merge(Option<(String, String)>);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MergeVisitor)
    }
}

struct MergeVisitor;

impl<'de> Visitor<'de> for MergeVisitor {
    type Value = Merge;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a merge of two tokens")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Merge, E> {
        if text.starts_with("#version") {
            return Ok(Merge(None));
        }
        match text.split_once(' ') {
            Some((a, b)) if !b.contains(' ') => Ok(Merge(Some((a.to_owned(), b.to_owned())))),
            _ => Err(E::custom(format!("{text:?} is not a merge of two tokens"))),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Merge, A::Error> {
        let pair = seq.next_element::<String>()?.zip(seq.next_element::<String>()?);
        match (pair, seq.next_element::<IgnoredAny>()?) {
            (Some(pair), None) => Ok(Merge(Some(pair))),
            _ => Err(A::Error::custom("a merge that is not of two tokens")),
        }
    }
}
