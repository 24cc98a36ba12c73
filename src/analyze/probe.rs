//! What does a tokenizer do to text in general: which of its tokens can no text produce, how does it split numbers,
//! what does it change? Found by asking it, without a corpus.

use crate::domain::details::DigitPolicy;
use crate::domain::vocabulary::{Token, TokenKind};
use crate::tokenizer::TokenizerFile;
use crate::tokenizer::alphabet::Script;
use rayon::prelude::*;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

/// Text tokens of the model that no text can produce, as ids.
///
/// A token is reachable if the model, given the token's own string, answers with that token alone, and if the
/// pre-tokenizer leaves its text in one piece. What stands around a token can only take characters away from it, so a
/// token that is not reachable alone is not reachable at all. Tokens of WordPiece inside a word, and texts that the
/// normaliser changes, are left out of account.
pub(super) fn unreachable(file: &TokenizerFile) -> Vec<u32> {
    let added = file.tokenizer.get_added_vocabulary().get_added_tokens_decoder();
    let tokens: Vec<(u32, &Token)> = file
        .vocabulary
        .iter()
        .filter(|(id, t)| t.kind == TokenKind::Text && !added.contains_key(id) && is_initial(file, t))
        .collect();
    tokens
        .into_par_iter()
        .filter(|(id, token)| {
            let mut alone = Vec::new();
            let merged = file.tokens_of_word(&token.raw, &mut alone) && alone == [*id];
            !merged || is_split(file, token)
        })
        .map(|(id, _)| id)
        .collect()
}

/// Whether a token can be given to the model as it is: a piece of WordPiece inside a word cannot.
fn is_initial(file: &TokenizerFile, token: &Token) -> bool {
    !matches!(&file.alphabet.script, Script::WordPiece { prefix } if token.raw.starts_with(prefix.as_str()))
}

/// Whether the pre-tokenizer cuts the token's own text.
fn is_split(file: &TokenizerFile, token: &Token) -> bool {
    let Ok(text) = std::str::from_utf8(&token.bytes) else { return false };
    if text.is_empty() {
        return false;
    }
    let mut parts = 0;
    let mut count = |_: &str| {
        parts += 1;
        Some(())
    };
    let counted = match text.strip_prefix(' ') {
        Some(word) => file.direct.inner(&file.alphabet, word, &mut count),
        None => file.direct.alone(&file.alphabet, text, &mut count),
    };
    if counted.is_some() {
        return parts > 1;
    }
    let Some(pre_tokenizer) = file.tokenizer.get_pre_tokenizer() else { return false };
    let mut pieces = PreTokenizedString::from(text);
    pre_tokenizer.pre_tokenize(&mut pieces).is_ok()
        && pieces.get_splits(OffsetReferential::Original, OffsetType::Byte).len() > 1
}

/// How a tokenizer splits numbers, from numbers of one to twelve digits.
pub(super) fn digits(file: &TokenizerFile) -> DigitPolicy {
    let (mut longest, mut even) = (0, true);
    for number in ["7", "42", "365", "2024", "1923", "31415", "100000", "2718281", "123456789", "000000000000"] {
        let Ok(encoding) = file.tokenizer.encode_fast(format!("a {number}"), false) else { continue };
        let digits = |id: &u32| Some(file.vocabulary.get(*id)?.bytes.iter().filter(|b| b.is_ascii_digit()).count());
        let groups: Vec<usize> = encoding.get_ids().iter().filter_map(digits).filter(|n| *n > 0).collect();
        longest = groups.iter().copied().max().unwrap_or(0).max(longest);
        // One group may be shorter: the first or the last, as the digits are counted.
        even &= groups.iter().filter(|n| **n != 3).count() <= 1;
    }
    match longest {
        0 | 1 => DigitPolicy::Single,
        3 if even => DigitPolicy::Triples,
        _ => DigitPolicy::Free,
    }
}

/// What a text comes back as, a space before it apart.
pub(super) fn back(file: &TokenizerFile, text: &str) -> String {
    let ids = file.tokenizer.encode_fast(text, false).map(|e| e.get_ids().to_vec()).unwrap_or_default();
    let back = file.tokenizer.decode(&ids, false).unwrap_or_default();
    back.strip_prefix(' ').map_or_else(|| back.clone(), str::to_owned)
}

/// A word's tokens with what they stand for, set apart by `|`.
pub(super) fn shown(file: &TokenizerFile, word: &str) -> String {
    let Ok(encoding) = file.tokenizer.encode_fast(format!(" {word}"), false) else { return String::new() };
    let text = |id: &u32| {
        let token = file.vocabulary.get(*id);
        token.map_or_else(String::new, |t| match t.kind {
            TokenKind::Special => t.raw.clone(),
            _ => String::from_utf8_lossy(&t.bytes).into_owned(),
        })
    };
    let texts: Vec<String> = encoding.get_ids().iter().map(text).collect();
    texts.join("|").trim_start_matches([' ', '|']).to_owned()
}
