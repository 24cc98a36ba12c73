//! What happens while work goes on, as told to whoever watches: a progress bar, a journal, a reviewer.
//! Watchers may not influence the work; only a [`Reviewer`](super::directive::Reviewer) may.

use super::directive::{Directive, Measurement};
use super::outcome::{CurvePoint, Evaluation, Incident};
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A phase begins: `total` units of work, named by `unit` (bytes, steps, tokens).
    Phase { name: String, total: u64, unit: String },
    /// `done` of the phase's total.
    Progress { done: u64 },
    /// One optimiser step.
    Step(Measurement),
    /// A held-out evaluation.
    Evaluated { at: CurvePoint, evaluation: Evaluation },
    /// A reviewer's directive other than continue.
    Directed { step: u64, directive: Directive },
    /// Trouble and what was done about it.
    Incident(Incident),
    /// A sentence for the user.
    Note { text: String },
    /// The phase is over.
    Finished { name: String },
}

/// Told everything, asked nothing.
pub trait Observer: Send {
    /// One event, in order.
    fn observe(&mut self, event: &Event);

    /// What follows happens in this branch; `None`: in none.
    fn branch(&mut self, name: Option<&str>) {
        let _ = name;
    }
}

/// Nobody watches.
pub struct Silent;

impl Observer for Silent {
    fn observe(&mut self, _: &Event) {}
}
