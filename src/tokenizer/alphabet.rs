//! Which bytes does a token's string stand for? Byte-level alphabets, metaspace, WordPiece marks and byte fallback
//! are undone here; which tokens are special is not known here.

use super::tokenizer_json::{ModelKind, TokenizerJson, has_step, steps};
use serde_json::Value;

/// The word-initial mark of SentencePiece.
pub(crate) const METASPACE: char = '▁';

/// How a vocabulary's strings are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alphabet {
    pub script: Script,
    /// Whether `<0xNN>` stands for a byte.
    pub byte_fallback: bool,
    /// What ends the last piece of a word (`</w>`), where the model marks it.
    end_of_word: Option<String>,
}

/// How token strings stand for text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Script {
    /// Each character stands for a byte (the alphabet that GPT-2 introduced).
    ByteLevel,
    /// `▁` stands for a space.
    Metaspace,
    /// A piece without the prefix begins a word.
    WordPiece {
        /// What marks a piece inside a word, usually `##`.
        prefix: String,
    },
    /// Strings are text.
    Plain,
}

impl Script {
    pub fn name(&self) -> &'static str {
        match self {
            Self::ByteLevel => "byte_level",
            Self::Metaspace => "metaspace",
            Self::WordPiece { .. } => "wordpiece",
            Self::Plain => "plain",
        }
    }
}

impl Alphabet {
    /// As the file's normaliser, pre-tokenizer, decoder and model say.
    pub fn of(skeleton: &TokenizerJson, kind: ModelKind) -> Self {
        let parts = [skeleton.normalizer.as_ref(), skeleton.pre_tokenizer.as_ref(), skeleton.decoder.as_ref()];
        let model = skeleton.model.as_ref();
        let marks_space = |step: &&Value| {
            ["content", "prepend", "replacement"].iter().any(|k| step.get(k).and_then(Value::as_str) == Some("▁"))
                || step.pointer("/pattern/String").and_then(Value::as_str) == Some("▁")
                || step.pointer("/pattern/Regex").and_then(Value::as_str) == Some("▁")
        };
        let script = if kind == ModelKind::WordPiece {
            let prefix = model.and_then(|m| m.continuing_subword_prefix.clone());
            Script::WordPiece { prefix: prefix.unwrap_or_else(|| "##".into()) }
        } else if parts.iter().any(|p| has_step(*p, "ByteLevel")) {
            Script::ByteLevel
        } else if parts.iter().any(|p| has_step(*p, "Metaspace") || steps(*p).iter().any(marks_space)) {
            Script::Metaspace
        } else {
            Script::Plain
        };
        let byte_fallback = model.and_then(|m| m.byte_fallback).unwrap_or(false)
            || has_step(skeleton.decoder.as_ref(), "ByteFallback") && script != Script::ByteLevel;
        let end_of_word = model.and_then(|m| m.end_of_word_suffix.clone()).filter(|s| !s.is_empty());
        Self { script, byte_fallback, end_of_word }
    }

    /// The byte that a byte-fallback token stands for.
    pub fn fallback_byte(&self, raw: &str) -> Option<u8> {
        if !self.byte_fallback {
            return None;
        }
        let digits = raw.strip_prefix("<0x")?.strip_suffix('>')?;
        (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u8::from_str_radix(digits, 16).ok())
            .flatten()
    }

    /// The bytes that a token of the model's vocabulary stands for, byte fallback apart.
    pub fn bytes(&self, raw: &str) -> Vec<u8> {
        let (raw, word_ends) = match self.end_of_word.as_deref().and_then(|s| raw.strip_suffix(s)) {
            Some(stem) => (stem, true),
            None => (raw, false),
        };
        let mut bytes = match &self.script {
            Script::ByteLevel => from_byte_level(raw).unwrap_or_else(|| raw.as_bytes().to_vec()),
            Script::Metaspace => raw.replace(METASPACE, " ").into_bytes(),
            Script::WordPiece { prefix } => match raw.strip_prefix(prefix.as_str()) {
                Some(rest) if !prefix.is_empty() && !rest.is_empty() => rest.as_bytes().to_vec(),
                _ => format!(" {raw}").into_bytes(),
            },
            Script::Plain => raw.as_bytes().to_vec(),
        };
        if word_ends {
            bytes.push(b' ');
        }
        bytes
    }

