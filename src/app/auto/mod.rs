//! The whole flow on a model: analyse, decide, execute, choose, export, record; begun, or resumed.
//!
//! - [`request`]: what is asked for;
//! - [`inputs`]: what a run is given, read and checked;
//! - [`prepared`]: what it stands on before anything is trained, and what is decided on that;
//! - [`plan`]: what would be done and what it would cost (`--dry-run`);
//! - [`session`]: one process's share of a run, from its beginning or its resumption to the history;
//! - [`execute`]: the strategy, the yardstick and the fallback, then the choice;
//! - [`manifest`], [`journal`]: what a run leaves behind so that it can be resumed;
//! - [`sweep`]: every strategy on the same inputs.

mod energy;
mod execute;
mod inputs;
mod journal;
mod manifest;
mod plan;
mod prepared;
mod request;
mod session;
mod sweep;

pub use manifest::has_begun;
pub use plan::{RunPlan, StagePlan, plan};
pub use request::AutoRequest;
pub use session::{auto, resume};
pub use sweep::{Comparison, SweepRow, run_all};
