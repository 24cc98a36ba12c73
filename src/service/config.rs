//! How is a service set up? Addresses, folders and limits, with their defaults. Where they come from (a command line, a
//! file) is not known here.

use crate::app::Settings;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A service as it was asked for.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Names besides the address by which browsers and clients call it (`hibrit.example.org`).
    pub hosts: Vec<String>,
    /// Whether a token is needed even on loopback.
    pub require_token: bool,
    /// Folder containing the models.
    pub models: Option<PathBuf>,
    /// Folder containing the tokenizers; models are tokenizers too.
    pub tokenizers: Option<PathBuf>,
    /// The folder whose files and folders are text.
    pub corpora: Option<PathBuf>,
    /// The folder that gets a folder for every run.
    pub outputs: PathBuf,
    /// The folder of queue, tokens, journals and the decision log.
    pub state: PathBuf,
    /// The devices that train, one worker each.
    pub devices: Vec<String>,
    /// Rules and history.
    pub settings: Settings,
    /// What is too much.
    pub limits: Limits,
    /// The file that gets the address once the service listens; for scripts that start it with port 0.
    pub addr_file: Option<PathBuf>,
}

impl Config {
    /// On loopback, with everything below one folder.
    pub fn below(state: PathBuf, settings: Settings) -> Self {
        Self {
            addr: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7878),
            hosts: Vec::new(),
            require_token: false,
            models: None,
            tokenizers: None,
            corpora: None,
            outputs: state.join("runs"),
            state,
            devices: vec!["cpu".into()],
            settings,
            limits: Limits::default(),
            addr_file: None,
        }
    }
}

/// What is too much. Each is counted over all clients.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections; more are answered with 429 and closed.
    pub connections: usize,
    /// Requests under way.
    pub requests: usize,
    /// Decisions that are computed or wait for it.
    pub decisions: usize,
    /// Profiles, replays and evaluations that are computed or wait for it.
    pub heavy: usize,
    /// Event streams.
    pub streams: usize,
    /// Runs that wait in the queue.
    pub queued: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// Decisions in one batch.
    pub batch: usize,
    /// Time for a request's head, and for a connection to stay idle.
    pub head: Duration,
    /// Time for an ordinary request, body included.
    pub request: Duration,
    /// Time for a request that measures text.
    pub heavy_request: Duration,
    /// Time after which a stream ends; clients reconnect and go on where they were.
    pub stream: Duration,
    /// Time for running jobs to save their state at shutdown.
    pub drain: Duration,
    /// Time after which a worker that gives no sign of life loses its job.
    pub lease: Duration,
    /// How often a run may crash the service before it fails.
    pub crashes: u32,
    /// Bytes of the decision log before it is turned over.
    pub log_bytes: u64,
    /// Decision logs that are kept.
    pub log_files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            requests: 128,
            decisions: 32,
            heavy: 4,
            streams: 64,
            queued: 1_000,
            body: 1 << 20,
            batch: 256,
            head: Duration::from_secs(10),
            request: Duration::from_secs(30),
            heavy_request: Duration::from_secs(600),
            stream: Duration::from_secs(1_800),
            drain: Duration::from_secs(30),
            lease: Duration::from_secs(30),
            crashes: 10,
            log_bytes: 64 << 20,
            log_files: 4,
        }
    }
}
