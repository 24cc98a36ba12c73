//! What do all requests share? Evidence in memory, swapped whole when it changes; the queue; limits that count over all
//! clients. How a request gets here is the guard's business, what it asks for that of the resource's file.

use super::catalog::Catalog;
use super::config::Config;
use super::error::{ApiError, ServiceError};
use super::guard::HostNames;
use super::live::ActiveJobs;
use super::metrics::Metrics;
use super::recommendation_log::RecommendationLog;
use super::token::{AccessTokens, Sessions};
use crate::app::{AppError, DecisionContext, Queue, Stamp, State};
use crate::domain::profile::Profile;
use axum::http::StatusCode;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// What all requests share.
pub struct Service {
    /// How it was set up.
    pub config: Config,
    /// The names clients may say.
    pub catalog: Catalog,
    /// The names by which the service may be called.
    pub names: HostNames,
    /// Who may ask.
    pub tokens: RwLock<AccessTokens>,
    /// Browsers that have signed in.
    pub sessions: Sessions,
    /// Runs that are wanted.
    pub queue: Queue,
    /// Runs that go on.
    pub live: ActiveJobs,
    /// The log of decisions.
    pub recommendation_log: RecommendationLog,
    /// What is counted.
    pub metrics: Metrics,
    /// Requests under way.
    pub requests: Arc<Semaphore>,
    /// Event streams.
    pub streams: Arc<Semaphore>,
    /// Becomes true when the service ends.
    pub draining: watch::Sender<bool>,
    decisions: Gate,
    heavy: Gate,
    advisor: RwLock<(Stamp, Arc<DecisionContext>)>,
    profiles: RwLock<BTreeMap<String, Arc<Profile>>>,
    bell: (Mutex<u64>, Condvar),
}

/// So many may wait, so many of them at work.
#[derive(Debug, Clone)]
struct Gate {
    what: &'static str,
    inside: Arc<Semaphore>,
    at_work: Arc<Semaphore>,
}

impl Gate {
    fn new(what: &'static str, inside: usize, at_work: usize) -> Self {
        Self { what, inside: Arc::new(Semaphore::new(inside)), at_work: Arc::new(Semaphore::new(at_work)) }
    }

    /// Does work apart from the threads that answer. Both permits go with the work: it counts until it is done, even
    /// if whoever asked went away.
    async fn through<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let inside = self.inside.clone().try_acquire_owned().map_err(|_| ApiError::busy(self.what))?;
        let closed = |_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the service ends");
        let at_work: OwnedSemaphorePermit = self.at_work.clone().acquire_owned().await.map_err(closed)?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((inside, at_work));
            result
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "work was cut short");
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the service could not do this; its log says why")
        })?
    }
}

/// The name of a profile: the same profile has the same name.
pub fn profile_name(profile: &Profile) -> String {
    // A profile is plain data with text keys, which always has a JSON form.
    let bytes = serde_json::to_vec(profile).unwrap_or_default();
    HEXLOWER.encode(&Sha256::digest(&bytes)[..16])
}

/// Queue and pipeline failures alike, as a client reads them.
pub fn refused<T, E: Into<AppError>>(result: Result<T, E>) -> Result<T, ApiError> {
    result.map_err(|e| ApiError::from(e.into()))
}

