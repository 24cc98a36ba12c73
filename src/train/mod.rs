//! Training: text to sequences ([`data`]), the order they are seen in ([`order`]), the learning rate's course
//! ([`schedule`]), what a run is asked to do ([`plan`]), the update ([`adamw`]), where a run stands ([`state`], on disk
//! `checkpoint`), the run on its way (`run`), its `books`, and the loop that ties them ([`fit`]). What a measurement means is the reviewer's business; what is trained, the strategy's.

pub mod adamw;
mod books;
mod checkpoint;
pub mod data;
mod fit;
#[cfg(test)]
mod fit_tests;
pub mod gradient;
mod inject;
mod load;
#[cfg(test)]
mod on_device_tests;
pub mod order;
pub mod plan;
pub mod pretrain;
mod run;
pub mod schedule;
pub mod state;
mod tensors;
pub mod timing;

pub use checkpoint::CHECKPOINTS;
pub use data::Packed;
pub use fit::{Clock, Company, Ending, Fitted, MAX_NORM, Trusting, fit};
pub use load::Load;
pub use plan::{Checkpoints, Plan};
pub use schedule::Shape;
pub use state::SNAPSHOTS;
