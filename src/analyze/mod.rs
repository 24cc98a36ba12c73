//! What do two tokenizers have in common, and what would moving from one to the other mean for a text? Opens
//! tokenizers ([`TokenizerFile`]), compares them by the bytes their tokens stand for, counts both on a corpus, and
//! says it all in a [`Profile`](crate::domain::profile::Profile). What follows from a profile is not known here.

mod alphabet;
mod context;
mod counts;
mod cut;
mod details;
mod direct;
mod error;
mod listing;
mod mapping;
mod matches;
mod merger;
mod pieces;
mod place;
mod plain;
mod probe;
mod profile;
mod regex_facts;
mod roles;
mod sentencepiece;
mod side;
mod similarity;
mod skeleton;
mod tokenizer;
mod traps;

pub use error::AnalyzeError;
pub use listing::check_listing_name;
pub use mapping::{decompose, mapping};
pub use profile::{Analysis, Besides, METHOD, ProfileInputs, analyze, profile};
pub use similarity::Embeddings;
pub use tokenizer::TokenizerFile;

#[cfg(test)]
mod tests;
