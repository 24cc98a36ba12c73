//! The languages of reports, and a text that its author gives in several of them. What reports say is not known here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The language of a report.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Turkish.
    Tr,
}

/// Translations of an English text, by language.
pub type Translations = BTreeMap<Lang, String>;

/// Why a row of a table says what it says, in the words of its author.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wording {
    /// In English.
    #[serde(rename = "because")]
    pub text: String,
    /// In other languages, where the author gave them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub translated: Translations,
}

impl Wording {
    /// In a language, or in English where the author did not give it.
    pub fn in_language(&self, lang: Lang) -> &str {
        self.translated.get(&lang).unwrap_or(&self.text)
    }
}

impl From<&str> for Wording {
    fn from(text: &str) -> Self {
        Self { text: text.into(), translated: BTreeMap::new() }
    }
}

impl fmt::Display for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
