//! Whether a new scorer may go live. A gate that only looks: making it live is `record`'s business.

use super::error::LearnError;
use super::evaluate::evaluate_scorer;
use super::evidence::Evidence;
use super::grow::{GrowOptions, Grown};
use crate::domain::scorer::Scorer;
use serde::Serialize;

/// The gate's word.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Promotion {
    /// Whether the new scorer may go live.
    pub granted: bool,
    /// Grouped closed gap of the new one, on cases it had not seen.
    pub new: Option<f64>,
    /// Grouped closed gap of the live one: what it was when it was grown, or what it is on today's cases, whichever is
    /// lower.
    pub live: Option<f64>,
    /// Of the rules alone, on the same cases.
    pub rules: Option<f64>,
    /// Why, in a sentence.
    pub because: String,
}

/// A new scorer goes live only if its grouped closed gap is below neither the rules' nor the live one's. Where there is
/// no gap to close (no runs with a choice, or one strategy is always best), choices cannot be judged, and errors are: a
/// finite shrinkage means that expectations for cases not seen came out nearer with the scorer than without.
///
/// # Errors
/// A fault of the tree library.
pub fn gate(
    new: &Grown,
    live: Option<&Scorer>,
    evidence: &Evidence,
    options: &GrowOptions,
) -> Result<Promotion, LearnError> {
    let ours = new.scorer.closed_gap;
    let rules = new.evaluated.as_ref().and_then(|e| e.rules.closed_gap);
    let theirs = match live {
        Some(live) => {
            let today = evaluate_scorer(evidence, live, options)?.and_then(|e| e.cautious.closed_gap);
            match (live.closed_gap, today) {
                (Some(then), Some(today)) => Some(then.min(today)),
                (then, today) => then.or(today),
            }
        }
        None => None,
    };
    let word = |granted, because: String| Promotion { granted, new: ours, live: theirs, rules, because };
    if live.is_some_and(|live| live.grown_from == new.scorer.grown_from && *live == new.scorer) {
        return Ok(word(false, "it is the live scorer already".into()));
    }
    Ok(match (ours, rules, theirs) {
        (Some(a), Some(b), _) if a < b => {
            word(false, format!("its choices close {a:.3} of the gap, the rules alone {b:.3}: it would do harm"))
        }
        (Some(a), _, Some(b)) if a < b => {
            word(false, format!("its choices close {a:.3} of the gap, those of the live scorer {b:.3}"))
        }
        (Some(a), ..) => {
            let beside = match (rules, theirs) {
                (Some(r), Some(l)) => format!(", the rules alone {r:.3}, the live scorer {l:.3}"),
                (Some(r), None) => format!(", the rules alone {r:.3}"),
                (None, _) => String::new(),
            };
            word(true, format!("its choices close {a:.3} of the gap on cases it had not seen{beside}"))
        }
        (None, ..) if new.scorer.lambda.is_some() => word(
            true,
            "its choices cannot be judged (one strategy is always best), but its expectations were nearer than the rules'"
                .into(),
        ),
        (None, ..) => word(
            live.is_some(),
            "neither its choices nor its expectations improve on the rules: they decide alone".into(),
        ),
    })
}
