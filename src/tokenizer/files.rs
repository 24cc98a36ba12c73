//! Which files belong to a tokenizer, and what is done with them as a whole.

use super::chat_template::ChatTemplate;
use super::error::TokenizerError;
use super::text_encoder::Coder;
use crate::domain::vocabulary::Vocabulary;
use crate::files::atomic;
use std::fs;
use std::path::{Path, PathBuf};

/// A tokenizer as a stage needs it.
pub struct Tokens<'a> {
    /// Encodes.
    pub coder: &'a Coder,
    /// What its tokens stand for.
    pub vocabulary: &'a Vocabulary,
    /// Its files, for the folders that are written.
    pub files: &'a TokenizerFiles,
}

/// A tokenizer's files, by the names they have in a model's folder.
#[derive(Debug, Clone, Default)]
pub struct TokenizerFiles(Vec<(&'static str, PathBuf)>);

/// What may lie beside a tokenizer.json and belongs to it.
const COMPANIONS: [&str; 4] =
    ["tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "added_tokens.json"];

impl TokenizerFiles {
    /// A tokenizer.json (whatever its name) and what belongs to it in the same folder.
    pub fn beside(tokenizer: &Path) -> Self {
        let folder = tokenizer.parent().unwrap_or(Path::new("."));
        let companions = COMPANIONS.iter().map(|name| (*name, folder.join(name))).filter(|(_, path)| path.is_file());
        Self(std::iter::once(("tokenizer.json", tokenizer.to_path_buf())).chain(companions).collect())
    }

    /// Writes copies into a folder.
    ///
    /// # Errors
    /// Where one cannot be read or written.
    pub fn write_to(&self, folder: &Path) -> Result<(), TokenizerError> {
        for (name, from) in &self.0 {
            let contents = fs::read(from).map_err(TokenizerError::reading(from))?;
            let to = folder.join(name);
            atomic::write(&to, |file| file.write_all(&contents)).map_err(TokenizerError::writing(&to))?;
        }
        Ok(())
    }

    /// The chat template that lies beside the tokenizer, if one does.
    ///
    /// # Errors
    /// Where it cannot be read or is no template.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>, TokenizerError> {
        self.0.first().and_then(|(_, path)| path.parent()).map_or(Ok(None), ChatTemplate::from_folder)
    }

    /// Whether a file of this name is among them.
    pub(crate) fn has(&self, wanted: &str) -> bool {
        self.0.iter().any(|(name, _)| *name == wanted)
    }
}
