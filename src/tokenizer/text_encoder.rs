//! Which ids a text becomes, how many bytes of it each id accounts for, and how many bytes no id accounts for.
//! It does not know models, and it never adds special tokens on its own: whoever lays out sequences does.
//!
//! The policy of special tokens, the same for every branch and for training and evaluation: a document is preceded
//! by one *opener* (the tokenizer's BOS, or its EOS where it has no BOS) and followed by its *closer* (EOS, where
//! there is one). In a stream of documents an opener that equals the closer before it is not repeated.

use super::error::TokenizerError;
use crate::domain::vocabulary::{Role, Vocabulary};
use rayon::prelude::*;
use tokenizers::{PostProcessorWrapper, Tokenizer};

/// A document as ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids, no special tokens added.
    pub ids: Vec<u32>,
    /// Bytes of the document each token moves on by; they sum to the document's bytes. A token that is only a part
    /// of a character carries the whole character if it is the first part, and nothing if it is a later one.
    pub bytes: Vec<u32>,
    /// Bytes of the document that cannot be told from the ids: swallowed by unknown tokens or by a normaliser.
    pub lost: u64,
}

/// A tokenizer, ready to encode.
#[derive(Clone)]
pub struct Coder {
    tokenizer: Tokenizer,
    token_bytes: Vec<Box<[u8]>>,
    opener: Option<u32>,
    closer: Option<u32>,
    /// Added to every id that leaves, taken from every id that comes in.
    offset: u32,
}

/// A document, and which of its tokens are learnt (all, where there is no mask).
pub struct Document {
    /// Its ids and bytes.
    pub encoded: Encoded,
    /// By token; `None` learns all and adds the closer.
    pub learnt: Option<Vec<bool>>,
}

impl Coder {
    /// From a tokenizer.json's text and what its tokens stand for. Truncation and padding the file may ask for are
    /// switched off, and special tokens that occur in a text are treated as the plain text they are there.
    ///
    /// # Errors
    /// [`TokenizerError::Unusable`] when the `tokenizers` crate refuses the text.
    pub fn new(tokenizer_json: &str, vocabulary: &Vocabulary) -> Result<Self, TokenizerError> {
        let tokenizer = Tokenizer::from_bytes(tokenizer_json).map_err(|e| TokenizerError::Unusable(e.to_string()))?;
        Self::of(tokenizer, vocabulary)
    }

    /// The same from a tokenizer that is open already.
    ///
    /// # Errors
    /// As [`Coder::new`].
    pub fn of(mut tokenizer: Tokenizer, vocabulary: &Vocabulary) -> Result<Self, TokenizerError> {
        tokenizer.with_truncation(None).map_err(|e| TokenizerError::Unusable(e.to_string()))?;
        tokenizer.with_padding(None).with_post_processor(None::<PostProcessorWrapper>);
        tokenizer.set_encode_special_tokens(true);
        let token_bytes = (0..vocabulary.rows() as u32)
            .map(|id| vocabulary.get(id).map(|t| t.bytes.clone().into_boxed_slice()).unwrap_or_default())
            .collect();
        let eos = vocabulary.role(&Role::Eos);
        let opener = vocabulary.role(&Role::Bos).or(eos);
        Ok(Self { tokenizer, token_bytes, opener, closer: eos, offset: 0 })
    }

    /// The same, but special tokens that occur in a text are read as such: for text that a chat template laid out.
    pub fn reading_specials(mut self) -> Self {
        self.tokenizer.set_encode_special_tokens(false);
        self
    }

    /// The same with every id moved up by `offset`: the second vocabulary of a structural model begins where the rows
    /// of the first end.
    pub fn shifted(mut self, offset: u32) -> Self {
        self.offset += offset;
        self
    }

    /// The special token before a document.
    pub fn opener(&self) -> Option<u32> {
        self.opener.map(|id| id + self.offset)
    }

    /// The special token after a document.
    pub fn closer(&self) -> Option<u32> {
        self.closer.map(|id| id + self.offset)
    }

    /// One more than the highest id: the rows a model needs at least.
    pub fn rows(&self) -> usize {
        self.token_bytes.len() + self.offset as usize
    }

    /// All documents, in order, on all cores.
    ///
    /// # Errors
    /// [`TokenizerError::Unusable`] when the tokenizer cannot encode a document.
    pub fn encode<S: AsRef<str> + Sync>(&self, documents: &[S]) -> Result<Vec<Encoded>, TokenizerError> {
        documents.par_iter().map(|d| self.encode_one(d.as_ref())).collect()
    }

