//! What a decision is made from, and how it becomes the inputs that tables ask about. What follows is not known here.

use super::alike::Past;
use super::error::DecideError;
use super::rules::{RuleBook, Value};
use crate::domain::profile::Profile;
use crate::domain::resources::{Cost, Costs, Resources};
use crate::domain::scorer::{FEATURES, Scorer, Situation};
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
        let situation = Situation::new(case.profile, case.train_bytes);
        let resources = case.resources;
        let mut values: Vec<(&str, Value)> = vec![
            ("similarity_basis", Value::text(case.profile.similarity.basis)),
            ("devices", Value::Number(f64::from(resources.devices))),
            ("budget_hours", resources.budget.map_or(Value::Null, |s| Value::Number(s / 3600.0))),
            ("memory_gib", Value::number(resources.memory.map(|bytes| bytes as f64 / GIB))),
            ("priority", Value::text(resources.priority)),
        ];
        values.extend(FEATURES.iter().zip(situation.0).map(|(name, x)| (*name, Value::number(Some(x)))));
        let mut inputs = Self { facts: rules.facts(&values) };
        inputs.derive(rules);
        for (feature, value) in rules.features().iter().zip(&inputs.facts) {
            if *value != Value::Null && !feature.domain.contains(value) {
                let (feature, range) = (feature.name.clone(), feature.domain.describe());
                return Err(DecideError::BadFeature { feature, value: value.to_string(), range });
            }
        }
        Ok(inputs)
    }

    /// A value by feature name.
    pub fn get(&self, rules: &RuleBook, name: &str) -> &Value {
        rules.features().index(name).and_then(|i| self.facts.get(i)).unwrap_or(&Value::Null)
    }

    /// Sets a value by feature name; what follows from it follows.
    pub fn set(&mut self, rules: &RuleBook, name: &str, value: Value) {
        if let Some(slot) = rules.features().index(name).and_then(|i| self.facts.get_mut(i)) {
            *slot = value;
        }
        if name == "similarity" || name == "similarity_basis" {
            self.derive(rules);
        }
    }

    fn derive(&mut self, rules: &RuleBook) {
        let band = match (self.get(rules, "similarity_basis"), self.get(rules, "similarity")) {
            (Value::Text(basis), Value::Number(score)) => rules.features().band(basis, *score),
            _ => Value::Null,
        };
        self.set(rules, "similarity_band", band);
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
            let time = share(cost.seconds, self.get(rules, "budget_hours"), 3600.0);
            let memory = share(cost.memory as f64, self.get(rules, "memory_gib"), GIB);
            inputs.set(rules, "time_share", time);
            inputs.set(rules, "memory_share", memory);
        }
        inputs.set(rules, "strategy", Value::text(strategy));
        inputs.set(rules, "executable", Value::text(if executable { "yes" } else { "no" }));
        inputs.facts
    }

    /// The scorer's view.
    pub fn situation(&self, rules: &RuleBook) -> Situation {
        Situation(FEATURES.map(|name| self.get(rules, name).as_number().unwrap_or(f64::NAN)))
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
