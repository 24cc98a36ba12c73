//! What the user does with a single model or tokenizer: measure, let it write, merge, export, train a tokenizer.

use super::{AppError, must_be_free, write_whole};
use crate::corpus::{Corpus, CorpusOptions};
use crate::domain::outcome::{Evaluation, Side};
use crate::domain::vocabulary::{Role, TokenKind, Vocabulary};
use crate::model::generate::{self, Choice};
use crate::model::structural_folder::{self, View, Views};
use crate::model::write_complete;
use crate::model::{Decoder, Dtype, ModelFolder};
use crate::model::{adapter, device};
use crate::tokenizer::TokenizerFile;
use crate::tokenizer::{self, BpeConfig, BpeKind, Coder};
use crate::tokenizer::{TokenizerFiles, Tokens};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A model to measure.
#[derive(Debug, Clone)]
pub struct EvalRequest {
    /// The model's folder.
    pub model: PathBuf,
    /// An adapter on it.
    pub adapter: Option<PathBuf>,
    /// The tokenizer whose tokens the equivalent loss counts; the model's own where absent.
    pub source: Option<PathBuf>,
    /// Text.
    pub corpus: Vec<PathBuf>,
    /// No more of the text than this.
    pub bytes: u64,
    /// Context, in bytes of text.
    pub window: usize,
    /// Of a structural model: which of its tokenizers the text goes through.
    pub view: View,
    /// Where to run.
    pub device: String,
    /// How text is read.
    pub reading: CorpusOptions,
}

/// A model with its tokenizers, loaded.
pub(super) struct Loaded {
    pub(super) folder: ModelFolder,
    pub(super) decoder: Decoder,
    pub(super) tokenizer: TokenizerFile,
    /// The second one of a structural model.
    pub(super) second: Option<TokenizerFile>,
}

impl Loaded {
    /// Its tokenizers as views; the candidate's is the original where it has but one.
    fn coders(&self) -> Result<(Coder, Coder), AppError> {
        let of = |t: &TokenizerFile| Coder::of(t.tokenizer.clone(), &t.vocabulary);
        Ok((of(&self.tokenizer)?, of(self.second.as_ref().unwrap_or(&self.tokenizer))?))
    }

    fn side(&self, side: Side) -> &TokenizerFile {
        match (side, &self.second) {
            (Side::Candidate, Some(second)) => second,
            _ => &self.tokenizer,
        }
    }
}

/// The tokenizer of a model's folder; the model must have a row for each of its tokens.
pub(super) fn own_tokenizer(folder: &ModelFolder) -> Result<TokenizerFile, AppError> {
    let tokenizer = TokenizerFile::open(folder.path())?;
    fits(folder.path(), folder.config().size.rows, &tokenizer)?;
    Ok(tokenizer)
}

fn fits(model: &Path, rows: usize, tokenizer: &TokenizerFile) -> Result<(), AppError> {
    let tokens = tokenizer.vocabulary.rows();
    if tokens > rows {
        return Err(AppError::TooFewRows { model: model.into(), rows, tokens });
    }
    Ok(())
}

pub(super) fn load(model: &Path, with: Option<&Path>, on: &str) -> Result<Loaded, AppError> {
    let device = device::choose(on)?;
    let folder = ModelFolder::open(model)?;
    let mut decoder = folder.load(&device.device)?;
    // Adapters first: they may bring a larger vocabulary, and its tokenizer lies beside them.
    let mut tokenizer = None;
    if let Some(path) = with {
        decoder = adapter::load(path, decoder)?;
        if path.join("tokenizer.json").is_file() {
            tokenizer = Some(TokenizerFile::open(path)?);
        }
    }
    let tokenizer = match tokenizer {
        Some(own) => own,
        None => TokenizerFile::open(model)?,
    };
    fits(model, decoder.config().size.rows, &tokenizer)?;
    let mut second = None;
    if structural_folder::is_structural(model) {
        decoder = structural_folder::attach(model, decoder)?;
        let own = TokenizerFile::open(&model.join(structural_folder::CANDIDATE))?;
        fits(model, decoder.second_rows().unwrap_or(0), &own)?;
        second = Some(own);
    }
    Ok(Loaded { folder, decoder, tokenizer, second })
}

/// What a kind of token costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ClassCost {
    /// Tokens scored.
    pub tokens: u64,
    /// Their nats.
    pub nats: f64,
    /// Bytes they stand for.
    pub bytes: u64,
}

/// A model measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// The whole.
    pub evaluation: Evaluation,
    /// By kind of token: `digit`; `shared` and `new`, by whether the original tokenizer has a token of the same bytes;
    /// `byte` for byte fallback; `special`.
    pub classes: BTreeMap<&'static str, ClassCost>,
}

