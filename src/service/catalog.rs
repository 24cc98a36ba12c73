//! Which models, tokenizers, texts and outputs may a client name, and where are they? A client says a name, never a
//! path: it is looked up beneath a folder that whoever started the service chose, and what it leads to, links followed,
//! must lie beneath that folder too. What is inside a model or a text is not looked at.

use super::config::Config;
use super::error::{ApiError, ServiceError};
use serde::Serialize;
use std::path::{Component, Path, PathBuf};

/// Bytes of a name at most.
const NAME: usize = 200;
/// Folders within folders that are searched for links and for names.
const DEPTH: usize = 4;
/// Entries of a folder that are looked at.
const ENTRIES: usize = 10_000;
/// Names of one kind that are listed.
const LISTED: usize = 500;

/// What a name is meant to stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Model,
    Tokenizer,
    Corpus,
}

/// The folders, as they really are.
#[derive(Debug, Clone)]
pub struct Catalog {
    models: Option<PathBuf>,
    tokenizers: Option<PathBuf>,
    corpora: Option<PathBuf>,
    outputs: PathBuf,
}

/// The names a client may say.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Names {
    /// Folders of models; `outputs/RUN` is the model that came out of a run.
    pub models: Vec<String>,
    /// Tokenizers.
    pub tokenizers: Vec<String>,
    /// Texts.
    pub corpora: Vec<String>,
    /// Devices that train.
    pub devices: Vec<String>,
}

impl Catalog {
    /// From a configuration; its folders must be there, that of outputs is made.
    pub fn new(config: &Config) -> Result<Self, ServiceError> {
        let real = |what: &'static str, path: &Path| {
            let found = path.canonicalize().and_then(|real| match real.is_dir() {
                true => Ok(real),
                false => Err(std::io::ErrorKind::NotADirectory.into()),
            });
            found.map_err(|source| ServiceError::Root { what, path: path.into(), source })
        };
        std::fs::create_dir_all(&config.outputs).map_err(|source| ServiceError::Root {
            what: "outputs",
            path: config.outputs.clone(),
            source,
        })?;
        Ok(Self {
            models: config.models.as_deref().map(|p| real("models", p)).transpose()?,
            tokenizers: config.tokenizers.as_deref().map(|p| real("tokenizers", p)).transpose()?,
            corpora: config.corpora.as_deref().map(|p| real("corpora", p)).transpose()?,
            outputs: real("outputs", &config.outputs)?,
        })
    }

    /// The folder of a run.
    pub fn output(&self, run: &str) -> PathBuf {
        self.outputs.join(run)
    }

    /// Where a name leads.
    pub fn resolve(&self, what: What, name: &str) -> Result<PathBuf, ApiError> {
        let refuse = |why: &str| {
            let kind = match what {
                What::Model => "model",
                What::Tokenizer => "tokenizer",
                What::Corpus => "text",
            };
            let shown: String = name.chars().take(80).collect();
            ApiError::unprocessable(format!("{shown:?} is no {kind} of this service: {why}"))
                .hint("the names it knows are at /api/v1/catalog")
        };
        let relative = plain(name).ok_or_else(|| refuse("a name is letters, digits, . _ - and / in between"))?;
        let mut roots: Vec<(PathBuf, PathBuf)> = Vec::new();
        if let Ok(run) = relative.strip_prefix("outputs")
            && what != What::Corpus
            && run.components().count() == 1
        {
            // The run's own folder is what the name must stay beneath.
            let folder = self.outputs.join(run);
            roots.push((self.outputs.clone(), folder.join("model")));
            roots.push((self.outputs.clone(), folder.join("run").join("model")));
        }
        let own = match what {
            What::Model => [&self.models, &None],
            What::Tokenizer => [&self.tokenizers, &self.models],
            What::Corpus => [&self.corpora, &None],
        };
        roots.extend(own.into_iter().flatten().map(|root| (root.clone(), root.join(&relative))));
        for (root, path) in roots {
            let Ok(real) = path.canonicalize() else { continue };
            if !stays_beneath(&root, &real, 0, &mut 0) {
                return Err(refuse("it leads out of its folder"));
            }
            return Ok(real);
        }
        Err(refuse("nothing has this name"))
    }

    /// The names there are.
    pub fn names(&self, devices: &[String]) -> Names {
        let model = |path: &Path| path.join("config.json").is_file();
        let tokenizer = |path: &Path| {
            path.join("tokenizer.json").is_file() || (path.is_file() && has_extension(path, &["json", "model"]))
        };
        let text = |path: &Path| path.is_file() && has_extension(path, &["txt", "jsonl", "parquet", "zst", "gz"]);
        let mut models = list(self.models.as_deref(), &model);
        let mut tokenizers = list(self.tokenizers.as_deref(), &tokenizer);
        tokenizers.extend(
            models
                .iter()
                .filter(|name| {
                    self.models.as_deref().is_some_and(|root| root.join(name).join("tokenizer.json").is_file())
                })
                .cloned(),
        );
        tokenizers.sort();
        tokenizers.dedup();
        let runs = std::fs::read_dir(&self.outputs).into_iter().flatten().flatten().take(ENTRIES);
        let mut outputs: Vec<String> = runs
            .filter(|run| model(&run.path().join("model")) || model(&run.path().join("run/model")))
            .filter_map(|run| Some(format!("outputs/{}", run.file_name().to_str()?)))
            .collect();
        outputs.sort();
        models.extend(outputs);
        models.truncate(LISTED);
        Names { models, tokenizers, corpora: list(self.corpora.as_deref(), &text), devices: devices.to_vec() }
    }
}

