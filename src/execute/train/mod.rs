//! Training: text to sequences ([`data`], conversations [`chat`]), the order they are seen in ([`order`]), the learning rate's course
//! ([`schedule`]), what a run is asked to do ([`plan`]), the update ([`adamw`]), where a run stands ([`state`], on disk
//! `checkpoint`), and the loop that ties them ([`fit`]). What a measurement means is the reviewer's business; what is trained, the strategy's.

pub mod adamw;
pub mod chat;
mod checkpoint;
pub mod data;
mod fit;
#[cfg(test)]
mod fit_tests;
mod inject;
pub mod memory;
pub mod order;
pub mod plan;
pub mod schedule;
pub mod state;
mod tensors;

pub use data::Packed;
pub use fit::{Company, Ending, Fitted, MAX_NORM, Trusting, fit};
pub use plan::{Checkpoints, Plan};
pub use schedule::Shape;
