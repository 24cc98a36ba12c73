//! What the user does with a single model or tokenizer: measure, let it write, merge, transplant, train a tokenizer.

use super::{PipelineError, must_be_free, write_whole};
use crate::analyze::{self, TokenizerFile};
use crate::corpus::{Corpus, CorpusOptions};
use crate::domain::event::{Event, Observer};
use crate::domain::outcome::Evaluation;
use crate::execute::embed::{Named, Norms, Request, Texts, transplant as move_rows};
use crate::execute::evaluate::HeldOut;
use crate::execute::generate::{self, Choice};
use crate::execute::model::{Decoder, ModelFolder};
use crate::execute::strategy::{TokenizerFiles, Tokens, write_complete};
use crate::execute::tokenizer::{self, BpeConfig, BpeKind, Coder};
use crate::execute::{adapter, device};
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
    /// Where to run.
    pub device: String,
    /// How text is read.
    pub reading: CorpusOptions,
}

/// A model with its tokenizer, loaded.
struct Loaded {
    folder: ModelFolder,
    decoder: Decoder,
    tokenizer: TokenizerFile,
}

fn load(model: &Path, with: Option<&Path>, on: &str) -> Result<Loaded, PipelineError> {
    let device = device::choose(on)?;
    let folder = ModelFolder::open(model)?;
    let tokenizer = TokenizerFile::open(model)?;
    let mut decoder = folder.load(&device.device)?;
    if let Some(path) = with {
        decoder = adapter::load(path, decoder)?;
    }
    Ok(Loaded { folder, decoder, tokenizer })
}

/// Measures a model on a text.
pub fn evaluate(request: &EvalRequest) -> Result<Evaluation, PipelineError> {
    let model = load(&request.model, request.adapter.as_deref(), &request.device)?;
    let documents = Corpus::open(&request.corpus, &request.reading)?.collect(Some(request.bytes))?;
    let coder = Coder::of(model.tokenizer.tokenizer.clone(), &model.tokenizer.vocabulary)?;
    let source_tokens = match &request.source {
        Some(path) => {
            let source = TokenizerFile::open(path)?;
            Coder::of(source.tokenizer.clone(), &source.vocabulary)?.count(&documents)?
        }
        None => coder.count(&documents)?,
    };
    let held_out = HeldOut::new(&coder, &documents, source_tokens, request.window)?;
    Ok(held_out.evaluate(&model.decoder)?.evaluation)
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
    /// Where to run.
    pub device: String,
}

/// Goes on from a prompt; `listen` hears the text as it comes.
pub fn generate(request: &GenerateRequest, listen: &mut dyn FnMut(&str)) -> Result<String, PipelineError> {
    use crate::domain::vocabulary::Role;
    let model = load(&request.model, request.adapter.as_deref(), &request.device)?;
    let vocabulary = &model.tokenizer.vocabulary;
    let choice = match request.temperature {
        t if t > 0.0 => {
            Choice::Sampled { temperature: t, top_p: request.top_p, top_k: request.top_k, seed: request.seed }
        }
        _ => Choice::Greedy,
    };
    let stop = [Role::Eos, Role::TurnEnd].iter().filter_map(|r| vocabulary.role(r)).collect();
    let wanted = generate::Request { choice, limit: request.tokens, stop, rows: Some(vocabulary.rows()) };
    let (text, _) = generate::text(&model.decoder, &model.tokenizer.tokenizer, &request.prompt, &wanted, listen)?;
    Ok(text)
}

/// An adapter to merge.
#[derive(Debug, Clone)]
pub struct MergeRequest {
    /// The base model's folder.
    pub model: PathBuf,
    /// The adapter.
    pub adapter: PathBuf,
    /// A free folder.
    pub out: PathBuf,
}

/// Merges an adapter into its base; a complete folder comes out.
pub fn merge(request: &MergeRequest) -> Result<(), PipelineError> {
    must_be_free(&request.out)?;
    let model = load(&request.model, Some(&request.adapter), "cpu")?;
    let coder = Coder::of(model.tokenizer.tokenizer.clone(), &model.tokenizer.vocabulary)?;
    let tokens = Tokens {
        coder: &coder,
        vocabulary: &model.tokenizer.vocabulary,
        files: &TokenizerFiles::beside(&model.tokenizer.path),
    };
    write_complete(&request.out, &model.decoder.merged(), &model.folder, &tokens, false)?;
    Ok(())
}

