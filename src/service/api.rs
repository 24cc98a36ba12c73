//! What do client and service say to each other? The bodies of requests and answers, as JSON; whoever calls the service
//! uses the same types. How they are answered is not known here.

use super::catalog::{Catalog, What};
use super::error::{ApiError, Problem};
use super::live::Progress;
use crate::app::{AutoRequest, CorpusOptions, Job, ProfileRequest};
use crate::domain::decision::Decision;
use crate::domain::profile::Profile;
use crate::domain::resources::{Priority, Resources};
use crate::domain::run::Run;
use crate::domain::strategy::Strategy;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use utoipa::ToSchema;

/// What there is to work with. What is left out is not known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResourcesOrder {
    /// Number of devices that can train at the same time; 1 where it is left out.
    #[schema(minimum = 1, maximum = 4096)]
    pub devices: Option<u32>,
    /// Memory of one device, bytes.
    pub memory: Option<u64>,
    /// Wall time allowed, seconds.
    #[schema(exclusive_minimum = 0.0)]
    pub budget: Option<f64>,
    /// What matters most.
    #[schema(schema_with = priority_schema)]
    pub priority: Option<Priority>,
}

fn named(name: &str) -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    utoipa::openapi::RefOr::Ref(utoipa::openapi::Ref::from_schema_name(name))
}

fn priority_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    named("Priority")
}

fn strategy_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    named("Strategy")
}

fn profile_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    named("Profile")
}

fn decision_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    named("Decision")
}

fn run_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    named("Run")
}

impl ResourcesOrder {
    /// As the domain has them.
    ///
    /// # Errors
    /// No device, or a budget that is no time.
    pub fn resources(&self) -> Result<Resources, ApiError> {
        let devices = self.devices.unwrap_or(1);
        if !(1..=4_096).contains(&devices) {
            return Err(ApiError::unprocessable(format!("devices must be between 1 and 4096, not {devices}")));
        }
        if let Some(budget) = self.budget.filter(|b| !(b.is_finite() && *b > 0.0)) {
            return Err(ApiError::unprocessable(format!("a budget must be a time above 0 seconds, not {budget}")));
        }
        let priority = self.priority.unwrap_or_default();
        Ok(Resources { devices, memory: self.memory, budget: self.budget, priority })
    }

    /// From the domain's.
    pub fn of(resources: &Resources) -> Self {
        Self {
            devices: Some(resources.devices),
            memory: resources.memory,
            budget: resources.budget,
            priority: Some(resources.priority),
        }
    }
}

/// Two tokenizers, and what else there is to look at; all by names of the catalog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InputsOrder {
    /// The original tokenizer; the model's where it is left out.
    #[serde(default)]
    pub source: Option<String>,
    /// The candidate tokenizer.
    pub candidate: String,
    /// Texts to measure on.
    #[serde(default)]
    pub corpus: Vec<String>,
    /// The model.
    #[serde(default)]
    pub model: Option<String>,
}

/// Texts in one request at most.
const TEXTS: usize = 32;

fn texts(catalog: &Catalog, names: &[String]) -> Result<Vec<PathBuf>, ApiError> {
    if names.len() > TEXTS {
        return Err(ApiError::unprocessable(format!("at most {TEXTS} texts at once, not {}", names.len())));
    }
    names.iter().map(|name| catalog.resolve(What::Corpus, name)).collect()
}

impl InputsOrder {
    /// With places for names.
    ///
    /// # Errors
    /// A name that is not known; neither source nor model.
    pub(super) fn inputs(&self, catalog: &Catalog) -> Result<ProfileRequest, ApiError> {
        if self.source.is_none() && self.model.is_none() {
            return Err(ApiError::unprocessable("a source or a model is needed").hint("name one of the catalog"));
        }
        let resolve = |what, name: &Option<String>| name.as_deref().map(|n| catalog.resolve(what, n)).transpose();
        Ok(ProfileRequest {
            source: resolve(What::Tokenizer, &self.source)?,
            candidate: catalog.resolve(What::Tokenizer, &self.candidate)?,
            corpus: texts(catalog, &self.corpus)?,
            model: resolve(What::Model, &self.model)?,
            reading: CorpusOptions::default(),
        })
    }
}

