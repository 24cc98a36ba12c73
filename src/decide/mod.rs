//! Which strategy to take, and what to do about a run while it trains: rules as data, checked at load, with the
//! learned scorer beside them. Pure: same inputs, same decision. Nothing is measured, trained or stored here.

mod alike;
mod case;
pub mod course;
pub mod curve;
mod error;
mod explain;
mod flip;
mod matrix;
mod memory;
pub mod race;
mod replay;
pub mod review;
pub mod rules;
mod weigh;

pub use alike::{Entry, Past};
pub use case::Case;
pub use error::DecideError;
pub use explain::decide;
pub use replay::{PastDecision, Replayed, replay};
pub use review::{ReviewPlan, ReviewState, RuleReviewer};
pub use rules::RuleBook;

#[cfg(test)]
mod tests;
