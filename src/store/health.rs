//! Whether the history holds together, and mending what can be mended. Nothing is thrown away: what cannot be read is
//! put aside in the quarantine table, byte for byte.

use super::decisions::LoggedDecision;
use super::error::StoreError;
use super::format::{self, DecodeError, Form};
use super::history::{History, LIVE};
use super::store::{DECISIONS, META, PROFILES, QUARANTINE, RUNS, SCORERS, Table};
use crate::domain::profile::Profile;
use crate::domain::run::Run;
use crate::domain::scorer::Scorer;
use redb::{ReadableTable, TableHandle, WriteTransaction};
use serde::Serialize;

/// All tables of values, each with its form.
const TABLES: [(Table, Form); 4] =
    [(RUNS, Form::Run), (SCORERS, Form::Scorer), (DECISIONS, Form::Decision), (PROFILES, Form::Profile)];

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether every page of the file has the checksum it should have.
    pub pages: bool,
    /// Records that can be read.
    pub records: u64,
    /// Records put aside by an earlier repair.
    pub quarantined: u64,
    /// All problems.
    pub problems: Vec<DamagedRecord>,
}

impl Health {
    /// Whether nothing is wrong.
    pub fn is_well(&self) -> bool {
        self.pages && self.problems.is_empty()
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DamagedRecord {
    /// Where: table/key.
    pub at: String,
    /// What.
    pub what: String,
}

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Repairs {
    /// Records put aside: table/key, and why.
    pub quarantined: Vec<DamagedRecord>,
    /// The id of a live scorer that was not there, where there was one: the rules decide alone now.
    pub lost_live_scorer: Option<String>,
    /// Whether pages had to be mended.
    pub pages_mended: bool,
}

impl History {
    /// Checks every page and every record; reports all that is wrong.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where the pages cannot be read at all; trouble with the file.
    pub fn verify(&self) -> Result<Health, StoreError> {
        let pages = self.store.exclusively(|db| db.check_integrity().map_err(|e| self.store.fault(e)))?;
        // A transaction that is given up: a check changes nothing.
        self.store.exclusively(|db| {
            let t = db.begin_write().map_err(|e| self.store.fault(e))?;
            let mut health = Health { pages, ..Health::default() };
            for (table, form) in TABLES {
                let (sound, bad) = self.sift(&t, table, form)?;
                health.records += sound;
                health.problems.extend(bad.into_iter().map(|(_, problem)| problem));
            }
            if let Some(id) = self.dangling_live(&t)? {
                health
                    .problems
                    .push(DamagedRecord { at: "meta/live".into(), what: format!("there is no scorer {id}") });
            }
            let aside = t.open_table(QUARANTINE).map_err(|e| self.store.fault(e))?;
            health.quarantined = aside.iter().map_err(|e| self.store.fault(e))?.count() as u64;
            drop(aside);
            t.abort().map_err(|e| self.store.fault(e))?;
            Ok(health)
        })
    }

    /// Mends the pages, puts unreadable records aside and forgets a live scorer that is not there. Records of a newer
    /// hibrit stay where they are.
    ///
    /// # Errors
    /// As [`History::verify`].
    pub fn repair(&self) -> Result<Repairs, StoreError> {
        let sound = self.store.exclusively(|db| db.check_integrity().map_err(|e| self.store.fault(e)))?;
        self.store.write(|t| {
            let mut repairs = Repairs { pages_mended: !sound, ..Repairs::default() };
            for (table, form) in TABLES {
                for (bad, problem) in self.sift(t, table, form)?.1 {
                    if bad.newer {
                        continue;
                    }
                    self.put(t, QUARANTINE, &problem.at, &bad.bytes)?;
                    let mut table = t.open_table(table).map_err(|e| self.store.fault(e))?;
                    table.remove(bad.key.as_str()).map_err(|e| self.store.fault(e))?;
                    repairs.quarantined.push(problem);
                }
            }
            if let Some(id) = self.dangling_live(t)? {
                let mut meta = t.open_table(META).map_err(|e| self.store.fault(e))?;
                meta.remove(LIVE).map_err(|e| self.store.fault(e))?;
                repairs.lost_live_scorer = Some(id);
            }
            Ok(repairs)
        })
    }

    /// The number of records that can be read, and those that cannot.
    fn sift(
        &self,
        t: &WriteTransaction,
        table: Table,
        form: Form,
    ) -> Result<(u64, Vec<(Unreadable, DamagedRecord)>), StoreError> {
        let name = table.name().to_string();
        let table = t.open_table(table).map_err(|e| self.store.fault(e))?;
        let (mut sound, mut bad) = (0, Vec::new());
        for entry in table.iter().map_err(|e| self.store.fault(e))? {
            let (key, bytes) = entry.map_err(|e| self.store.fault(e))?;
            match read_back(form, key.value(), bytes.value()) {
                Ok(()) => sound += 1,
                Err(flaw) => {
                    let newer = matches!(flaw, DecodeError::Newer(_));
                    let key = key.value().to_string();
                    let problem = DamagedRecord { at: format!("{name}/{key}"), what: flaw.to_string() };
                    bad.push((Unreadable { key, bytes: bytes.value().to_vec(), newer }, problem));
                }
            }
        }
        Ok((sound, bad))
    }

    fn dangling_live(&self, t: &WriteTransaction) -> Result<Option<String>, StoreError> {
        let meta = t.open_table(META).map_err(|e| self.store.fault(e))?;
        let live = meta.get(LIVE).map_err(|e| self.store.fault(e))?.map(|id| id.value().to_string());
        match live {
            Some(id) if self.raw(t, SCORERS, &id)?.is_none() => Ok(Some(id)),
            _ => Ok(None),
        }
    }
}

struct Unreadable {
    key: String,
    bytes: Vec<u8>,
    newer: bool,
}

/// Whether a record can be read and stands under its own id.
fn read_back(form: Form, key: &str, bytes: &[u8]) -> Result<(), DecodeError> {
    let id = match form {
        Form::Run => format::decode::<Run>(form, bytes)?.id,
        Form::Scorer => format::decode::<Scorer>(form, bytes)?.id,
        Form::Decision => format::decode::<LoggedDecision>(form, bytes)?.id,
        Form::Profile => return format::decode::<Profile>(form, bytes).map(|_| ()),
    };
    if id == key { Ok(()) } else { Err(DecodeError::Malformed(format!("it calls itself {id}"))) }
}
