//! A vocabulary learnt from a text: byte-level or metaspace BPE, as a complete tokenizer.json. Growing an existing
//! vocabulary is another matter and not done here.

use super::error::TokenizerError;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

/// How token strings stand for bytes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, strum::Display, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum BpeKind {
    /// GPT-2's alphabet of 256 letters: any text can be written.
    #[default]
    ByteLevel,
    /// Words marked by U+2581, rare characters by byte-fallback tokens.
    Metaspace,
}

/// What to learn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpeConfig {
    /// Tokens in all, specials included. The text may give fewer.
    pub vocab: usize,
    /// Alphabet.
    pub kind: BpeKind,
    /// A pair seen fewer times than this is not merged. Default 2.
    pub min_frequency: u64,
}

impl Default for BpeConfig {
    fn default() -> Self {
        Self { vocab: 8000, kind: BpeKind::ByteLevel, min_frequency: 2 }
    }
}

/// How text is cut before merging, in the manner of GPT-4's and Qwen's tokenizers: English contractions, words with
/// at most one leading non-letter, single digits, runs of punctuation, runs of space.
const WORDS: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Share of a text's characters that must get a token of their own in a metaspace vocabulary; rarer ones are written
/// in byte-fallback tokens.
const CHARACTER_COVERAGE: f64 = 0.9995;

const BYTE_LEVEL_SPECIALS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const METASPACE_SPECIALS: [&str; 3] = ["<unk>", "<s>", "</s>"];

/// The text of a tokenizer.json learnt from the documents. The same documents and configuration give the same text.
///
/// # Errors
/// [`TokenizerError::Unusable`] when the vocabulary is too small for the alphabet, or the text is empty.
pub fn train_bpe<S: AsRef<str> + Sync>(documents: &[S], config: &BpeConfig) -> Result<String, TokenizerError> {
    let refused = |e: tokenizers::Error| TokenizerError::Unusable(e.to_string());
    if documents.iter().all(|d| d.as_ref().trim().is_empty()) {
        return Err(TokenizerError::Unusable("a vocabulary cannot be learnt from an empty text".into()));
    }
    let (reserved, alphabet) = match config.kind {
        BpeKind::ByteLevel => {
            (BYTE_LEVEL_SPECIALS.map(String::from).to_vec(), ByteLevel::alphabet().into_iter().collect())
        }
        BpeKind::Metaspace => {
            let bytes = (0..=255u8).map(|b| format!("<0x{b:02X}>"));
            (METASPACE_SPECIALS.map(String::from).into_iter().chain(bytes).collect(), common_characters(documents))
        }
    };
    let least = reserved.len() + alphabet.len();
    if config.vocab < least {
        return Err(TokenizerError::Unusable(format!(
            "a vocabulary of {} is too small: special tokens and alphabet of this text need {least}",
            config.vocab
        )));
    }

    let mut tokenizer = Tokenizer::new(BPE::default());
    let cutter: PreTokenizerWrapper = serde_json::from_value(cutter(config.kind)).map_err(not_json)?;
    tokenizer.with_pre_tokenizer(Some(cutter));
    let normalizer: Option<NormalizerWrapper> = serde_json::from_value(normalizer(config.kind)).map_err(not_json)?;
    tokenizer.with_normalizer(normalizer);
    let trainer = BpeTrainerBuilder::new()
        .vocab_size(config.vocab)
        .min_frequency(config.min_frequency)
        .show_progress(false)
        .special_tokens(reserved.iter().map(|t| AddedToken::from(t.as_str(), true)).collect())
        .initial_alphabet(alphabet.clone())
        .build();
    let kept = |d: &S| match config.kind {
        BpeKind::ByteLevel => d.as_ref().to_owned(),
        // A rare character ends a word while learning, so that it never becomes part of the alphabet.
        BpeKind::Metaspace => {
            d.as_ref().chars().map(|c| if c.is_whitespace() || alphabet.contains(&c) { c } else { ' ' }).collect()
        }
    };
    tokenizer.train(&mut TrainerWrapper::from(trainer), documents.iter().map(kept)).map_err(refused)?;

    let trained: Value = serde_json::from_str(&tokenizer.to_string(false).map_err(refused)?).map_err(not_json)?;
    let text = complete(trained, config.kind).to_string();
    Tokenizer::from_bytes(&text).map_err(refused)?;
    Ok(text)
}

fn not_json(e: serde_json::Error) -> TokenizerError {
    TokenizerError::Unusable(e.to_string())
}