/// The kind of a token.
fn class(id: u32, own: &Vocabulary, original: &Vocabulary) -> &'static str {
    let Some(token) = own.get(id) else { return "special" };
    match token.kind {
        TokenKind::Special => "special",
        TokenKind::Byte => "byte",
        TokenKind::Text => {
            let bytes = token.bytes.strip_prefix(b" ").unwrap_or(&token.bytes);
            let digits = std::str::from_utf8(bytes).is_ok_and(|t| !t.is_empty() && t.chars().all(char::is_numeric));
            match original.by_bytes(&token.bytes) {
                _ if digits => "digit",
                Some(_) => "shared",
                None => "new",
            }
        }
    }
}

/// Measures a model on a text.
pub fn evaluate(request: &EvalRequest) -> Result<Measured, AppError> {
    let model = load(&request.model, request.adapter.as_deref(), &request.device)?;
    let documents = Corpus::open(&request.corpus, &request.reading)?.collect(Some(request.bytes))?;
    let (original, candidate) = model.coders()?;
    let source = request.source.as_deref().map(TokenizerFile::open).transpose()?;
    let source_tokens = match &source {
        Some(source) => Coder::of(source.tokenizer.clone(), &source.vocabulary)?.count(&documents)?,
        None => original.count(&documents)?,
    };
    let views = Views::new(&original, candidate, &model.decoder);
    let held_out = views.held_out(request.view, &documents, source_tokens, request.window)?;
    let compared = &source.as_ref().unwrap_or(&model.tokenizer).vocabulary;
    let mut classes: BTreeMap<&'static str, ClassCost> = BTreeMap::new();
    let first = model.decoder.first_id(Side::Candidate);
    let scores = held_out.evaluate_noting(&model.decoder, &mut |id, nats| {
        let (side, id) = if id < first { (Side::Source, id) } else { (Side::Candidate, id - first) };
        let own = &model.side(side).vocabulary;
        let cost = classes.entry(class(id, own, compared)).or_default();
        cost.tokens += 1;
        cost.nats += f64::from(nats);
        cost.bytes += own.get(id).map_or(0, |t| t.bytes.len() as u64);
    })?;
    Ok(Measured { evaluation: scores.evaluation, classes })
}

/// A text to go on with.
#[derive(Debug, Clone)]
pub struct GenerateRequest {
    /// The model's folder.
    pub model: PathBuf,
    /// An adapter on it.
    pub adapter: Option<PathBuf>,
    /// The beginning.
    pub prompt: String,
    /// Tokens at most.
    pub tokens: usize,
    /// 0 is greedy.
    pub temperature: f32,
    /// Only the likeliest tokens that together reach this probability.
    pub top_p: f32,
    /// Only so many tokens; 0 keeps all.
    pub top_k: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Of a structural model: which of its tokenizers is read and written with.
    pub view: View,
    /// Where to run.
    pub device: String,
}

/// Goes on from a prompt; `listen` hears the text as it comes.
pub fn generate(request: &GenerateRequest, listen: &mut dyn FnMut(&str)) -> Result<String, AppError> {
    let model = load(&request.model, request.adapter.as_deref(), &request.device)?;
    let choice = match request.temperature {
        t if t > 0.0 => {
            Choice::Sampled { temperature: t, top_p: request.top_p, top_k: request.top_k, seed: request.seed }
        }
        _ => Choice::Greedy,
    };
    let wanted = |vocabulary: &Vocabulary| {
        let stop = [Role::Eos, Role::TurnEnd].iter().filter_map(|r| vocabulary.role(r)).collect();
        generate::GenerateOptions { choice, limit: request.tokens, stop, rows: Some(vocabulary.rows()) }
    };
    if model.second.is_none() {
        let own = wanted(&model.tokenizer.vocabulary);
        return Ok(generate::text(&model.decoder, &model.tokenizer.tokenizer, &request.prompt, &own, listen)?.0);
    }
    // A structural model reads the prompt span by span if asked to, and goes on in the vocabulary of the last span.
    let (original, candidate) = model.coders()?;
    let views = Views::new(&original, candidate, &model.decoder);
    let prompt = views.encode(request.view, &request.prompt)?;
    let ids = match request.view {
        View::Auto => {
            // What the original's tokenizer sets before a text, then the spans.
            let mut ids = generate::prompt_ids(&model.tokenizer.tokenizer, "")?;
            ids.extend(prompt.encoded.ids);
            ids
        }
        View::Original | View::Candidate => {
            let own = generate::prompt_ids(&model.side(prompt.last).tokenizer, &request.prompt)?;
            own.into_iter().map(|id| id + model.decoder.first_id(prompt.last)).collect()
        }
    };
    let file = model.side(prompt.last);
    let own = wanted(&file.vocabulary);
    Ok(generate::text_towards(&model.decoder, (prompt.last, &file.tokenizer), &ids, &own, listen)?.0)
}

