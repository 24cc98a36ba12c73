//! Which pieces can be handed to the model as they are, past normaliser and pre-tokenizer? A shortcut for the plain
//! words that make up most of a text; like [`Cut`](crate::tokenizer::chunking::Cut) it is read from the tokenizer's own steps, and not
//! taken where they are not all understood.

use super::alphabet::{Alphabet, Script};
use super::byte_level_fast_path::{GPT2, Split};
use super::tokenizer_json::{TokenizerJson, steps};
use aho_corasick::AhoCorasick;
use serde_json::Value;

/// How texts reach the model.
pub(crate) struct FastPath {
    way: Way,
    /// Finds added tokens, where there are any.
    added: Option<AhoCorasick>,
}

enum Way {
    /// Always through all steps.
    Never,
    /// With the mark for the space before it, if it holds neither mark nor space.
    Marked,
    /// In the parts of a split, in the byte-level alphabet.
    Parts {
        split: Split,
        /// Whether a space is set before a text that has none.
        prefix: bool,
    },
}

impl FastPath {
    /// What holds for a tokenizer.
    pub fn of(skeleton: &TokenizerJson, alphabet: &Alphabet) -> Self {
        let added: Vec<&str> = skeleton.added_tokens.iter().flatten().map(|t| t.content.as_str()).collect();
        let (way, added) = match AhoCorasick::new(&added) {
            Ok(found) => (way(skeleton, alphabet), Some(found).filter(|_| !added.is_empty())),
            Err(_) => (Way::Never, None),
        };
        Self { way, added }
    }

    /// Hands on what the model is given for a piece after a space, until one is refused; `None` when the piece has to go
    /// through all steps, and when one was refused.
    pub fn inner(&self, alphabet: &Alphabet, piece: &str, mut input: impl FnMut(&str) -> Option<()>) -> Option<()> {
        match &self.way {
            Way::Never => None,
            Way::Marked => {
                let plain = !piece.contains([' ', '▁']) && !self.holds_added(piece);
                plain.then(|| format!("▁{piece}")).and_then(|marked| input(&marked))
            }
            Way::Parts { split, .. } => {
                let spaced = format!(" {piece}");
                let plain = !piece.starts_with(' ') && !self.holds_added(&spaced);
                plain.then(|| split.parts(&spaced, |part| input(&alphabet.model_input(part.as_bytes())?)))?
            }
        }
    }

    /// The same for a text by itself.
    pub fn alone(&self, alphabet: &Alphabet, text: &str, mut input: impl FnMut(&str) -> Option<()>) -> Option<()> {
        match &self.way {
            Way::Parts { split, prefix: false } if !self.holds_added(text) => {
                split.parts(text, |part| input(&alphabet.model_input(part.as_bytes())?))
            }
            _ => None,
        }
    }

    fn holds_added(&self, text: &str) -> bool {
        self.added.as_ref().is_some_and(|a| a.is_match(text))
    }
}

fn way(skeleton: &TokenizerJson, alphabet: &Alphabet) -> Way {
    let normalizers = steps(skeleton.normalizer.as_ref());
    let pre_tokenizers: Vec<&Value> =
        steps(skeleton.pre_tokenizer.as_ref()).into_iter().filter(|s| kind(s) != "Sequence").collect();
    match alphabet.script {
        Script::Metaspace
            if normalizers.iter().all(|s| only_marks(s))
                && pre_tokenizers
                    .iter()
                    .all(|s| kind(s) == "Metaspace" && s.get("replacement").and_then(Value::as_str) == Some("▁")) =>
        {
            Way::Marked
        }
        Script::ByteLevel if normalizers.iter().all(|s| kind(s) == "NFC") => {
            let flag = |step: &Value, name: &str| step.get(name).and_then(Value::as_bool).unwrap_or(true);
            let (split, bytes) = match pre_tokenizers.as_slice() {
                [bytes] if kind(bytes) == "ByteLevel" && flag(bytes, "use_regex") => (Split::of(GPT2), *bytes),
                [split, bytes] if kind(split) == "Split" && kind(bytes) == "ByteLevel" && !flag(bytes, "use_regex") => {
                    let regex = split.pointer("/pattern/Regex").and_then(Value::as_str);
                    (regex.filter(|_| keeps_all(split)).and_then(Split::of), *bytes)
                }
                _ => return Way::Never,
            };
            split.map_or(Way::Never, |split| Way::Parts { split, prefix: flag(bytes, "add_prefix_space") })
        }
        _ => Way::Never,
    }
}

/// Whether a split leaves all that its expression finds, each by itself. Nothing of a plain text is left over.
fn keeps_all(split: &Value) -> bool {
    let inverted = split.get("invert").and_then(Value::as_bool) == Some(true);
    match split.get("behavior").and_then(Value::as_str) {
        Some("Isolated") => true,
        Some("Removed") => inverted,
        _ => false,
    }
}

fn kind(step: &Value) -> &str {
    step.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// Whether a normaliser does nothing but set the mark before a text and for its spaces.
fn only_marks(step: &Value) -> bool {
    match kind(step) {
        "Prepend" => step.get("prepend").and_then(Value::as_str) == Some("▁"),
        "Replace" => {
            step.get("content").and_then(Value::as_str) == Some("▁")
                && step.pointer("/pattern/String").and_then(Value::as_str) == Some(" ")
        }
        other => other == "Sequence",
    }
}
