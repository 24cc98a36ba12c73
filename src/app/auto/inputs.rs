//! What a run is given, read and checked: model, tokenizers, text, configurations, the profile; and the original
//! tokenizer grown, where a strategy needs it. What is done with them is not known here.

use super::super::{AppError, write_whole};
use super::AutoRequest;
use super::prepared::PreparedRun;
use crate::analyze::{self, ProfileInputs};
use crate::corpus::Corpus;
use crate::decide::rules::RuleBook;
use crate::domain::event::{Event, Observer};
use crate::domain::lesson::Lesson;
use crate::domain::outcome::Vocab;
use crate::domain::profile::Profile;
use crate::domain::reason::Warning;
use crate::domain::stage::Stage;
use crate::domain::strategy::{StageConfig, Strategy};
use crate::domain::vocabulary::{Mapping, Origin};
use crate::model::ModelFolder;
use crate::strategies;
use crate::tokenizer::TokenizerFile;
use crate::tokenizer::{Coder, GrowthConfig, TokenizerFiles, grow_bpe};
use crate::train::data::mix;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};

/// The stages' configurations from the rules, with the user's changes.
fn stages(
    rules: &RuleBook,
    overrides: &[(String, serde_json::Value)],
) -> Result<BTreeMap<Stage, StageConfig>, AppError> {
    let mut stages: BTreeMap<Stage, StageConfig> = rules.stages().map(|(s, c)| (s, c.clone())).collect();
    for (name, value) in overrides {
        let unknown = |known: String| AppError::Override { name: name.clone(), known };
        let (stage, field) = match name.rsplit_once('.') {
            Some((stage, field)) => (Some(stage), field),
            None => (None, name.as_str()),
        };
        let stage: Option<Stage> = stage.map(|s| s.parse()).transpose().map_err(|_| unknown(Stage::names()))?;
        for (key, config) in &mut stages {
            if stage.is_some_and(|s| s != *key) {
                continue;
            }
            let wrong =
                |reason: String| AppError::OverrideValue { name: name.clone(), value: value.to_string(), reason };
            let mut fields = serde_json::to_value(&*config).map_err(|e| wrong(e.to_string()))?;
            match fields.get_mut(field) {
                Some(slot) => *slot = value.clone(),
                None => {
                    let known = fields.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>().join(", "));
                    return Err(unknown(known.unwrap_or_default()));
                }
            }
            *config = serde_json::from_value(fields).map_err(|e| wrong(e.to_string()))?;
            config.check().map_err(wrong)?;
        }
    }
    Ok(stages)
}

/// The inputs of a run, read and checked.
pub(super) struct LoadedInputs {
    pub(super) base: ModelFolder,
    pub(super) source: TokenizerFile,
    pub(super) candidate: TokenizerFile,
    pub(super) train: Vec<Lesson>,
    pub(super) eval: Vec<String>,
    pub(super) profile: Profile,
    pub(super) stages: BTreeMap<Stage, StageConfig>,
}

/// `known`: a profile of the same inputs, made before.
pub(super) fn load(
    rules: &RuleBook,
    request: &AutoRequest,
    known: Option<&Profile>,
    observer: &mut dyn Observer,
) -> Result<LoadedInputs, AppError> {
    let stages = stages(rules, &request.overrides)?;
    let base = ModelFolder::open(&request.model)?;
    let source = TokenizerFile::open(request.source.as_deref().unwrap_or(&request.model))?;
    let candidate = TokenizerFile::open(&request.candidate)?;
    if source.vocabulary.rows() > base.config().size.rows {
        return Err(AppError::TooFewRows {
            model: request.model.clone(),
            rows: base.config().size.rows,
            tokens: source.vocabulary.rows(),
        });
    }
    let corpus = Corpus::open(&request.train, &request.reading)?;
    let train = lessons(&corpus, request)?;
    if train.iter().any(|lesson| lesson.messages.is_some()) {
        let templates = [&source, &candidate].map(|side| TokenizerFiles::beside(&side.path).chat_template());
        if !templates.into_iter().collect::<Result<Vec<_>, _>>()?.iter().any(Option::is_some) {
            return Err(AppError::NoTemplate { model: request.model.clone() });
        }
    }
    let eval = Corpus::open(&request.eval, &request.reading)?.collect(Some(request.eval_bytes))?;
    let profile = match known {
        Some(profile) => profile.clone(),
        None => {
            let (source, candidate) = (&source, &candidate);
            let inputs = ProfileInputs { source, candidate, corpus: Some(&corpus), model: Some(base.summary()) };
            let mut profile = super::super::profile::of_model(&inputs, &base, observer)?;
            if let Some(warning) = leak(&train, &eval) {
                observer.observe(&Event::Note { text: format!("warning: {warning}") });
                profile.warnings.add(warning);
            }
            profile
        }
    };
    Ok(LoadedInputs { base, source, candidate, train, eval, profile, stages })
}

