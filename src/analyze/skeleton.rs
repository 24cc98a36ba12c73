//! What does a tokenizer's file say besides its vocabulary? The long lists are counted and not kept. How text is
//! encoded is not known here.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A tokenizer.json without its vocabulary.
#[derive(Debug, Deserialize)]
pub(super) struct Skeleton {
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
pub(super) struct Added {
    pub content: String,
    #[serde(default)]
    pub special: bool,
    #[serde(default)]
    pub normalized: bool,
    #[serde(default)]
    pub lstrip: bool,
    #[serde(default)]
    pub rstrip: bool,
}

/// The model's small fields.
#[derive(Debug, Deserialize)]
pub(super) struct Model {
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
    pub vocab: Option<Entries>,
    #[serde(default)]
    pub merges: Option<Entries>,
}

/// How long a list or an object is; what stands in it is passed over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entries {
    pub count: u64,
    pub list: bool,
}

/// What kind of tokenizer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelKind {
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
            None if self.vocab.is_some_and(|v| v.list) => ModelKind::Unigram,
            None if self.merges.is_some() => ModelKind::Bpe,
            None if self.continuing_subword_prefix.is_some() || self.max_input_chars_per_word.is_some() => {
                ModelKind::WordPiece
            }
            None => ModelKind::WordLevel,
        })
    }
}

/// Every object in `part` (a normaliser, a pre-tokenizer, a decoder) that has a `type`, the nested ones too.
pub(super) fn steps(part: Option<&Value>) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut open: Vec<&Value> = part.into_iter().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                if map.contains_key("type") {
                    found.push(value);
                }
                open.extend(map.values());
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    found
}

/// Whether a step of this type is part of it.
pub(super) fn has_step(part: Option<&Value>, kind: &str) -> bool {
    steps(part).iter().any(|s| s.get("type").and_then(Value::as_str) == Some(kind))
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entries, A::Error> {
        let mut count = 0;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Entries { count, list: true })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut count = 0;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Entries { count, list: false })
    }
}
