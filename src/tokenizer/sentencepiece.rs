//! What does a SentencePiece model say, in the words of a tokenizer.json? The protocol buffer is read here and laid out
//! as the library's own structures, the way Hugging Face's converters do it; what is done with a tokenizer.json is not
//! known here.
//!
//! | in the model | in the tokenizer.json |
//! | --- | --- |
//! | unigram pieces with scores | `Unigram` with the same scores |
//! | BPE pieces with scores | `BPE`: every way to write a piece as two others, the best score first |
//! | character map | `Precompiled` |
//! | remove_extra_whitespaces | `Strip` and one space for several |
//! | add_dummy_prefix, escape | `Metaspace`; for BPE with byte fallback `Prepend` and `Replace`, as Llama has it |
//! | control and unknown pieces | special added tokens |
//! | user-defined pieces | added tokens |

use prost::Message;
use serde_json::{Value, json};
use std::collections::HashMap;
use tokenizers::normalizers::{NormalizerWrapper, Precompiled};

/// sentencepiece_model.proto, as far as it is needed.
#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<Trainer>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<Normalizer>,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(string, optional, tag = "1")]
    piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    /// 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Trainer {
    /// 1 unigram, 2 BPE, 3 word, 4 character.
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
    #[prost(bool, optional, tag = "24")]
    treat_whitespace_as_suffix: Option<bool>,
    #[prost(bool, optional, tag = "35")]
    byte_fallback: Option<bool>,
    #[prost(int32, optional, tag = "41")]
    bos_id: Option<i32>,
    #[prost(int32, optional, tag = "42")]
    eos_id: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Normalizer {
    #[prost(bytes, optional, tag = "2")]
    precompiled_charsmap: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    remove_extra_whitespaces: Option<bool>,
}

const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const BYTE: i32 = 6;

impl Piece {
    fn text(&self) -> &str {
        self.piece.as_deref().unwrap_or_default()
    }

    fn is(&self, kind: i32) -> bool {
        self.kind.unwrap_or(1) == kind
    }
}

/// The tokenizer.json of a SentencePiece model.
///
/// # Errors
/// A reason: not such a model, cut short, without pieces or an unknown piece, or of a kind (word, character,
/// white space as suffix) that cannot be laid out.
pub(super) fn tokenizer_json(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let model = ModelProto::decode(bytes).map_err(|e| format!("it is not a SentencePiece model ({e})"))?;
    let trainer = model.trainer.clone().unwrap_or_default();
    if model.pieces.is_empty() {
        return Err("it is not a SentencePiece model: it has no pieces".into());
    }
    if trainer.treat_whitespace_as_suffix.unwrap_or(false) {
        return Err("it marks the end of words, which no tokenizer.json can say".into());
    }
    let unknown = model.pieces.iter().position(|p| p.is(UNKNOWN)).ok_or("it has no unknown piece")?;
    let mut seen = HashMap::new();
    for (id, piece) in model.pieces.iter().enumerate() {
        if let Some(before) = seen.insert(piece.text(), id) {
            return Err(format!("the piece {:?} stands in it twice, as {before} and {id}", piece.text()));
        }
    }
    let fallback = trainer.byte_fallback.unwrap_or(false) || model.pieces.iter().any(|p| p.is(BYTE));
    let (kind, bpe) = match trainer.model_type.unwrap_or(1) {
        1 => (unigram(&model.pieces, unknown, fallback), false),
        2 => (byte_pairs(&model.pieces, &seen, unknown, fallback), true),
        other => return Err(format!("its kind is {other}; unigram (1) and BPE (2) can be read")),
    };
    let prefix = model.normalizer.as_ref().and_then(|n| n.add_dummy_prefix).unwrap_or(true);
    let mut steps = normalisers(model.normalizer.as_ref())?;
    let metaspace = json!({
        "type": "Metaspace", "replacement": "▁", "split": true,
        "prepend_scheme": if prefix { "always" } else { "never" },
    });
    let (pre_tokenizer, decoder) = if bpe && fallback {
        if prefix {
            steps.push(json!({"type": "Prepend", "prepend": "▁"}));
        }
        steps.push(json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"}));
        (Value::Null, joined(prefix))
    } else if fallback {
        (metaspace, joined(prefix))
    } else {
        (metaspace.clone(), metaspace)
    };
    let normalizer = match steps.len() {
        0 => Value::Null,
        1 => steps.remove(0),
        _ => json!({"type": "Sequence", "normalizers": steps}),
    };
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added(&model.pieces),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor(&model.pieces, &trainer),
        "decoder": decoder,
        "model": kind,
    });
    serde_json::to_vec(&tokenizer).map_err(|e| e.to_string())
}

