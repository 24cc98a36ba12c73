//! The file: made whole or not at all, opened for moments only, shared politely between processes. Knows tables of
//! names and bytes; what the bytes mean is [`format`](super::format)'s business.
//!
//! redb locks the file of an open database. So every operation opens it, does one transaction and closes it again, and
//! where another process is at it, waits and tries again for a bounded time. Reading shares the lock, writing does not.

use super::error::StoreError;
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, TableDefinition, TableError, WriteTransaction,
};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A table of values.
pub(super) type Table = TableDefinition<'static, &'static str, &'static [u8]>;

pub(super) const META: TableDefinition<'static, &'static str, &'static str> = TableDefinition::new("meta");
pub(super) const RUNS: Table = TableDefinition::new("runs");
pub(super) const SCORERS: Table = TableDefinition::new("scorers");
pub(super) const DECISIONS: Table = TableDefinition::new("decisions");
pub(super) const PROFILES: Table = TableDefinition::new("profiles");
pub(super) const QUARANTINE: Table = TableDefinition::new("quarantine");

/// Version of the layout: which tables there are, and how they are keyed.
pub(super) const SCHEMA: u32 = 1;
/// Key of the layout's version in [`META`].
const SCHEMA_KEY: &str = "schema";
/// Every redb file begins so.
const MAGIC: &[u8] = b"redb";
/// Page cache, bytes; the file is open for moments only.
const CACHE: usize = 32 << 20;

/// A history's file.
#[derive(Debug, Clone)]
pub(super) struct Store {
    path: PathBuf,
    patience: Duration,
}

