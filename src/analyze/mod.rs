//! What do two tokenizers have in common, and what would moving from one to the other mean for a text? Opens
//! tokenizers ([`TokenizerFile`](crate::tokenizer::TokenizerFile)), compares them by the bytes their tokens stand for, counts both on a corpus, and
//! says it all in a [`Profile`](crate::domain::profile::Profile). What follows from a profile is not known here.

mod context;
mod counts;
mod details;
mod error;
mod listing;
mod mapping;
mod matches;
mod probe;
mod profile;
mod similarity;
mod traps;

pub use error::AnalyzeError;
pub use listing::check_listing_name;
pub use mapping::{decompose, mapping};
pub use profile::{Analysis, Besides, METHOD, ProfileInputs, analyze, profile};
pub use similarity::Embeddings;

#[cfg(test)]
mod tests;
