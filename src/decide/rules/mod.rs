//! The rule book: the files of `rules/`, read, checked against each other and ready to answer. What a decision makes
//! of the answers is not known here.

mod cell;
mod diagnostic;
mod feature;
pub mod inspect;
mod lint;
mod plain;
mod raw;
mod space;
mod table;
mod value;

pub use cell::{Bound, Cell, CellError, Interval, Unary};
pub use diagnostic::{Code, Diagnostic, Diagnostics, Severity, Source};
pub use feature::{Band, DeclaredFeature, Domain, Features};
pub use lint::{TestResult, run_tests};
pub use plain::{Curve, Divergence, Explosion, IncidentLadder, Race, Review, Spike, Strategies, Text, Weighing};
pub use raw::Hit;
pub use space::{Part, Space, representatives, words};
pub use table::{Column, Output, Row, Saving, Says, Table, Test};
pub use value::Value;

use super::error::DecideError;
use crate::domain::decision::HardVeto;
use crate::domain::metric::EquivalentLoss;
use crate::domain::outcome::Level;
use crate::domain::stage::Stage;
use crate::domain::strategy::{SeedExpectation, StageConfig, Strategy};
use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::path::Path;
use strum::IntoEnumIterator;

/// The files of a rule book, with the rules that come with hibrit.
const EMBEDDED: [(&str, &str); 10] = [
    ("features.toml", include_str!("../../../rules/features.toml")),
    ("decision.toml", include_str!("../../../rules/decision.toml")),
    ("situations.toml", include_str!("../../../rules/situations.toml")),
    ("vetoes.toml", include_str!("../../../rules/vetoes.toml")),
    ("expectations.toml", include_str!("../../../rules/expectations.toml")),
    ("confidence.toml", include_str!("../../../rules/confidence.toml")),
    ("levels.toml", include_str!("../../../rules/levels.toml")),
    ("weighing.toml", include_str!("../../../rules/weighing.toml")),
    ("review.toml", include_str!("../../../rules/review.toml")),
    ("strategies.toml", include_str!("../../../rules/strategies.toml")),
];

/// The tables among them, and what their rows say.
const TABLES: [(&str, Says); 6] = [
    ("decision", Says::Strategy),
    ("situations", Says::Preference),
    ("vetoes", Says::Veto),
    ("expectations", Says::Savings),
    ("confidence", Says::Action),
    ("levels", Says::Level),
];

/// All rules, checked.
#[derive(Debug, Clone)]
pub struct RuleBook {
    features: Features,
    tables: Vec<Table>,
    weighing: Weighing,
    review: Review,
    strategies: Strategies,
    sources: Vec<Source>,
    sha256: String,
    warnings: Diagnostics,
}

impl RuleBook {
    /// The rules that come with hibrit.
    ///
    /// # Errors
    /// [`DecideError::Rules`] never, as the tests of this module show.
    pub fn embedded() -> Result<Self, DecideError> {
        Self::load(None)
    }

    /// The rules that come with hibrit, each file replaced by the folder's file of the same name.
    ///
    /// # Errors
    /// [`DecideError::Read`] when the folder or a file cannot be read; [`DecideError::Rules`] with all findings when
    /// the rules are wrong.
    pub fn load(folder: Option<&Path>) -> Result<Self, DecideError> {
        let (book, found) = Self::check(read(folder)?);
        if found.has_errors() { Err(DecideError::Rules(found)) } else { Ok(book) }
    }

    /// From sources by file name; with all findings, errors too. A book with errors must not be used to decide.
    pub fn check(sources: Vec<Source>) -> (Self, Diagnostics) {
        let mut found = Vec::new();
        for source in &sources {
            if !EMBEDDED.iter().any(|(name, _)| *name == source.name) {
                let names: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
                let message = format!("{} is not one of the files of the rules", source.name);
                found.push(source.at(0..0, Code::Missing, message).hint(format!("they are {}", names.join(", "))));
            }
        }
        let features = match parse::<feature::RawFeatures>(&sources, "features", &mut found) {
            Some((raw, source)) => raw.check(source, &mut found),
            None => Features::default(),
        };
        let mut tables = Vec::new();
        for (name, says) in TABLES {
            let Some((raw, source)) = parse::<raw::RawTable>(&sources, name, &mut found) else { continue };
            let before = found.len();
            let table = raw.check(name, says, &features, source, &mut found);
            if found.len() == before {
                found.extend(lint::lint(&table, &features, source));
                let rows = table.rows.iter().map(|r| (r.span.clone(), r.name.as_str(), &r.because.translated));
                found.extend(lint::untranslated(rows, source));
            }
            if name == "vetoes" {
                let missing = HardVeto::iter().filter(|veto| !table.rows.iter().any(|r| r.name == veto.to_string()));
                found.extend(missing.map(|veto| {
                    let message = format!("there is no row \"{veto}\", which hibrit asks for by name");
                    source.at(0..0, Code::Missing, message).hint("give the row its name back").warning()
                }));
            }
            tables.push(table);
        }
        if !found.iter().any(|d| d.severity == Severity::Error) {
            found.extend(lint::contradictions(&tables, &features, &sources));
        }
        let weighing = parse::<Weighing>(&sources, "weighing", &mut found).map(|(w, s)| {
            w.check(s, &mut found);
            w
        });
        let review = parse::<Review>(&sources, "review", &mut found).map(|(r, s)| {
            r.check(s, &mut found);
            r
        });
        let strategies = parse::<Strategies>(&sources, "strategies", &mut found).map(|(t, s)| {
            t.check(s, &mut found);
            t
        });
        let sha256 = digest(&sources);
        let found = Diagnostics(found);
        let book = Self {
            features,
            tables,
            weighing: weighing.unwrap_or_default(),
            review: review.unwrap_or_default(),
            strategies: strategies.unwrap_or_default(),
            sources,
            sha256,
            warnings: found.clone(),
        };
        (book, found)
    }