impl Store {
    /// Opens the file, or makes an empty one (and its folder) where there is none.
    pub(super) fn open(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        let store = Self { path: path.to_path_buf(), patience };
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_file() && meta.len() > 0 => store.check_magic()?,
            Ok(meta) if meta.is_file() => store.create(true)?,
            Ok(_) => return Err(StoreError::NotAHistory { path: store.path }),
            Err(e) if e.kind() == ErrorKind::NotFound => store.create(false)?,
            Err(e) => return Err(store.io("opened", e)),
        }
        store.check_schema()?;
        Ok(store)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// One reading transaction.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.guarded(|| {
            let database = match self.patiently(|| builder().open_read_only(&self.path)) {
                // Closed uncleanly the last time: only a writer may recover it.
                Err(StoreError::Damaged { .. }) => return self.recovering_read(work),
                other => other?,
            };
            let transaction = database.begin_read().map_err(|e| self.fault(e))?;
            work(&transaction)
        })
    }

    fn recovering_read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.patiently(|| builder().open(&self.path))?;
        let transaction = database.begin_read().map_err(|e| self.fault(e))?;
        work(&transaction)
    }

    /// One writing transaction: all of it is kept (on disk, when this returns), or, on an error, nothing.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.exclusively(|database| {
            let transaction = database.begin_write().map_err(|e| self.fault(e))?;
            let value = work(&transaction)?;
            transaction.commit().map_err(|e| self.fault(e))?;
            Ok(value)
        })
    }

    /// The database itself, for checks that need all of it.
    pub(super) fn exclusively<T>(
        &self,
        work: impl FnOnce(&mut Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.guarded(|| {
            let mut database = self.patiently(|| builder().open(&self.path))?;
            work(&mut database)
        })
    }

    /// What redb says, in the user's words.
    pub(super) fn fault(&self, error: impl Into<redb::Error>) -> StoreError {
        match error.into() {
            redb::Error::Io(e) => self.io("read or written", e),
            redb::Error::Corrupted(detail) => self.damaged(detail),
            redb::Error::RepairAborted => {
                self.damaged("it was not closed properly and may not be repaired here".into())
            }
            redb::Error::UpgradeRequired(v) => self.damaged(format!("its file format {v} is too old")),
            source => StoreError::Database { path: self.path.clone(), source: Box::new(source) },
        }
    }

    fn damaged(&self, detail: String) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), detail }
    }

    fn io(&self, doing: &'static str, source: std::io::Error) -> StoreError {
        let path = self.path.clone();
        match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path, source },
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => self.damaged(source.to_string()),
            _ => StoreError::Io { path, doing, source },
        }
    }

    /// Tries until it works, fails otherwise than by another process' lock, or patience is at its end.
    fn patiently<T>(&self, mut open: impl FnMut() -> Result<T, DatabaseError>) -> Result<T, StoreError> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(2);
        loop {
            match open() {
                Ok(value) => return Ok(value),
                Err(DatabaseError::DatabaseAlreadyOpen) if began.elapsed() < self.patience => {
                    std::thread::sleep(pause.min(self.patience.saturating_sub(began.elapsed())));
                    pause = (pause * 2).min(Duration::from_millis(100));
                }
                Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                    let waited = began.elapsed().as_secs_f64();
                    return Err(StoreError::Busy { path: self.path.clone(), waited });
                }
                Err(e) => return Err(self.fault(e)),
            }
        }
    }

    /// redb promises errors only for files that nobody else altered; on others it may panic. That is caught here, so
    /// that a damaged file is an error like any other.
    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(self.damaged("its pages contradict each other".into())))
    }

    fn check_magic(&self) -> Result<(), StoreError> {
        let mut first = [0; MAGIC.len()];
        let read = File::open(&self.path).and_then(|mut f| f.read_exact(&mut first));
        match read {
            Ok(()) if first == MAGIC => Ok(()),
            Err(e) if e.kind() != ErrorKind::UnexpectedEof => Err(self.io("opened", e)),
            _ => Err(StoreError::NotAHistory { path: self.path.clone() }),
        }
    }

    /// Makes the file beside its place and moves it there, so that there is never half a history. Where another
    /// process was faster, its file stands.
    fn create(&self, over_an_empty_file: bool) -> Result<(), StoreError> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder).map_err(|e| self.io("made", e))?;
        let fresh = tempfile::Builder::new()
            .prefix(".history-")
            .suffix(".redb")
            .tempfile_in(folder)
            .map_err(|e| self.io("made", e))?;
        {
            let database = builder().create(fresh.path()).map_err(|e| self.fault(e))?;
            let transaction = database.begin_write().map_err(|e| self.fault(e))?;
            for table in [RUNS, SCORERS, DECISIONS, PROFILES, QUARANTINE] {
                transaction.open_table(table).map_err(|e| self.fault(e))?;
            }
            let mut meta = transaction.open_table(META).map_err(|e| self.fault(e))?;
            meta.insert(SCHEMA_KEY, SCHEMA.to_string().as_str()).map_err(|e| self.fault(e))?;
            drop(meta);
            transaction.commit().map_err(|e| self.fault(e))?;
        }
        let moved = if over_an_empty_file { fresh.persist(&self.path) } else { fresh.persist_noclobber(&self.path) };
        match moved {
            Err(e) if e.error.kind() != ErrorKind::AlreadyExists => Err(self.io("made", e.error)),
            _ => Ok(()),
        }
    }

    fn check_schema(&self) -> Result<(), StoreError> {
        let found = self.read(|t| {
            let meta = match t.open_table(META) {
                Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => return Ok(None),
                other => other.map_err(|e| self.fault(e))?,
            };
            let schema = meta.get(SCHEMA_KEY).map_err(|e| self.fault(e))?;
            Ok(schema.and_then(|s| s.value().parse::<u32>().ok()))
        })?;
        match found {
            None => Err(StoreError::NotAHistory { path: self.path.clone() }),
            Some(newer) if newer > SCHEMA => Err(StoreError::Newer {
                path: self.path.clone(),
                what: "the layout".into(),
                found: newer,
                known: SCHEMA,
            }),
            Some(_) => Ok(()),
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

/// Whether an error says that a table is not there, which for a reader is an empty table.
pub(super) fn is_missing(error: &TableError) -> bool {
    matches!(error, TableError::TableDoesNotExist(_))
}