/// Pieces with their scores.
fn unigram(pieces: &[Piece], unknown: usize, fallback: bool) -> Value {
    let vocab: Vec<Value> = pieces.iter().map(|p| json!([p.text(), f64::from(p.score.unwrap_or(0.0))])).collect();
    json!({"type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": fallback})
}

/// Merges from scores: SentencePiece joins the two neighbours whose joint piece has the best score, so every way to
/// write a piece as two others is a merge, ordered by the piece's score; of one piece the parts with the lower ids
/// come first.
fn byte_pairs(pieces: &[Piece], ids: &HashMap<&str, usize>, unknown: usize, fallback: bool) -> Value {
    let merged = |p: &Piece| ![UNKNOWN, CONTROL, USER_DEFINED, BYTE].iter().any(|kind| p.is(*kind));
    let mut merges: Vec<(f32, usize, [&str; 2], [usize; 2])> = Vec::new();
    for (id, piece) in pieces.iter().enumerate().filter(|(_, p)| merged(p)) {
        let text = piece.text();
        for (at, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(at);
            if let (Some(l), Some(r)) = (ids.get(left), ids.get(right)) {
                merges.push((piece.score.unwrap_or(0.0), id, [left, right], [*l, *r]));
            }
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.3.cmp(&b.3)));
    let vocab: serde_json::Map<String, Value> =
        pieces.iter().enumerate().map(|(id, p)| (p.text().to_owned(), id.into())).collect();
    json!({
        "type": "BPE", "dropout": null, "unk_token": pieces.get(unknown).map(Piece::text),
        "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": true, "byte_fallback": fallback, "ignore_merges": false,
        "vocab": vocab, "merges": merges.iter().map(|m| m.2).collect::<Vec<_>>(),
    })
}

/// What is done to a text before its spaces are marked.
fn normalisers(normalizer: Option<&Normalizer>) -> Result<Vec<Value>, String> {
    let mut steps = Vec::new();
    let map = normalizer.and_then(|n| n.precompiled_charsmap.as_deref()).filter(|m| !m.is_empty());
    if let Some(map) = map {
        let damaged = || "its character map is damaged".to_owned();
        let built = std::panic::catch_unwind(|| Precompiled::from(map)).map_err(|_| damaged())?;
        let step = NormalizerWrapper::Precompiled(built.map_err(|_| damaged())?);
        steps.push(serde_json::to_value(step).map_err(|e| e.to_string())?);
    }
    if normalizer.and_then(|n| n.remove_extra_whitespaces).unwrap_or(true) {
        steps.push(json!({"type": "Strip", "strip_left": true, "strip_right": true}));
        steps.push(json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}));
    }
    Ok(steps)
}

/// A decoder that joins pieces, bytes among them.
fn joined(prefix: bool) -> Value {
    let mut steps = vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        steps.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    json!({"type": "Sequence", "decoders": steps})
}

/// Unknown and control pieces as special tokens, user-defined ones as ordinary added tokens.
fn added(pieces: &[Piece]) -> Vec<Value> {
    let all = pieces.iter().enumerate().filter(|(_, p)| p.is(UNKNOWN) || p.is(CONTROL) || p.is(USER_DEFINED));
    all.map(|(id, piece)| {
        json!({
            "id": id, "content": piece.text(), "special": !piece.is(USER_DEFINED), "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false,
        })
    })
    .collect()
}

