//! Which file does the user mean: a file, a folder, or a repository of the Hugging Face Hub? The Hub's local cache
//! comes first; the network is asked only for what is not there, and not at all where `HF_HUB_OFFLINE` is set.
//!
//! `HF_HUB_CACHE` (else `HF_HOME`/hub, else ~/.cache/huggingface/hub) is the cache, `HF_ENDPOINT` another Hub, and a
//! token is read from the cache's parent folder, as the Hub's own tools have it.

use super::error::TokenizerError;
use super::files;
use hf_hub::api::sync::{ApiBuilder, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use std::path::{Path, PathBuf};

/// What a folder's tokenizer may be called, the best first.
const NAMES: [&str; 6] =
    ["tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "sp.model"];

/// Where the Hub is looked for.
#[derive(Debug, Clone)]
pub(super) struct Hub {
    cache: PathBuf,
    endpoint: Option<String>,
    offline: bool,
}

impl Hub {
    /// As the environment says.
    pub fn from_env() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let offline =
            set("HF_HUB_OFFLINE").is_some_and(|v| !matches!(v.to_lowercase().as_str(), "0" | "false" | "no" | "off"));
        let home = || directories::BaseDirs::new().map(|d| d.home_dir().join(".cache/huggingface"));
        let cache = set("HF_HUB_CACHE")
            .map(PathBuf::from)
            .or_else(|| Some(set("HF_HOME").map(PathBuf::from).or_else(home)?.join("hub")))
            .unwrap_or_default();
        Self { cache, endpoint: set("HF_ENDPOINT"), offline }
    }

    #[cfg(test)]
    pub fn at(cache: &Path, endpoint: Option<&str>, offline: bool) -> Self {
        Self { cache: cache.to_owned(), endpoint: endpoint.map(str::to_owned), offline }
    }

    /// The tokenizer's file of a repository.
    fn find(&self, id: &Id<'_>) -> Result<PathBuf, TokenizerError> {
        let repo = Repo::with_revision(id.name.to_owned(), RepoType::Model, id.revision.to_owned());
        let cached = Cache::new(self.cache.clone()).repo(repo.clone());
        if let Some(path) = NAMES.iter().find_map(|name| in_cache(&cached, &self.cache, id, name)) {
            return Ok(path);
        }
        let failed = |reason: String| TokenizerError::Hub { id: id.shown(), reason };
        if self.offline {
            return Err(failed("it is not in the local cache and HF_HUB_OFFLINE forbids to fetch it".into()));
        }
        if !id.name.contains('/') {
            // A single word is more often a mistyped path than one of the Hub's oldest names.
            return Err(TokenizerError::NotFound { path: PathBuf::from(id.name) });
        }
        let mut builder = ApiBuilder::from_cache(Cache::new(self.cache.clone())).with_progress(false);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let api = builder.build().map_err(|e| failed(e.to_string()))?.repo(repo);
        let path = fetched(&api).map_err(failed)?;
        let listed = api.info().map(|info| info.siblings.into_iter().map(|file| file.rfilename));
        let names: Vec<String> = match listed {
            Ok(names) => names.filter(|name| files::is_companion(name)).collect(),
            Err(_) => files::usual_companions().collect(),
        };
        for name in names {
            // Where the list could not be had, not every repository has them.
            let _ = api.get(&name);
        }
        Ok(path)
    }
}

/// A file in the cache; a commit may stand in place of a branch.
fn in_cache(cached: &CacheRepo, cache: &Path, id: &Id<'_>, name: &str) -> Option<PathBuf> {
    let folder = format!("models--{}", id.name.replace('/', "--"));
    let of_commit = || cache.join(folder).join("snapshots").join(id.revision).join(name);
    cached.get(name).or_else(|| Some(of_commit()).filter(|path| path.is_file()))
}

/// The first of the names that the repository has.
fn fetched(api: &ApiRepo) -> Result<PathBuf, String> {
    let mut reason = String::new();
    for name in NAMES {
        match api.get(name) {
            Ok(path) => return Ok(path),
            Err(error) => {
                let said = error.to_string();
                if reason.is_empty() {
                    reason.clone_from(&said);
                }
                if !said.contains("404") {
                    return Err(reason);
                }
            }
        }
    }
    Err(format!("it has none of {}", NAMES.join(", ")))
}

/// `owner/name`, or with a branch, tag or commit `owner/name@revision`.
struct Id<'a> {
    name: &'a str,
    revision: &'a str,
}

