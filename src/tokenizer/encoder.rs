//! What does one tokenizer make of a document, or of a piece of one? How often it occurs is not known here.

use super::alphabet::Script;
use super::chunking::{Cut, keeps_its_ends, reaches};
use super::error::TokenizerError;
use super::open::TokenizerFile;
use super::pieces::Piece;
use super::tokenizer_json::steps;
use aho_corasick::AhoCorasick;
use serde_json::Value;
use std::collections::HashSet;
use tokenizers::{NormalizedString, Normalizer};

/// What a text was encoded to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// The tokens; no special token is added.
    pub ids: Vec<u32>,
    /// Unknown tokens among them.
    pub unknown: u64,
    /// UTF-8 bytes of the text that they swallow.
    pub unknown_bytes: u64,
    /// Whether the text decodes to itself, but for a space that the tokenizer sets before every text.
    pub comes_back: bool,
}

/// One tokenizer at work on a corpus.
pub(crate) struct Encoder<'a> {
    file: &'a TokenizerFile,
    cut: Option<Cut>,
    /// Added tokens that reach over a cut, by text and by id.
    reaching: Option<AhoCorasick>,
    reaching_ids: HashSet<u32>,
    /// A text that stands before an inner piece when it is decoded, as ids and as what they decode to.
    anchor: (Vec<u32>, String),
    /// Whether decoding only joins what the tokens stand for.
    joins: bool,
}

impl<'a> Encoder<'a> {
    /// In pieces where that is proved to give the same tokens, whole elsewhere.
    pub fn new(file: &'a TokenizerFile) -> Self {
        let mut cut = Cut::of(&file.skeleton, file.kind, &file.vocabulary).ok();
        let (mut texts, mut ids) = (Vec::new(), HashSet::new());
        for token in file.skeleton.added_tokens.iter().flatten() {
            if !token.content.is_empty() && cut.is_some_and(|cut| reaches(cut, token)) {
                texts.push(token.content.as_str());
                ids.extend(file.tokenizer.token_to_id(&token.content));
            }
        }
        // The unknown token comes out of the model without its name being in the text.
        file.unknown().inspect(|unknown| _ = ids.remove(unknown));
        let reaching = AhoCorasick::new(&texts).ok();
        if reaching.is_none() {
            cut = None;
        }
        let anchor = file.tokenizer.encode_fast("a", false).map(|e| e.get_ids().to_vec()).unwrap_or_default();
        let anchored = file.tokenizer.decode(&anchor, false).unwrap_or_default();
        Self {
            file,
            cut,
            reaching: reaching.filter(|_| !texts.is_empty()),
            reaching_ids: ids,
            anchor: (anchor, anchored),
            joins: joins(file),
        }
    }

    /// From now on every document is encoded whole.
    pub fn encode_whole(&mut self) {
        self.cut = None;
    }

    /// Whether a document has to be encoded whole.
    pub fn takes_whole(&self, document: &str) -> bool {
        self.cut.is_none() || self.reaching.as_ref().is_some_and(|r| r.is_match(document))
    }

    /// Encodes a whole document.
    pub fn whole(&self, document: &str) -> Result<Tokens, TokenizerError> {
        let tokens = self.encode(document)?;
        let comes_back = self.comes_back(&tokens.ids, document);
        Ok(Tokens { comes_back, ..tokens })
    }

    /// Encodes a piece as it would be in its document; `None` when it shows that documents may not be cut.
    pub fn piece(&self, piece: Piece<'_>) -> Result<Option<Tokens>, TokenizerError> {
        let Some(cut) = self.cut else { return Ok(None) };
        let text = match piece {
            Piece::First(text) => {
                let tokens = self.whole(text)?;
                return Ok(self.stays_apart(&tokens.ids).then_some(tokens));
            }
            Piece::Inner(text) => text,
        };
        let spaced = format!(" {text}");
        if cut.check_ends && !self.keeps_its_ends(&spaced) {
            return Ok(None);
        }
        let tokens = match self.direct(text) {
            Some(tokens) => tokens,
            None => self.encode(if cut.with_space { &spaced } else { text })?,
        };
        let comes_back = self.joins && self.stands_for(&tokens.ids, spaced.as_bytes()) || {
            let ids = [self.anchor.0.as_slice(), &tokens.ids].concat();
            let decoded = self.file.tokenizer.decode(&ids, false).unwrap_or_default();
            decoded.strip_prefix(self.anchor.1.as_str()) == Some(spaced.as_str())
        };
        Ok(self.stays_apart(&tokens.ids).then_some(Tokens { comes_back, ..tokens }))
    }

