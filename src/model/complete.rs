//! A complete Hugging Face folder: what stands beside config.json and the weights, so that other tools open it.

use super::error::ModelError;
use super::{Decoder, Dtype, ModelConfig, ModelFolder, Specials, save_model, write_atomically};
use crate::domain::vocabulary::{Role, Vocabulary};
use crate::files::FileError;
use crate::tokenizer::{self, Tokens};
use std::fs;
use std::path::Path;

/// A complete Hugging Face folder: weights stored as `dtype`, configuration, generation settings, tokenizer. `moved` says that
/// the tokenizer is not the base's: special tokens are then named anew.
///
/// # Errors
/// As [`save_model`]; where a tokenizer's file cannot be read.
pub fn write_complete(
    folder: &Path,
    model: &Decoder,
    base: &ModelFolder,
    tokens: &Tokens<'_>,
    moved: bool,
    dtype: Dtype,
) -> Result<(), ModelError> {
    let config = match moved {
        false => base.config().clone(),
        true => with_specials(base.config().clone(), tokens.vocabulary),
    };
    save_model(folder, model, &config, dtype)?;
    write_companions(folder, base, tokens, moved, &config)
}

/// What stands beside config.json and the weights: tokenizer and generation settings.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn write_companions(
    folder: &Path,
    base: &ModelFolder,
    tokens: &Tokens<'_>,
    moved: bool,
    config: &ModelConfig,
) -> Result<(), ModelError> {
    tokens.files.write_to(folder)?;
    if !tokens.files.has("tokenizer_config.json") {
        let text = tokenizer_config(tokens.vocabulary, config.size.positions);
        write_atomically(&folder.join("tokenizer_config.json"), |to| to.write_all(text.as_bytes()))?;
    }
    let generation = base.path().join("generation_config.json");
    if generation.is_file() || moved {
        write_generation_config(&generation, folder, moved, config)?;
    }
    Ok(())
}

/// A tokenizer_config.json for a vocabulary's special tokens by role.
fn tokenizer_config(vocabulary: &Vocabulary, positions: usize) -> String {
    let roles =
        [("bos_token", Role::Bos), ("eos_token", Role::Eos), ("pad_token", Role::Pad), ("unk_token", Role::Unk)];
    let of = |role| vocabulary.role(&role).and_then(|id| vocabulary.get(id)).map(|token| token.raw.clone());
    tokenizer::config(positions, roles.map(|(name, role)| (name, of(role))))
}

/// The configuration with the special tokens of a vocabulary.
pub fn with_specials(config: ModelConfig, vocabulary: &Vocabulary) -> ModelConfig {
    let eos = vocabulary.role(&Role::Eos);
    config.with_specials(Specials { bos: vocabulary.role(&Role::Bos), eos, pad: vocabulary.role(&Role::Pad) })
}

/// The base's generation settings; with another tokenizer the special tokens are that tokenizer's.
fn write_generation_config(from: &Path, folder: &Path, moved: bool, config: &ModelConfig) -> Result<(), ModelError> {
    let mut settings: serde_json::Map<String, serde_json::Value> = match fs::read(from) {
        Ok(text) => {
            serde_json::from_slice(&text).map_err(|source| FileError::Json { path: from.to_path_buf(), source })?
        }
        Err(_) => serde_json::Map::new(),
    };
    if moved {
        let specials = config.specials();
        for (name, id) in
            [("bos_token_id", specials.bos), ("eos_token_id", specials.eos), ("pad_token_id", specials.pad)]
        {
            settings.remove(name);
            if let Some(id) = id {
                settings.insert(name.into(), id.into());
            }
        }
    }
    let text = format!("{:#}\n", serde_json::Value::Object(settings));
    write_atomically(&folder.join("generation_config.json"), |to| to.write_all(text.as_bytes()))
}
