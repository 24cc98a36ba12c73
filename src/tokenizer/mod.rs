//! How text becomes ids and back, and how a vocabulary is learnt from a text. What the tokens *mean* (raw bytes,
//! roles, coverage) is the analyzer's knowledge and comes in as a [`Vocabulary`](crate::domain::vocabulary::Vocabulary).

pub(crate) mod alphabet;
pub(crate) mod bpe_encoder;
mod bpe_training;
mod byte_level_fast_path;
pub mod chat_template;
mod chunking;
pub(crate) mod encoder;
mod error;
pub(crate) mod fast_path;
mod files;
mod growth;
mod locate;
mod open;
pub(crate) mod pieces;
mod regex_analysis;
mod sentencepiece;
pub(crate) mod special_tokens;
mod text_encoder;
pub(crate) mod tokenizer_json;
#[cfg(test)]
pub(crate) use text_encoder::tests::{coder as coder_for_tests, vocabulary as vocabulary_for_tests};

pub use bpe_training::{BpeConfig, BpeKind, train_bpe};
pub use error::TokenizerError;
pub use files::{TokenizerFiles, Tokens};
pub use growth::{GrownBpe, GrowthConfig, grow_bpe};
pub use open::TokenizerFile;
pub use text_encoder::{Coder, Document, Encoded};

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
