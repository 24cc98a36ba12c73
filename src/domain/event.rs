//! What happens while work goes on, as told to whoever watches: a progress bar, a journal, a reviewer.
//! Watchers may not influence the work; only a [`Reviewer`](super::directive::Reviewer) may.

use super::directive::{Directive, Measurement};
use super::outcome::{CurvePoint, Evaluation, Incident, Status};
use super::run::Request;
use super::stage::Stage;
use super::strategy::{StageConfig, Strategy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run begins, or is resumed, with this configuration.
    Began(Box<RunConfig>),
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
    /// The run that began has ended.
    Ended {
        /// How.
        status: Status,
        /// Held-out bits per byte of the model that came out, where one did.
        bits_per_byte: Option<f64>,
    },
}

/// What a run was resolved to: whoever exports runs needs nothing else to describe one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The run's id in the history.
    pub id: String,
    /// When the run began (UTC, RFC 3339), in whichever process.
    pub started: String,
    /// hibrit's version.
    pub version: String,
    /// Whether an earlier process began it.
    pub resumed: bool,
    /// What was asked for.
    pub request: Request,
    /// The strategy that is executed.
    pub strategy: Strategy,
    /// The strategy that `adaptive` begins with, and those it may switch to, in this order.
    pub fallback_order: Vec<Strategy>,
    /// How each stage trains, overrides applied.
    pub stages: BTreeMap<Stage, StageConfig>,
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

/// Several watch; each is told everything, in this order.
pub struct Observers<'a>(pub Vec<&'a mut dyn Observer>);

impl Observer for Observers<'_> {
    fn observe(&mut self, event: &Event) {
        self.0.iter_mut().for_each(|o| o.observe(event));
    }

    fn branch(&mut self, name: Option<&str>) {
        self.0.iter_mut().for_each(|o| o.branch(name));
    }
}

/// Nobody watches.
pub struct Silent;

impl Observer for Silent {
    fn observe(&mut self, _: &Event) {}
}
