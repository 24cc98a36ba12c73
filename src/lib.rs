//! hibrit decides whether and how a pretrained language model should move to another tokenizer.
//!
//! The story in one page: [`analyze`] measures two tokenizers on a text and gives a [`domain::profile::Profile`];
//! [`decide`] reads tables of rules and the learned scorer and gives a [`domain::decision::Decision`]; [`execute`]
//! carries it out with Burn and gives a [`domain::outcome::Outcome`]; [`record`] remembers the run; [`learn`] grows
//! the scorer that the next decision consults. The stages know [`domain`] and never each other; [`app`] wires
//! them together, [`cli`] is the way in, [`report`] the way out, and [`sample`] makes text to try it on.

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
#[path = "../tests/it/real_data.rs"]
mod real_data;
