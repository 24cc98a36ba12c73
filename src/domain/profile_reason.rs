//! What a profile warns of, and how a similarity was measured.

use super::reason::{Because, Reason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a person should know before going on. Shares are in 0..=1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Warning {
    /// The candidate has no byte fallback.
    NoByteFallback,
    /// This share of the text's bytes is unknown to the candidate.
    UnknownBytes { share: f64 },
    /// This share of the lines does not come back from the candidate as it was.
    NotRoundTrip { share: f64 },
    /// This share of the held-out text stands in the training text too.
    Leak { share: f64 },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoByteFallback => write!(
                f,
                "the candidate has no byte fallback: a character it does not know becomes an unknown token and is lost"
            ),
            Self::UnknownBytes { share } => {
                write!(f, "{:.4}% of the text's bytes are unknown to the candidate", share * 100.0)
            }
            Self::NotRoundTrip { share } => {
                write!(f, "{:.2}% of the lines do not come back from the candidate as they were", share * 100.0)
            }
            Self::Leak { share } => write!(
                f,
                "{:.1}% of the held-out text stands in the training text too: the losses will look better than they are",
                share * 100.0
            ),
        }
    }
}

/// Warnings, stored as English sentences with their values beside them; belongs into a struct with `#[serde(flatten)]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Stored", into = "Stored")]
#[schemars(with = "Stored")]
pub struct Warnings(pub Vec<Because<Warning>>);

impl Warnings {
    /// One more.
    pub fn add(&mut self, warning: Warning) {
        self.0.push(Because::Known(warning));
    }
}

impl FromIterator<Warning> for Warnings {
    fn from_iter<I: IntoIterator<Item = Warning>>(warnings: I) -> Self {
        Self(warnings.into_iter().map(Because::Known).collect())
    }
}

/// Warnings as they are stored.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Stored {
    /// What a person should know before going on.
    warnings: Vec<String>,
    /// The same as values, where they are known: as many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Option<Warning>>,
}

impl From<Stored> for Warnings {
    fn from(Stored { warnings, findings }: Stored) -> Self {
        let findings = findings.into_iter().chain(std::iter::repeat(None));
        let both = warnings.into_iter().zip(findings);
        Self(both.map(|(said, known)| known.map_or(Because::Said(said), Because::Known)).collect())
    }
}

impl From<Warnings> for Stored {
    fn from(Warnings(all): Warnings) -> Self {
        let warnings = all.iter().map(ToString::to_string).collect();
        Self { warnings, findings: all.iter().map(|w| w.known().cloned()).collect() }
    }
}

/// How a similarity was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SimilarityMethod {
    /// By how the original writes the candidate's tokens, weighed by their occurrence or each once.
    Surface { by_occurrence: bool },
    /// By the words around so many tokens.
    Contextual { tokens: u64 },
    /// By rebuilding the rows of so many shared tokens: cosines with the true rows and with those of others.
    Reconstruction { tokens: u64, cosine: f64, chance: f64 },
}

impl Reason for SimilarityMethod {
    const KEYS: &'static [&'static str; 2] = &["note", "method"];
}

impl fmt::Display for SimilarityMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Surface { by_occurrence } => {
                let weighed =
                    if *by_occurrence { "weighed by occurrence on the corpus" } else { "each token counted once" };
                write!(
                    f,
                    "chance that two bytes of a candidate token stand in the same piece of the original's \
                     decomposition, {weighed}"
                )
            }
            Self::Contextual { tokens } => write!(
                f,
                "cosine of the words around a candidate token and around the original's pieces of it (positive \
                 pointwise mutual information over the most frequent words), weighed by occurrence over {tokens} tokens"
            ),
            Self::Reconstruction { tokens, cosine, chance } => write!(
                f,
                "{tokens} shared tokens hidden and rebuilt as the mean of their pieces' rows: cosine {cosine:.3} with \
                 the true rows, {chance:.3} with the rows of others; a token the original has counts 1, one in pieces \
                 what such tokens reached"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn warnings_are_a_list_of_sentences_as_they_always_were() {
        let mut warnings: Warnings = serde_json::from_value(json!({ "warnings": ["an old one"] })).unwrap();
        warnings.add(Warning::Leak { share: 0.25 });
        let stored = serde_json::to_value(&warnings).unwrap();
        assert_eq!(stored["warnings"][0], "an old one");
        assert_eq!(stored["findings"], json!([null, { "kind": "leak", "share": 0.25 }]));
        assert_eq!(serde_json::from_value::<Warnings>(stored).unwrap(), warnings);
    }
}
