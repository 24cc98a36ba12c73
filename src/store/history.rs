//! The verbs of the history. Every call opens the file, does its one transaction and closes it; between calls other
//! processes may change it, and nothing is remembered here.

use super::decisions::LoggedDecision;
use super::error::StoreError;
use super::format::{self, DecodeError, Form};
use super::store::{DECISIONS, META, PROFILES, RUNS, SCORERS, Store, Table, is_missing};
use crate::domain::outcome::Status;
use crate::domain::profile::Profile;
use crate::domain::run::{Feedback, Run};
use crate::domain::scorer::Scorer;
use crate::domain::strategy::Strategy;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Key of the live scorer's id in the meta table.
pub(super) const LIVE: &str = "live";
/// How long a call waits for another process, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ids named in a hint.
const NAMED: usize = 5;

/// The history: runs, scorers, decisions and profiles in one file.
#[derive(Debug, Clone)]
pub struct History {
    pub(super) store: Store,
}

/// Which runs to list; an empty filter lists all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Runs whose outcome (or, without one, whose decision) is this strategy.
    pub strategy: Option<Strategy>,
    /// Runs that ended so.
    pub status: Option<Status>,
    /// Runs of this [`group`](Run::group).
    pub group: Option<String>,
    /// Runs whose model, candidate or texts contain this.
    pub text: Option<String>,
    /// Runs that began at or after this time (UTC, RFC 3339).
    pub since: Option<String>,
    /// At most so many, the latest.
    pub limit: Option<usize>,
}

impl Filter {
    fn keeps(&self, run: &Run) -> bool {
        let strategy = run.outcome.as_ref().map_or(run.decision.strategy, |o| o.strategy);
        let request = &run.request;
        let named = |needle: &String| {
            let texts = request.train.iter().chain(&request.eval);
            [&request.model, &request.candidate].into_iter().chain(texts).any(|t| t.contains(needle))
        };
        self.strategy.is_none_or(|s| s == strategy)
            && self.status.is_none_or(|s| Some(s) == run.status)
            && self.group.as_ref().is_none_or(|g| *g == run.group())
            && self.since.as_ref().is_none_or(|s| *s <= run.started)
            && self.text.as_ref().is_none_or(named)
    }
}

/// The id of a run: when it began and eight random hex digits, so that ids sort by time.
pub fn run_id(now: jiff::Timestamp, random: u32) -> String {
    format!("{}-{random:08x}", now.strftime("%Y%m%dT%H%M%SZ"))
}