/// An adapter to merge.
#[derive(Debug, Clone)]
pub struct MergeRequest {
    /// The base model's folder.
    pub model: PathBuf,
    /// The adapter.
    pub adapter: PathBuf,
    /// How weights are stored; as the base's where absent.
    pub dtype: Option<Dtype>,
    /// A free folder.
    pub out: PathBuf,
}

/// Merges an adapter into its base; a complete folder comes out.
pub fn merge(request: &MergeRequest) -> Result<(), AppError> {
    must_be_free(&request.out)?;
    let model = load(&request.model, Some(&request.adapter), "cpu")?;
    let dtype = request.dtype.unwrap_or(model.folder.dtype());
    write_plain(&request.out, &model.decoder.merged(), &model.folder, (&model.tokenizer, false), dtype)
}

/// A side of a structural model to be taken out.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// The structural model's folder.
    pub model: PathBuf,
    /// Which side.
    pub side: Side,
    /// How weights are stored; as the structural model's where absent.
    pub dtype: Option<Dtype>,
    /// A free folder.
    pub out: PathBuf,
}

/// Writes one side of a structural model as a plain, complete folder.
pub fn export_side(request: &ExportRequest) -> Result<(), AppError> {
    must_be_free(&request.out)?;
    let model = load(&request.model, None, "cpu")?;
    let plain = model.decoder.clone().plain(request.side)?;
    let dtype = request.dtype.unwrap_or(model.folder.dtype());
    let tokens = (model.side(request.side), request.side == Side::Candidate);
    write_plain(&request.out, &plain, &model.folder, tokens, dtype)
}

fn write_plain(
    out: &Path,
    model: &Decoder,
    base: &ModelFolder,
    (tokenizer, moved): (&TokenizerFile, bool),
    dtype: Dtype,
) -> Result<(), AppError> {
    let coder = Coder::of(tokenizer.tokenizer.clone(), &tokenizer.vocabulary)?;
    let files = TokenizerFiles::beside(&tokenizer.path);
    let tokens = Tokens { coder: &coder, vocabulary: &tokenizer.vocabulary, files: &files };
    beside(out, |folder| Ok(write_complete(folder, model, base, &tokens, moved, dtype)?))
}

/// Lets a folder be made beside its place, then renames it: it is there whole or not at all.
pub(super) fn beside(out: &Path, make: impl FnOnce(&Path) -> Result<(), AppError>) -> Result<(), AppError> {
    let fail = |source| AppError::File { verb: "write", path: out.into(), source };
    let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(fail)?;
    let made = tempfile::Builder::new().prefix(".writing-").tempdir_in(parent).map_err(fail)?;
    make(made.path())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(made.path(), std::fs::Permissions::from_mode(0o755)).map_err(fail)?;
    }
    // An empty folder may stand in the place.
    match std::fs::remove_dir(out) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {}
    }
    std::fs::rename(made.keep(), out).map_err(fail)
}

/// A tokenizer to train.
#[derive(Debug, Clone)]
pub struct TokenizerRequest {
    /// Text.
    pub corpus: Vec<PathBuf>,
    /// Tokens in all.
    pub vocabulary: usize,
    /// Words marked by a metaspace with byte fallback, instead of the byte-level alphabet.
    pub metaspace: bool,
    /// A free folder.
    pub out: PathBuf,
    /// How text is read.
    pub reading: CorpusOptions,
}

/// Trains a BPE tokenizer from scratch; how many tokens it has.
pub fn train_tokenizer(request: &TokenizerRequest) -> Result<usize, AppError> {
    must_be_free(&request.out)?;
    let documents = Corpus::open(&request.corpus, &request.reading)?.collect(None)?;
    let kind = if request.metaspace { BpeKind::Metaspace } else { BpeKind::ByteLevel };
    let config = BpeConfig { vocab: request.vocabulary, kind, ..BpeConfig::default() };
    let json = tokenizer::train_bpe(&documents, &config)?;
    let path = request.out.join("tokenizer.json");
    let tokens = TokenizerFile::from_json(json.as_bytes(), None, &path)?.vocabulary.len();
    write_whole(&path, json.as_bytes())?;
    Ok(tokens)
}