/// The learnt vocabulary and merges in a file of the kind.
fn complete(mut trained: Value, kind: BpeKind) -> Value {
    let specials = match kind {
        BpeKind::ByteLevel => BYTE_LEVEL_SPECIALS,
        BpeKind::Metaspace => METASPACE_SPECIALS,
    };
    let added = |(id, content): (usize, &&str)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let byte_fallback = kind == BpeKind::Metaspace;
    let decoder = match kind {
        BpeKind::ByteLevel => {
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false})
        }
        BpeKind::Metaspace => json!({"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}),
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": specials.iter().enumerate().map(added).collect::<Vec<_>>(),
        "normalizer": normalizer(kind), "pre_tokenizer": cutter(kind), "post_processor": null, "decoder": decoder,
        "model": {"type": "BPE", "dropout": null, "unk_token": byte_fallback.then_some("<unk>"),
                  "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": byte_fallback,
                  "byte_fallback": byte_fallback, "ignore_merges": false,
                  "vocab": trained["model"]["vocab"].take(), "merges": trained["model"]["merges"].take()},
    })
}

fn cutter(kind: BpeKind) -> Value {
    match kind {
        BpeKind::ByteLevel => json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}]}),
        BpeKind::Metaspace => {
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true})
        }
    }
}

/// A word marker before the text whatever it begins with, so that a leading space survives the way back.
fn normalizer(kind: BpeKind) -> Value {
    match kind {
        BpeKind::ByteLevel => Value::Null,
        BpeKind::Metaspace => json!({"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}),
    }
}

/// The most frequent characters that together make up [`CHARACTER_COVERAGE`] of the text, white space left out.
fn common_characters<S: AsRef<str>>(documents: &[S]) -> HashSet<char> {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    for c in documents.iter().flat_map(|d| d.as_ref().chars()).filter(|c| !c.is_whitespace()) {
        *counts.entry(c).or_default() += 1;
    }
    let wanted = (counts.values().sum::<u64>() as f64 * CHARACTER_COVERAGE).ceil() as u64;
    let mut by_count: Vec<(char, u64)> = counts.into_iter().collect();
    by_count.sort_by_key(|&(c, n)| (std::cmp::Reverse(n), c));
    let mut covered = 0;
    let enough = by_count.into_iter().take_while(|&(_, n)| {
        let take = covered < wanted;
        covered += n;
        take
    });
    enough.map(|(c, _)| c).chain(['▁']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<String> {
        let stems = ["kitap", "ev", "göz", "yol", "ağaç", "house", "read", "light"];
        let ends = ["lar", "ler", "da", "de", "ın", "in", "s", "ing", ""];
        (0..400)
            .map(|i| format!("{}{} {}{}", stems[i % 8], ends[i % 9], stems[(i / 3) % 8], ends[(i / 7) % 9]))
            .collect()
    }

    #[test]
    fn the_same_text_gives_the_same_tokenizer() {
        for kind in [BpeKind::ByteLevel, BpeKind::Metaspace] {
            let config = BpeConfig { vocab: 400, kind, min_frequency: 2 };
            let once = train_bpe(&sample(), &config).unwrap();
            assert_eq!(once, train_bpe(&sample(), &config).unwrap());
        }
    }

    #[test]
    fn any_text_comes_back_from_its_tokens() {
        for kind in [BpeKind::ByteLevel, BpeKind::Metaspace] {
            let json = train_bpe(&sample(), &BpeConfig { vocab: 400, kind, min_frequency: 2 }).unwrap();
            let tokenizer = Tokenizer::from_bytes(&json).unwrap();
            assert!(tokenizer.get_vocab_size(true) <= 400);
            for text in ["kitaplar evde", "a 1985 b!", "漢字 😀", " leading", "İstanbul'da ışık"] {
                let ids = tokenizer.encode(text, false).unwrap();
                assert_eq!(tokenizer.decode(ids.get_ids(), true).unwrap(), text, "{kind:?}");
            }
            assert!(tokenizer.encode("kitaplar", false).unwrap().len() <= 3);
        }
    }

    #[test]
    fn a_vocabulary_below_its_alphabet_is_refused_with_the_number_it_needs() {
        let error = train_bpe(&sample(), &BpeConfig { vocab: 100, ..BpeConfig::default() }).unwrap_err();
        assert!(error.to_string().contains("259"), "{error}");
        assert!(train_bpe(&["", " "], &BpeConfig::default()).is_err());
    }
}