impl<'a> Id<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (name, revision) = text.split_once('@').unwrap_or((text, "main"));
        let part = |p: &str| {
            !p.is_empty()
                && !p.starts_with(['.', '-'])
                && p.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let parts: Vec<&str> = name.split('/').collect();
        let file = [".json", ".model", ".txt", ".jsonl", ".gz", ".zst", ".parquet"].iter().any(|e| name.ends_with(e));
        let sound = !revision.is_empty() && !revision.contains("..") && !revision.starts_with('/');
        (parts.len() <= 2 && parts.iter().all(|p| part(p)) && !file && sound).then_some(Self { name, revision })
    }

    fn shown(&self) -> String {
        if self.revision == "main" { self.name.to_owned() } else { format!("{}@{}", self.name, self.revision) }
    }
}

/// The tokenizer's file that a path, a folder or a Hub id means.
///
/// # Errors
/// [`TokenizerError::NotFound`] where nothing is called so, [`TokenizerError::Hub`] where it cannot be downloaded from the Hub.
pub(super) fn find(wanted: &Path, hub: &Hub) -> Result<PathBuf, TokenizerError> {
    let missing = || TokenizerError::NotFound { path: wanted.to_owned() };
    if wanted.is_dir() {
        return NAMES.iter().map(|name| wanted.join(name)).find(|path| path.is_file()).ok_or_else(missing);
    }
    if wanted.exists() {
        return Ok(wanted.to_owned());
    }
    let id = wanted.to_str().and_then(Id::of).ok_or_else(missing)?;
    hub.find(&id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::Fault;

    /// A cache with one repository, laid out as the Hub's tools do.
    fn cache(file: &str) -> tempfile::TempDir {
        let cache = tempfile::tempdir().unwrap();
        let repo = cache.path().join("models--some--tokenizer");
        let snapshot = repo.join("snapshots/0123abc");
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::create_dir_all(repo.join("refs")).unwrap();
        std::fs::write(repo.join("refs/main"), "0123abc").unwrap();
        std::fs::write(snapshot.join(file), "{}").unwrap();
        cache
    }

    #[test]
    fn a_repository_in_the_cache_is_found_by_its_name_and_by_its_commit() {
        for file in ["tokenizer.json", "tokenizer.model", "spiece.model"] {
            let cache = cache(file);
            let hub = Hub::at(cache.path(), None, true);
            let expected = cache.path().join("models--some--tokenizer/snapshots/0123abc").join(file);
            assert_eq!(find(Path::new("some/tokenizer"), &hub).unwrap(), expected);
            assert_eq!(find(Path::new("some/tokenizer@0123abc"), &hub).unwrap(), expected);
            assert!(find(Path::new("some/tokenizer@other"), &hub).is_err());
        }
    }

    #[test]
    fn what_is_not_in_the_cache_is_an_error_offline_and_without_a_network() {
        let cache = cache("tokenizer.json");
        let error = find(Path::new("some/other"), &Hub::at(cache.path(), None, true)).unwrap_err();
        assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
        // A port that nobody listens on.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let nowhere = Hub::at(cache.path(), Some(&format!("http://127.0.0.1:{port}")), false);
        let error = find(Path::new("some/other"), &nowhere).unwrap_err();
        assert!(matches!(error, TokenizerError::Hub { .. }), "{error}");
        assert!(error.to_string().starts_with("some/other cannot be downloaded from the Hub: "), "{error}");
        assert!(error.hint().unwrap().contains("HF_HOME"));
    }

    /// A Hub of one repository on this machine: `name` to contents. Answers as long as the test lives.
    fn hub(files: &'static [(&'static str, &'static str)], lists: bool) -> String {
        use std::io::{BufRead, BufReader, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let request = lines.next().unwrap_or_default();
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let one_byte = headers.iter().any(|line| line.to_lowercase().contains("bytes=0-0"));
                let listed = path.starts_with("/api/").then(|| {
                    let siblings: Vec<_> = files.iter().map(|f| serde_json::json!({ "rfilename": f.0 })).collect();
                    serde_json::json!({ "siblings": siblings, "sha": "0123abc" }).to_string()
                });
                let of = |f: &&(&str, &'static str)| path == format!("/some/tokenizer/resolve/main/{}", f.0);
                let body = match listed {
                    Some(list) => Some(list).filter(|_| lists),
                    None => files.iter().find(of).map(|f| f.1.to_owned()),
                };
                let (status, body) = body.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
                let sent = if one_byte { &body[..body.len().min(1)] } else { &body };
                let size = format!("Content-Range: bytes 0-0/{}\r\nContent-Length: {}", body.len(), sent.len());
                let tag: String = path.chars().filter(char::is_ascii_alphanumeric).collect();
                let about = format!("etag: {tag}\r\nx-repo-commit: 0123abc\r\nConnection: close");
                let _ = write!(stream, "HTTP/1.1 {status}\r\n{about}\r\n{size}\r\n\r\n{sent}");
            }
        });
        endpoint
    }

    #[test]
    fn everything_that_belongs_to_a_tokenizer_comes_from_the_hub_with_it() {
        const FILES: [(&str, &str); 5] = [
            ("tokenizer.json", "{}"),
            ("added_tokens.json", "[]"),
            ("tokenizer_config.json", "{ }"),
            ("additional_chat_templates/tools.jinja", "t"),
            ("model.safetensors", "no"),
        ];
        for lists in [true, false] {
            let cache = tempfile::tempdir().unwrap();
            let found =
                find(Path::new("some/tokenizer"), &Hub::at(cache.path(), Some(&hub(&FILES, lists)), false)).unwrap();
            let beside = |name: &str| std::fs::read_to_string(found.with_file_name(name)).ok();
            assert_eq!(beside("added_tokens.json").as_deref(), Some("[]"));
            assert_eq!(beside("tokenizer_config.json").as_deref(), Some("{ }"));
            // Their names are known from the list alone.
            assert_eq!(beside("additional_chat_templates/tools.jinja").is_some(), lists);
            assert_eq!((beside("special_tokens_map.json"), beside("model.safetensors")), (None, None));
        }
    }

    #[test]
    fn a_path_that_is_not_there_is_not_taken_for_a_repository() {
        let hub = Hub::at(Path::new("/nowhere"), None, false);
        for path in
            ["no/such/place", "tokenizer.json", "./here", "/tmp/none", "../x", "word", "a b", "a/b.model", "@x", ""]
        {
            let error = find(Path::new(path), &hub).unwrap_err();
            assert!(matches!(error, TokenizerError::NotFound { .. }), "{path}: {error}");
        }
    }

    #[test]
    fn a_folder_gives_its_tokenizer_json_before_a_sentencepiece_model() {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::at(Path::new("/nowhere"), None, true);
        assert!(find(folder.path(), &hub).is_err());
        std::fs::write(folder.path().join("tokenizer.model"), "").unwrap();
        assert_eq!(find(folder.path(), &hub).unwrap(), folder.path().join("tokenizer.model"));
        std::fs::write(folder.path().join("tokenizer.json"), "").unwrap();
        assert_eq!(find(folder.path(), &hub).unwrap(), folder.path().join("tokenizer.json"));
    }
}
