//! A table's file as it stands: what may be written, with the place of everything that can be wrong. Whether it makes
//! sense is not known here.

use crate::domain::language::Translations;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// How the rows that match become the answer (DMN).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Hit {
    /// Exactly one row matches every input.
    Unique,
    /// Several may match, all saying the same.
    Any,
    /// The first row that matches.
    First,
    /// The row whose output stands first in `order`.
    Priority,
    /// All rows that match, possibly none.
    Collect,
}

/// A table's file.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a table of rules")]
pub struct RawTable {
    /// The table's name, as the file's.
    #[schemars(with = "String")]
    pub table: Spanned<String>,
    /// What it answers.
    pub about: String,
    /// How matching rows become the answer.
    #[schemars(with = "Hit")]
    pub hit: Spanned<Hit>,
    /// For `priority`: outputs, the most important first.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub order: Vec<Spanned<String>>,
    /// Why the numbers are provisional, while they are.
    pub provisional: Option<String>,
    /// The columns.
    pub column: Vec<RawColumn>,
    /// The rows.
    pub row: Vec<RawRow>,
    /// The table's own tests.
    #[serde(default)]
    pub test: Vec<RawTest>,
}

/// A column: asks about the first known of the features it reads.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawColumn {
    /// Its name in the rows.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// The features; the one of the same name if left out.
    #[schemars(with = "Option<Vec<String>>")]
    pub reads: Option<Vec<Spanned<String>>>,
    /// Why these.
    pub because: Option<String>,
}

/// A row.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRow {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Cells by column; a column left out is `-`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub when: BTreeMap<String, Spanned<String>>,
    /// What it says.
    #[schemars(with = "serde_json::Value")]
    pub then: Spanned<toml::Value>,
    /// Why.
    #[schemars(with = "String")]
    pub because: Spanned<String>,
    /// Why, in other languages.
    #[serde(default)]
    pub translated: Translations,
}

/// A test: an input and the rows that must answer it.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTest {
    /// What it shows.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Features by name.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub given: BTreeMap<String, Spanned<toml::Value>>,
    /// The rows that answer, in order.
    pub rows: Vec<String>,
}
