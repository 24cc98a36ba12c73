//! Which files belong to a tokenizer, and what is done with them as a whole. The one list of them is here: what is looked
//! for on the Hub, hashed, read beside a tokenizer and copied with it.

use super::chat_template::ChatTemplate;
use super::error::TokenizerError;
use super::text_encoder::Coder;
use crate::domain::vocabulary::Vocabulary;
use crate::files::FileError;
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

/// A tokenizer's files, by the names they have in a model's folder: the tokenizer.json first.
#[derive(Debug, Clone, Default)]
pub struct TokenizerFiles(Vec<(String, PathBuf)>);

/// What may lie beside a tokenizer.json and belongs to it. Other forms of the same vocabulary (tokenizer.model,
/// vocab.json, merges.txt) do not: who opens a tokenizer.json needs none of them, and beside one that has grown they
/// would contradict it.
const COMPANIONS: [&str; 5] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "added_tokens.json",
    // The template's place in folders that were saved by a processor.
    "chat_template.json",
];

/// The folder of a tokenizer's further chat templates, each a .jinja file.
const TEMPLATES: &str = "additional_chat_templates";

/// Whether a file of this name, relative to a tokenizer.json, belongs to it.
pub(super) fn is_companion(name: &str) -> bool {
    let template =
        |rest: &str| rest.strip_prefix('/').is_some_and(|file| file.ends_with(".jinja") && !file.contains('/'));
    COMPANIONS.contains(&name) || name.strip_prefix(TEMPLATES).is_some_and(template)
}

/// The names to ask for where a place cannot say which files it has.
pub(super) fn usual_companions() -> impl Iterator<Item = String> {
    COMPANIONS.into_iter().map(str::to_owned)
}

/// What lies beside a tokenizer's file and belongs to it, by name; always in the same order.
pub(super) fn companions_of(tokenizer: &Path) -> Vec<(String, PathBuf)> {
    let folder = tokenizer.parent().unwrap_or(Path::new("."));
    let mut templates: Vec<String> = fs::read_dir(folder.join(TEMPLATES))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(format!("{TEMPLATES}/{}", entry.file_name().to_str()?)))
        .filter(|name| is_companion(name))
        .collect();
    templates.sort();
    let all = usual_companions().chain(templates).map(|name| (folder.join(&name), name));
    all.filter(|(path, _)| path.is_file()).map(|(path, name)| (name, path)).collect()
}

impl TokenizerFiles {
    /// A tokenizer.json (whatever its name) and what belongs to it in the same folder.
    pub fn beside(tokenizer: &Path) -> Self {
        let own = ("tokenizer.json".to_owned(), tokenizer.to_path_buf());
        Self(std::iter::once(own).chain(companions_of(tokenizer)).collect())
    }

    /// Writes copies into a folder.
    ///
    /// # Errors
    /// Where one cannot be read or written.
    pub fn write_to(&self, folder: &Path) -> Result<(), TokenizerError> {
        copy(&self.0, folder)
    }

    /// The same without the tokenizer.json: for another one in its place.
    ///
    /// # Errors
    /// Where one cannot be read or written.
    pub fn write_companions_to(&self, folder: &Path) -> Result<(), TokenizerError> {
        copy(self.0.get(1..).unwrap_or_default(), folder)
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

/// Copies of files under their names in a folder.
pub(super) fn copy(files: &[(String, PathBuf)], folder: &Path) -> Result<(), TokenizerError> {
    for (name, from) in files {
        let contents = fs::read(from).map_err(FileError::reading(from))?;
        let to = folder.join(name);
        atomic::write(&to, |file| file.write_all(&contents)).map_err(FileError::writing(&to))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::TokenizerFile;

    const NAMES: [&str; 6] = [
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "added_tokens.json",
        "chat_template.json",
        "additional_chat_templates/tools.jinja",
    ];

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(TEMPLATES)).unwrap();
        for name in NAMES.into_iter().chain(["tokenizer.json", "tokenizer.model", "config.json"]) {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        folder
    }

    #[test]
    fn everything_that_belongs_to_a_tokenizer_is_copied_with_it_and_nothing_else() {
        let (from, to) = (folder(), tempfile::tempdir().unwrap());
        let files = TokenizerFiles::beside(&from.path().join("tokenizer.json"));
        files.write_companions_to(to.path()).unwrap();
        assert!(NAMES.iter().all(|name| to.path().join(name).is_file()));
        assert!(["tokenizer.json", "tokenizer.model", "config.json"].iter().all(|n| !to.path().join(n).exists()));
        files.write_to(to.path()).unwrap();
        assert!(to.path().join("tokenizer.json").is_file());
    }

    #[test]
    fn a_tokenizers_fingerprint_changes_with_each_of_its_files_and_with_no_other() {
        let folder = folder();
        let fingerprint = || TokenizerFile::fingerprint(folder.path()).unwrap();
        let mut before = fingerprint();
        for name in NAMES.into_iter().chain(["tokenizer.json"]) {
            fs::write(folder.path().join(name), "[]").unwrap();
            assert_ne!(fingerprint(), before, "{name}");
            before = fingerprint();
        }
        // Empty is not the same as absent.
        fs::write(folder.path().join("added_tokens.json"), "").unwrap();
        let empty = fingerprint();
        fs::remove_file(folder.path().join("added_tokens.json")).unwrap();
        assert!(fingerprint() != empty && empty != before);
        before = fingerprint();
        fs::write(folder.path().join("config.json"), "[]").unwrap();
        assert_eq!(fingerprint(), before);
    }
}
