//! How text becomes ids and back, and how a vocabulary is learnt from a text. What the tokens *mean* (raw bytes,
//! roles, coverage) is the analyzer's knowledge and comes in as a [`Vocabulary`](crate::domain::vocabulary::Vocabulary).

mod bpe;
mod coder;
mod grow;
#[cfg(test)]
pub(crate) use coder::tests::{coder as coder_for_tests, vocabulary as vocabulary_for_tests};

pub use bpe::{BpeConfig, BpeKind, train_bpe};
pub use coder::{Coder, Encoded};
pub use grow::{GrownBpe, Growth, grow_bpe};
