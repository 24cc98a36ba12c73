//! In which words do the pages speak? Every sentence stands in `en.ftl` and `tr.ftl` beside this file; reports bring
//! their own.

use crate::report::Lang;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use std::sync::OnceLock;

type Bundle = FluentBundle<FluentResource>;

fn sentences(lang: Lang) -> &'static str {
    match lang {
        Lang::En => include_str!("en.ftl"),
        Lang::Tr => include_str!("tr.ftl"),
    }
}

fn bundle(lang: Lang) -> &'static Bundle {
    static EN: OnceLock<Bundle> = OnceLock::new();
    static TR: OnceLock<Bundle> = OnceLock::new();
    let place = match lang {
        Lang::En => &EN,
        Lang::Tr => &TR,
    };
    place.get_or_init(|| {
        let mut bundle = Bundle::new_concurrent(vec![lang.to_string().parse().unwrap_or_default()]);
        bundle.set_use_isolating(false);
        // The sentences are part of the program; that they parse is tested below.
        let resource = match FluentResource::try_new(sentences(lang).to_string()) {
            Ok(resource) | Err((resource, _)) => resource,
        };
        bundle.add_resource_overriding(resource);
        bundle
    })
}

/// The sentence of a key; the key itself where there is none.
pub fn say(lang: Lang, key: &str) -> String {
    say_with(lang, key, &[])
}

/// The same, filled in.
pub fn say_with(lang: Lang, key: &str, values: &[(&str, FluentValue<'_>)]) -> String {
    let bundle = bundle(lang);
    let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else { return key.to_string() };
    let arguments: FluentArgs<'_> = values.iter().map(|(name, value)| (*name, value.clone())).collect();
    bundle.format_pattern(pattern, Some(&arguments), &mut Vec::new()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn keys(lang: Lang) -> BTreeSet<&'static str> {
        sentences(lang).lines().filter_map(|l| l.split_once(" = ").map(|(key, _)| key)).collect()
    }

    #[test]
    fn both_languages_parse_and_say_the_same_things() {
        for lang in [Lang::En, Lang::Tr] {
            assert!(FluentResource::try_new(sentences(lang).to_string()).is_ok(), "{lang}");
        }
        assert_eq!(keys(Lang::En), keys(Lang::Tr));
    }

    #[test]
    fn every_word_that_a_page_uses_is_there() {
        let sources = [
            include_str!("mod.rs"),
            include_str!("runs.rs"),
            include_str!("past.rs"),
            include_str!("advice.rs"),
            include_str!("tables.rs"),
            include_str!("session.rs"),
            include_str!("chart.rs"),
        ];
        let known = keys(Lang::En);
        let mut used = 0;
        for source in sources {
            for call in ["say(\"", "say_with(\""] {
                for part in source.split(call).skip(1) {
                    let key = part.split('"').next().unwrap_or_default();
                    assert!(known.contains(key), "{key}");
                    used += 1;
                }
            }
        }
        assert!(used > 50, "{used}");
    }
}
