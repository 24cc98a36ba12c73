//! Training: text to sequences ([`data`]), the order they are seen in ([`order`]), the learning rate's schedule
//! ([`schedule`]), what a run is asked to do ([`plan`]), the parameters that are trained ([`params`]), the update
//! ([`optimizer`], [`adamw`]), snapshots of a run (in memory and on disk `rewind`, whole `checkpoint`), the run on its way
//! (`run`), its `books`, and the loop that ties them ([`fit()`]). What a measurement means is the reviewer's business; what
//! is trained, the strategy's.

pub mod adamw;
mod books;
mod checkpoint;
pub mod data;
mod error;
mod fit;
#[cfg(test)]
mod fit_tests;
pub mod gradient;
mod inject;
mod load;
#[cfg(test)]
mod on_device_tests;
pub mod optimizer;
pub mod order;
mod outcome;
pub mod params;
pub mod plan;
pub mod pretrain;
mod rewind;
mod run;
pub mod schedule;
mod snapshot;
mod tensors;
pub mod timing;

pub use checkpoint::CHECKPOINTS;
pub use data::PackedDataset;
pub use error::TrainError;
pub use fit::fit;
pub use load::Load;
pub use outcome::{Clock, Fitted, NoopReviewer, TrainCallbacks, TrainingEnd};
pub use params::TrainableParams;
pub use plan::{Checkpoints, MAX_NORM, Plan};
pub use rewind::SNAPSHOTS;
