//! A BPE vocabulary grown from a text: the original's merges, continued. Old ids and old merges stay as they are; new
//! merges come after all old ones, so whatever the original makes of a text is made first, and no text gets longer.
//!
//! Learning is BPE's own (the most frequent neighbours become one token, again and again), begun on the original's
//! tokens instead of on letters. A pair whose string is a token already is passed over: that token's old merges would
//! reach further than was counted. What the tokens stand for comes in as a [`Vocabulary`].

use super::error::TokenizerError;
use crate::domain::vocabulary::{TokenKind, Vocabulary};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};
use tokenizers::{ModelWrapper, Tokenizer};

/// How far to grow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GrowthConfig {
    /// New tokens at most; `None`: as many as pay.
    pub most: Option<usize>,
    /// A pair seen fewer times than this does not become a token: its row would see too little to be trained. Default 24.
    pub least_seen: u64,
    /// What a row adds to the cost of every token, as a share of it: growing stops where a thousand new tokens save a
    /// smaller share of the tokens than they cost. Default 0.
    pub row_cost: f64,
}

impl Default for GrowthConfig {
    fn default() -> Self {
        Self { most: None, least_seen: 24, row_cost: 0.0 }
    }
}

impl GrowthConfig {
    /// Whether a tokenizer's merges can be continued.
    pub fn possible(tokenizer: &Tokenizer) -> bool {
        matches!(tokenizer.get_model(), ModelWrapper::BPE(_))
    }
}

/// A grown tokenizer.
#[derive(Debug, Clone, PartialEq)]
pub struct GrownBpe {
    /// A tokenizer.json.
    pub json: String,
    /// New tokens.
    pub added: usize,
    /// Tokens the text needed before.
    pub tokens_before: u64,
    /// And needs now.
    pub tokens_after: u64,
}

/// Tokens after which it is asked whether they paid.
const BLOCK: usize = 1000;

/// How often learning begins again without tokens that turned out to be out of reach.
const ATTEMPTS: usize = 4;

/// Grows the tokenizer of a tokenizer.json on documents.
///
/// # Errors
/// [`TokenizerError::Unusable`] where it is no BPE, or its file cannot be understood; [`TokenizerError::Data`] where the
/// text gives no new token.
pub fn grow_bpe<S: AsRef<str> + Sync>(
    tokenizer_json: &str,
    vocabulary: &Vocabulary,
    documents: &[S],
    growth: &GrowthConfig,
) -> Result<GrownBpe, TokenizerError> {
    let refused = |e: tokenizers::Error| TokenizerError::Unusable(e.to_string());
    let mut tokenizer = Tokenizer::from_bytes(tokenizer_json).map_err(refused)?;
    if !GrowthConfig::possible(&tokenizer) {
        return Err(TokenizerError::Unusable("only BPE vocabularies can be grown: other models have no merges".into()));
    }
    tokenizer.with_truncation(None).map_err(refused)?;
    tokenizer.with_padding(None);
    let words = words(&tokenizer, vocabulary, documents)?;
    let tokens_before: u64 = words.iter().map(|w| w.ids.len() as u64 * w.count).sum();
    let mut banned = HashSet::new();
    for _ in 0..ATTEMPTS {
        let learnt = learn(&words, vocabulary, growth, tokens_before, &banned);
        if learnt.merges.is_empty() {
            return Err(TokenizerError::Data(format!(
                "the text gives no new token: no neighbours occur {} times",
                growth.least_seen
            )));
        }
        let json = complete(tokenizer_json, vocabulary, &learnt.merges)?;
        let grown = Tokenizer::from_bytes(&json).map_err(refused)?;
        let unreachable = unreachable(&grown, &learnt);
        if unreachable.is_empty() {
            let (added, tokens_after) = (learnt.merges.len(), learnt.tokens);
            return Ok(GrownBpe { json, added, tokens_before, tokens_after });
        }
        banned.extend(unreachable);
    }
    Err(TokenizerError::Unusable("new tokens stay out of reach of any text".into()))
}

/// A word of the text as the original writes it.
#[derive(Debug, Clone)]
struct Word {
    ids: Vec<u32>,
    count: u64,
}

