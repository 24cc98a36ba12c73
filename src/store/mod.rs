//! What happened, kept: runs, scorers, decisions and profiles in one redb file, a journal beside each run. Answers
//! "what was done before, and how did it end?" Deliberately knows nothing of what follows from the past: growing a
//! scorer is `learn`'s business, consulting one is `decide`'s.
//!
//! - [`history`]: the verbs: begin, update, get, list, feedback, promote ...
//! - [`format`]: how a value is written, with its version, and how older ones are read;
//! - [`store`]: the file: opening, waiting for other processes, transactions;
//! - [`exchange`]: JSON lines in and out;
//! - [`health`]: verify and repair;
//! - [`journal`]: what happens while a run goes on, line by line;
//! - [`queue`]: runs that are wanted, in a file of its own: who may carry them out, and what became of them.
//!
//! The file holds tables from a name to bytes:
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `meta` | `schema`, `live`, `speed/MACHINE` | text: version of the layout, id of the live scorer, a calibration |
//! | `runs` | id of the run | [`Run`](crate::domain::run::Run), enveloped |
//! | `scorers` | id of the scorer | [`Scorer`](crate::domain::scorer::Scorer), enveloped |
//! | `decisions` | id of the decision | [`LoggedDecision`], enveloped |
//! | `profiles` | hash of the inputs | [`Profile`](crate::domain::profile::Profile), enveloped |
//! | `quarantine` | table/key | bytes that could not be read, put aside by `repair` |

mod decisions;
mod error;
mod exchange;
mod format;
mod health;
mod history;
mod journal;
mod queue;
mod store;

pub use decisions::LoggedDecision;
pub use error::StoreError;
pub use exchange::{ImportReport, LineFault};
pub use health::{DamagedRecord, Health, Repairs};
pub use history::{Filter, History, run_id};
pub use journal::{JOURNAL, Journal, JournalEntry, JournalReplay, Sync, read_journal};
pub use queue::{Cancelled, Job, JobEnd, Lease, Queue, State, Submitted};

#[cfg(test)]
mod tests;
