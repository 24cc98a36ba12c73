//! In which words? Every sentence of a report stands in `en.ftl` and `tr.ftl`; here they are found and filled in.
//! Knows no profile and no run. Numbers and names arrive as text, written by [`super::numbers`].

use crate::domain::language::Lang;
use fluent_bundle::{FluentArgs, FluentBundle, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

/// The file of a language.
fn sentences(lang: Lang) -> &'static str {
    match lang {
        Lang::En => include_str!("en.ftl"),
        Lang::Tr => include_str!("tr.ftl"),
    }
}

/// Decides how plurals are chosen.
fn identifier(lang: Lang) -> LanguageIdentifier {
    lang.to_string().parse().unwrap_or_default()
}

/// The sentences of one language.
pub(super) struct Words {
    bundle: FluentBundle<FluentResource>,
    pub(super) lang: Lang,
}

impl Words {
    pub(super) fn new(lang: Lang) -> Self {
        let mut bundle = FluentBundle::new(vec![identifier(lang)]);
        // Marks of direction around every insertion are noise where both languages run from left to right.
        bundle.set_use_isolating(false);
        // The sentences are part of the program; that they parse and that keys are unique is tested below.
        let resource = match FluentResource::try_new(sentences(lang).to_string()) {
            Ok(resource) | Err((resource, _)) => resource,
        };
        bundle.add_resource_overriding(resource);
        Self { bundle, lang }
    }

    /// The sentence of a key, filled in; the key itself where there is none.
    pub(super) fn say(&self, key: &str, values: &[(&str, FluentValue<'_>)]) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|message| message.value()) else {
            return key.to_string();
        };
        let arguments: FluentArgs<'_> = values.iter().map(|(name, value)| (*name, value.clone())).collect();
        let mut errors = Vec::new();
        self.bundle.format_pattern(pattern, Some(&arguments), &mut errors).into_owned()
    }

    /// As [`Words::one_of`]; the member's own name where a user added it.
    pub(super) fn one_of_or(&self, family: &str, member: &str) -> String {
        let key = format!("{family}-{member}");
        if self.bundle.has_message(&key) { self.say(&key, &[]) } else { member.to_string() }
    }

    /// What an input of the tables is called; its own name where a user added it.
    pub(super) fn input(&self, name: &str) -> String {
        self.one_of_or("input", name)
    }

    /// The sentence of a key that is put together from a family and a member: `level-good`.
    pub(super) fn one_of(&self, family: &str, member: &str) -> String {
        self.say(&format!("{family}-{member}"), &[])
    }
}

/// With a capital at its beginning and a full stop at its end.
pub(super) fn sentence(text: &str, lang: Lang) -> String {
    let mut letters = text.chars();
    let first = match letters.next() {
        Some('i') if lang == Lang::Tr => "İ".to_string(),
        Some(letter) => letter.to_uppercase().collect(),
        None => return String::new(),
    };
    let stop = if text.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

/// `say!(words, "key", name = value)`: the sentence of a key, filled in. Underscores in names stand for hyphens.
macro_rules! say {
    ($words:expr, $key:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $words.say($key, &[$((stringify!($name), fluent_bundle::FluentValue::from($value))),*])
    };
}
pub(super) use say;

/// The keys of a language's sentences.
#[cfg(test)]
pub(super) fn keys(lang: Lang) -> std::collections::BTreeSet<String> {
    tests::taken(lang).into_keys().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use strum::IntoEnumIterator;

    /// Keys with the names of the values they take.
    pub(super) fn taken(lang: Lang) -> BTreeMap<String, BTreeSet<String>> {
        let mut found = BTreeMap::new();
        let mut key = String::new();
        for line in sentences(lang).lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
            if !line.starts_with([' ', '}', ',']) {
                key = line.split(" =").next().unwrap_or_default().to_string();
                assert!(found.insert(key.clone(), BTreeSet::new()).is_none(), "{key} stands twice in {lang}");
            }
            for part in line.split('$').skip(1) {
                let name: String = part.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
                found.entry(key.clone()).or_insert_with(BTreeSet::new).insert(name);
            }
        }
        found
    }

    #[test]
    fn both_languages_parse_without_a_complaint() {
        for lang in Lang::iter() {
            assert!(FluentResource::try_new(sentences(lang).to_string()).is_ok(), "{lang}");
        }
    }

    #[test]
    fn both_languages_say_the_same_things_from_the_same_values() {
        let (en, mut tr) = (taken(Lang::En), taken(Lang::Tr));
        // Reasons, which every other language has besides, are held by the tests of `reasons`.
        tr.retain(|key, _| en.contains_key(key));
        assert_eq!(keys(Lang::En), tr.keys().cloned().collect());
        for (key, values) in &tr {
            // Turkish may leave `n` unused: its nouns stay singular after a number.
            let strangers: Vec<_> = values.difference(&en[key]).collect();
            assert!(strangers.is_empty(), "{key}: {strangers:?}");
            let dropped: Vec<_> = en[key].difference(values).filter(|v| *v != "n").collect();
            assert!(dropped.is_empty(), "{key}: {dropped:?}");
        }
    }

    #[test]
    fn no_turkish_suffix_hangs_on_a_value_that_comes_from_outside() {
        for line in sentences(Lang::Tr).lines().filter(|l| !l.starts_with('#')) {
            for after in line.split("{ $").skip(1).filter_map(|part| part.split_once(" }").map(|(_, rest)| rest)) {
                let next = after.chars().next().unwrap_or(' ');
                assert!(!next.is_alphabetic() && !"'’".contains(next), "{line}");
            }
        }
    }

    #[test]
    fn turkish_nouns_stay_singular_after_a_number() {
        for line in sentences(Lang::Tr).lines().filter(|l| !l.starts_with('#')) {
            for value in ["n", "count", "lines", "words", "rows", "steps", "tokens", "times"] {
                if let Some((_, after)) = line.split_once(&format!("{{ ${value} }} ")) {
                    let noun = after.split([' ', ',', ';', '.']).next().unwrap_or_default();
                    assert!(!noun.ends_with("lar") && !noun.ends_with("ler"), "{line}");
                }
            }
        }
    }

    #[test]
    fn english_counts_one_and_many() {
        let words = Words::new(Lang::En);
        assert_eq!(say!(words, "history-count", n = 1, count = "1"), "1 run.");
        assert_eq!(say!(words, "history-count", n = 2, count = "2"), "2 runs.");
        let words = Words::new(Lang::Tr);
        assert_eq!(say!(words, "history-count", n = 2, count = "2"), "2 çalışma.");
    }

    #[test]
    fn a_key_without_a_sentence_is_shown_as_it_is() {
        assert_eq!(Words::new(Lang::En).say("no-such-key", &[]), "no-such-key");
    }
}