    /// Tokens all documents need, special tokens left out.
    ///
    /// # Errors
    /// [`TokenizerError::Unusable`] when the tokenizer cannot encode a document.
    pub fn count<S: AsRef<str> + Sync>(&self, documents: &[S]) -> Result<u64, TokenizerError> {
        let one = |d: &S| self.tokenizer.encode_fast(d.as_ref(), false).map(|e| e.len() as u64);
        documents
            .par_iter()
            .map(|d| one(d).map_err(|e| TokenizerError::Unusable(e.to_string())))
            .try_reduce(|| 0, |a, b| Ok(a + b))
    }

    /// One document.
    ///
    /// # Errors
    /// [`TokenizerError::Unusable`] when the tokenizer cannot encode it.
    pub fn encode_one(&self, document: &str) -> Result<Encoded, TokenizerError> {
        let encoding = self.tokenizer.encode(document, false).map_err(|e| TokenizerError::Unusable(e.to_string()))?;
        let mut ids = encoding.get_ids().to_vec();
        let (bytes, lost) = self.account(document.as_bytes(), &ids, encoding.get_offsets());
        ids.iter_mut().for_each(|id| *id += self.offset);
        Ok(Encoded { ids, bytes, lost })
    }

    /// The text of ids; special tokens are left out.
    ///
    /// # Errors
    /// [`TokenizerError::Unusable`] when the tokenizer cannot decode them.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let own: Vec<u32> = ids.iter().filter_map(|id| id.checked_sub(self.offset)).collect();
        self.tokenizer.decode(&own, true).map_err(|e| TokenizerError::Unusable(e.to_string()))
    }

    /// Walks the document along the tokens' offsets: what each token moves on by, and what is lost on the way.
    ///
    /// Tokens with overlapping offsets (parts of one character) form a group; a group answers for the text from the
    /// end of the one before to its own end, so that a space that offsets leave out is not lost if the group's
    /// bytes begin with one.
    fn account(&self, document: &[u8], ids: &[u32], offsets: &[(usize, usize)]) -> (Vec<u32>, u64) {
        let mut bytes = vec![0u32; ids.len()];
        let (mut lost, mut done, mut first) = (0u64, 0usize, 0usize);
        let mut known: Vec<u8> = Vec::new();
        while first < ids.len() {
            let mut end = offsets[first].1.clamp(done, document.len());
            let mut last = first + 1;
            while last < ids.len() && (offsets[last].0 < end || offsets[last].1 <= end) {
                end = end.max(offsets[last].1.min(document.len()));
                last += 1;
            }
            known.clear();
            for &id in &ids[first..last] {
                known.extend_from_slice(self.token_bytes.get(id as usize).map_or(&[][..], |b| b));
            }
            let text = &document[done..end];
            lost += missing(text, &known);
            bytes[first] = (end - done) as u32;
            (done, first) = (end, last);
        }
        if let Some(last) = bytes.last_mut() {
            *last += (document.len() - done) as u32;
        }
        (bytes, lost + (document.len() - done) as u64)
    }
}