impl History {
    /// Opens the history at `path`, or makes an empty one (and its folder) where there is none. Calls wait up to ten
    /// seconds for other processes.
    ///
    /// # Errors
    /// [`StoreError`]: not a history, newer than this hibrit, damaged, in use for too long, a read-only place.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_waiting(path, PATIENCE)
    }

    /// The same, with the time to wait for other processes.
    ///
    /// # Errors
    /// As [`History::open`].
    pub fn open_waiting(path: impl AsRef<Path>, patience: Duration) -> Result<Self, StoreError> {
        Ok(Self { store: Store::open(path.as_ref(), patience)? })
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.store.path().to_path_buf()
    }

    /// A run begins.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where its id is taken; trouble with the file.
    pub fn begin(&self, run: &Run) -> Result<(), StoreError> {
        let bytes = self.encode(Form::Run, &run.id, run)?;
        self.store.write(|t| {
            if self.raw(t, RUNS, &run.id)?.is_some() {
                return Err(StoreError::Exists { path: self.path(), id: run.id.clone() });
            }
            self.put(t, RUNS, &run.id, &bytes)
        })
    }

    /// A run goes on or ends: what is stored under its id is replaced. Feedback that came in meanwhile is kept.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] where it never began; trouble with the file.
    pub fn update(&self, run: &Run) -> Result<(), StoreError> {
        self.store.write(|t| {
            let stored = self.raw(t, RUNS, &run.id)?.ok_or_else(|| self.unknown("run", &run.id, Vec::new()))?;
            let mut run = run.clone();
            // A record that can no longer be read has no feedback to keep.
            if let Ok(stored) = format::decode::<Run>(Form::Run, &stored) {
                let missed = stored.feedback.into_iter().filter(|f| !run.feedback.contains(f)).collect::<Vec<_>>();
                run.feedback.extend(missed);
            }
            self.put(t, RUNS, &run.id, &self.encode(Form::Run, &run.id, &run)?)
        })
    }

    /// The run with this id, or the only one whose id begins so.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] or [`StoreError::Ambiguous`], each naming candidates; trouble with the file.
    pub fn get(&self, wanted: &str) -> Result<Run, StoreError> {
        self.store.read(|t| {
            let (id, bytes) = self.find(t, wanted)?;
            self.decode(Form::Run, &id, &bytes)
        })
    }

    /// The runs a filter keeps, the latest first.
    ///
    /// # Errors
    /// Trouble with the file; a record that cannot be read is named.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Run>, StoreError> {
        let mut runs: Vec<Run> = self.all()?.into_iter().filter(|r| filter.keeps(r)).collect();
        runs.sort_by(|a, b| (&b.started, &b.id).cmp(&(&a.started, &a.id)));
        runs.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(runs)
    }

    /// All runs, in the order of their ids, which is that of time.
    ///
    /// # Errors
    /// As [`History::list`].
    pub fn all(&self) -> Result<Vec<Run>, StoreError> {
        self.values(RUNS, Form::Run)
    }

    /// Adds a person's word to a run, and gives the run as it is now.
    ///
    /// # Errors
    /// [`StoreError::Feedback`] for a verdict outside -1..=1 or a metric that is not finite; else as
    /// [`History::get`].
    pub fn feedback(&self, wanted: &str, feedback: Feedback) -> Result<Run, StoreError> {
        if let Some(v) = feedback.verdict.filter(|v| !(-1.0..=1.0).contains(v)) {
            return Err(StoreError::Feedback(format!("a verdict is between -1 (worse than hoped) and 1, not {v}")));
        }
        if let Some((name, v)) = feedback.metric.as_ref().filter(|(_, v)| !v.is_finite()) {
            return Err(StoreError::Feedback(format!("the metric {name} must be a finite number, not {v}")));
        }
        self.store.write(|t| {
            let (id, bytes) = self.find_for_writing(t, wanted)?;
            let mut run: Run = self.decode(Form::Run, &id, &bytes)?;
            run.feedback.push(feedback);
            self.put(t, RUNS, &id, &self.encode(Form::Run, &id, &run)?)?;
            Ok(run)
        })
    }

    /// The scorer that decisions consult; `None` where the rules decide alone.
    ///
    /// # Errors
    /// Trouble with the file; a record that cannot be read is named.
    pub fn live_scorer(&self) -> Result<Option<Scorer>, StoreError> {
        self.store.read(|t| {
            let meta = t.open_table(META).map_err(|e| self.store.fault(e))?;
            let Some(id) = meta.get(LIVE).map_err(|e| self.store.fault(e))? else { return Ok(None) };
            let id = id.value();
            let Some(bytes) = self.read_raw(t, SCORERS, id)? else {
                return Err(self.unknown("scorer", id, Vec::new()));
            };
            self.decode(Form::Scorer, id, &bytes).map(Some)
        })
    }

    /// Keeps a scorer without consulting it.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn keep_scorer(&self, scorer: &Scorer) -> Result<(), StoreError> {
        let bytes = self.encode(Form::Scorer, &scorer.id, scorer)?;
        self.store.write(|t| self.put(t, SCORERS, &scorer.id, &bytes))
    }

    /// Keeps a scorer and makes it the live one, in one transaction.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn promote(&self, scorer: &Scorer) -> Result<(), StoreError> {
        let bytes = self.encode(Form::Scorer, &scorer.id, scorer)?;
        self.store.write(|t| {
            self.put(t, SCORERS, &scorer.id, &bytes)?;
            let mut meta = t.open_table(META).map_err(|e| self.store.fault(e))?;
            meta.insert(LIVE, scorer.id.as_str()).map_err(|e| self.store.fault(e))?;
            Ok(())
        })
    }

    /// All scorers, by id.
    ///
    /// # Errors
    /// As [`History::list`].
    pub fn scorers(&self) -> Result<Vec<Scorer>, StoreError> {
        self.values(SCORERS, Form::Scorer)
    }

    /// Logs a decision, or what is known of it since (its run).
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn log_decision(&self, decision: &LoggedDecision) -> Result<(), StoreError> {
        let bytes = self.encode(Form::Decision, &decision.id, decision)?;
        self.store.write(|t| self.put(t, DECISIONS, &decision.id, &bytes))
    }

    /// All decisions, in the order of time, each with the run it led to, where that is in the history: what became
    /// of it.
    ///
    /// # Errors
    /// As [`History::list`].
    pub fn decisions(&self) -> Result<Vec<(LoggedDecision, Option<Run>)>, StoreError> {
        let decisions: Vec<LoggedDecision> = self.values(DECISIONS, Form::Decision)?;
        self.store.read(|t| {
            let became = |d: LoggedDecision| {
                let bytes = match &d.run {
                    Some(run) => self.read_raw(t, RUNS, run)?.map(|bytes| (run, bytes)),
                    None => None,
                };
                let run = bytes.map(|(run, bytes)| self.decode(Form::Run, run, &bytes)).transpose()?;
                Ok((d, run))
            };
            decisions.into_iter().map(became).collect()
        })
    }

    /// The profile that was kept under the hash of its inputs.
    ///
    /// # Errors
    /// Trouble with the file. A profile that cannot be read is none: it can be measured again.
    pub fn profile(&self, inputs_sha256: &str) -> Result<Option<Profile>, StoreError> {
        self.store.read(|t| {
            let bytes = self.read_raw(t, PROFILES, inputs_sha256)?;
            Ok(bytes.and_then(|b| format::decode(Form::Profile, &b).ok()))
        })
    }

    /// Keeps a profile under the hash of its inputs (tokenizer files, text, model, settings).
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn keep_profile(&self, inputs_sha256: &str, profile: &Profile) -> Result<(), StoreError> {
        let bytes = self.encode(Form::Profile, inputs_sha256, profile)?;
        self.store.write(|t| self.put(t, PROFILES, inputs_sha256, &bytes))
    }

    /// All profiles that can be read, each with the hash it was kept under.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn profiles(&self) -> Result<Vec<(String, Profile)>, StoreError> {
        self.store.read(|t| {
            let table = match t.open_table(PROFILES) {
                Err(e) if is_missing(&e) => return Ok(Vec::new()),
                other => other.map_err(|e| self.store.fault(e))?,
            };
            let mut profiles = Vec::new();
            for entry in table.iter().map_err(|e| self.store.fault(e))? {
                let (key, bytes) = entry.map_err(|e| self.store.fault(e))?;
                if let Ok(profile) = format::decode(Form::Profile, bytes.value()) {
                    profiles.push((key.value().to_string(), profile));
                }
            }
            Ok(profiles)
        })
    }

    /// Everything in a table, in the order of keys.
    fn values<T: DeserializeOwned>(&self, table: Table, form: Form) -> Result<Vec<T>, StoreError> {
        self.store.read(|t| {
            let table = match t.open_table(table) {
                Err(e) if is_missing(&e) => return Ok(Vec::new()),
                other => other.map_err(|e| self.store.fault(e))?,
            };
            let mut values = Vec::new();
            for entry in table.iter().map_err(|e| self.store.fault(e))? {
                let (key, bytes) = entry.map_err(|e| self.store.fault(e))?;
                values.push(self.decode(form, key.value(), bytes.value())?);
            }
            Ok(values)
        })
    }

    fn find(&self, t: &ReadTransaction, wanted: &str) -> Result<(String, Vec<u8>), StoreError> {
        let table = t.open_table(RUNS).map_err(|e| self.store.fault(e))?;
        self.only_match(&table, wanted)
    }

    fn find_for_writing(&self, t: &WriteTransaction, wanted: &str) -> Result<(String, Vec<u8>), StoreError> {
        let table = t.open_table(RUNS).map_err(|e| self.store.fault(e))?;
        self.only_match(&table, wanted)
    }

    /// The record with this key, or the only one whose key begins so.
    fn only_match(
        &self,
        table: &impl ReadableTable<&'static str, &'static [u8]>,
        wanted: &str,
    ) -> Result<(String, Vec<u8>), StoreError> {
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        for entry in table.range(wanted..).map_err(|e| self.store.fault(e))? {
            let (key, bytes) = entry.map_err(|e| self.store.fault(e))?;
            if !key.value().starts_with(wanted) || wanted.is_empty() || found.len() > NAMED {
                break;
            }
            found.push((key.value().to_string(), bytes.value().to_vec()));
            if key.value() == wanted {
                break;
            }
        }
        if found.len() > 1 {
            let known = found.into_iter().map(|(id, _)| id).collect();
            return Err(StoreError::Ambiguous { wanted: wanted.into(), known });
        }
        match found.pop() {
            Some(only) => Ok(only),
            None => {
                let latest = table.iter().map_err(|e| self.store.fault(e))?.rev().take(NAMED);
                let known = latest.filter_map(|e| e.ok().map(|(id, _)| id.value().to_string())).collect();
                Err(self.unknown("run", wanted, known))
            }
        }
    }

    pub(super) fn raw(&self, t: &WriteTransaction, table: Table, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let table = t.open_table(table).map_err(|e| self.store.fault(e))?;
        let bytes = table.get(key).map_err(|e| self.store.fault(e))?;
        Ok(bytes.map(|b| b.value().to_vec()))
    }

    fn read_raw(&self, t: &ReadTransaction, table: Table, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let table = match t.open_table(table) {
            Err(e) if is_missing(&e) => return Ok(None),
            other => other.map_err(|e| self.store.fault(e))?,
        };
        let bytes = table.get(key).map_err(|e| self.store.fault(e))?;
        Ok(bytes.map(|b| b.value().to_vec()))
    }

    pub(super) fn put(&self, t: &WriteTransaction, table: Table, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let mut table = t.open_table(table).map_err(|e| self.store.fault(e))?;
        table.insert(key, bytes).map_err(|e| self.store.fault(e))?;
        Ok(())
    }

    pub(super) fn encode<T: Serialize + DeserializeOwned>(
        &self,
        form: Form,
        id: &str,
        value: &T,
    ) -> Result<Vec<u8>, StoreError> {
        format::encode(form, value)
            .map_err(|flaw| StoreError::Unstorable { what: format!("the {form} {id}"), detail: flaw.to_string() })
    }

    fn decode<T: DeserializeOwned>(&self, form: Form, id: &str, bytes: &[u8]) -> Result<T, StoreError> {
        let what = format!("the {form} {id}");
        format::decode(form, bytes).map_err(|flaw| match flaw {
            DecodeError::Newer(found) => StoreError::Newer { path: self.path(), what, found, known: format::CURRENT },
            flaw => StoreError::Record { path: self.path(), what, detail: flaw.to_string() },
        })
    }

    fn unknown(&self, what: &'static str, wanted: &str, known: Vec<String>) -> StoreError {
        StoreError::Unknown { path: self.path(), what, wanted: wanted.into(), known }
    }
}
