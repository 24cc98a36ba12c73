//! The stages of the strategies: what is trained in one go, on one vocabulary, and leaves one branch. How a stage trains
//! is the rules' business (`rules/strategies.toml`), in which order stages come the strategy's.

use super::outcome::Vocab;
use super::strategy::Strategy;
use serde::{Deserialize, Serialize};

/// A stage of a strategy, by the name of its configuration.
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
pub enum Stage {
    /// `keep`: adapters on the original vocabulary.
    Keep,
    /// `direct`: the candidate vocabulary at once.
    Direct,
    /// `sequential`, first: adapters on the original vocabulary.
    #[serde(rename = "sequential.foundation")]
    #[strum(serialize = "sequential.foundation")]
    SequentialFoundation,
    /// `sequential`, second: the candidate vocabulary from the foundation's weights.
    #[serde(rename = "sequential.adaptation")]
    #[strum(serialize = "sequential.adaptation")]
    SequentialAdaptation,
    /// `parallel`: the safe branch of the race, on the original vocabulary.
    #[serde(rename = "parallel.a")]
    #[strum(serialize = "parallel.a")]
    ParallelA,
    /// `parallel`: the risky branch of the race, on the candidate vocabulary.
    #[serde(rename = "parallel.b")]
    #[strum(serialize = "parallel.b")]
    ParallelB,
    /// `extend`: the original vocabulary, grown.
    Extend,
    /// `structural`: the candidate vocabulary beside the original.
    Structural,
    /// `emergency`: adapters on the original vocabulary, carefully.
    Emergency,
}

impl Stage {
    /// The strategy it belongs to.
    pub fn strategy(self) -> Strategy {
        match self {
            Self::Keep => Strategy::Keep,
            Self::Direct => Strategy::Direct,
            Self::SequentialFoundation | Self::SequentialAdaptation => Strategy::Sequential,
            Self::ParallelA | Self::ParallelB => Strategy::Parallel,
            Self::Extend => Strategy::Extend,
            Self::Structural => Strategy::Structural,
            Self::Emergency => Strategy::Emergency,
        }
    }

    /// The vocabulary it trains on.
    pub fn vocab(self) -> Vocab {
        match self {
            Self::Keep | Self::SequentialFoundation | Self::ParallelA | Self::Emergency => Vocab::Source,
            Self::Direct | Self::SequentialAdaptation | Self::ParallelB => Vocab::Candidate,
            Self::Extend => Vocab::Grown,
            Self::Structural => Vocab::Both,
        }
    }

    /// Name of the branch it leaves, and of that branch's folder: the last part of its own name.
    pub fn branch(self) -> &'static str {
        let name: &'static str = self.into();
        name.rsplit('.').next().unwrap_or(name)
    }

    /// Every stage's name, for messages.
    pub fn names() -> String {
        let names: Vec<&str> = <Self as strum::IntoEnumIterator>::iter().map(Into::into).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn names_of_stages_and_branches_are_those_that_rules_and_folders_hold() {
        let known = [
            ("keep", "keep"),
            ("direct", "direct"),
            ("sequential.foundation", "foundation"),
            ("sequential.adaptation", "adaptation"),
            ("parallel.a", "a"),
            ("parallel.b", "b"),
            ("extend", "extend"),
            ("structural", "structural"),
            ("emergency", "emergency"),
        ];
        let found: Vec<(String, &str)> = Stage::iter().map(|s| (s.to_string(), s.branch())).collect();
        assert!(found.iter().map(|(name, branch)| (name.as_str(), *branch)).eq(known), "{found:?}");
        for stage in Stage::iter() {
            assert_eq!(serde_json::to_value(stage).unwrap(), serde_json::json!(stage.to_string()));
            assert_eq!(stage.to_string().parse(), Ok(stage));
        }
    }
}