/// Bytes of `text` that are not in `known`, order kept: text's length less the longest common subsequence. A
/// leading space that only `known` has (a prefix space) costs nothing.
fn missing(text: &[u8], known: &[u8]) -> u64 {
    if text == known || known.strip_prefix(b" ") == Some(text) {
        return 0;
    }
    if known.is_empty() {
        return text.len() as u64;
    }
    let mut row = vec![0usize; known.len() + 1];
    for &t in text {
        let mut diagonal = 0;
        for (j, &k) in known.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if t == k { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    (text.len() - row[known.len()]) as u64
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::vocabulary::{Token, TokenKind};
    use crate::tokenizer::{BpeConfig, BpeKind, train_bpe};
    use std::collections::HashMap;

    /// The vocabulary of a tokenizer.json made by [`train_bpe`], for tests alone: the analyzer does this for any file.
    pub(crate) fn coder(kind: BpeKind, documents: &[&str], vocab: usize) -> Coder {
        let json = train_bpe(documents, &BpeConfig { vocab, kind, min_frequency: 2 }).unwrap();
        Coder::new(&json, &vocabulary(&json, kind)).unwrap()
    }

    pub(crate) fn vocabulary(json: &str, kind: BpeKind) -> Vocabulary {
        let tokenizer = Tokenizer::from_bytes(json).unwrap();
        let specials: Vec<u32> = tokenizer.get_added_tokens_decoder().keys().copied().collect();
        let alphabet: HashMap<char, u8> = byte_alphabet();
        let mut tokens = vec![None; tokenizer.get_vocab_size(true)];
        for (raw, id) in tokenizer.get_vocab(true) {
            let hex = raw.strip_prefix("<0x").and_then(|r| r.strip_suffix('>'));
            let (kind, bytes) = match (specials.contains(&id), kind, hex) {
                (true, ..) => (TokenKind::Special, vec![]),
                (_, BpeKind::Metaspace, Some(h)) => (TokenKind::Byte, vec![u8::from_str_radix(h, 16).unwrap()]),
                (_, BpeKind::Metaspace, None) => (TokenKind::Text, raw.replace('▁', " ").into_bytes()),
                (_, BpeKind::ByteLevel, _) => (TokenKind::Text, raw.chars().map(|c| alphabet[&c]).collect()),
            };
            tokens[id as usize] = Some(Token { raw, bytes, kind });
        }
        let roles = [
            (Role::Bos, "<s>"),
            (Role::Eos, "</s>"),
            (Role::Eos, "<|endoftext|>"),
            (Role::Unk, "<unk>"),
            (Role::TurnStart, "<|im_start|>"),
            (Role::TurnEnd, "<|im_end|>"),
        ];
        let roles = roles.into_iter().filter_map(|(r, t)| Some((r, tokenizer.token_to_id(t)?))).collect();
        Vocabulary::new(tokens, roles)
    }

    /// GPT-2's byte alphabet: printable Latin-1 stands for itself, the rest for U+0100 and up.
    fn byte_alphabet() -> HashMap<char, u8> {
        let plain = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let mut next = 0x100u32;
        let mut place = |b: u8| {
            if plain(b) {
                return char::from(b);
            }
            next += 1;
            char::from_u32(next - 1).unwrap()
        };
        (0..=255u8).map(|b| (place(b), b)).collect()
    }

    const TEXT: [&str; 3] = ["the cat sat on the mat", "the dog sat on the cat", "şişe ve şişeler ve ağaç"];

    #[test]
    fn the_bytes_of_the_tokens_sum_to_the_document_and_nothing_is_lost() {
        for kind in [BpeKind::ByteLevel, BpeKind::Metaspace] {
            let coder = coder(kind, &TEXT, 600);
            for text in ["the cat", "", "  two  spaces ", "öğrenci 漢字 😀 cat", "<s> literally </s>\ttab"] {
                let e = coder.encode_one(text).unwrap();
                assert_eq!(e.bytes.iter().map(|b| *b as usize).sum::<usize>(), text.len(), "{kind:?} {text:?}");
                assert_eq!(e.lost, 0, "{kind:?} {text:?} {:?}", e.ids);
            }
        }
    }

    #[test]
    fn what_an_unknown_token_swallows_is_counted_in_bytes() {
        let json = train_bpe(&TEXT, &BpeConfig { vocab: 600, kind: BpeKind::Metaspace, min_frequency: 2 }).unwrap();
        let json = json.replace("\"byte_fallback\":true", "\"byte_fallback\":false");
        let coder = Coder::new(&json, &vocabulary(&json, BpeKind::Metaspace)).unwrap();
        assert_eq!(coder.encode_one("the 😀 cat").unwrap().lost, 4);
        assert_eq!(coder.encode_one("the cat").unwrap().lost, 0);
    }

    #[test]
    fn what_a_normaliser_changes_is_lost() {
        let json = train_bpe(&TEXT, &BpeConfig { vocab: 600, kind: BpeKind::ByteLevel, min_frequency: 2 }).unwrap();
        let json = json.replace("\"normalizer\":null", "\"normalizer\":{\"type\":\"Lowercase\"}");
        let coder = Coder::new(&json, &vocabulary(&json, BpeKind::ByteLevel)).unwrap();
        assert_eq!(coder.encode_one("The CAT sat").unwrap().lost, 4);
    }

    #[test]
    fn missing_bytes_are_those_outside_the_longest_common_subsequence() {
        assert_eq!(missing(b"abc", b" abc"), 0);
        assert_eq!(missing(b"abcd", b"abxd"), 1);
        assert_eq!(missing(b"abc", b""), 3);
    }
}