/// What to decide on: exactly one of `profile`, `profile_name` and `inputs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionOrder {
    /// The name of a stored profile: the fast way.
    #[serde(default)]
    pub profile_name: Option<String>,
    /// A profile as `hibrit analyze --json` gives it.
    #[serde(default)]
    #[schema(schema_with = profile_schema)]
    pub profile: Option<Box<Profile>>,
    /// What to measure first.
    #[serde(default)]
    pub inputs: Option<InputsOrder>,
    /// What there is to work with.
    #[serde(default)]
    pub resources: ResourcesOrder,
}

/// A recommendation.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionAnswer {
    /// Unique; it stands in the decision log too.
    pub id: String,
    /// When (UTC, RFC 3339).
    pub at: String,
    /// The name of the profile it rests on.
    pub profile_name: String,
    /// The recommendation, with everything it rests on.
    #[schema(schema_with = decision_schema)]
    pub decision: Decision,
}

/// Several decisions at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchOrder {
    /// At most as many as the service's limit; none of them with `inputs`.
    pub items: Vec<DecisionOrder>,
}

/// One of several: a decision, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum BatchItem {
    /// A recommendation.
    Decision(Box<DecisionAnswer>),
    /// Why there is none.
    Problem(Problem),
}

/// The answers, in the order of the questions.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// One for each.
    pub items: Vec<BatchItem>,
}

/// A stored profile.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfileAnswer {
    /// Its name: a hash of its content.
    pub name: String,
    /// The profile.
    #[serde(serialize_with = "shared")]
    #[schema(schema_with = profile_schema)]
    pub profile: Arc<Profile>,
}

fn shared<S: serde::Serializer>(profile: &Arc<Profile>, to: S) -> Result<S::Ok, S::Error> {
    profile.as_ref().serialize(to)
}

/// A stored profile in short.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfileLine {
    /// Its name.
    pub name: String,
    /// The original tokenizer.
    pub source: String,
    /// The candidate.
    pub candidate: String,
    /// The model.
    pub model: Option<String>,
    /// Share of the candidate's tokens that the original has.
    pub coverage: f64,
    /// Candidate's tokens over the original's on the text.
    pub token_ratio: Option<f64>,
}

/// A run that somebody wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunOrder {
    /// What is to be done.
    pub task: RunTask,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunTask {
    /// The whole flow on a sample that the service makes itself.
    Demo(DemoTask),
    /// The whole flow on a registered model.
    Auto(Box<AutoTask>),
}

/// The whole flow on a sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DemoTask {
    /// Seconds instead of minutes: shows the flow, proves nothing.
    pub quick: bool,
    /// Random seed.
    pub seed: u64,
}

/// The whole flow on a registered model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoTask {
    /// The base model.
    pub model: String,
    /// The original tokenizer; the model's where it is left out.
    #[serde(default)]
    pub source: Option<String>,
    /// The candidate tokenizer.
    pub candidate: String,
    /// Training texts.
    #[schema(min_items = 1)]
    pub train: Vec<String>,
    /// How often each training text is seen an epoch, in their order; once where it is left out.
    #[serde(default)]
    pub weights: Vec<f64>,
    /// Held-out texts.
    #[schema(min_items = 1)]
    pub eval: Vec<String>,
    /// A strategy to carry out, whatever would be decided.
    #[serde(default)]
    #[schema(schema_with = strategy_schema)]
    pub strategy: Option<Strategy>,
    /// Whether to run `keep` beside it as the yardstick.
    #[serde(default)]
    pub with_keep: bool,
    /// No more of the training text than so many bytes.
    #[serde(default)]
    pub train_bytes: Option<u64>,
    /// No more of the held-out text than so many bytes; 1 MB where it is left out.
    #[serde(default)]
    pub eval_bytes: Option<u64>,
    /// Changes to the strategies' configurations: STAGE.FIELD or FIELD, and its value.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub set: serde_json::Map<String, serde_json::Value>,
    /// Random seed.
    #[serde(default)]
    pub seed: u64,
    /// What there is to work with.
    #[serde(default)]
    pub resources: ResourcesOrder,
}