/// A model whose embeddings are to be moved.
#[derive(Debug, Clone)]
pub struct TransplantRequest {
    /// The model's folder.
    pub model: PathBuf,
    /// The candidate tokenizer.
    pub candidate: PathBuf,
    /// Name of the method.
    pub method: String,
    /// Whether new rows get the old rows' mean norm.
    pub match_norms: bool,
    /// Text for the methods that learn from it.
    pub corpus: Vec<PathBuf>,
    /// Text in the language the model knows, for `wechsel`.
    pub source_corpus: Vec<PathBuf>,
    /// Words that translate each other, for `wechsel`: a file of lines `known<TAB>new`.
    pub dictionary: Option<PathBuf>,
    /// A free folder.
    pub out: PathBuf,
    /// Seed of everything random.
    pub seed: u64,
    /// How text is read.
    pub reading: CorpusOptions,
}

/// Names of all methods of moving embeddings.
pub fn methods() -> Vec<&'static str> {
    Named::all().map(|(name, _)| name).collect()
}

/// Moves a model's embeddings to another tokenizer and writes a complete folder; rows by where they came from.
pub fn transplant(
    request: &TransplantRequest,
    observer: &mut dyn Observer,
) -> Result<BTreeMap<&'static str, u64>, PipelineError> {
    must_be_free(&request.out)?;
    let method: Named = request.method.parse()?;
    let model = load(&request.model, None, "cpu")?;
    let candidate = TokenizerFile::open(&request.candidate)?;
    let source_coder = Coder::of(model.tokenizer.tokenizer.clone(), &model.tokenizer.vocabulary)?;
    let candidate_coder = Coder::of(candidate.tokenizer.clone(), &candidate.vocabulary)?;
    let read = |paths: &[PathBuf]| -> Result<Vec<String>, PipelineError> {
        if paths.is_empty() { Ok(Vec::new()) } else { Ok(Corpus::open(paths, &request.reading)?.collect(None)?) }
    };
    let (documents, source_documents) = (read(&request.corpus)?, read(&request.source_corpus)?);
    let pairs = request.dictionary.as_deref().map(dictionary).transpose()?.unwrap_or_default();
    let texts = Texts {
        source: &source_coder,
        candidate: &candidate_coder,
        documents: &documents,
        source_documents: &source_documents,
        pairs: &pairs,
    };
    observer.observe(&Event::Note { text: format!("Moving embeddings by {method}") });
    let (input, output) = model.decoder.embeddings()?;
    let mapping = analyze::mapping(&model.tokenizer, &candidate);
    let ids: Vec<u32> = model.tokenizer.vocabulary.iter().map(|(id, _)| id).collect();
    let wanted = Request {
        input: &input,
        output: output.as_ref(),
        tokens: &ids,
        mapping: &mapping,
        norms: if request.match_norms { Norms::Matched } else { Norms::Kept },
        seed: request.seed,
    };
    let (moved, head) = move_rows(&wanted, method, Some(&texts))?;
    let provenance = moved.provenance.clone();
    let decoder = model.decoder.replace_embeddings(moved.matrix, head.map(|m| m.matrix))?;
    let tokens = Tokens {
        coder: &candidate_coder,
        vocabulary: &candidate.vocabulary,
        files: &TokenizerFiles::beside(&candidate.path),
    };
    write_complete(&request.out, &decoder, &model.folder, &tokens, true)?;
    Ok(provenance)
}

/// Lines of two words with a tab between.
fn dictionary(path: &Path) -> Result<Vec<(String, String)>, PipelineError> {
    let text = std::fs::read_to_string(path).map_err(|source| PipelineError::File {
        verb: "read",
        path: path.into(),
        source,
    })?;
    let pair = |line: &str| line.split_once('\t').map(|(a, b)| (a.trim().to_string(), b.trim().to_string()));
    Ok(text.lines().filter_map(pair).collect())
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
pub fn train_tokenizer(request: &TokenizerRequest) -> Result<usize, PipelineError> {
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
