//! The words of hibrit: inert data and closed enums that every stage shares. No input or output happens here, and
//! no stage is known here.

pub mod decision;
mod decision_reason;
pub mod details;
pub mod directive;
pub mod event;
#[cfg(test)]
pub mod example;
pub mod fault;
pub mod feature;
pub mod injection;
pub mod language;
pub mod lesson;
pub mod metric;
pub mod outcome;
pub mod profile;
mod profile_reason;
pub mod reason;
pub mod resources;
mod review_reason;
pub mod run;
pub mod scorer;
pub mod stage;
pub mod strategy;
pub mod sureness;
mod trap_reason;
pub mod tree;
mod verdict_reason;
pub mod vocabulary;
