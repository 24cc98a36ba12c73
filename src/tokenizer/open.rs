//! What is in a tokenizer's file or folder? Opens it, reads its vocabulary as bytes, and keeps the encoder. What two
//! tokenizers have in common is not known here.

use super::alphabet::{Alphabet, Script};
use super::bpe_encoder::BpeEncoder;
use super::error::TokenizerError;
use super::fast_path::FastPath;
use super::files;
use super::locate::{Hub, find};
use super::sentencepiece::tokenizer_json;
use super::special_tokens::SpecialTokens;
use super::tokenizer_json::{Added, Merges, Model, ModelKind, TokenizerJson, VocabField, by_text, exploding_regex};
use crate::domain::profile::TokenizerSummary;
use crate::domain::vocabulary::{Role, Token, TokenKind, Vocabulary};
use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokenizers::models::bpe::{self, BPE};
use tokenizers::{
    AddedToken, DecoderWrapper, Model as _, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer,
};

/// No real tokenizer's file has more bytes.
const MOST_BYTES: u64 = 256 << 20;

/// A tokenizer, opened.
pub struct TokenizerFile {
    /// What the user called it.
    pub name: String,
    /// The tokenizer.json itself, with what belongs to it beside it; of a SentencePiece model what it was turned into,
    /// which is there as long as this is.
    pub path: PathBuf,
    #[expect(dead_code, reason = "held so that the folder is there as long as this")]
    converted: Option<TempDir>,
    /// sha256 (hex) of that file.
    pub sha256: String,
    /// Its tokens as the bytes they stand for.
    pub vocabulary: Vocabulary,
    /// The encoder; truncation and padding are off.
    pub tokenizer: Tokenizer,
    /// Whether a chat template lies beside it.
    pub has_chat_template: bool,
    pub(crate) skeleton: TokenizerJson,
    pub(crate) alphabet: Alphabet,
    pub(crate) kind: ModelKind,
    /// The short way through the model, where there is one.
    pub(crate) merger: Option<BpeEncoder>,
    /// What may go that way.
    pub(crate) direct: FastPath,
}

impl TokenizerFile {
    /// Opens a tokenizer.json, a SentencePiece .model, the one in a folder, or that of a Hub id.
    ///
    /// # Errors
    /// [`TokenizerError`] when there is none, or when it is not JSON, has no vocabulary or an unknown kind of model.
    pub fn open(path: &Path) -> Result<Self, TokenizerError> {
        let file = find(path, &Hub::from_env())?;
        let bytes = read(&file)?;
        let beside = |name: &str| file.parent().and_then(|folder| std::fs::read(folder.join(name)).ok());
        let config = beside("tokenizer_config.json").or_else(|| beside("special_tokens_map.json"));
        let config: Option<Value> = config.and_then(|json| serde_json::from_slice(&json).ok());
        let has_chat_template = beside("chat_template.jinja").is_some()
            || config.as_ref().is_some_and(|c| c.get("chat_template").is_some_and(|t| !t.is_null()));
        let opened = if file.extension().is_some_and(|e| e == "model") {
            let malformed = |reason| TokenizerError::Malformed { path: file.clone(), reason };
            let json = tokenizer_json(&bytes).map_err(malformed)?;
            let opened = Self::from_json(json.as_slice(), config.as_ref(), &file)?;
            let (folder, path) = laid_out(&json, &file)?;
            Self { sha256: HEXLOWER.encode(&Sha256::digest(&bytes)), path, converted: Some(folder), ..opened }
        } else {
            Self::from_json(bytes, config.as_ref(), &file)?
        };
        Ok(Self { name: path.display().to_string(), has_chat_template, ..opened })
    }

    /// sha256 (hex) of the file that [`TokenizerFile::open`] would open and of what lies beside it, without opening it.
    ///
    /// # Errors
    /// [`TokenizerError`] when there is none or it cannot be read.
    pub fn fingerprint(path: &Path) -> Result<String, TokenizerError> {
        let file = find(path, &Hub::from_env())?;
        let mut hash = Sha256::new();
        let io = |source| TokenizerError::Io { path: file.clone(), source };
        let mut opened = std::io::BufReader::with_capacity(1 << 16, std::fs::File::open(&file).map_err(io)?);
        loop {
            let bytes = opened.fill_buf().map_err(io)?;
            if bytes.is_empty() {
                break;
            }
            hash.update(bytes);
            let read = bytes.len();
            opened.consume(read);
        }
        for (name, path) in files::companions_of(&file) {
            let io = |source| TokenizerError::Io { path: path.clone(), source };
            hash.update(Sha256::digest(name));
            hash.update(Sha256::digest(std::fs::read(&path).map_err(io)?));
        }
        Ok(HEXLOWER.encode(&hash.finalize()))
    }

