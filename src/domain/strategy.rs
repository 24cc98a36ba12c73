//! The portfolio: the roads a model can take to another tokenizer, and how each is configured. Executing them
//! is not known here.

use serde::{Deserialize, Serialize};

/// A road (spec section 2).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Strategy {
    /// Original tokenizer, LoRA only, embeddings untouched.
    Keep,
    /// Candidate tokenizer at once: embeddings mapped, then trained with LoRA.
    Direct,
    /// Original first, then the candidate from the adapted weights.
    Sequential,
    /// A safe and a risky branch race; a winner is chosen.
    Parallel,
    /// Two embedding tables and heads with bridges.
    Structural,
    /// The original vocabulary, grown.
    Extend,
    /// Start from the decision, re-decide while training.
    Adaptive,
    /// The fallback that always works.
    Emergency,
}

/// What the seed expects of a strategy, from `rules/strategies.toml`: shown beside what past runs measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedExpectation {
    /// Success rate, from and to, in 0..=1.
    pub success: Option<[f64; 2]>,
    /// Equivalent loss, from and to.
    pub loss: Option<[f64; 2]>,
    /// Hours on the seed's hardware, from and to.
    pub hours: Option<[f64; 2]>,
    /// 1 simple .. 5 very complex.
    pub complexity: Option<u8>,
    /// What it needs.
    pub resources: String,
    /// The same in other languages.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub translated: super::language::Translations,
}

/// What the learning rate does after its warm-up.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::Display,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Course")]
#[strum(serialize_all = "snake_case")]
pub enum LrSchedule {
    /// Half a cosine down to 0: short runs end best at a rate of zero.
    #[default]
    Cosine,
    /// It stays.
    Constant,
    /// It stays, then falls in a straight line to 0 over the last fifth of the run (warm-up, stable, decay).
    Wsd,
}

/// How the frozen weights of the base are held while adapters are trained.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::Display,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits (bfloat16): half the memory. What is trained, and every sum, stays in 32 bits.
    Bf16,
}

/// How many of the layers keep only the residual stream and are computed again, but for its own numbers, by the backward
/// pass (Chen et al. 2016): less memory, and time for them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Checkpointing {
    /// All, or none.
    All(bool),
    /// A share of them, in 0..=1.
    Share(f64),
}

impl Checkpointing {
    /// None of them.
    pub const OFF: Self = Self::All(false);

    /// As a share.
    pub fn share(self) -> f64 {
        match self {
            Self::All(all) => f64::from(u8::from(all)),
            Self::Share(share) => share,
        }
    }

    /// Of so many layers, rounded up.
    pub fn of(self, layers: usize) -> usize {
        ((self.share() * layers as f64).ceil() as usize).min(layers)
    }
}

impl Default for Checkpointing {
    fn default() -> Self {
        Self::OFF
    }
}

/// How a stage of a strategy trains. Defaults are spec section 2's table, read from `rules/strategies.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// LoRA rank r.
    pub rank: usize,
    /// LoRA alpha; the side path is scaled by alpha / r. Default 2 x rank.
    pub alpha: f64,
    /// Dropout on the side path's input, in 0..1.
    pub dropout: f64,
    /// Peak learning rate of the adapters.
    pub learning_rate: f64,
    /// Peak learning rate of trained embeddings and head; the adapters' where absent.
    #[serde(default)]
    pub embedding_learning_rate: Option<f64>,
    /// Peak learning rate of a trained head that is a matrix of its own; the embeddings' where absent.
    #[serde(default)]
    pub head_learning_rate: Option<f64>,
    /// Share of all steps spent warming up, in 0..1.
    pub warmup: f64,
    /// Passes over the training text.
    pub epochs: f64,
    /// Sequences a micro-batch.
    pub batch: usize,
    /// Micro-batches a step.
    pub accumulation: usize,
    /// AdamW's decoupled weight decay.
    pub weight_decay: f64,
    /// Sequence length in tokens of the *original* tokenizer; others get the length of the same expected bytes.
    pub sequence: usize,
    /// Whether embed_tokens and lm_head are trained in full and saved.
    pub train_embeddings: bool,
    /// What the learning rate does after its warm-up.
    #[serde(default)]
    pub schedule: LrSchedule,
    /// Whether layers, or which share of them, are computed twice and not kept: less memory for up to a quarter more time.
    #[serde(default)]
    pub checkpointing: Checkpointing,
    /// How the frozen base is held.
    #[serde(default)]
    pub base: Precision,
}

