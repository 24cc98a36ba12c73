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

/// The least that other tools need to open a tokenizer.json, as the text of a tokenizer_config.json: its class, and the
/// special tokens that it has, by the names they go by there. `positions` is the longest text in tokens.
pub fn config<const N: usize>(positions: usize, specials: [(&str, Option<String>); N]) -> String {
    let mut config = serde_json::json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": positions,
        "clean_up_tokenization_spaces": false,
    });
    for (name, token) in specials {
        if let Some(token) = token {
            config[name] = token.into();
        }
    }
    format!("{config:#}\n")
}
