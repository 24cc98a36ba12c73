//! What tables may ask about and the learned scorer sees: one list of inputs, with the value of each that a profile
//! gives. What a feature may be and what follows from it is data, in `rules/`.

use super::profile::Profile;

/// An input of the tables, by the name it has in `features.toml`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum Feature {
    /// Coverage of the candidate's vocabulary by the original's.
    CoverageVocabulary,
    /// Coverage of the candidate's tokens as they occur in the text.
    CoverageCorpus,
    /// Similarity by the best basis.
    Similarity,
    /// The candidate's tokens over the original's.
    TokenRatio,
    /// Tokens per word of the original.
    FertilitySource,
    /// Share of the text's bytes unknown to the candidate.
    UnknownBytes,
    /// Share of the lines that come back from the candidate.
    RoundTrip,
    /// Parameters of the model, log10.
    Log10Parameters,
    /// UTF-8 bytes of training text, log10.
    Log10TrainBytes,
    /// What the similarity was measured by.
    SimilarityBasis,
    /// The band the similarity falls into.
    SimilarityBand,
    /// Devices that can train at once.
    Devices,
    /// Hours allowed.
    BudgetHours,
    /// Memory of a device, GiB.
    MemoryGib,
    /// What matters most.
    Priority,
    /// The strategy that is weighed.
    Strategy,
    /// Whether this build can execute it.
    Executable,
    /// Its time over the time allowed.
    TimeShare,
    /// Its memory over the memory there is.
    MemoryShare,
    /// How sure a choice is.
    Confidence,
    /// How good a model is.
    EquivalentLoss,
}

impl Feature {
    /// What the learned scorer sees of a situation: numbers, in the order of its columns.
    pub const SITUATION: [Self; 9] = [
        Self::CoverageVocabulary,
        Self::CoverageCorpus,
        Self::Similarity,
        Self::TokenRatio,
        Self::FertilitySource,
        Self::UnknownBytes,
        Self::RoundTrip,
        Self::Log10Parameters,
        Self::Log10TrainBytes,
    ];

    /// Its name in `features.toml`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Its value in a profile and a training text of so many bytes; `None` where it is not known, or no number of
    /// theirs.
    pub fn measured(self, profile: &Profile, train_bytes: Option<u64>) -> Option<f64> {
        let log10 = |n: u64| (n.max(1) as f64).log10();
        match self {
            Self::CoverageVocabulary => Some(profile.coverage.vocabulary.get()),
            Self::CoverageCorpus => profile.coverage.corpus.map(|c| c.get()),
            Self::Similarity => Some(profile.similarity.score.get()),
            Self::TokenRatio => profile.token_ratio.map(|r| r.get()),
            Self::FertilitySource => profile.fertility.map(|f| f.source.get()),
            Self::UnknownBytes => profile.unknown_bytes.map(|u| u.candidate.get()),
            Self::RoundTrip => profile.round_trip.map(|r| r.candidate.get()),
            Self::Log10Parameters => profile.model.as_ref().map(|m| log10(m.parameters)),
            Self::Log10TrainBytes => train_bytes.map(log10),
            Self::SimilarityBasis
            | Self::SimilarityBand
            | Self::Devices
            | Self::BudgetHours
            | Self::MemoryGib
            | Self::Priority
            | Self::Strategy
            | Self::Executable
            | Self::TimeShare
            | Self::MemoryShare
            | Self::Confidence
            | Self::EquivalentLoss => None,
        }
    }

    /// Whether a person or another corpus could change it.
    pub fn is_changeable(self) -> bool {
        match self {
            Self::Devices | Self::BudgetHours | Self::MemoryGib | Self::Priority => true,
            other => Self::SITUATION.contains(&other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn what_the_scorer_sees_is_what_a_profile_gives() {
        let profile = crate::domain::example::profile();
        let measured: Vec<Feature> = Feature::iter().filter(|f| f.measured(&profile, Some(1)).is_some()).collect();
        assert_eq!(measured, Feature::SITUATION);
        let names: Vec<&str> = Feature::SITUATION.iter().map(|f| f.name()).collect();
        assert_eq!((names.first(), names.last()), (Some(&"coverage_vocabulary"), Some(&"log10_train_bytes")));
    }
}
