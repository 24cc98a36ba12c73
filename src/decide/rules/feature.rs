//! The features that tables may ask about: what values each can have, and how a similarity falls into a band. Where
//! the values come from is not known here.

use super::cell::{Cell, Interval, Unary};
use super::diagnostic::{Code, Diagnostic, Source};
use super::value::Value;
use crate::domain::feature::Feature;
use crate::domain::profile::Basis;
use serde::Deserialize;
use strum::IntoEnumIterator;
use toml::Spanned;

/// The values a feature can have.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// Numbers of an interval, or the whole numbers in it.
    Number {
        /// The interval.
        range: Interval,
        /// Whether only whole numbers occur.
        integer: bool,
    },
    /// These names.
    Names(Vec<String>),
}

impl Domain {
    /// Whether a known value is possible.
    pub fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Domain::Number { range, integer }, Value::Number(x)) => {
                range.contains(*x) && (!integer || x.fract() == 0.0)
            }
            (Domain::Names(names), Value::Text(text)) => names.iter().any(|n| **n == **text),
            _ => false,
        }
    }

    /// In words, for messages.
    pub fn describe(&self) -> String {
        match self {
            Domain::Number { range, integer } => {
                let (low, high) = (if range.low.closed { '[' } else { '(' }, if range.high.closed { ']' } else { ')' });
                let kind = if *integer { "a whole number" } else { "a number" };
                format!("{kind} in {low}{}..{}{high}", range.low.at, range.high.at)
            }
            Domain::Names(names) => format!("one of {}", names.join(", ")),
        }
    }
}

/// A feature as `features.toml` declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredFeature {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Its unit.
    pub unit: String,
    /// The values it can have.
    pub domain: Domain,
    /// Whether it may be unknown.
    pub optional: bool,
}

/// Thresholds of a basis.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// The basis.
    pub basis: Basis,
    /// Medium from here.
    pub medium: f64,
    /// High from here.
    pub high: f64,
}

/// All features, checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    list: Vec<DeclaredFeature>,
    bands: Vec<Band>,
}

impl Features {
    /// The index of a feature.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|f| f.name == name)
    }

    /// A feature by index.
    pub fn get(&self, index: usize) -> Option<&DeclaredFeature> {
        self.list.get(index)
    }

    /// All, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &DeclaredFeature> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The thresholds of a basis.
    pub fn thresholds(&self, basis: &str) -> Option<&Band> {
        self.bands.iter().find(|b| b.basis.to_string() == basis)
    }

    /// The band a similarity falls into; nothing for a basis without thresholds.
    pub fn band(&self, basis: &str, similarity: f64) -> Value {
        self.thresholds(basis).map_or(Value::Null, |b| {
            Value::text(if similarity >= b.high {
                "high"
            } else if similarity >= b.medium {
                "medium"
            } else {
                "low"
            })
        })
    }
}

/// `features.toml` as it stands.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "features.toml")]
pub struct RawFeatures {
    /// The features.
    feature: Vec<RawFeature>,
    /// Thresholds of similarity, one entry a basis.
    band: Vec<RawBand>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawFeature {
    /// Its name: one of those hibrit measures.
    #[schemars(with = "String")]
    name: Spanned<String>,
    /// What it is.
    about: String,
    /// Its unit.
    unit: String,
    /// For numbers: a unary test that holds all possible values.
    #[schemars(with = "Option<String>")]
    range: Option<Spanned<String>>,
    /// For names: all possible ones.
    allowed: Option<Vec<String>>,
    /// Whether only whole numbers occur.
    #[serde(default)]
    integer: bool,
    /// Whether it may be unknown.
    #[serde(default)]
    optional: bool,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawBand {
    /// The basis the thresholds are for.
    basis: Basis,
    /// Medium from here, 0..=1.
    #[schemars(with = "f64")]
    medium: Spanned<f64>,
    /// High from here, above medium, 0..=1.
    #[schemars(with = "f64")]
    high: Spanned<f64>,
    /// Why the thresholds are provisional, while they are.
    #[expect(dead_code, reason = "read by people; checked to be text")]
    provisional: Option<String>,
}

impl RawFeatures {
    /// The checked features; findings go to `found`.
    pub fn check(self, source: &Source, found: &mut Vec<Diagnostic>) -> Features {
        let mut list: Vec<DeclaredFeature> = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for raw in self.feature {
            let (span, name) = (raw.name.span(), raw.name.into_inner());
            seen.push(name.clone());
            if name.parse::<Feature>().is_err() {
                let names: Vec<&str> = Feature::iter().map(Feature::name).collect();
                let hint = format!("hibrit measures {}", names.join(", "));
                found.push(
                    source.at(span, Code::UnknownFeature, format!("feature \"{name}\" is not measured")).hint(hint),
                );
                continue;
            }
            if list.iter().any(|f| f.name == name) {
                found.push(source.at(span, Code::DuplicateName, format!("feature \"{name}\" is declared twice")));
                continue;
            }
            let domain = match (&raw.range, raw.allowed) {
                (Some(range), None) => match Cell::parse(range.get_ref()).as_ref().map(Cell::tests) {
                    Ok([Unary::Within(interval)]) => Domain::Number { range: *interval, integer: raw.integer },
                    Ok(_) => {
                        let message = format!("the range of \"{name}\" must be one interval or comparison");
                        found.push(source.at(range.span(), Code::BadCell, message));
                        continue;
                    }
                    Err(e) => {
                        found.push(source.at(range.span(), Code::BadCell, e.to_string()));
                        continue;
                    }
                },
                (None, Some(names)) if !names.is_empty() => Domain::Names(names),
                _ => {
                    let message = format!("feature \"{name}\" needs either a range or allowed names");
                    found.push(source.at(span, Code::Missing, message));
                    continue;
                }
            };
            list.push(DeclaredFeature { name, about: raw.about, unit: raw.unit, domain, optional: raw.optional });
        }
        for name in Feature::iter().map(Feature::name) {
            if !seen.iter().any(|s| s == name) {
                found.push(source.at(0..0, Code::Missing, format!("feature \"{name}\" is not declared")));
            }
        }
        // One order for all books, so that facts by index mean the same in each.
        list.sort_by_key(|f| f.name.parse::<Feature>().ok());
        let mut bands: Vec<Band> = Vec::new();
        for raw in self.band {
            let (medium, high) = (*raw.medium.get_ref(), *raw.high.get_ref());
            let span = raw.medium.span().start..raw.high.span().end;
            if !(0.0 <= medium && medium < high && high <= 1.0) {
                let message =
                    format!("the thresholds of {} must be 0 <= medium < high <= 1, not {medium} and {high}", raw.basis);
                found.push(source.at(span, Code::BadNumber, message));
            } else if bands.iter().any(|b| b.basis == raw.basis) {
                found.push(source.at(span, Code::DuplicateName, format!("basis {} has thresholds twice", raw.basis)));
            } else {
                bands.push(Band { basis: raw.basis, medium, high });
            }
        }
        for basis in [Basis::Surface, Basis::Contextual, Basis::Reconstruction] {
            if !bands.iter().any(|b| b.basis == basis) {
                found.push(source.at(0..0, Code::Missing, format!("basis {basis} has no thresholds")));
            }
        }
        Features { list, bands }
    }
}
