//! What a decision is made from, and how it becomes the inputs that tables ask about. What follows is not known here.

use super::alike::Past;
use super::error::DecideError;
use super::rules::{DeclaredFeature, RuleBook, Value};
use crate::domain::feature::Feature;
use crate::domain::profile::Profile;
use crate::domain::resources::{Cost, Costs, Resources};
use crate::domain::scorer::{Scorer, Situation};
use crate::domain::strategy::Strategy;

/// A case to decide.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The evidence.
    pub profile: &'a Profile,
    /// What there is to work with.
    pub resources: &'a Resources,
    /// What each strategy would cost, where that was estimated.
    pub costs: Option<&'a Costs>,
    /// What this build can execute; for plain advice all strategies.
    pub executable: &'a [Strategy],
    /// Past runs.
    pub past: &'a Past,
    /// The learned scorer, where there is one.
    pub scorer: Option<&'a Scorer>,
    /// UTF-8 bytes of the training text, where it is known.
    pub train_bytes: Option<u64>,
}

impl Case<'_> {
    /// The value of a feature; `Null` where it is not known, or follows from others or from a strategy.
    fn value(&self, feature: Feature) -> Value {
        match feature {
            Feature::SimilarityBasis => Value::text(self.profile.similarity.basis),
            Feature::Devices => Value::Number(f64::from(self.resources.devices)),
            Feature::BudgetHours => {
                self.resources.budget.map_or(Value::Null, |seconds| Value::Number(seconds / 3600.0))
            }
            Feature::MemoryGib => Value::number(self.resources.memory.map(|bytes| bytes as f64 / GIB)),
            Feature::Priority => Value::text(self.resources.priority),
            other => Value::number(other.measured(self.profile, self.train_bytes)),
        }
    }
}

/// The inputs of a case by feature index; those that depend on a strategy are left unknown.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    /// Values by feature index.
    pub facts: Vec<Value>,
}

const GIB: f64 = (1u64 << 30) as f64;

impl Inputs {
    /// From a case.
    ///
    /// # Errors
    /// [`DecideError::BadFeature`] for a value that its feature cannot have.
    pub fn new(rules: &RuleBook, case: &Case) -> Result<Self, DecideError> {
        let value =
            |declared: &DeclaredFeature| declared.name.parse().map_or(Value::Null, |feature| case.value(feature));
        let mut inputs = Self { facts: rules.features().iter().map(value).collect() };
        inputs.derive(rules);
        for (feature, value) in rules.features().iter().zip(&inputs.facts) {
            if *value != Value::Null && !feature.domain.contains(value) {
                let (feature, range) = (feature.name.clone(), feature.domain.describe());
                return Err(DecideError::BadFeature { feature, value: value.to_string(), range });
            }
        }
        Ok(inputs)
    }

    /// The value of a feature.
    pub fn get(&self, rules: &RuleBook, feature: Feature) -> &Value {
        rules.features().index(feature.name()).and_then(|i| self.facts.get(i)).unwrap_or(&Value::Null)
    }

    /// Sets the value of a feature; what follows from it follows.
    pub fn set(&mut self, rules: &RuleBook, feature: Feature, value: Value) {
        if let Some(slot) = rules.features().index(feature.name()).and_then(|i| self.facts.get_mut(i)) {
            *slot = value;
        }
        if matches!(feature, Feature::Similarity | Feature::SimilarityBasis) {
            self.derive(rules);
        }
    }

    fn derive(&mut self, rules: &RuleBook) {
        let band = match (self.get(rules, Feature::SimilarityBasis), self.get(rules, Feature::Similarity)) {
            (Value::Text(basis), Value::Number(score)) => rules.features().band(basis, *score),
            _ => Value::Null,
        };
        self.set(rules, Feature::SimilarityBand, band);
    }

    /// With what depends on a strategy filled in.
    pub fn of_strategy(
        &self,
        rules: &RuleBook,
        strategy: Strategy,
        executable: bool,
        cost: Option<&Cost>,
    ) -> Vec<Value> {
        let mut inputs = self.clone();
        let share = |amount: f64, limit: &Value, unit: f64| match limit.as_number() {
            Some(limit) if limit > 0.0 => Value::number(Some(amount / (limit * unit))),
            Some(_) => Value::Number(f64::INFINITY),
            None => Value::Null,
        };
        if let Some(cost) = cost {
            let time = share(cost.seconds, self.get(rules, Feature::BudgetHours), 3600.0);
            let memory = share(cost.memory as f64, self.get(rules, Feature::MemoryGib), GIB);
            inputs.set(rules, Feature::TimeShare, time);
            inputs.set(rules, Feature::MemoryShare, memory);
        }
        inputs.set(rules, Feature::Strategy, Value::text(strategy));
        inputs.set(rules, Feature::Executable, Value::text(if executable { "yes" } else { "no" }));
        inputs.facts
    }

    /// The scorer's view.
    pub fn situation(&self, rules: &RuleBook) -> Situation {
        Situation(Feature::SITUATION.map(|feature| self.get(rules, feature).as_number().unwrap_or(f64::NAN)))
    }

    /// All known values, as text.
    pub fn listed(&self, rules: &RuleBook) -> Vec<(String, String)> {
        let known = rules.features().iter().zip(&self.facts).filter(|(_, v)| **v != Value::Null);
        known.map(|(f, v)| (f.name.clone(), plain(v))).collect()
    }
}

/// A value as text, names without quotes.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        other => other.to_string(),
    }
}