    /// From the contents of a tokenizer.json; `config` is its tokenizer_config.json, `path` what to call it.
    ///
    /// # Errors
    /// As [`TokenizerFile::open`].
    pub fn from_json<'j>(
        json: impl Into<Cow<'j, [u8]>>,
        config: Option<&Value>,
        path: &Path,
    ) -> Result<Self, TokenizerError> {
        let (path, json) = (path.to_owned(), json.into());
        let (skeleton, sha256) =
            rayon::join(|| serde_json::from_slice::<TokenizerJson>(&json), || Sha256::digest(&json));
        let mut skeleton = match skeleton {
            Ok(skeleton) => skeleton,
            Err(e) if e.is_data() => return Err(TokenizerError::Malformed { path, reason: e.to_string() }),
            Err(e) => return Err(TokenizerError::NotJson { path, reason: e.to_string() }),
        };
        let Some(model) = skeleton.model.as_mut().filter(|m| m.vocab.as_ref().is_some_and(|v| v.len() > 0)) else {
            return Err(TokenizerError::NoVocabulary { path });
        };
        let kind = match model.kind() {
            Ok(kind) => kind,
            Err(model) => return Err(TokenizerError::UnknownModel { path, model }),
        };
        let (vocab, merges) = (model.vocab.take(), model.merges.take());
        if let Some(regex) = exploding_regex(&skeleton) {
            let reason = format!("matching its expression {regex:?} may take exponential time");
            return Err(TokenizerError::Malformed { path, reason });
        }
        let by_text = match &vocab {
            Some(VocabField::Ids(ids)) => Some(by_text(ids)).transpose(),
            _ => Ok(None),
        };
        let by_text = match by_text {
            Ok(by_text) => by_text,
            Err(reason) => return Err(TokenizerError::Malformed { path, reason }),
        };
        let merger = match (kind, by_text, &merges, &skeleton.model) {
            (ModelKind::Bpe, Some(by_text), Some(Merges(merges)), Some(model)) => {
                BpeEncoder::of(model, &by_text, merges)
            }
            _ => None,
        };
        let (tokenizer, ids) = match encoder(json, &skeleton, kind, vocab, merges) {
            Ok(encoder) => encoder,
            Err(reason) => return Err(TokenizerError::Malformed { path, reason }),
        };
        let alphabet = Alphabet::of(&skeleton, kind);
        let specials = SpecialTokens::of(&skeleton, config, |name| tokenizer.token_to_id(name));
        let vocabulary = vocabulary(ids, &tokenizer, &alphabet, specials);
        let direct = FastPath::of(&skeleton, &alphabet);
        Ok(Self {
            name: path.display().to_string(),
            sha256: HEXLOWER.encode(&sha256),
            path,
            converted: None,
            vocabulary,
            tokenizer,
            has_chat_template: config.is_some_and(|c| c.get("chat_template").is_some()),
            skeleton,
            alphabet,
            kind,
            merger,
            direct,
        })
    }

    /// Appends the tokens that the model makes of a word by itself; `false` where it cannot be asked.
    pub(crate) fn tokens_of_word(&self, word: &str, ids: &mut Vec<u32>) -> bool {
        if self.merger.as_ref().is_some_and(|m| m.tokenize(word, ids)) {
            return true;
        }
        let Ok(tokens) = self.tokenizer.get_model().tokenize(word) else { return false };
        ids.extend(tokens.iter().map(|t| t.id));
        true
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

/// A folder with a tokenizer.json and copies of what lies beside the file it was made from.
fn laid_out(json: &[u8], beside: &Path) -> Result<(TempDir, PathBuf), TokenizerError> {
    let io = |source| TokenizerError::Io { path: beside.to_owned(), source };
    let folder = tempfile::Builder::new().prefix("hibrit-").tempdir().map_err(io)?;
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, json).map_err(io)?;
    files::copy(&files::companions_of(beside), folder.path())?;
    Ok((folder, path))
}

/// The contents of a tokenizer's file.
fn read(file: &Path) -> Result<Vec<u8>, TokenizerError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => TokenizerError::NotFound { path: file.to_owned() },
        _ => TokenizerError::Io { path: file.to_owned(), source },
    };
    let bytes = std::fs::metadata(file).map_err(io)?.len();
    if bytes > MOST_BYTES {
        let reason = format!("{bytes} bytes are more than any tokenizer has");
        return Err(TokenizerError::Malformed { path: file.to_owned(), reason });
    }
    std::fs::read(file).map_err(io)
}

