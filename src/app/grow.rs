//! `hibrit tokenizer extend`: the original tokenizer grown on a text, and how differently it now cuts other texts.

use super::{AppError, CorpusOptions, must_be_free, write_whole};
use crate::corpus::Corpus;
use crate::tokenizer::TokenizerFile;
use crate::tokenizer::{Coder, GrowthConfig, TokenizerFiles, grow_bpe};
use serde::Serialize;
use std::path::PathBuf;

/// What to grow, and on what.
#[derive(Debug, Clone)]
pub struct ExtendRequest {
    /// The original tokenizer.
    pub source: PathBuf,
    /// Text that asks for new tokens.
    pub corpus: Vec<PathBuf>,
    /// Tokens in all, the old ones included; `None`: as many as are seen often enough.
    pub vocabulary: Option<usize>,
    /// A pair seen fewer times than this does not become a token.
    pub least_seen: u64,
    /// Texts of other languages or kinds, to see how differently they are cut.
    pub compare: Vec<PathBuf>,
    /// A free folder.
    pub out: PathBuf,
    /// How text is read.
    pub reading: CorpusOptions,
}

/// A text under both tokenizers.
#[derive(Debug, Clone, Serialize)]
pub struct Changed {
    /// The file.
    pub text: PathBuf,
    /// Share of its words (runs without white space) that are cut differently.
    pub words_changed: f64,
    /// Tokens before.
    pub tokens_before: u64,
    /// Tokens now; never more.
    pub tokens_after: u64,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Extended {
    /// Tokens before.
    pub old: usize,
    /// New tokens.
    pub added: usize,
    /// Tokens of the text it was grown on, before and now.
    pub corpus: (u64, u64),
    /// Other texts.
    pub compare: Vec<Changed>,
}

/// Bytes of a text that is only compared.
const COMPARED: u64 = 2_000_000;

/// Grows the tokenizer and writes it, with what belongs to it, into a folder.
pub fn extend_tokenizer(request: &ExtendRequest) -> Result<Extended, AppError> {
    must_be_free(&request.out)?;
    let source = TokenizerFile::open(&request.source)?;
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|source| AppError::File { verb: "read", path: path.clone(), source })
    };
    let documents = Corpus::open(&request.corpus, &request.reading)?.collect(None)?;
    let old = source.vocabulary.rows();
    let most = request.vocabulary.map(|v| v.saturating_sub(old));
    let growth = GrowthConfig { most, least_seen: request.least_seen, row_cost: 0.0 };
    let json = String::from_utf8_lossy(&read(&source.path)?).into_owned();
    let grown = grow_bpe(&json, &source.vocabulary, &documents, &growth)?;
    let path = request.out.join("tokenizer.json");
    let after = TokenizerFile::from_json(grown.json.as_bytes(), None, &path)?;
    let (one, two) = (
        Coder::of(source.tokenizer.clone(), &source.vocabulary)?,
        Coder::of(after.tokenizer.clone(), &after.vocabulary)?,
    );
    let mut compare = Vec::new();
    for text in &request.compare {
        let documents = Corpus::open(std::slice::from_ref(text), &request.reading)?.collect(Some(COMPARED))?;
        let words: Vec<&str> = documents.iter().flat_map(|d| d.split_whitespace()).collect();
        let (before, now) = (one.encode(&words)?, two.encode(&words)?);
        let changed = before.iter().zip(&now).filter(|(a, b)| a.ids != b.ids).count();
        compare.push(Changed {
            text: text.clone(),
            words_changed: changed as f64 / words.len().max(1) as f64,
            tokens_before: one.count(&documents)?,
            tokens_after: two.count(&documents)?,
        });
    }
    TokenizerFiles::beside(&source.path).write_companions_to(&request.out)?;
    write_whole(&path, grown.json.as_bytes())?;
    Ok(Extended {
        old: source.vocabulary.len(),
        added: grown.added,
        corpus: (grown.tokens_before, grown.tokens_after),
        compare,
    })
}