/// The words of the documents: what lies between the original's own cuts, or, where it makes none, before each word
/// marker. New tokens never reach over such a cut. In a fixed order.
fn words<S: AsRef<str> + Sync>(
    tokenizer: &Tokenizer,
    vocabulary: &Vocabulary,
    documents: &[S],
) -> Result<Vec<Word>, TokenizerError> {
    let cut = |document: &S| -> Result<HashMap<Vec<u32>, u64>, TokenizerError> {
        let encoding =
            tokenizer.encode(document.as_ref(), false).map_err(|e| TokenizerError::Unusable(e.to_string()))?;
        let mut found: HashMap<Vec<u32>, u64> = HashMap::new();
        let mut word: Vec<u32> = Vec::new();
        let mut place = None;
        for (id, at) in encoding.get_ids().iter().zip(encoding.get_word_ids()) {
            let token = vocabulary.get(*id);
            let begins = token.is_some_and(|t| t.raw.starts_with('▁'));
            let usable = token.is_some_and(|t| t.kind == TokenKind::Text);
            if (*at != place || begins || !usable) && !word.is_empty() {
                *found.entry(std::mem::take(&mut word)).or_default() += 1;
            }
            place = *at;
            // What is no text stands alone: it is never part of a merge, but it counts as a token.
            if usable {
                word.push(*id);
            } else {
                *found.entry(vec![*id]).or_default() += 1;
            }
        }
        if !word.is_empty() {
            *found.entry(word).or_default() += 1;
        }
        Ok(found)
    };
    let join = |mut a: HashMap<Vec<u32>, u64>, b: HashMap<Vec<u32>, u64>| {
        for (word, count) in b {
            *a.entry(word).or_default() += count;
        }
        Ok(a)
    };
    let all = documents.par_iter().map(cut).try_reduce(HashMap::new, join)?;
    let mut all: Vec<Word> = all.into_iter().map(|(ids, count)| Word { ids, count }).collect();
    all.sort_by(|a, b| a.ids.cmp(&b.ids));
    Ok(all)
}

/// A new merge.
#[derive(Debug, Clone, PartialEq)]
struct Merge {
    left: String,
    right: String,
    id: u32,
}

impl Merge {
    fn token(&self) -> String {
        format!("{}{}", self.left, self.right)
    }
}

/// What was learnt.
struct Learnt {
    merges: Vec<Merge>,
    /// Tokens the text needs now.
    tokens: u64,
    /// New ids that stand in the text as it is written now.
    used: HashSet<u32>,
}

type Pair = (u32, u32);

fn learn(
    words: &[Word],
    vocabulary: &Vocabulary,
    growth: &GrowthConfig,
    tokens_before: u64,
    banned: &HashSet<String>,
) -> Learnt {
    let mut words = words.to_vec();
    let known: HashSet<&str> = vocabulary.iter().map(|(_, t)| t.raw.as_str()).collect();
    let mut made: HashSet<String> = HashSet::new();
    let mut names: HashMap<u32, String> = HashMap::new();
    let name = |names: &HashMap<u32, String>, id: u32| -> String {
        names.get(&id).cloned().or_else(|| vocabulary.get(id).map(|t| t.raw.clone())).unwrap_or_default()
    };
    let mut counts: HashMap<Pair, i64> = HashMap::new();
    let mut places: HashMap<Pair, BTreeSet<usize>> = HashMap::new();
    for (at, word) in words.iter().enumerate() {
        for pair in neighbours(&word.ids) {
            *counts.entry(pair).or_default() += word.count as i64;
            places.entry(pair).or_default().insert(at);
        }
    }
    // The most frequent first; of equal ones the lower ids. Entries go stale and are checked when they come up.
    let mut heap: BinaryHeap<(i64, std::cmp::Reverse<Pair>)> =
        counts.iter().map(|(pair, count)| (*count, std::cmp::Reverse(*pair))).collect();
    let first = vocabulary.rows() as u32;
    let mut merges: Vec<Merge> = Vec::new();
    let (mut tokens, mut at_block) = (tokens_before, tokens_before);
    while let Some((count, std::cmp::Reverse(pair))) = heap.pop() {
        let current = counts.get(&pair).copied().unwrap_or(0);
        if count != current {
            if current > 0 {
                heap.push((current, std::cmp::Reverse(pair)));
            }
            continue;
        }
        if current < growth.least_seen.max(1) as i64 || growth.most.is_some_and(|most| merges.len() >= most) {
            break;
        }
        let (left, right) = (name(&names, pair.0), name(&names, pair.1));
        let joined = format!("{left}{right}");
        if known.contains(joined.as_str()) || made.contains(&joined) || banned.contains(&joined) {
            counts.remove(&pair);
            continue;
        }
        let id = first + merges.len() as u32;
        made.insert(joined.clone());
        names.insert(id, joined);
        merges.push(Merge { left, right, id });
        let mut changed: BTreeSet<Pair> = BTreeSet::new();
        for at in places.remove(&pair).unwrap_or_default() {
            let Some(word) = words.get_mut(at) else { continue };
            for old in neighbours(&word.ids) {
                *counts.entry(old).or_default() -= word.count as i64;
            }
            let before = word.ids.len();
            merge(&mut word.ids, pair, id);
            tokens -= (before - word.ids.len()) as u64 * word.count;
            for new in neighbours(&word.ids) {
                *counts.entry(new).or_default() += word.count as i64;
                places.entry(new).or_default().insert(at);
                changed.insert(new);
            }
        }
        counts.remove(&pair);
        heap.extend(changed.into_iter().map(|p| (counts.get(&p).copied().unwrap_or(0), std::cmp::Reverse(p))));
        if growth.most.is_none() && merges.len().is_multiple_of(BLOCK) {
            let saved = (at_block - tokens) as f64 / at_block.max(1) as f64;
            if saved < growth.row_cost * BLOCK as f64 {
                break;
            }
            at_block = tokens;
        }
    }
    let used = words.iter().flat_map(|w| w.ids.iter().copied()).filter(|id| *id >= first).collect();
    Learnt { merges, tokens, used }
}