/// The training text: from the beginning as far as is asked for, or mixed by weights.
fn lessons(corpus: &Corpus, request: &AutoRequest) -> Result<Vec<Lesson>, AppError> {
    let (weights, most) = (&request.weights, request.train_bytes);
    if weights.is_empty() {
        return Ok(corpus.lessons(most)?);
    }
    let refused = |why: String| AppError::Weights { why };
    if weights.len() != request.train.len() {
        return Err(refused(format!("weights given: {}, training texts: {}", weights.len(), request.train.len())));
    }
    if let Some(weight) = weights.iter().find(|w| !(0.0..=1000.0).contains(*w)) {
        return Err(refused(format!("a weight of {weight}")));
    }
    if weights.iter().all(|w| *w == 0.0) {
        return Err(refused("all weights are 0, which leaves no text".into()));
    }
    let one = |path| Corpus::open(std::slice::from_ref(path), &request.reading)?.lessons(most);
    let texts = request.train.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    let all: f64 = weights.iter().zip(&texts).map(|(weight, text)| weight * bytes_of(text) as f64).sum();
    // Where the mixture is more than was asked for, there is less of each.
    let share = most.map_or(1.0, |most| (most as f64 / all).min(1.0));
    let weighted: Vec<(f64, &[Lesson])> =
        weights.iter().zip(&texts).map(|(weight, text)| (weight * share, text.as_slice())).collect();
    Ok(mix(&weighted, request.seed))
}

/// A sentence where held-out documents stand in the training text too.
fn leak(train: &[Lesson], eval: &[String]) -> Option<Warning> {
    let seen: HashSet<&str> = train.iter().map(AsRef::as_ref).collect();
    let bytes = |of: &mut dyn Iterator<Item = &String>| of.map(|d| d.len() as u64).sum::<u64>();
    let shared = bytes(&mut eval.iter().filter(|d| seen.contains(d.as_str())));
    let share = shared as f64 / bytes(&mut eval.iter()).max(1) as f64;
    (share > 0.01).then_some(Warning::Leak { share })
}

/// UTF-8 bytes of documents.
pub(super) fn bytes_of<D: AsRef<str>>(documents: &[D]) -> u64 {
    documents.iter().map(|d| d.as_ref().len() as u64).sum()
}

/// sha256 of documents, in order.
pub(super) fn digest(documents: &[String]) -> String {
    let mut hash = Sha256::new();
    for document in documents {
        hash.update((document.len() as u64).to_le_bytes());
        hash.update(document);
    }
    HEXLOWER.encode(&hash.finalize())
}

/// Refuses a strategy that needs the candidate where the candidate cannot write the held-out text.
pub(super) fn must_be_writable(rules: &RuleBook, prepared: &PreparedRun, chosen: Strategy) -> Result<(), AppError> {
    let writes = |stage: &Stage| matches!(stage.vocab(), Vocab::Candidate | Vocab::Both);
    let needs = strategies::runner(chosen)?.stages().iter().any(writes);
    if !needs {
        return Ok(());
    }
    let lost: u64 = prepared.candidate.encode(&prepared.inputs.eval)?.iter().map(|e| e.lost).sum();
    let share = lost as f64 / bytes_of(&prepared.inputs.eval).max(1) as f64;
    let most = rules.review().text.most_unknown;
    if share <= most {
        return Ok(());
    }
    Err(AppError::Unwritable { candidate: prepared.inputs.candidate.name.clone(), share, most })
}

/// The original tokenizer, grown on the training text.
pub(super) struct GrownTokenizer {
    pub(super) file: TokenizerFile,
    pub(super) coder: Coder,
    pub(super) mapping: Mapping,
}

/// Whether the original's merges can be continued.
pub(super) fn can_grow(source: &TokenizerFile) -> bool {
    GrowthConfig::possible(&source.tokenizer)
}

/// Grows the original where the text asks for it, as far as the next thousand tokens pays for its rows; the file goes to
/// `grown/tokenizer.json` in the run's folder, and is taken from there where a restart finds it.
pub(super) fn grow(
    inputs: &LoadedInputs,
    request: &AutoRequest,
    observer: &mut dyn Observer,
) -> Result<GrownTokenizer, AppError> {
    let path = request.out.join("grown").join("tokenizer.json");
    if !path.exists() {
        let size = inputs.base.config().size;
        let growth = GrowthConfig {
            // A row's share of what a token costs: the head computes one product a row.
            row_cost: size.hidden as f64 / (size.layer_weights() + size.rows * size.hidden) as f64,
            ..GrowthConfig::default()
        };
        let json = read(&inputs.source)?;
        let grown = grow_bpe(&json, &inputs.source.vocabulary, &inputs.train, &growth)?;
        let text = format!(
            "Grew the original tokenizer by {} tokens: {} tokens instead of {} for the training text",
            grown.added, grown.tokens_after, grown.tokens_before
        );
        observer.observe(&Event::Note { text });
        write_whole(&path, grown.json.as_bytes())?;
    }
    let file = TokenizerFile::open(&path)?;
    let coder = Coder::of(file.tokenizer.clone(), &file.vocabulary)?;
    let mapping = grown_mapping(&inputs.source, &file);
    Ok(GrownTokenizer { file, coder, mapping })
}

/// Old ids keep their own rows, whatever other token stands for the same bytes; new ones are mapped like any.
pub(super) fn grown_mapping(source: &TokenizerFile, grown: &TokenizerFile) -> Mapping {
    let mut mapping = analyze::mapping(source, grown);
    for (id, origin) in mapping.origins.iter_mut().enumerate().take(source.vocabulary.rows()) {
        *origin = Origin::Exact(id as u32);
    }
    mapping
}

fn read(source: &TokenizerFile) -> Result<String, AppError> {
    let path = source.path.clone();
    std::fs::read_to_string(&path).map_err(|source| AppError::File { verb: "read", path, source })
}