/// A setting that cannot be trained with.
#[derive(Debug, Clone, PartialEq)]
pub struct StageFault {
    /// Its name in [`StageConfig`].
    pub setting: &'static str,
    /// What it must be.
    pub wanted: String,
    /// What it is.
    pub value: f64,
}

impl std::fmt::Display for StageFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} must be {}, not {}", self.setting, self.wanted, self.value)
    }
}

impl StageConfig {
    /// All settings that cannot be trained with.
    pub fn faults(&self) -> Vec<StageFault> {
        let fault = |setting, holds: bool, wanted: &str, value| {
            (!holds).then(|| StageFault { setting, wanted: wanted.to_string(), value })
        };
        let rate = |setting, v: Option<f64>| {
            v.and_then(|v| fault(setting, v.is_finite() && v > 0.0, "a finite number above 0", v))
        };
        let share = |setting, v: f64| fault(setting, (0.0..1.0).contains(&v), "at least 0 and below 1", v);
        let count =
            |setting, v: usize, least: usize| fault(setting, v >= least, &format!("at least {least}"), v as f64);
        let (decay, recomputed) = (self.weight_decay, self.checkpointing.share());
        [
            count("rank", self.rank, 1),
            rate("alpha", Some(self.alpha)),
            share("dropout", self.dropout),
            fault("checkpointing", (0.0..=1.0).contains(&recomputed), "true, false or a share from 0 to 1", recomputed),
            rate("learning_rate", Some(self.learning_rate)),
            rate("embedding_learning_rate", self.embedding_learning_rate),
            rate("head_learning_rate", self.head_learning_rate),
            share("warmup", self.warmup),
            rate("epochs", Some(self.epochs)),
            count("batch", self.batch, 1),
            count("accumulation", self.accumulation, 1),
            fault("weight_decay", decay.is_finite() && decay >= 0.0, "a finite number of at least 0", decay),
            count("sequence", self.sequence, 2),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether every value can be trained with.
    ///
    /// # Errors
    /// All values that cannot, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        let faults: Vec<String> = self.faults().iter().map(ToString::to_string).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> StageConfig {
        StageConfig {
            rank: 16,
            alpha: 32.0,
            dropout: 0.05,
            learning_rate: 2e-4,
            embedding_learning_rate: None,
            head_learning_rate: None,
            warmup: 0.1,
            epochs: 3.0,
            batch: 8,
            accumulation: 2,
            weight_decay: 0.01,
            sequence: 1024,
            train_embeddings: false,
            schedule: LrSchedule::default(),
            checkpointing: Checkpointing::OFF,
            base: Precision::default(),
        }
    }

    #[test]
    fn checkpointing_is_stated_as_all_none_or_a_share_of_the_layers() {
        let read = |text: &str| serde_json::from_str::<Checkpointing>(text).unwrap();
        let layers = |text: &str| read(text).of(28);
        assert_eq!([layers("true"), layers("false"), layers("0.5"), layers("1"), layers("0")], [28, 0, 14, 28, 0]);
        assert_eq!((layers("0.01"), read("1.0").of(0)), (1, 0));
        for text in ["true", "0.25"] {
            assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
        }
        for wrong in [1.5, -0.1, f64::NAN] {
            let stage = StageConfig { checkpointing: Checkpointing::Share(wrong), ..sound() };
            assert!(stage.check().is_err_and(|e| e.starts_with("checkpointing")), "{wrong}");
        }
    }

    #[test]
    fn a_learning_rate_of_zero_or_nan_is_refused_by_name() {
        assert_eq!(sound().check(), Ok(()));
        for rate in [0.0, -1e-4, f64::NAN, f64::INFINITY] {
            let wrong = StageConfig { learning_rate: rate, ..sound() };
            assert!(wrong.check().is_err_and(|e| e.starts_with("learning_rate")), "{rate}");
        }
        assert!(StageConfig { batch: 0, ..sound() }.check().is_err());
        assert!(StageConfig { dropout: 1.0, ..sound() }.check().is_err());
        let both = StageConfig { warmup: 1.0, head_learning_rate: Some(0.0), ..sound() }.check().unwrap_err();
        assert!(both.contains("warmup") && both.contains("head_learning_rate"), "all at once: {both}");
    }
}