impl Service {
    /// Opens everything and puts jobs back whose worker died with the last service.
    ///
    /// # Errors
    /// Whatever cannot be opened.
    pub fn open(config: Config, names: HostNames) -> Result<Self, ServiceError> {
        let make = |what: &'static str, path: &std::path::Path| {
            std::fs::create_dir_all(path).map_err(|source| ServiceError::Root { what, path: path.into(), source })
        };
        make("state", &config.state)?;
        let catalog = Catalog::new(&config)?;
        let tokens = AccessTokens::open(&config.state)?;
        if (!config.addr.ip().is_loopback() || config.require_token) && tokens.list().is_empty() {
            return Err(ServiceError::Unguarded { addr: config.addr });
        }
        let queue = Queue::open(config.state.join("queue.redb")).map_err(AppError::from)?;
        let back = queue.reconcile(jiff::Timestamp::now(), true, config.limits.crashes).map_err(AppError::from)?;
        for job in &back {
            tracing::warn!(job = %job.id, state = %job.state, crashes = job.crashes, "its worker died; put back");
        }
        let stamp = config.settings.stamp();
        let advisor = Arc::new(DecisionContext::load(&config.settings)?);
        let mut profiles = BTreeMap::new();
        // Others were measured at the command line: their names are paths, which are no business of clients.
        let own = |(name, profile): &(String, Profile)| *name == profile_name(profile);
        for (name, profile) in config.settings.profiles()?.into_iter().filter(own) {
            profiles.insert(name, Arc::new(profile));
        }
        let limits = &config.limits;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            recommendation_log: RecommendationLog::open(
                config.settings.recommendations(),
                limits.log_bytes,
                limits.log_files,
            )?,
            live: ActiveJobs::new(config.state.join("journals")),
            requests: Arc::new(Semaphore::new(limits.requests)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            decisions: Gate::new("decisions", limits.decisions, cores),
            heavy: Gate::new("measurements", limits.heavy, 1),
            draining: watch::Sender::new(false),
            metrics: Metrics::new(),
            sessions: Sessions::default(),
            tokens: RwLock::new(tokens),
            advisor: RwLock::new((stamp, advisor)),
            profiles: RwLock::new(profiles),
            bell: (Mutex::new(0), Condvar::new()),
            catalog,
            names,
            queue,
            config,
        })
    }

    /// The journal of a run; it may not be there yet.
    pub fn journal(&self, run: &str) -> std::path::PathBuf {
        self.live.journal(run, &self.catalog.output(run))
    }

    /// Computes a decision; few at once, few waiting.
    pub async fn deciding<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.decisions.through(work).await
    }

    /// Does something that takes a while; one at once, few waiting.
    pub async fn heavy<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.heavy.through(work).await
    }

    /// Reads or writes a file or the queue, apart from the threads that answer; requests are counted by the guard.
    pub async fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the service could not do this"))?
    }

    /// Rules, scorer and past as they are now.
    pub fn advisor(&self) -> Arc<DecisionContext> {
        self.advisor.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Reads rules, history and tokens again where they have changed. Wrong ones leave the old ones in force.
    pub fn refresh(&self) {
        if let Err(error) = self.tokens.write().unwrap_or_else(PoisonError::into_inner).refresh() {
            tracing::error!(%error, "the tokens could not be read; the old ones stay");
        }
        let stamp = self.config.settings.stamp();
        if self.advisor.read().unwrap_or_else(PoisonError::into_inner).0 == stamp {
            return;
        }
        match DecisionContext::load(&self.config.settings) {
            Ok(advisor) => {
                *self.advisor.write().unwrap_or_else(PoisonError::into_inner) = (stamp, Arc::new(advisor));
            }
            Err(error) => tracing::error!(%error, "rules or history could not be read; the old ones stay"),
        }
    }

    /// A profile by its name.
    pub fn profile(&self, name: &str) -> Option<Arc<Profile>> {
        self.profiles.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All profiles.
    pub fn profiles(&self) -> Vec<(String, Arc<Profile>)> {
        let profiles = self.profiles.read().unwrap_or_else(PoisonError::into_inner);
        profiles.iter().map(|(name, profile)| (name.clone(), profile.clone())).collect()
    }

    /// Keeps a profile, in memory and in the history.
    ///
    /// # Errors
    /// A history that cannot be written.
    pub fn keep_profile(&self, profile: Profile) -> Result<(String, Arc<Profile>), AppError> {
        let name = profile_name(&profile);
        if let Some(known) = self.profile(&name) {
            return Ok((name, known));
        }
        self.config.settings.keep_profile(&name, &profile)?;
        let profile = Arc::new(profile);
        self.profiles.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), profile.clone());
        Ok((name, profile))
    }

    /// Whether the service ends.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// There may be work: wakes the workers.
    pub fn notify(&self) {
        *self.bell.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.bell.1.notify_all();
    }

    /// Waits until somebody rings, or for so long.
    pub fn wait(&self, time: Duration) {
        let rung = self.bell.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *rung;
        let _ = self.bell.1.wait_timeout_while(rung, time, |now| *now == before);
    }

    /// So many jobs in each state, told to the metrics too.
    ///
    /// # Errors
    /// A queue that cannot be read.
    pub fn count_jobs(&self) -> Result<HashMap<State, usize>, AppError> {
        use strum::IntoEnumIterator;
        let mut counts: HashMap<State, usize> = State::iter().map(|s| (s, 0)).collect();
        for job in self.queue.list()? {
            *counts.entry(job.state).or_default() += 1;
        }
        for (state, count) in &counts {
            self.metrics.jobs(&state.to_string(), *count);
        }
        Ok(counts)
    }
}