impl AutoTask {
    /// With places for names.
    ///
    /// # Errors
    /// A name that is not known; no text.
    pub(super) fn request(
        &self,
        catalog: &Catalog,
        out: PathBuf,
        device: &str,
        stop: Arc<AtomicBool>,
    ) -> Result<AutoRequest, ApiError> {
        for (what, names) in [("training", &self.train), ("held-out", &self.eval)] {
            if names.is_empty() {
                return Err(ApiError::unprocessable(format!("no {what} text is named")));
            }
        }
        let model = catalog.resolve(What::Model, &self.model)?;
        let candidate = catalog.resolve(What::Tokenizer, &self.candidate)?;
        let (train, eval) = (texts(catalog, &self.train)?, texts(catalog, &self.eval)?);
        let plain = AutoRequest::new(model, candidate, train, eval, out);
        Ok(AutoRequest {
            source: self.source.as_deref().map(|n| catalog.resolve(What::Tokenizer, n)).transpose()?,
            strategy: self.strategy,
            weights: self.weights.clone(),
            with_keep: self.with_keep,
            train_bytes: self.train_bytes,
            eval_bytes: self.eval_bytes.unwrap_or(plain.eval_bytes),
            overrides: self.set.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            seed: self.seed,
            device: device.into(),
            resources: self.resources.resources()?,
            stop,
            ..plain
        })
    }
}

/// A run as it stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// The job's id.
    pub id: String,
    /// queued, leased, running, done, failed or cancelled.
    pub state: String,
    /// What was asked for.
    pub order: Option<RunOrder>,
    /// When it was queued (UTC, RFC 3339).
    pub submitted: String,
    /// When it was first begun.
    pub started: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
    /// How often a worker has taken it.
    pub attempts: u32,
    /// Whether somebody has asked for its end.
    pub cancelling: bool,
    /// Why it failed.
    pub failure: Option<String>,
    /// How far it is, while it runs.
    pub progress: Option<Progress>,
    /// The id it has in the history, once it stands there.
    pub run: Option<String>,
}

impl RunView {
    pub(super) fn new(job: Job, progress: Option<Progress>, run: Option<String>) -> Self {
        Self {
            state: job.state.to_string(),
            order: serde_json::from_value(job.task).ok(),
            submitted: job.submitted.to_string(),
            started: job.started.map(|t| t.to_string()),
            ended: job.ended.map(|t| t.to_string()),
            attempts: job.attempts,
            cancelling: job.cancel,
            failure: job.failure,
            id: job.id,
            progress,
            run,
        }
    }
}

/// Several runs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RunViews {
    /// The latest first.
    pub runs: Vec<RunView>,
}

/// A past run, whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct PastRun {
    /// The run.
    #[serde(flatten)]
    #[schema(schema_with = run_schema)]
    pub run: Run,
}

/// A person's word on a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackOrder {
    /// From -1 (worse than hoped) to 1 (better than hoped).
    #[serde(default)]
    #[schema(minimum = -1, maximum = 1)]
    pub verdict: Option<f64>,
    /// A metric measured elsewhere.
    #[serde(default)]
    pub metric: Option<MetricOrder>,
    /// In the person's words.
    #[serde(default)]
    #[schema(max_length = 4000)]
    pub note: Option<String>,
}

/// A metric measured elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricOrder {
    /// Its name.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Its value.
    pub value: f64,
}
