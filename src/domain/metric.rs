//! Numbers that mean something: each has a type, a unit and a range, and says so when a value is outside it.
//! Knows nothing of how a number was measured.

use serde::{Deserialize, Serialize};

/// A value outside the range of its metric.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{metric} must be {range}, not {value}")]
pub struct OutOfRange {
    /// Name of the metric.
    pub metric: &'static str,
    /// What was given.
    pub value: f64,
    /// What is allowed, in words.
    pub range: &'static str,
}

macro_rules! metric {
    ($(#[$doc:meta])* $name:ident, $label:literal, $range:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "f64", into = "f64")]
        #[schemars(with = "f64")]
        pub struct $name(f64);

        impl $name {
            /// The checked value.
            ///
            /// # Errors
            /// [`OutOfRange`] with the value and the range when it is outside.
            pub fn new(value: f64) -> Result<Self, OutOfRange> {
                let ok: fn(f64) -> bool = $ok;
                if ok(value) { Ok(Self(value)) } else { Err(OutOfRange { metric: $label, value, range: $range }) }
            }
            /// The plain number.
            pub fn get(self) -> f64 {
                self.0
            }
        }
        impl TryFrom<f64> for $name {
            type Error = OutOfRange;
            fn try_from(value: f64) -> Result<Self, OutOfRange> {
                Self::new(value)
            }
        }
        impl From<$name> for f64 {
            fn from(value: $name) -> f64 {
                value.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

metric!(
    /// A share of a whole, in 0..=1.
    Share, "a share", "between 0 and 1", |v| (0.0..=1.0).contains(&v)
);
metric!(
    /// Share of the candidate's tokens whose bytes are a token of the original, in 0..=1.
    Coverage, "coverage", "between 0 and 1", |v| (0.0..=1.0).contains(&v)
);
metric!(
    /// Tokens per whitespace-separated word.
    Fertility, "fertility", "a finite number of at least 0", |v| v.is_finite() && v >= 0.0
);
metric!(
    /// UTF-8 bytes of text per token.
    BytesPerToken, "bytes per token", "a finite number of at least 0", |v| v.is_finite() && v >= 0.0
);
metric!(
    /// Candidate's tokens over the original's tokens on the same text; below 1 the candidate is shorter.
    TokenRatio, "token ratio", "a finite number above 0", |v| v.is_finite() && v > 0.0
);
metric!(
    /// How well the original's space can express the candidate's tokens, in 0..=1.
    Similarity, "similarity", "between 0 and 1", |v| (0.0..=1.0).contains(&v)
);
metric!(
    /// Total nats / (ln 2 x UTF-8 bytes of the original text): comparable between tokenizers.
    BitsPerByte, "bits per byte", "a finite number of at least 0", |v| v.is_finite() && v >= 0.0
);
metric!(
    /// Total nats / tokens the *original* tokenizer needs for the same text: comparable between tokenizers.
    EquivalentLoss, "equivalent loss", "a finite number of at least 0", |v| v.is_finite() && v >= 0.0
);

impl Share {
    /// None of it.
    pub const ZERO: Self = Self(0.0);

    /// `part / whole`, or `None` for an empty whole.
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        (whole > 0).then(|| Self((part as f64 / whole as f64).clamp(0.0, 1.0)))
    }
}

impl Coverage {
    /// `part / whole`, or `None` for an empty whole.
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        Share::of(part, whole).map(|s| Self(s.0))
    }
}

impl BitsPerByte {
    /// From total nats and UTF-8 bytes of the text.
    ///
    /// # Errors
    /// [`OutOfRange`] when there are no bytes or the nats are not finite.
    pub fn from_nats(nats: f64, bytes: u64) -> Result<Self, OutOfRange> {
        Self::new(nats / (std::f64::consts::LN_2 * bytes as f64))
    }
}

/// The same quantity for both tokenizers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pair<T> {
    /// The original tokenizer's.
    pub source: T,
    /// The candidate tokenizer's.
    pub candidate: T,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coverage_outside_zero_to_one_names_the_value_and_the_range() {
        let error = Coverage::new(1.5).unwrap_err();
        assert_eq!(error.to_string(), "coverage must be between 0 and 1, not 1.5");
        assert!(Coverage::new(f64::NAN).is_err());
    }

    #[test]
    fn bits_per_byte_of_one_bit_a_byte_is_one() {
        let bpb = BitsPerByte::from_nats(100.0 * std::f64::consts::LN_2, 100).unwrap();
        assert!((bpb.get() - 1.0).abs() < 1e-12);
        assert!(BitsPerByte::from_nats(1.0, 0).is_err());
    }

    #[test]
    fn stored_metrics_are_checked_when_read() {
        assert!(serde_json::from_str::<Share>("0.5").is_ok());
        assert!(serde_json::from_str::<Share>("-0.5").is_err());
    }
}