fn has_extension(path: &Path, of: &[&str]) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| of.contains(&e))
}

/// A name as a relative path of plain parts: nothing hidden, nothing above, nothing a pattern.
fn plain(name: &str) -> Option<PathBuf> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '+');
    if name.is_empty() || name.len() > NAME || !name.chars().all(fits) {
        return None;
    }
    let path = PathBuf::from(name);
    let sound = |part: &str| !part.is_empty() && !part.starts_with('.');
    let parts = path.components().all(|c| matches!(c, Component::Normal(_)));
    (parts && name.split('/').all(sound)).then_some(path)
}

/// Whether a path and, in a folder, everything in it, lies beneath the root, links followed.
fn stays_beneath(root: &Path, real: &Path, depth: usize, seen: &mut usize) -> bool {
    if !real.starts_with(root) {
        return false;
    }
    if !real.is_dir() {
        return true;
    }
    if depth >= DEPTH {
        return false;
    }
    let Ok(entries) = std::fs::read_dir(real) else { return false };
    entries.flatten().all(|entry| {
        *seen += 1;
        *seen <= ENTRIES
            && match entry.path().canonicalize() {
                Ok(path) => stays_beneath(root, &path, depth + 1, seen),
                // A link to nothing leads nowhere.
                Err(_) => true,
            }
    })
}

fn list(root: Option<&Path>, is_one: &dyn Fn(&Path) -> bool) -> Vec<String> {
    fn search(root: &Path, folder: &Path, depth: usize, is_one: &dyn Fn(&Path) -> bool, found: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten().take(ENTRIES) {
            let path = entry.path();
            let name = path.strip_prefix(root).ok().and_then(|p| p.to_str()).filter(|n| plain(n).is_some());
            let Some(name) = name else { continue };
            if found.len() >= LISTED {
                return;
            }
            if is_one(&path) {
                found.push(name.to_string());
            } else if path.is_dir() && depth + 1 < DEPTH {
                search(root, &path, depth + 1, is_one, found);
            }
        }
    }
    let mut found = Vec::new();
    if let Some(root) = root {
        search(root, root, 0, is_one, &mut found);
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Settings;

    fn catalog() -> (tempfile::TempDir, Catalog) {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("models");
        for model in ["small", "nested/deep"] {
            std::fs::create_dir_all(models.join(model)).unwrap();
            std::fs::write(models.join(model).join("config.json"), "{}").unwrap();
        }
        std::fs::write(folder.path().join("secret.json"), "{}").unwrap();
        let settings = Settings::new(None, Some(folder.path().join("h.redb")));
        let mut config = Config::below(folder.path().join("state"), settings);
        config.models = Some(models);
        (folder, Catalog::new(&config).unwrap())
    }

    #[test]
    fn names_lead_to_what_lies_beneath_the_folder() {
        let (_folder, catalog) = catalog();
        assert!(catalog.resolve(What::Model, "small").unwrap().ends_with("models/small"));
        assert!(catalog.resolve(What::Model, "nested/deep").is_ok());
        assert_eq!(catalog.names(&[]).models, ["nested/deep", "small"]);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let (folder, catalog) = catalog();
        let absolute = folder.path().join("secret.json").display().to_string();
        let corpus = [
            "..",
            "../secret.json",
            "small/../../secret.json",
            "./small",
            "/etc/passwd",
            &absolute,
            "small/",
            "//small",
            "small//config.json",
            "~",
            "$HOME",
            "%2e%2e/secret.json",
            "..%2fsecret.json",
            "..\\secret.json",
            "small\0",
            "sma*l",
            "{small,x}",
            "small\n",
            "file:///etc/passwd",
            "http://localhost/x",
            "Qwen/Qwen3-8B",
            ".hidden",
            "",
            "\u{2025}/secret.json",
            "outputs/../..",
            "outputs/",
            "outputs",
            "outputs/..",
            "....//secret.json",
        ];
        for name in corpus {
            assert!(catalog.resolve(What::Model, name).is_err(), "{name:?}");
            assert!(catalog.resolve(What::Corpus, name).is_err(), "{name:?}");
        }
        assert!(catalog.resolve(What::Model, &"a".repeat(300)).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn no_link_leads_out_of_the_folder_at_any_depth() {
        let (folder, catalog) = catalog();
        let models = folder.path().join("models");
        std::os::unix::fs::symlink(folder.path().join("secret.json"), models.join("link.json")).unwrap();
        assert!(catalog.resolve(What::Model, "link.json").is_err());
        std::fs::create_dir(models.join("sly")).unwrap();
        std::os::unix::fs::symlink("/etc", models.join("sly/inner")).unwrap();
        assert!(catalog.resolve(What::Model, "sly").is_err());
        assert!(catalog.resolve(What::Model, "sly/inner/passwd").is_err());
        // A link that stays inside is what a Hub cache is made of.
        std::os::unix::fs::symlink(models.join("small"), models.join("alias")).unwrap();
        assert!(catalog.resolve(What::Model, "alias").is_ok());
    }
}
