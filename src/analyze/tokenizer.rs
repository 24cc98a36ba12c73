//! What is in a tokenizer's file or folder? Opens it, reads its vocabulary as bytes, and keeps the encoder. What two
//! tokenizers have in common is not known here.

use super::alphabet::{Alphabet, Script};
use super::error::AnalyzeError;
use super::roles::Specials;
use super::skeleton::{ModelKind, Skeleton};
use crate::domain::profile::TokenizerSummary;
use crate::domain::vocabulary::{Role, Token, TokenKind, Vocabulary};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// No real tokenizer has more tokens; a file that claims more is refused before anything is built from it.
const MOST_TOKENS: u64 = 4_000_000;
/// The same for merges.
const MOST_MERGES: u64 = 8_000_000;
/// The same for the file itself, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// A tokenizer, opened.
pub struct TokenizerFile {
    /// What the user called it.
    pub name: String,
    /// The tokenizer.json itself.
    pub path: PathBuf,
    /// sha256 (hex) of that file.
    pub sha256: String,
    /// Its tokens as the bytes they stand for.
    pub vocabulary: Vocabulary,
    /// The encoder; truncation and padding are off.
    pub tokenizer: Tokenizer,
    /// Whether a chat template lies beside it.
    pub has_chat_template: bool,
    pub(super) skeleton: Skeleton,
    pub(super) alphabet: Alphabet,
    pub(super) kind: ModelKind,
}

impl TokenizerFile {
    /// Opens a tokenizer.json, or the one in a folder.
    ///
    /// # Errors
    /// [`AnalyzeError`] when there is none, or when it is not JSON, has no vocabulary or an unknown kind of model.
    pub fn open(path: &Path) -> Result<Self, AnalyzeError> {
        let file = if path.is_dir() { path.join("tokenizer.json") } else { path.to_owned() };
        let io = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => AnalyzeError::NotFound { path: path.to_owned() },
            _ => AnalyzeError::Io { path: file.clone(), source },
        };
        let bytes = std::fs::metadata(&file).map_err(io)?.len();
        if bytes > MOST_BYTES {
            let reason = format!("{bytes} bytes are more than any tokenizer has");
            return Err(AnalyzeError::Malformed { path: file, reason });
        }
        let json = std::fs::read(&file).map_err(io)?;
        let beside = |name: &str| file.parent().and_then(|folder| std::fs::read(folder.join(name)).ok());
        let config = beside("tokenizer_config.json").or_else(|| beside("special_tokens_map.json"));
        let config: Option<Value> = config.and_then(|json| serde_json::from_slice(&json).ok());
        let has_chat_template = beside("chat_template.jinja").is_some()
            || config.as_ref().is_some_and(|c| c.get("chat_template").is_some_and(|t| !t.is_null()));
        let opened = Self::from_json(&json, config.as_ref(), &file)?;
        Ok(Self { name: path.display().to_string(), has_chat_template, ..opened })
    }

    /// From the contents of a tokenizer.json; `config` is its tokenizer_config.json, `path` what to call it.
    ///
    /// # Errors
    /// As [`TokenizerFile::open`].
    pub fn from_json(json: &[u8], config: Option<&Value>, path: &Path) -> Result<Self, AnalyzeError> {
        let path = path.to_owned();
        let skeleton: Skeleton = match serde_json::from_slice(json) {
            Ok(skeleton) => skeleton,
            Err(e) if e.is_data() => return Err(AnalyzeError::Malformed { path, reason: e.to_string() }),
            Err(e) => return Err(AnalyzeError::NotJson { path, reason: e.to_string() }),
        };
        let Some((model, vocab)) = skeleton.model.as_ref().and_then(|m| Some((m, m.vocab?))) else {
            return Err(AnalyzeError::NoVocabulary { path });
        };
        let kind = match model.kind() {
            Ok(kind) => kind,
            Err(model) => return Err(AnalyzeError::UnknownModel { path, model }),
        };
        let merges = model.merges.map_or(0, |m| m.count);
        if vocab.count == 0 {
            return Err(AnalyzeError::NoVocabulary { path });
        }
        if vocab.count > MOST_TOKENS || merges > MOST_MERGES {
            let reason = format!("{} tokens and {merges} merges are more than any tokenizer has", vocab.count);
            return Err(AnalyzeError::Malformed { path, reason });
        }
        let tokenizer = match encoder(json) {
            Ok(tokenizer) => tokenizer,
            Err(reason) => return Err(AnalyzeError::Malformed { path, reason }),
        };
        let alphabet = Alphabet::of(&skeleton, kind);
        let ids = tokenizer.get_vocab(true);
        let Some(highest) = ids.values().max().copied() else {
            return Err(AnalyzeError::NoVocabulary { path });
        };
        if u64::from(highest) > MOST_TOKENS {
            let reason = format!("token id {highest} is higher than any tokenizer has");
            return Err(AnalyzeError::Malformed { path, reason });
        }
        let specials = Specials::of(&skeleton, config, &ids);
        let vocabulary = vocabulary(ids, highest, &tokenizer, &alphabet, specials);
        Ok(Self {
            name: path.display().to_string(),
            sha256: Sha256::digest(json).iter().map(|b| format!("{b:02x}")).collect(),
            path,
            vocabulary,
            tokenizer,
            has_chat_template: config.is_some_and(|c| c.get("chat_template").is_some()),
            skeleton,
            alphabet,
            kind,
        })
    }

    /// The tokenizer in short.
    pub fn summary(&self) -> TokenizerSummary {
        let special = self.vocabulary.iter().filter(|(_, t)| t.kind == TokenKind::Special).count();
        TokenizerSummary {
            name: self.name.clone(),
            sha256: self.sha256.clone(),
            model: self.kind.name().into(),
            alphabet: self.alphabet.script.name().into(),
            byte_fallback: self.alphabet.byte_fallback || self.alphabet.script == Script::ByteLevel,
            tokens: self.vocabulary.len() as u64,
            special_tokens: special as u64,
            rows: self.vocabulary.rows() as u64,
        }
    }

    /// The token that stands for what cannot be written.
    pub fn unknown(&self) -> Option<u32> {
        self.vocabulary.role(&Role::Unk)
    }
}

/// The encoder of a tokenizer.json, with truncation and padding off.
fn encoder(json: &[u8]) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_bytes(json).map_err(|e| e.to_string())?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
    Ok(tokenizer)
}

/// Tokens by id, each with its bytes and kind.
fn vocabulary(
    ids: HashMap<String, u32>,
    highest: u32,
    tokenizer: &Tokenizer,
    alphabet: &Alphabet,
    specials: Specials,
) -> Vocabulary {
    let added = tokenizer.get_added_vocabulary().get_added_tokens_decoder();
    let mut tokens = vec![None; highest as usize + 1];
    for (raw, id) in ids {
        let (bytes, kind) = if specials.ids.contains(&id) {
            (Vec::new(), TokenKind::Special)
        } else if let Some(byte) = alphabet.fallback_byte(&raw) {
            (vec![byte], TokenKind::Byte)
        } else if added.get(&id).is_some_and(|t| t.content == raw) {
            // An added token is found in the text as it is written.
            (raw.clone().into_bytes(), TokenKind::Text)
        } else {
            (alphabet.bytes(&raw), TokenKind::Text)
        };
        if let Some(place) = tokens.get_mut(id as usize) {
            *place = Some(Token { raw, bytes, kind });
        }
    }
    Vocabulary::new(tokens, specials.roles)
}
