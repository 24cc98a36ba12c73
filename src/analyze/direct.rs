//! Which pieces can be handed to the model as they are, past normaliser and pre-tokenizer? A shortcut for the plain
//! words that make up most of a text; like [`Cut`](super::cut::Cut) it is read from the tokenizer's own steps, and not
//! taken where they are not all understood.

use super::alphabet::Script;
use super::skeleton::steps;
use super::tokenizer::TokenizerFile;
use aho_corasick::AhoCorasick;
use serde_json::Value;

/// What the model is given for a piece.
pub(super) enum Direct {
    /// Always go through all steps.
    Never,
    /// The mark and the piece, if it holds neither mark nor space nor added token.
    Marked {
        /// Finds added tokens, where there are any.
        added: Option<AhoCorasick>,
    },
    /// The piece with its space in the byte-level alphabet, if it is letters; where `punctuation` says so, ASCII
    /// punctuation after the letters apart from them.
    Letters {
        /// Whether the pre-tokenizer is known to keep a closing run of punctuation together.
        punctuation: bool,
    },
}

impl Direct {
    /// What holds for a tokenizer.
    pub fn of(file: &TokenizerFile) -> Self {
        let skeleton = &file.skeleton;
        let added: Vec<&str> = skeleton.added_tokens.iter().flatten().map(|t| t.content.as_str()).collect();
        let normalizers = kinds(skeleton.normalizer.as_ref());
        let pre_tokenizers = steps(skeleton.pre_tokenizer.as_ref());
        let all = |allowed: fn(&Value) -> bool| pre_tokenizers.iter().all(|step| allowed(step));
        match file.alphabet.script {
            Script::Metaspace
                if normalizers.iter().all(|n| matches!(*n, "Sequence" | "Prepend" | "Replace"))
                    && steps(skeleton.normalizer.as_ref()).iter().all(|s| only_marks(s))
                    && all(|s| kind(s) == "Metaspace" && s.get("replacement").and_then(Value::as_str) == Some("▁")) =>
            {
                match AhoCorasick::new(&added) {
                    Ok(found) => Self::Marked { added: Some(found).filter(|_| !added.is_empty()) },
                    Err(_) => Self::Never,
                }
            }
            Script::ByteLevel
                if normalizers.iter().all(|n| *n == "NFC")
                    && all(|s| kind(s) == "Sequence" || kind(s) == "ByteLevel" || keeps_words(s))
                    && pre_tokenizers.iter().any(|s| splits_at_byte_level(s) || keeps_words(s))
                    && !added.iter().any(|a| !a.is_empty() && letters_and_punctuation(a).is_some()) =>
            {
                Self::Letters { punctuation: all(|s| kind(s) != "Split" || keeps_punctuation(s)) }
            }
            _ => Self::Never,
        }
    }

    /// What the model is given for an inner piece, one text after the other (the second may be empty); `None` when it
    /// has to go through all steps.
    pub fn inputs(&self, file: &TokenizerFile, piece: &str) -> Option<[String; 2]> {
        match self {
            Self::Never => None,
            Self::Marked { added } => {
                let plain = !piece.contains([' ', '▁']) && !added.as_ref().is_some_and(|a| a.is_match(piece));
                plain.then(|| [format!("▁{piece}"), String::new()])
            }
            Self::Letters { punctuation } => {
                let (letters, rest) = letters_and_punctuation(piece)?;
                if letters.is_empty() || !rest.is_empty() && !punctuation {
                    return None;
                }
                let word = file.alphabet.model_input(format!(" {letters}").as_bytes())?;
                Some([word, file.alphabet.model_input(rest.as_bytes())?])
            }
        }
    }
}

/// A text's letters and the ASCII punctuation after them, if that is all there is.
fn letters_and_punctuation(text: &str) -> Option<(&str, &str)> {
    let (letters, rest) = text.split_at(text.find(|c| !is_letter(c)).unwrap_or(text.len()));
    rest.bytes().all(|b| b.is_ascii_punctuation()).then_some((letters, rest))
}

/// Whether a split is one of those whose alternatives after the words are numbers, then runs of what is neither
/// letter, number nor white space.
fn keeps_punctuation(step: &Value) -> bool {
    let regex = step.pointer("/pattern/Regex").and_then(Value::as_str).unwrap_or_default();
    let words = regex.split_once(r"\p{L}+|").map_or("", |(_, rest)| rest);
    [r"\p{N}|", r"\p{N}{1,3}|", r"\p{N}+|", r" ?\p{N}+|"]
        .iter()
        .any(|numbers| words.strip_prefix(numbers).is_some_and(|rest| rest.starts_with(r" ?[^\s\p{L}\p{N}]+")))
}

fn kind(step: &Value) -> &str {
    step.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn kinds(part: Option<&Value>) -> Vec<&str> {
    steps(part).into_iter().map(kind).collect()
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

/// Whether a step is the byte-level split, which keeps a space and the letters after it together.
fn splits_at_byte_level(step: &Value) -> bool {
    kind(step) == "ByteLevel" && step.get("use_regex").and_then(Value::as_bool).unwrap_or(true)
}

/// Whether a split's first alternative that can match a space is one that takes all letters after it too.
fn keeps_words(step: &Value) -> bool {
    let regex = step.pointer("/pattern/Regex").and_then(Value::as_str).unwrap_or_default();
    let rest = regex.strip_prefix("(?i:'s|'t|'re|'ve|'m|'ll|'d)|").or(regex.strip_prefix("'s|'t|'re|'ve|'m|'ll|'d|"));
    let first = rest.unwrap_or(regex);
    kind(step) == "Split"
        && matches!(step.get("behavior").and_then(Value::as_str), Some("Isolated" | "Removed"))
        && (first.starts_with(r"[^\r\n\p{L}\p{N}]?\p{L}+|") || first.starts_with(r" ?\p{L}+|"))
        && (step.get("behavior").and_then(Value::as_str) == Some("Isolated")
            || step.get("invert").and_then(Value::as_bool) == Some(true))
}

/// Letters (general category L) that are their own NFC and compose with no letter after them: the Latin and Cyrillic
/// blocks, which hold most words; others take the long way.
fn is_letter(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ɏ' | 'Ѐ'..='ҁ')
}
