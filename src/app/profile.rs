//! From files to a profile. A profile is kept under the hash of everything it was measured on, so that asking again
//! costs no more than reading the files once; what follows from it is not known here.

use super::{AppError, Settings};
use crate::analyze::{self, Analysis, Besides, Embeddings, ProfileInputs};
use crate::corpus::{Corpus, CorpusOptions};
use crate::domain::event::{Event, Observer};
use crate::domain::profile::Profile;
use crate::model::ModelFolder;
use crate::tokenizer::TokenizerFile;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What there is to look at.
#[derive(Debug, Clone)]
pub struct ProfileRequest {
    /// The original tokenizer; the model's where absent.
    pub source: Option<PathBuf>,
    /// The candidate tokenizer.
    pub candidate: PathBuf,
    /// Text to measure on; none is allowed.
    pub corpus: Vec<PathBuf>,
    /// The model's folder, where there is one.
    pub model: Option<PathBuf>,
    /// How text is read.
    pub reading: CorpusOptions,
}

/// The profile of two tokenizers, measured now and not kept.
pub fn analyze(inputs: &ProfileRequest, observer: &mut dyn Observer) -> Result<Profile, AppError> {
    measured(inputs, &ProfileOptions::default(), observer)
}

/// How to look, besides at what.
#[derive(Debug, Clone, Default)]
pub struct ProfileOptions {
    /// A text and its translation, line by line.
    pub parallel: Option<[PathBuf; 2]>,
    /// Where to list every candidate token.
    pub tokens_out: Option<PathBuf>,
    /// Whether to measure anew what was measured before.
    pub fresh: bool,
}

/// The profile of two tokenizers: the one that was kept, or a new one, which is kept then.
pub fn measure(
    settings: &Settings,
    inputs: &ProfileRequest,
    looking: &ProfileOptions,
    observer: &mut dyn Observer,
) -> Result<Profile, AppError> {
    if let Some(path) = &looking.tokens_out {
        analyze::check_listing_name(path)?;
    }
    let key = key(inputs, looking)?;
    let reuse = !looking.fresh && looking.tokens_out.is_none();
    if let Some(profile) = reuse.then(|| find(settings, &key)).flatten() {
        observer.observe(&Event::Note {
            text: "Nothing has changed since this was measured: taken from what was kept".into(),
        });
        return named(profile, inputs);
    }
    let profile = measured(inputs, looking, observer)?;
    // A profile that cannot be kept is measured again next time.
    let _ = settings.history_at_once().and_then(|history| Ok(history.keep_profile(&key, &profile)?));
    Ok(profile)
}

/// The profile of two tokenizers, measured now.
pub(super) fn measured(
    inputs: &ProfileRequest,
    looking: &ProfileOptions,
    observer: &mut dyn Observer,
) -> Result<Profile, AppError> {
    let model = inputs.model.as_deref().map(ModelFolder::open).transpose()?;
    let corpus = corpus(&inputs.corpus, &inputs.reading)?;
    let parallel = match &looking.parallel {
        Some([text, translation]) => {
            let open = |path: &PathBuf| Corpus::open(std::slice::from_ref(path), &inputs.reading);
            Some([open(text)?, open(translation)?])
        }
        None => None,
    };
    let (source, candidate) =
        rayon::join(|| TokenizerFile::open(source_of(inputs)), || TokenizerFile::open(&inputs.candidate));
    let (source, candidate) = (source?, candidate?);
    let wanted = ProfileInputs {
        source: &source,
        candidate: &candidate,
        corpus: corpus.as_ref(),
        model: model.as_ref().map(ModelFolder::summary),
    };
    let parallel = parallel.as_ref().map(|[text, translation]| [text, translation]);
    let analysis = with_embeddings(&wanted, model.as_ref(), parallel, observer)?;
    if let Some(path) = &looking.tokens_out {
        analysis.write_tokens(&candidate, path)?;
    }
    Ok(analysis.profile)
}