    /// What the model is given for these bytes: the inverse of [`Alphabet::bytes`] for a run of text. `None` where
    /// they cannot be written: bytes that are not UTF-8, except at the byte level. WordPiece marks belong to pieces
    /// and not to text, so its text is `None` too.
    pub fn model_input(&self, bytes: &[u8]) -> Option<String> {
        match self.script {
            Script::ByteLevel => Some(to_byte_level(bytes)),
            Script::Metaspace => Some(std::str::from_utf8(bytes).ok()?.replace(' ', "▁")),
            Script::Plain => Some(std::str::from_utf8(bytes).ok()?.to_owned()),
            Script::WordPiece { .. } => None,
        }
    }
}

/// The character that stands for a byte: printable Latin-1 for itself, the other 68 in order from U+0100.
/// Source: Radford et al. 2019 (GPT-2), the table that every byte-level tokenizer uses.
fn byte_character(byte: u8) -> char {
    let code = match byte {
        0..=0x20 => 0x100 + u32::from(byte),
        0x7f..=0xa0 => 0x121 + u32::from(byte - 0x7f),
        0xad => 0x143,
        _ => u32::from(byte),
    };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte that a character of the byte-level alphabet stands for.
fn character_byte(c: char) -> Option<u8> {
    match u32::from(c) {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => u8::try_from(code).ok(),
        code @ 0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        code @ 0x121..=0x142 => u8::try_from(code - 0x121 + 0x7f).ok(),
        0x143 => Some(0xad),
        _ => None,
    }
}

fn from_byte_level(raw: &str) -> Option<Vec<u8>> {
    raw.chars().map(character_byte).collect()
}

fn to_byte_level(bytes: &[u8]) -> String {
    bytes.iter().map(|b| byte_character(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alphabet(script: Script) -> Alphabet {
        Alphabet { script, byte_fallback: true, end_of_word: None }
    }

    #[test]
    fn every_byte_has_its_own_character_and_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = to_byte_level(&all);
        assert_eq!(text.chars().collect::<std::collections::HashSet<_>>().len(), 256);
        assert_eq!(from_byte_level(&text), Some(all));
        // Reference: tokenizers.pre_tokenizers.ByteLevel.alphabet() and its well-known members.
        assert_eq!(to_byte_level(" ş\n".as_bytes()), "ĠÅŁĊ");
        assert_eq!(to_byte_level(&[0x7f, 0xa0, 0xad]), "ġłŃ");
    }

    #[test]
    fn the_same_word_has_the_same_bytes_in_every_alphabet() {
        let expected = " şu".as_bytes();
        assert_eq!(alphabet(Script::ByteLevel).bytes("ĠÅŁu"), expected);
        assert_eq!(alphabet(Script::Metaspace).bytes("▁şu"), expected);
        assert_eq!(alphabet(Script::WordPiece { prefix: "##".into() }).bytes("şu"), expected);
        assert_eq!(alphabet(Script::WordPiece { prefix: "##".into() }).bytes("##şu"), &expected[1..]);
    }

    #[test]
    fn only_well_formed_byte_tokens_stand_for_a_byte() {
        let a = alphabet(Script::Metaspace);
        assert_eq!(
            (a.fallback_byte("<0x0A>"), a.fallback_byte("<0x+A>"), a.fallback_byte("<0x100>")),
            (Some(10), None, None)
        );
        assert_eq!(Alphabet { byte_fallback: false, ..a }.fallback_byte("<0x0A>"), None);
    }

    #[test]
    fn letters_added_to_a_byte_level_vocabulary_are_read_as_text() {
        assert_eq!(alphabet(Script::ByteLevel).bytes("日"), "日".as_bytes());
    }
}