    /// Encodes a word as it would be in a text, after another word; where that cannot be told apart, alone.
    pub fn word(&self, word: &str) -> Tokens {
        if let Ok(Some(tokens)) = self.piece(Piece::Inner(word)) {
            return tokens;
        }
        let nothing = Tokens { ids: Vec::new(), unknown: 0, unknown_bytes: 0, comes_back: false };
        let Ok(both) = self.encode(&format!("a {word}")) else { return nothing };
        let Some(ids) = both.ids.strip_prefix(self.anchor.0.as_slice()) else {
            return self.whole(word).unwrap_or(nothing);
        };
        let decoded = self.file.tokenizer.decode(&both.ids, false).unwrap_or_default();
        let comes_back = decoded.strip_prefix(self.anchor.1.as_str()).and_then(|d| d.strip_prefix(' ')) == Some(word);
        Tokens { ids: ids.to_vec(), comes_back, ..both }
    }

    /// The tokens of an inner piece by the short way, where there is one and nothing is unknown.
    fn direct(&self, piece: &str) -> Option<Tokens> {
        let mut ids = Vec::new();
        let file = self.file;
        file.direct.inner(&file.alphabet, piece, |word| file.tokens_of_word(word, &mut ids).then_some(()))?;
        let unknown = self.file.unknown().is_some_and(|unknown| ids.contains(&unknown));
        (!unknown).then_some(Tokens { ids, unknown: 0, unknown_bytes: 0, comes_back: false })
    }

    /// The tokens of a text, with what is unknown in it; whether it comes back is left open.
    fn encode(&self, text: &str) -> Result<Tokens, TokenizerError> {
        let refused =
            |e: tokenizers::Error| TokenizerError::Encode { name: self.file.name.clone(), reason: e.to_string() };
        let encoding = self.file.tokenizer.encode_fast(text, false).map_err(refused)?;
        let (mut unknown, mut unknown_bytes) = (0, 0);
        if let Some(id) = self.file.unknown().filter(|id| encoding.get_ids().contains(id)) {
            // Only the slower way says which bytes a token covers.
            let encoding = self.file.tokenizer.encode(text, false).map_err(refused)?;
            for (_, (from, to)) in encoding.get_ids().iter().zip(encoding.get_offsets()).filter(|(i, _)| **i == id) {
                unknown += 1;
                unknown_bytes += to.saturating_sub(*from) as u64;
            }
        }
        Ok(Tokens { ids: encoding.get_ids().to_vec(), unknown, unknown_bytes, comes_back: false })
    }

    /// Whether none of the tokens changes what stands around the piece.
    fn stays_apart(&self, ids: &[u32]) -> bool {
        self.reaching_ids.is_empty() || !ids.iter().any(|id| self.reaching_ids.contains(id))
    }

    fn keeps_its_ends(&self, spaced: &str) -> bool {
        let Some(normalizer) = self.file.tokenizer.get_normalizer() else { return true };
        let mut text = NormalizedString::from(spaced);
        normalizer.normalize(&mut text).is_ok() && keeps_its_ends(text.get())
    }

    fn comes_back(&self, ids: &[u32], text: &str) -> bool {
        let decoded = self.file.tokenizer.decode(ids, false).unwrap_or_default();
        decoded == text || decoded.strip_prefix(' ') == Some(text)
    }

    /// Whether the tokens stand for exactly these bytes.
    fn stands_for(&self, ids: &[u32], mut bytes: &[u8]) -> bool {
        for id in ids {
            match self.file.vocabulary.get(*id).and_then(|t| bytes.strip_prefix(t.bytes.as_slice())) {
                Some(rest) => bytes = rest,
                None => return false,
            }
        }
        bytes.is_empty()
    }
}

/// Whether decoding joins the bytes that the tokens stand for and changes them in no other way, the beginning of the
/// text apart.
fn joins(file: &TokenizerFile) -> bool {
    let steps = steps(file.skeleton.decoder.as_ref());
    let kind = |step: &&Value| step.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    !steps.is_empty()
        && matches!(file.alphabet.script, Script::ByteLevel | Script::Metaspace)
        && steps.iter().all(|step| match kind(step).as_str() {
            "ByteLevel" | "Metaspace" | "ByteFallback" | "Fuse" | "Sequence" => true,
            "Replace" => {
                step.get("content").and_then(Value::as_str) == Some(" ")
                    && step.pointer("/pattern/String").and_then(Value::as_str) == Some("▁")
            }
            "Strip" => step.get("stop").and_then(Value::as_u64) == Some(0),
            _ => false,
        })
}