fn neighbours(ids: &[u32]) -> impl Iterator<Item = Pair> + '_ {
    ids.windows(2).filter_map(|w| Some((*w.first()?, *w.last()?)))
}

/// Every occurrence of the pair, from the left, as one token.
fn merge(ids: &mut Vec<u32>, pair: Pair, id: u32) {
    let mut merged = Vec::with_capacity(ids.len());
    let mut rest = ids.as_slice();
    loop {
        match rest {
            [a, b, more @ ..] if (*a, *b) == pair => {
                merged.push(id);
                rest = more;
            }
            [a, more @ ..] => {
                merged.push(*a);
                rest = more;
            }
            [] => break,
        }
    }
    *ids = merged;
}

/// New tokens that neither stand in the text nor come of their own string.
fn unreachable(grown: &Tokenizer, learnt: &Learnt) -> Vec<String> {
    use tokenizers::Model;
    let alone = |m: &Merge| {
        grown.get_model().tokenize(&m.token()).is_ok_and(|t| t.len() == 1 && t.first().is_some_and(|t| t.id == m.id))
    };
    learnt.merges.iter().filter(|m| !learnt.used.contains(&m.id) && !alone(m)).map(Merge::token).collect()
}

/// The original's file with the new tokens and merges.
fn complete(tokenizer_json: &str, vocabulary: &Vocabulary, merges: &[Merge]) -> Result<String, TokenizerError> {
    let strange = |what: &str| TokenizerError::Unusable(format!("the file's {what} is not as BPE files have it"));
    let mut file: Value = serde_json::from_str(tokenizer_json).map_err(|e| TokenizerError::Unusable(e.to_string()))?;
    debug_assert!(merges.iter().all(|m| m.id as usize >= vocabulary.rows()));
    let model = file.get_mut("model").and_then(Value::as_object_mut).ok_or_else(|| strange("model"))?;
    let vocab = model.get_mut("vocab").and_then(Value::as_object_mut).ok_or_else(|| strange("vocabulary"))?;
    for m in merges {
        vocab.insert(m.token(), m.id.into());
    }
    let list = model.get_mut("merges").and_then(Value::as_array_mut).ok_or_else(|| strange("list of merges"))?;
    // In the form the file has: pairs, or strings with a space between, which a part with a space in it cannot have.
    let as_strings = list.first().is_none_or(Value::is_string);
    for m in merges {
        list.push(if as_strings { format!("{} {}", m.left, m.right).into() } else { json!([m.left, m.right]) });
    }
    Ok(file.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{BpeConfig, BpeKind, train_bpe, vocabulary_for_tests as vocabulary};

    const ENGLISH: [&str; 4] =
        ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog and a log", "on and on the log sat"];

    fn turkish() -> Vec<String> {
        let (stems, ends) = (["kitap", "kalem", "ağaç", "şehir", "yol"], ["lar", "ler", "lardan", "lerde", "ım", ""]);
        (0..300)
            .map(|i| format!("{}{} ve {}{}", stems[i % 5], ends[i % 6], stems[i / 5 % 5], ends[i / 7 % 6]))
            .collect()
    }

    fn originals() -> [(BpeKind, String, Vocabulary); 2] {
        [BpeKind::ByteLevel, BpeKind::Metaspace].map(|kind| {
            // A metaspace tokenizer can only merge letters that it knows.
            let letters = "k i t a p l e m ğ ç ş h r y o ı v d n";
            let text: Vec<&str> = ENGLISH.into_iter().chain([letters]).collect();
            let json = train_bpe(&text, &BpeConfig { vocab: 340, kind, min_frequency: 2 }).unwrap();
            let vocabulary = vocabulary(&json, kind);
            (kind, json, vocabulary)
        })
    }

    #[test]
    fn every_new_token_is_reachable_no_old_id_moves_and_no_text_gets_longer() {
        let text = turkish();
        for (kind, json, old) in originals() {
            let growth = GrowthConfig { most: Some(60), least_seen: 5, row_cost: 0.0 };
            let grown = grow_bpe(&json, &old, &text, &growth).unwrap();
            let (before, after) = (Tokenizer::from_bytes(&json).unwrap(), Tokenizer::from_bytes(&grown.json).unwrap());
            assert!(grown.added > 20 && grown.tokens_after < grown.tokens_before, "{kind:?} {grown:?}");
            for (id, token) in old.iter() {
                assert_eq!(after.token_to_id(&token.raw), Some(id), "{kind:?} {}", token.raw);
            }
            let new: HashSet<u32> = (old.rows() as u32..(old.rows() + grown.added) as u32).collect();
            let mut seen = HashSet::new();
            let mut total = 0;
            let others = ["the cat sat", "fn main() { let x = 3; }", "İstanbul'da  iki   boşluk", "ve vevevevev", ""];
            for line in text.iter().map(String::as_str).chain(ENGLISH).chain(others) {
                let (a, b) = (before.encode(line, false).unwrap(), after.encode(line, false).unwrap());
                assert!(b.len() <= a.len(), "{kind:?} {line:?}");
                assert_eq!(after.decode(b.get_ids(), true).unwrap(), before.decode(a.get_ids(), true).unwrap());
                seen.extend(b.get_ids().iter().copied());
                total += b.len() as u64;
            }
            let rest: u64 = ENGLISH.iter().chain(&others).map(|l| after.encode(*l, false).unwrap().len() as u64).sum();
            assert_eq!(total - rest, grown.tokens_after, "what was counted is what the tokenizer does: {kind:?}");
            use tokenizers::Model;
            for id in new.difference(&seen) {
                let own = after.get_model().tokenize(&after.id_to_token(*id).unwrap()).unwrap();
                assert_eq!(own.iter().map(|t| t.id).collect::<Vec<_>>(), [*id], "{kind:?}");
            }
        }
    }

    #[test]
    fn the_same_text_gives_the_same_growth() {
        let [(_, json, old), _] = originals();
        let growth = GrowthConfig { least_seen: 5, ..GrowthConfig::default() };
        let once = grow_bpe(&json, &old, &turkish(), &growth).unwrap();
        assert_eq!(once, grow_bpe(&json, &old, &turkish(), &growth).unwrap());
    }

    #[test]
    fn growing_stops_where_rows_cost_more_than_they_save() {
        let [(_, json, old), _] = originals();
        let letters =
            |n: u32| [n / 676 % 26, n / 26 % 26, n % 26].map(|d| char::from(b'a' + d as u8)).iter().collect::<String>();
        let text: Vec<String> =
            (0..3000u32).map(|i| format!("w{} x{}", letters(i * 7919 % 1500), letters(i * 104_729 % 1700))).collect();
        let free = grow_bpe(&json, &old, &text, &GrowthConfig { least_seen: 1, ..GrowthConfig::default() }).unwrap();
        let dear = GrowthConfig { least_seen: 1, row_cost: 1.0, most: None };
        let few = grow_bpe(&json, &old, &text, &dear).unwrap();
        assert!(free.added > BLOCK && few.added == BLOCK, "{} {}", free.added, few.added);
    }

    #[test]
    fn a_text_without_news_and_a_tokenizer_without_merges_are_refused() {
        let [(_, json, old), _] = originals();
        assert!(grow_bpe(&json, &old, &["xq"], &GrowthConfig::default()).is_err());
        let words = r#"{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}"#;
        let error = grow_bpe(words, &old, &["a"], &GrowthConfig::default()).unwrap_err();
        assert!(error.to_string().contains("BPE"), "{error}");
    }
}