/// The encoder of a tokenizer.json, with truncation and padding off, and the model's tokens with their ids.
///
/// A BPE is built from the lists that were read already: reading a large file a second time, the library's way, takes
/// longer than all the rest.
fn encoder(
    json: Cow<'_, [u8]>,
    skeleton: &TokenizerJson,
    kind: ModelKind,
    vocab: Option<VocabField>,
    merges: Option<Merges>,
) -> Result<(Tokenizer, Vec<(String, u32)>), String> {
    // The library panics on some contradictions (a merge shorter than its prefix); a panic there is the file's fault.
    let guarded = std::panic::AssertUnwindSafe(|| match (kind, vocab, merges, &skeleton.model) {
        (ModelKind::Bpe, Some(VocabField::Ids(ids)), Some(Merges(merges)), Some(model)) => {
            drop(json);
            let order: Vec<u32> = ids.iter().map(|(_, id)| *id).collect();
            let bpe = byte_pairs(model, ids, merges).map_err(|e| e.to_string())?;
            let ids = order.into_iter().filter_map(|id| Some((bpe.id_to_token(id)?, id))).collect();
            Ok((assemble(skeleton, bpe)?, ids))
        }
        _ => {
            let tokenizer = Tokenizer::from_bytes(&json).map_err(|e| e.to_string())?;
            let ids: Vec<(String, u32)> = tokenizer.get_vocab(false).into_iter().collect();
            Ok::<_, String>((tokenizer, ids))
        }
    });
    let (mut tokenizer, ids) =
        std::panic::catch_unwind(guarded).unwrap_or_else(|_| Err("its parts contradict each other".into()))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
    Ok((tokenizer, ids))
}

/// The BPE of these lists and the model's small fields.
fn byte_pairs(model: &Model, ids: Vec<(String, u32)>, merges: Vec<(String, String)>) -> tokenizers::Result<BPE> {
    let vocab: bpe::Vocab = ids.into_iter().collect();
    let mut builder = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .fuse_unk(model.fuse_unk.unwrap_or(false))
        .byte_fallback(model.byte_fallback.unwrap_or(false))
        .ignore_merges(model.ignore_merges.unwrap_or(false));
    if let Some(dropout) = model.dropout {
        builder = builder.dropout(dropout as f32);
    }
    if let Some(unknown) = &model.unk_token {
        builder = builder.unk_token(unknown.clone());
    }
    if let Some(prefix) = &model.continuing_subword_prefix {
        builder = builder.continuing_subword_prefix(prefix.clone());
    }
    if let Some(suffix) = &model.end_of_word_suffix {
        builder = builder.end_of_word_suffix(suffix.clone());
    }
    builder.build()
}

/// A tokenizer of this model and the file's steps and added tokens.
fn assemble(skeleton: &TokenizerJson, model: BPE) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(step::<NormalizerWrapper>(skeleton.normalizer.as_ref())?)
        .with_pre_tokenizer(step::<PreTokenizerWrapper>(skeleton.pre_tokenizer.as_ref())?)
        .with_post_processor(step::<PostProcessorWrapper>(skeleton.post_processor.as_ref())?)
        .with_decoder(step::<DecoderWrapper>(skeleton.decoder.as_ref())?);
    let added: Vec<AddedToken> = skeleton.added_tokens.iter().flatten().map(Added::token).collect();
    tokenizer.add_tokens(&added);
    Ok(tokenizer)
}

/// A step of the file as the library knows it.
fn step<T: serde::de::DeserializeOwned>(step: Option<&Value>) -> Result<Option<T>, String> {
    step.filter(|s| !s.is_null()).map(T::deserialize).transpose().map_err(|e| e.to_string())
}

/// Tokens by id, each with its bytes and kind.
fn vocabulary(
    ids: Vec<(String, u32)>,
    tokenizer: &Tokenizer,
    alphabet: &Alphabet,
    specials: SpecialTokens,
) -> Vocabulary {
    let added = tokenizer.get_added_vocabulary().get_added_tokens_decoder();
    let rows = ids.iter().map(|(_, id)| *id).chain(added.keys().copied()).max().map_or(0, |id| id as usize + 1);
    let mut tokens = vec![None; rows];
    for (raw, id) in ids {
        let (bytes, kind) = if let Some(byte) = alphabet.fallback_byte(&raw) {
            (vec![byte], TokenKind::Byte)
        } else {
            (alphabet.bytes(&raw), TokenKind::Text)
        };
        if let Some(place) = tokens.get_mut(id as usize) {
            *place = Some(Token { raw, bytes, kind });
        }
    }
    for (id, token) in added {
        // An added token is found in the text as it is written.
        let (raw, bytes) = (token.content.clone(), token.content.clone().into_bytes());
        if let Some(place) = tokens.get_mut(*id as usize) {
            *place = Some(Token { raw, bytes, kind: TokenKind::Text });
        }
    }
    for id in &specials.ids {
        if let Some(Some(token)) = tokens.get_mut(*id as usize) {
            token.bytes = Vec::new();
            token.kind = TokenKind::Special;
        }
    }
    Vocabulary::new(tokens, specials.roles)
}