    /// sha256 over names and texts of all files.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What is worth a look although the rules can be used.
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// The features.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// All tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// A table by name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.name == name)
    }

    /// The files it was read from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// How evidence is weighed.
    pub fn weighing(&self) -> &Weighing {
        &self.weighing
    }

    /// Thresholds of the review while training.
    pub fn review(&self) -> &Review {
        &self.review
    }

    /// How a stage trains: the name of a [`Stage`].
    ///
    /// # Errors
    /// [`DecideError::NoStage`] for a name that `strategies.toml` does not have.
    pub fn stage(&self, name: &str) -> Result<&StageConfig, DecideError> {
        self.strategies.stage.get(name).ok_or_else(|| DecideError::NoStage { name: name.to_string() })
    }

    /// How each stage trains.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, &StageConfig)> {
        self.strategies.stage.iter().filter_map(|(name, config)| Some((name.parse().ok()?, config)))
    }

    /// The candidate's branch wins at up to this multiple of the safe branch's loss.
    pub fn tolerance(&self) -> f64 {
        self.review.race.tolerance
    }

    /// What the seed expects of a strategy, where it says something.
    pub fn seed(&self, strategy: Strategy) -> Option<&SeedExpectation> {
        self.strategies.seed.get(&strategy)
    }

    /// The success level of a loss.
    pub fn level(&self, loss: EquivalentLoss) -> Level {
        let facts = self.facts(&[("equivalent_loss", Value::Number(loss.get()))]);
        match self.table("levels").and_then(|t| t.first(&facts)).map(|row| &row.output) {
            Some(Output::Level(level)) => *level,
            _ => Level::Failed,
        }
    }

    /// Values by feature index from values by name; unknown names are left out.
    pub fn facts(&self, values: &[(&str, Value)]) -> Vec<Value> {
        let mut facts = vec![Value::Null; self.features.len()];
        for (name, value) in values {
            if let Some(slot) = self.features.index(name).and_then(|i| facts.get_mut(i)) {
                *slot = value.clone();
            }
        }
        facts
    }
}

/// The sources of a rule book: the embedded ones, replaced by a folder's.
///
/// # Errors
/// [`DecideError::Read`] when the folder or one of its files cannot be read.
pub fn read(folder: Option<&Path>) -> Result<Vec<Source>, DecideError> {
    let mut sources: Vec<Source> =
        EMBEDDED.iter().map(|(name, text)| Source { name: (*name).into(), text: (*text).into() }).collect();
    let Some(folder) = folder else { return Ok(sources) };
    let fail = |path: &Path, source| DecideError::Read { path: path.to_path_buf(), source };
    let entries = std::fs::read_dir(folder).map_err(|e| fail(folder, e))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|e| fail(folder, e))?.path());
    }
    paths.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|e| fail(&path, e))?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        match sources.iter_mut().find(|s| s.name == name) {
            Some(source) => source.text = text,
            None => sources.push(Source { name, text }),
        }
    }
    Ok(sources)
}

fn digest(sources: &[Source]) -> String {
    let mut hasher = Sha256::new();
    for source in sources {
        for part in [&source.name, &source.text] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    HEXLOWER.encode(&hasher.finalize())
}

fn parse<'a, T: DeserializeOwned>(
    sources: &'a [Source],
    stem: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<(T, &'a Source)> {
    let name = format!("{stem}.toml");
    let Some(source) = sources.iter().find(|s| s.name == name) else {
        let nowhere = Source { name: name.clone(), text: String::new() };
        found.push(nowhere.at(0..0, Code::Missing, format!("{name} is missing")));
        return None;
    };
    match toml::from_str(&source.text) {
        Ok(value) => Some((value, source)),
        Err(error) => {
            let message = error.message().lines().next().unwrap_or("this is not TOML").to_string();
            found.push(source.at(error.span().unwrap_or(0..0), Code::Syntax, message));
            None
        }
    }
}

#[cfg(test)]
mod tests;
