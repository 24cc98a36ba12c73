//! What does the service count? Everything that Prometheus may ask for. What the numbers mean for a run is not known
//! here.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Labels = Vec<(&'static str, String)>;

/// All counters.
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Histogram,
    refused: Family<Labels, Counter>,
    decisions: Family<Labels, Counter>,
    jobs: Family<Labels, Gauge>,
    /// Open event streams.
    pub streams: Gauge,
    /// Open connections.
    pub connections: Gauge,
    memory: Gauge,
}

impl Metrics {
    /// All at nothing.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("hibrit");
        let requests = Family::default();
        registry.register("http_requests", "Requests by method and status", Family::clone(&requests));
        // From half a millisecond to 16 seconds.
        let seconds = Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        registry.register_with_unit("http_request_duration", "Time to an answer", Unit::Seconds, seconds.clone());
        let refused = Family::default();
        registry.register(
            "http_refused",
            "Requests refused before they were looked at, by reason",
            Family::clone(&refused),
        );
        let decisions = Family::default();
        registry.register("decisions", "Decisions by strategy", Family::clone(&decisions));
        let jobs = Family::default();
        registry.register("jobs", "Jobs in the queue by state", Family::clone(&jobs));
        let (streams, connections, memory) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("event_streams", "Open event streams", streams.clone());
        registry.register("connections", "Open connections", connections.clone());
        registry.register_with_unit("resident_memory", "Resident memory of the process", Unit::Bytes, memory.clone());
        Self { registry, requests, seconds, refused, decisions, jobs, streams, connections, memory }
    }

    /// A request was answered.
    pub fn answered(&self, method: &str, status: u16, seconds: f64) {
        let labels = vec![("method", method.to_string()), ("status", status.to_string())];
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(seconds);
    }

    /// A request was refused before it was looked at.
    pub fn refused(&self, reason: &str) {
        self.refused.get_or_create(&vec![("reason", reason.to_string())]).inc();
    }

    /// A decision was given.
    pub fn decided(&self, strategy: &str) {
        self.decisions.get_or_create(&vec![("strategy", strategy.to_string())]).inc();
    }

    /// So many jobs are in a state.
    pub fn jobs(&self, state: &str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.jobs.get_or_create(&vec![("state", state.to_string())]).set(count);
    }

    /// Everything, in the text form that Prometheus reads (OpenMetrics).
    pub fn text(&self) -> String {
        if let Some(bytes) = resident_memory() {
            self.memory.set(bytes);
        }
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Bytes of memory that the process holds, where the system tells.
fn resident_memory() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    let kilobytes: i64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
