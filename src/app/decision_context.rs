//! Everything a decision needs but the case itself, read once and kept: for whoever decides thousands of times. What a
//! case is measured from, and who asks, is not known here.

use super::{AppError, Settings};
use crate::decide::{self, Case, Past, RuleBook};
use crate::domain::decision::Decision;
use crate::domain::profile::Profile;
use crate::domain::resources::Resources;
use crate::domain::run::Run;
use crate::domain::scorer::Scorer;
use crate::domain::strategy::{SeedExpectation, Strategy};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;
use strum::IntoEnumIterator;

/// Rules, scorer and past runs as they were at one moment.
#[derive(Debug)]
pub struct DecisionContext {
    rules: RuleBook,
    scorer: Option<Scorer>,
    past: Past,
    runs: Vec<Run>,
    seed: BTreeMap<Strategy, SeedExpectation>,
    all: Vec<Strategy>,
}

/// Tells whether rules or history have changed since.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp(Vec<(SystemTime, u64)>);

impl DecisionContext {
    /// Reads everything.
    ///
    /// # Errors
    /// Wrong rules; a history that cannot be read.
    pub fn load(settings: &Settings) -> Result<Self, AppError> {
        let rules = settings.rules()?;
        let (mut runs, scorer) = match settings.existing_history()? {
            Some(history) => (history.all()?, history.live_scorer()?),
            None => (Vec::new(), None),
        };
        let past = Past::of(&runs);
        runs.sort_by(|a, b| (&b.started, &b.id).cmp(&(&a.started, &a.id)));
        let seed = Strategy::iter().filter_map(|s| Some((s, rules.seed(s)?.clone()))).collect();
        Ok(Self { rules, scorer, past, runs, seed, all: Strategy::iter().collect() })
    }

    /// The recommendation for a profile. Advice: strategies that this build cannot execute are weighed too.
    ///
    /// # Errors
    /// Where everything is vetoed, or a table lacks an input.
    pub fn decide(&self, profile: &Profile, resources: &Resources) -> Result<Decision, AppError> {
        let case = Case {
            profile,
            resources,
            costs: None,
            executable: &self.all,
            past: &self.past,
            scorer: self.scorer.as_ref(),
            train_bytes: None,
        };
        Ok(decide::decide(&self.rules, &case)?)
    }

    /// Past runs, the newest first.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// A run by its id.
    pub fn run(&self, id: &str) -> Option<&Run> {
        self.runs.iter().find(|r| r.id == id)
    }

    /// What the seed expects of each strategy.
    pub fn seed(&self) -> &BTreeMap<Strategy, SeedExpectation> {
        &self.seed
    }

    /// sha256 of the rules.
    pub fn rules_sha256(&self) -> &str {
        self.rules.sha256()
    }
}

impl Settings {
    /// Changes when the rules' files or the history do.
    pub fn stamp(&self) -> Stamp {
        let of = |path: &Path| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        };
        let files = self.rules.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
        let mut files: Vec<_> = files.map(|entry| entry.path()).collect();
        files.sort();
        files.push(self.history.clone());
        Stamp(files.iter().filter_map(|path| of(path)).collect())
    }

    /// The profiles that are kept, each under the name it was kept under.
    ///
    /// # Errors
    /// A history that cannot be read.
    pub fn profiles(&self) -> Result<Vec<(String, Profile)>, AppError> {
        match self.existing_history()? {
            Some(history) => Ok(history.profiles()?),
            None => Ok(Vec::new()),
        }
    }

    /// Keeps a profile.
    ///
    /// # Errors
    /// A history that cannot be written.
    pub fn keep_profile(&self, name: &str, profile: &Profile) -> Result<(), AppError> {
        Ok(self.history()?.keep_profile(name, profile)?)
    }
}
