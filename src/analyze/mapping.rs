//! Where in the original vocabulary does a candidate token's row come from? Tokens are matched by the bytes they
//! stand for, control tokens by role; what is left is written in the original's own pieces. How rows are then made
//! of it is not known here.

use crate::domain::vocabulary::{Mapping, Origin, Role, Token, TokenKind, Vocabulary};
use crate::tokenizer::TokenizerFile;
use crate::tokenizer::alphabet::Script;
use rayon::prelude::*;
use std::collections::HashMap;

/// For every candidate id, where its row comes from in `source`. Pieces always concatenate to the token's bytes.
pub fn mapping(source: &TokenizerFile, candidate: &TokenizerFile) -> Mapping {
    let mut roles: HashMap<u32, Vec<&Role>> = HashMap::new();
    for (role, id) in candidate.vocabulary.roles() {
        roles.entry(*id).or_default().push(role);
    }
    roles.values_mut().for_each(|r| r.sort());
    let specials: HashMap<&str, u32> = source
        .vocabulary
        .iter()
        .filter(|(_, t)| t.kind == TokenKind::Special)
        .map(|(id, t)| (t.raw.as_str(), id))
        .collect();
    let origins = (0..candidate.vocabulary.rows() as u32)
        .into_par_iter()
        .map(|id| {
            let Some(token) = candidate.vocabulary.get(id) else { return Origin::Nothing };
            if token.kind == TokenKind::Special {
                let by_role = roles.get(&id).into_iter().flatten().find_map(|r| source.vocabulary.role(r));
                return by_role
                    .or_else(|| specials.get(token.raw.as_str()).copied())
                    .map_or(Origin::Nothing, Origin::Role);
            }
            origin(source, token)
        })
        .collect();
    Mapping { origins }
}

/// Where the row of a token of text comes from.
fn origin(source: &TokenizerFile, token: &Token) -> Origin {
    if let Some(id) = source.vocabulary.by_bytes(&token.bytes) {
        return Origin::Exact(id);
    }
    decompose(source, &token.bytes).map_or(Origin::Nothing, Origin::Pieces)
}

/// The original's tokens for these bytes, each with the bytes it stands for; `None` where it cannot write them.
///
/// The bytes are first encoded as text, as the model would see them. Where that adds or loses something (a prefix
/// space, a normal form) the model is asked without normaliser and pre-tokenizer, and where that cannot be (bytes
/// that are not UTF-8) the longest known piece is taken from the left.
pub fn decompose(source: &TokenizerFile, bytes: &[u8]) -> Option<Vec<(u32, u32)>> {
    if bytes.is_empty() {
        return None;
    }
    let vocabulary = &source.vocabulary;
    let encoded = match source.alphabet.script {
        // These would set a space before a piece that stands inside a word.
        Script::Metaspace | Script::WordPiece { .. } => None,
        Script::ByteLevel | Script::Plain => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| encode(source, text))
            .and_then(|ids| pieces(vocabulary, ids.into_iter(), bytes)),
    };
    encoded
        .or_else(|| {
            let input = source.alphabet.model_input(bytes)?;
            let mut ids = Vec::new();
            let known = source.tokens_of_word(&input, &mut ids);
            pieces(vocabulary, ids.into_iter().filter(|_| known), bytes)
        })
        .or_else(|| longest_first(vocabulary, bytes))
}

/// The tokens of a text by itself.
fn encode(source: &TokenizerFile, text: &str) -> Option<Vec<u32>> {
    let mut ids = Vec::new();
    let word = |word: &str| source.tokens_of_word(word, &mut ids).then_some(());
    match source.direct.alone(&source.alphabet, text, word) {
        Some(()) => Some(ids),
        None => Some(source.tokenizer.encode_fast(text, false).ok()?.get_ids().to_vec()),
    }
}

/// The ids with their lengths, if what they stand for is exactly `bytes`.
fn pieces(vocabulary: &Vocabulary, ids: impl Iterator<Item = u32>, bytes: &[u8]) -> Option<Vec<(u32, u32)>> {
    let mut rest = bytes;
    let mut found = Vec::new();
    for id in ids {
        let piece = &vocabulary.get(id)?.bytes;
        rest = rest.strip_prefix(piece.as_slice()).filter(|_| !piece.is_empty())?;
        found.push((id, piece.len() as u32));
    }
    rest.is_empty().then_some(found)
}

/// The longest known piece from the left, again and again.
fn longest_first(vocabulary: &Vocabulary, bytes: &[u8]) -> Option<Vec<(u32, u32)>> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (length, id) = (1..=rest.len()).rev().find_map(|n| Some((n, vocabulary.by_bytes(rest.get(..n)?)?)))?;
        found.push((id, length as u32));
        rest = rest.get(length..)?;
    }
    Some(found)
}
