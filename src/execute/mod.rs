//! Temporary until `model` lands.

#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    #[error("{0}")]
    Data(String),
}

// Training, evaluation, embeddings.
pub mod embed;
pub mod tokenizer;
pub mod train;
