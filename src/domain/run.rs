//! A run as the history remembers it: what was given, decided, done, and how people judged it.

use super::decision::Decision;
use super::outcome::{Outcome, Status};
use super::profile::Profile;
use serde::{Deserialize, Serialize};

/// A run of `auto`, `run` or `demo`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Run {
    /// Unique: time of start and eight hex digits.
    pub id: String,
    /// When it began (UTC, RFC 3339).
    pub started: String,
    /// When it ended.
    pub ended: Option<String>,
    /// How it stands; `None` while it runs.
    pub status: Option<Status>,
    /// hibrit's version.
    pub version: String,
    /// What was asked for.
    pub request: Request,
    /// The evidence.
    pub profile: Profile,
    /// What was decided.
    pub decision: Decision,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What people said of it since.
    pub feedback: Vec<Feedback>,
}

/// What was asked for, so that the run can be made again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Request {
    /// The base model's folder.
    pub model: String,
    /// sha256 of the base model's weights.
    pub model_sha256: String,
    /// The candidate tokenizer.
    pub candidate: String,
    /// Training text.
    pub train: Vec<String>,
    /// UTF-8 bytes of training text.
    pub train_bytes: u64,
    /// Held-out text.
    pub eval: Vec<String>,
    /// sha256 of the held-out text.
    pub eval_sha256: String,
    /// The strategy the user insisted on; `None` where the decision was carried out.
    #[serde(default)]
    pub forced: Option<super::strategy::Strategy>,
    /// Where the results lie.
    pub out: String,
    /// Random seed.
    pub seed: u64,
    /// Device that trained.
    pub device: String,
}

/// A person's verdict, or a metric measured elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Feedback {
    /// When (UTC, RFC 3339).
    pub at: String,
    /// -1 worse than hoped .. 1 better than hoped, where a verdict was given.
    pub verdict: Option<f64>,
    /// Name and value of an outside metric.
    pub metric: Option<(String, f64)>,
    /// In the person's words.
    pub note: Option<String>,
}

impl Run {
    /// Which runs may not stand on both sides of a cross-validation fold: same model, tokenizers, text.
    pub fn group(&self) -> String {
        let text = self.profile.corpus.as_ref().map_or(self.request.eval_sha256.as_str(), |c| &c.sha256);
        format!(
            "{}|{}|{}|{}",
            self.request.model_sha256, self.profile.source.sha256, self.profile.candidate.sha256, text
        )
    }
}