/// The analysis with the model's embeddings, where there is a model.
fn with_embeddings(
    inputs: &ProfileInputs<'_>,
    model: Option<&ModelFolder>,
    parallel: Option<[&Corpus; 2]>,
    observer: &mut dyn Observer,
) -> Result<Analysis, AppError> {
    let table = model.and_then(|m| m.tables().0);
    let row = |id: u32| table?.row(id as usize);
    let size = model.map(|m| &m.config().size);
    let embeddings = size.map(|s| Embeddings { rows: s.rows, width: s.hidden, row: &row });
    Ok(analyze::analyze(inputs, &Besides { embeddings, parallel }, observer)?)
}

/// The profile with a model that is open already.
pub(super) fn of_model(
    inputs: &ProfileInputs<'_>,
    model: &ModelFolder,
    observer: &mut dyn Observer,
) -> Result<Profile, AppError> {
    Ok(with_embeddings(inputs, Some(model), None, observer)?.profile)
}

fn corpus(paths: &[PathBuf], reading: &CorpusOptions) -> Result<Option<Corpus>, AppError> {
    if paths.is_empty() { Ok(None) } else { Ok(Some(Corpus::open(paths, reading)?)) }
}

/// The original tokenizer: the model's where none is given.
fn source_of(inputs: &ProfileRequest) -> &Path {
    inputs.source.as_deref().or(inputs.model.as_deref()).unwrap_or(Path::new(""))
}

fn find(settings: &Settings, key: &str) -> Option<Profile> {
    // Looking must not make a file.
    settings.history.exists().then(|| settings.history_at_once().ok()?.profile(key).ok()?).flatten()
}

/// A kept profile under the names that things have now.
fn named(mut profile: Profile, inputs: &ProfileRequest) -> Result<Profile, AppError> {
    profile.source.name = source_of(inputs).display().to_string();
    profile.candidate.name = inputs.candidate.display().to_string();
    if let (Some(model), Some(path)) = (&mut profile.model, &inputs.model) {
        model.name = path.display().to_string();
    }
    if let (Some(summary), Some(corpus)) = (&mut profile.corpus, corpus(&inputs.corpus, &inputs.reading)?) {
        summary.files = corpus.files().map(|p| p.display().to_string()).collect();
    }
    Ok(profile)
}

/// The hash of everything a profile depends on: the method, the contents of tokenizers and texts, how they are read,
/// and of a model its configuration with the size and the time of its weights, which are too large to be read for this.
fn key(inputs: &ProfileRequest, looking: &ProfileOptions) -> Result<String, AppError> {
    let texts = || -> Result<Vec<String>, AppError> {
        let parallel = looking.parallel.iter().flatten().map(std::slice::from_ref);
        let mut parts = Vec::new();
        for paths in std::iter::once(inputs.corpus.as_slice()).chain(parallel) {
            parts.push(match corpus(paths, &inputs.reading)? {
                Some(corpus) => {
                    let kinds: Vec<String> = corpus.files().map(kind).collect();
                    format!("{} {}", corpus.sha256()?, kinds.join(" "))
                }
                None => String::new(),
            });
        }
        Ok(parts)
    };
    let fingerprints = || {
        rayon::join(|| TokenizerFile::fingerprint(source_of(inputs)), || TokenizerFile::fingerprint(&inputs.candidate))
    };
    let (texts, (source, candidate)) = rayon::join(texts, fingerprints);
    let mut parts = vec![env!("CARGO_PKG_VERSION").to_owned(), analyze::METHOD.to_string(), source?, candidate?];
    parts.extend(texts?);
    parts.push(format!("{:?}", inputs.reading));
    parts.extend(inputs.model.as_deref().map(weights));
    let hash = Sha256::digest(parts.join("\n"));
    Ok(HEXLOWER.encode(&hash))
}

/// What a file's name says of how it is read.
fn kind(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.split_once('.').map_or(String::new(), |(_, kind)| kind.to_owned())
}

/// What tells a model's weights from others without reading them.
fn weights(model: &Path) -> String {
    let config = std::fs::read(model.join("config.json")).unwrap_or_default();
    let mut files: Vec<String> = std::fs::read_dir(model)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| e.path().extension().is_some_and(|x| x == "safetensors"))
        .filter_map(|e| {
            let about = std::fs::metadata(e.path()).ok()?;
            let time = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
            Some(format!("{} {} {time}", e.file_name().to_string_lossy(), about.len()))
        })
        .collect();
    files.sort();
    let config = HEXLOWER.encode(&Sha256::digest(config));
    format!("{config} {}", files.join(" "))
}
