//! Why: of directives, decisions, verdicts and findings, as values with their numbers. English is the language of JSON
//! and of logs, so a reason's `Display` is its English sentence; every other language is the reports' business.

pub use super::decision_reason::{Authority, DecisionReason, Rejection, ScorerReason};
pub use super::profile_reason::{SimilarityMethod, Warning, Warnings};
pub use super::review_reason::{LookReason, ReviewReason, Signal, StepSignals};
pub use super::trap_reason::{Edge, TrapExample, TrapFinding};
pub use super::verdict_reason::{VerdictReason, WinReason};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A reason that can be stored.
pub trait Reason: fmt::Display + Serialize + DeserializeOwned + JsonSchema {
    /// The keys it is stored under: its English sentence's, and its value's.
    const KEYS: &'static [&'static str; 2];
}

/// Why. It is stored as its English sentence with the value beside it, and belongs into a struct with
/// `#[serde(flatten)]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Because<R> {
    /// A reason this hibrit knows.
    Known(R),
    /// The sentence alone: from a record of before reasons were values, or of a newer hibrit.
    Said(String),
}

impl<R> Because<R> {
    /// Nothing to say.
    pub const NOTHING: Self = Self::Said(String::new());

    /// The value, where it is known.
    pub fn known(&self) -> Option<&R> {
        match self {
            Self::Known(reason) => Some(reason),
            Self::Said(_) => None,
        }
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Said(sentence) if sentence.is_empty())
    }
}

impl<R: Reason> From<R> for Because<R> {
    fn from(reason: R) -> Self {
        Self::Known(reason)
    }
}

impl<R: fmt::Display> fmt::Display for Because<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(reason) => reason.fmt(f),
            Self::Said(sentence) => f.write_str(sentence),
        }
    }
}

impl<R: Reason> Serialize for Because<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [sentence, value] = R::KEYS;
        let mut fields = serializer.serialize_struct("Because", 1 + usize::from(self.known().is_some()))?;
        fields.serialize_field(sentence, &self.to_string())?;
        if let Self::Known(reason) = self {
            fields.serialize_field(value, reason)?;
        }
        fields.end()
    }
}

impl<'de, R: Reason> Deserialize<'de> for Because<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<R>(PhantomData<R>);

        impl<'de, R: Reason> Visitor<'de> for Fields<R> {
            type Value = Because<R>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a sentence as `{}`", R::KEYS[0])
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut sentence, mut value) = (None, None);
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    if key == R::KEYS[0] {
                        sentence = Some(map.next_value::<String>()?);
                    } else if key == R::KEYS[1] {
                        // What a newer hibrit means by it is not known: its sentence is.
                        value = serde_json::from_value(map.next_value()?).ok();
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                match (value, sentence) {
                    (Some(reason), _) => Ok(Because::Known(reason)),
                    (None, Some(sentence)) => Ok(Because::Said(sentence)),
                    (None, None) => Err(serde::de::Error::missing_field(R::KEYS[0])),
                }
            }
        }

        deserializer.deserialize_struct("Because", R::KEYS, Fields(PhantomData))
    }
}

impl<R: Reason> JsonSchema for Because<R> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Because{}", R::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let [sentence, value] = R::KEYS;
        let reason = generator.subschema_for::<R>();
        schemars::json_schema!({
            "type": "object",
            "properties": {
                *sentence: { "description": "In an English sentence.", "type": "string" },
                *value: reason,
            },
            "required": [sentence],
        })
    }
}

/// A number that may be none: JSON writes what is not finite as null.
pub(super) fn or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::directive::Directive;
    use crate::domain::strategy::Strategy;
    use serde_json::json;

    #[test]
    fn a_reason_is_stored_as_its_sentence_and_its_value() {
        let spike = ReviewReason::Spike { signal: Signal::Loss, value: 4.0, limit: 3.5, sigmas: 6.0 };
        let directive = Directive::SkipBatch { because: spike.into() };
        let stored = serde_json::to_value(&directive).unwrap();
        assert_eq!(
            stored,
            json!({
                "do": "skip_batch",
                "because": "spike: loss 4.0000 is above 3.5000, the last steps' mean + 6 sigma",
                "reason": { "kind": "spike", "signal": "loss", "value": 4.0, "limit": 3.5, "sigmas": 6.0 },
            })
        );
        assert_eq!(serde_json::from_value::<Directive>(stored).unwrap(), directive);
    }

    #[test]
    fn a_record_without_a_value_or_with_one_of_a_newer_hibrit_keeps_its_sentence() {
        let said = Directive::Switch { to: Strategy::Keep, because: Because::Said("so it was".into()) };
        for reason in [json!(null), json!({ "kind": "moonrise" }), json!(7)] {
            let stored = json!({ "do": "switch", "to": "keep", "because": "so it was", "reason": reason });
            assert_eq!(serde_json::from_value::<Directive>(stored).unwrap(), said);
        }
        let old = json!({ "do": "switch", "to": "keep", "because": "so it was" });
        assert_eq!(serde_json::from_value::<Directive>(old.clone()).unwrap(), said);
        assert_eq!(serde_json::to_value(&said).unwrap(), old);
        assert!(serde_json::from_value::<Directive>(json!({ "do": "switch", "to": "keep" })).is_err());
    }

    #[test]
    fn a_loss_that_is_not_a_number_is_read_again() {
        let reason = ReviewReason::NonFinite { loss: f64::NAN, gradient_norm: 1.0 };
        let text = serde_json::to_string(&Because::from(reason)).unwrap();
        let read: Because<ReviewReason> = serde_json::from_str(&text).unwrap();
        assert_eq!(read.to_string(), "non-finite: loss NaN, gradient norm 1");
        assert!(read.known().is_some());
    }
}
