//! The words of hibrit: inert data and closed enums that every stage shares. No input or output happens here, and
//! no stage is known here.

pub mod decision;
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
pub mod reason;
pub mod resources;
pub mod run;
pub mod scorer;
pub mod stage;
pub mod strategy;
pub mod sureness;
pub mod tree;
pub mod vocabulary;