/// Nothing is added to a text, but which pieces begin and end one is said, so that roles can be read from it.
fn post_processor(pieces: &[Piece], trainer: &Trainer) -> Value {
    let named = |id: Option<i32>, default: i32| {
        let piece = usize::try_from(id.unwrap_or(default)).ok().and_then(|id| Some((id, pieces.get(id)?)));
        piece.filter(|(_, p)| p.is(CONTROL))
    };
    let (bos, eos) = (named(trainer.bos_id, 1), named(trainer.eos_id, 2));
    let special = |(_, piece): &(usize, &Piece)| json!({"SpecialToken": {"id": piece.text(), "type_id": 0}});
    let mut single = Vec::new();
    single.extend(bos.as_ref().map(special));
    single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
    single.extend(eos.as_ref().map(special));
    if single.len() == 1 {
        return Value::Null;
    }
    let tokens: serde_json::Map<String, Value> = [bos, eos]
        .iter()
        .flatten()
        .map(|(id, p)| (p.text().to_owned(), json!({"id": p.text(), "ids": [id], "tokens": [p.text()]})))
        .collect();
    json!({"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": tokens})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vocabulary::Role;
    use crate::tokenizer::TokenizerFile;
    use std::path::Path;

    fn piece(text: &str, score: f32, kind: i32) -> Piece {
        Piece { piece: Some(text.into()), score: Some(score), kind: Some(kind) }
    }

    fn model(kind: i32, pieces: &[(&str, f32)], fallback: bool) -> Vec<u8> {
        let mut all = vec![piece("<unk>", 0.0, UNKNOWN), piece("<s>", 0.0, CONTROL), piece("</s>", 0.0, CONTROL)];
        if fallback {
            all.extend((0..=255u8).map(|b| piece(&format!("<0x{b:02X}>"), 0.0, BYTE)));
        }
        all.extend(pieces.iter().map(|(text, score)| piece(text, *score, 1)));
        let trainer = Trainer { model_type: Some(kind), byte_fallback: Some(fallback), ..Trainer::default() };
        let normalizer = Normalizer { remove_extra_whitespaces: Some(false), ..Normalizer::default() };
        ModelProto { pieces: all, trainer: Some(trainer), normalizer: Some(normalizer) }.encode_to_vec()
    }

    fn cut(bytes: &[u8], text: &str) -> Vec<String> {
        let json = tokenizer_json(bytes).unwrap();
        let file = TokenizerFile::from_json(&json, None, Path::new("a.model")).unwrap();
        file.tokenizer.encode(text, false).unwrap().get_tokens().to_vec()
    }

    #[test]
    fn byte_pairs_are_merged_by_score_and_unigrams_by_their_sum() {
        // By hand: BPE joins a+b (-1) before b+c (-2); unigram takes ▁ab + c (-3) over ▁a + bc (-4).
        let bpe = [("▁", -9.0), ("a", -9.0), ("b", -9.0), ("c", -9.0), ("ab", -1.0), ("bc", -2.0)];
        assert_eq!(cut(&model(2, &bpe, false), "abc bc"), ["▁", "ab", "c", "▁", "bc"]);
        let unigram = [("▁a", -2.0), ("bc", -2.0), ("▁ab", -1.5), ("c", -1.5), ("▁", -5.0), ("x", -8.0)];
        assert_eq!(cut(&model(1, &unigram, false), "abc x"), ["▁ab", "c", "▁", "x"]);
    }

    #[test]
    fn unknown_characters_become_bytes_where_there_are_bytes_and_one_unknown_token_elsewhere() {
        let pieces = [("▁", -1.0), ("a", -2.0)];
        assert_eq!(cut(&model(2, &pieces, true), "aş"), ["▁", "a", "<0xC5>", "<0x9F>"]);
        let ids = cut(&model(2, &pieces, false), "aşşa");
        assert_eq!(ids.len(), 4, "{ids:?}");
    }

    #[test]
    fn the_pieces_that_begin_and_end_a_text_have_their_roles() {
        let json = tokenizer_json(&model(2, &[("▁", -1.0), ("a", -2.0)], false)).unwrap();
        let file = TokenizerFile::from_json(&json, None, Path::new("a.model")).unwrap();
        let role = |r: Role| file.vocabulary.role(&r);
        assert_eq!((role(Role::Unk), role(Role::Bos), role(Role::Eos)), (Some(0), Some(1), Some(2)));
    }

    #[test]
    fn what_is_no_model_or_is_damaged_says_so() {
        let whole = model(2, &[("▁", -1.0), ("a", -2.0)], false);
        assert!(tokenizer_json(b"").unwrap_err().contains("no pieces"));
        assert!(tokenizer_json(b"{\"model\": {}}").unwrap_err().contains("not a SentencePiece model"));
        assert!(tokenizer_json(&whole[..whole.len() - 3]).is_err());
        assert!(tokenizer_json(&model(4, &[("a", 0.0)], false)).unwrap_err().contains("its kind is 4"));
        assert!(tokenizer_json(&model(1, &[("a", 0.0), ("a", 0.0)], false)).unwrap_err().contains("twice"));
        let mut bent = ModelProto::decode(whole.as_slice()).unwrap();
        bent.normalizer = Some(Normalizer { precompiled_charsmap: Some(vec![1, 2, 3]), ..Normalizer::default() });
        assert!(tokenizer_json(&bent.encode_to_vec()).is_err());
        bent.pieces.remove(0);
        assert!(tokenizer_json(&bent.encode_to_vec()).unwrap_err().contains("no unknown piece"));
    }
}
