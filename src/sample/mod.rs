//! Where does text come from when there is none at hand? From two small grammars, written for this program: Turkish
//! with real morphology, and English-like sentences. The same seed gives the same text; nothing is downloaded.
//!
//! A document is one line: a few sentences about one topic, with people, places and things that come back, so that a
//! language model has something to learn beyond single words. Knows no tokenizers and no files.

mod draw;
mod english;
mod english_words;
mod morphology;
mod turkish;
mod turkish_words;

use draw::Draw;
use std::collections::HashSet;

/// English-like documents, at least `bytes` bytes of them in all, line ends counted.
pub fn english(seed: u64, bytes: usize) -> Vec<String> {
    let mut writer = english::Writer::new(Draw::new(seed, 1));
    documents(bytes, || writer.document())
}

/// Turkish documents, at least `bytes` bytes of them in all, line ends counted.
pub fn turkish(seed: u64, bytes: usize) -> Vec<String> {
    let mut writer = turkish::Writer::new(Draw::new(seed, 2));
    documents(bytes, || writer.document())
}

fn documents(bytes: usize, mut document: impl FnMut() -> String) -> Vec<String> {
    let mut lines = Vec::new();
    let mut written = 0;
    while written < bytes {
        let line = document();
        written += line.len() + 1;
        lines.push(line);
    }
    lines
}

/// Texts for a move from one language to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bilingual {
    /// What the base reads: English, and a little Turkish, as most large models have.
    pub base_train: Vec<String>,
    /// The language to move to, for training.
    pub target_train: Vec<String>,
    /// The same, held out.
    pub target_eval: Vec<String>,
}

/// One document in this many is held out.
const HELD_OUT: usize = 20;
/// Of what the base reads, one part in this many is Turkish.
const TURKISH_SHARE: usize = 8;

/// Texts of these sizes in bytes, the held-out part included in the target's.
pub fn bilingual(seed: u64, base_bytes: usize, target_bytes: usize) -> Bilingual {
    let target = split(turkish(seed, target_bytes), HELD_OUT);
    Bilingual { base_train: mostly_english(seed, base_bytes), target_train: target.train, target_eval: target.held_out }
}

fn mostly_english(seed: u64, bytes: usize) -> Vec<String> {
    let english = english(seed, bytes - bytes / TURKISH_SHARE);
    // Another seed than the text to move to: the base must not have read that.
    let turkish = turkish(!seed, bytes / TURKISH_SHARE);
    let every = (english.len() / turkish.len().max(1)).max(1);
    let mut turkish = turkish.into_iter();
    let mut mixed = Vec::with_capacity(english.len() + turkish.len());
    for (i, line) in english.into_iter().enumerate() {
        mixed.push(line);
        if i.is_multiple_of(every) {
            mixed.extend(turkish.next());
        }
    }
    mixed.extend(turkish);
    mixed
}

/// Documents to train on, and documents held out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// For training.
    pub train: Vec<String>,
    /// For evaluation; none of them is in `train`.
    pub held_out: Vec<String>,
}

/// Every `every`-th distinct document is held out, and no document stands on both sides or twice. With `every` below 2
/// all are held out.
pub fn split(documents: Vec<String>, every: usize) -> Split {
    let mut seen = HashSet::new();
    let mut split = Split { train: Vec::new(), held_out: Vec::new() };
    for (i, document) in documents.into_iter().filter(|d| seen.insert(d.clone())).enumerate() {
        let side = if (i + 1).is_multiple_of(every.max(1)) { &mut split.held_out } else { &mut split.train };
        side.push(document);
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn words(documents: &[String]) -> Vec<String> {
        let text = documents.join(" ");
        text.split_whitespace().map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()).to_string()).collect()
    }

    #[test]
    fn the_same_seed_writes_the_same_text_and_another_seed_another() {
        assert_eq!(turkish(7, 20_000), turkish(7, 20_000));
        assert_eq!(english(7, 20_000), english(7, 20_000));
        assert_ne!(turkish(7, 20_000), turkish(8, 20_000));
        assert_ne!(english(7, 20_000), english(8, 20_000));
    }

    #[test]
    fn as_many_bytes_are_written_as_were_asked_for_and_hardly_more() {
        for documents in [turkish(1, 50_000), english(1, 50_000)] {
            let bytes: usize = documents.iter().map(|d| d.len() + 1).sum();
            assert!((50_000..53_000).contains(&bytes), "{bytes}");
            assert!(documents.iter().all(|d| !d.contains('\n') && !d.is_empty()));
        }
    }

    #[test]
    fn more_text_of_a_seed_begins_with_the_same_documents() {
        let (short, long) = (turkish(3, 5_000), turkish(3, 10_000));
        assert_eq!(short[..], long[..short.len()]);
    }

    #[test]
    fn no_document_stands_on_both_sides_of_a_split() {
        let mut documents = turkish(5, 100_000);
        let again = documents.clone();
        documents.extend(again);
        let Split { train, held_out } = split(documents, 10);
        let train_set: HashSet<_> = train.iter().collect();
        assert!(held_out.iter().all(|d| !train_set.contains(d)));
        assert_eq!(train_set.len(), train.len());
        assert_eq!(held_out.len(), (train.len() + held_out.len()) / 10);
    }

    #[test]
    fn turkish_has_many_times_the_word_forms_of_english_and_the_head_of_both_is_heavy() {
        let forms = [turkish(2, 1_000_000), english(2, 1_000_000)].map(|documents| {
            let mut counts: HashMap<String, usize> = HashMap::new();
            let words = words(&documents);
            for word in &words {
                *counts.entry(word.to_lowercase()).or_default() += 1;
            }
            let mut sorted: Vec<usize> = counts.into_values().collect();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            let head: usize = sorted[..100].iter().sum();
            assert!(head * 4 > words.len(), "the 100 most frequent words are {head} of {}", words.len());
            sorted.len()
        });
        assert!(forms[0] > 7_000 && forms[1] > 1_500 && forms[0] > 4 * forms[1], "{forms:?}");
    }

    #[test]
    fn no_notation_of_the_grammar_leaks_into_the_text() {
        for documents in [turkish(4, 300_000), english(4, 300_000)] {
            for document in &documents {
                assert!(!document.contains(['~', '^', '_', '(', '|']), "{document}");
                assert!(!document.contains("  ") && !document.contains(" ."), "{document}");
                for word in document.split_whitespace() {
                    let inner = word.trim_matches(|c: char| !c.is_alphabetic()).chars().skip(1);
                    assert!(!inner.filter(|c| c.is_alphabetic()).any(char::is_uppercase), "{word} in {document}");
                }
            }
        }
    }
}
