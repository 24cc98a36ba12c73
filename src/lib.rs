//! hibrit decides whether and how a pretrained language model should move to another tokenizer.
//!
//! The story in one page: [`tokenizer`] opens two tokenizers and [`corpus`] a text; [`analyze`] compares them and gives a
//! [`domain::profile::Profile`]. [`decide`] reads the rules and the learned scorer and gives a
//! [`domain::decision::Decision`]. [`strategies`] carries it out: [`transplant`] moves embeddings, [`train`] trains,
//! [`model`] and [`kernels`] compute, and the result is a [`domain::outcome::Outcome`]. [`store`] records the run;
//! [`learn`] grows the scorer that the next decision consults. [`app`] wires these stages together, [`cli`] and
//! [`service`] are the ways in, [`report`] the way out, and [`sample`] generates text to try it on.
//!
//! Which room may import which is in `tests/tidy.rs`; ARCHITECTURE.md is the map.

pub mod analyze;
pub mod app;
pub mod cli;
pub mod corpus;
pub mod decide;
pub mod domain;
pub mod files;
pub mod kernels;
pub mod learn;
pub mod model;
pub mod report;
pub mod sample;
pub mod service;
pub mod store;
pub mod strategies;
pub mod tokenizer;
pub mod train;
pub mod transplant;

#[cfg(test)]
#[path = "../fuzz/targets.rs"]
mod fuzz_targets;
#[cfg(test)]
#[path = "../tests/it/real_data.rs"]
mod real_data;
