//! `kill -9` while runs are queued, carried out and recorded: none is lost, none is doubled.

use crate::service::{PATIENCE, Service};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Submits runs, kills the service at random moments so often, and looks whether every run was carried out once.
fn killed(kills: u32, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut s = Service::start(&["--max-crashes", "1000"]);
    let mut keys: BTreeSet<String> = BTreeSet::new();
    let mut ids: BTreeSet<String> = BTreeSet::new();
    let mut crashed_while_running = 0;
    for kill in 0..kills {
        // Half of the time somebody hands something in just before; the answer may get lost, the order must not.
        if kill % 2 == 0 {
            let key = format!("k{kill}");
            let order = s.order(u64::from(kill)).to_string();
            let headers = format!("Content-Type: application/json\r\nIdempotency-Key: {key}\r\n");
            let request = format!(
                "POST /api/v1/runs HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{order}",
                s.addr,
                order.len()
            );
            let patience = Duration::from_millis(random.random_range(1..40));
            let _ = s.raw(request.as_bytes(), patience);
            keys.insert(key);
        }
        std::thread::sleep(Duration::from_millis(random.random_range(0..1_500)));
        s.kill();
        let log = s.log();
        let (begun, ended) =
            (log.matches("\"message\":\"begins\"").count(), log.matches("\"message\":\"ends\"").count());
        crashed_while_running = begun.saturating_sub(ended);
        s.restart();
    }
    // Whoever got no answer asks again under the same key.
    for key in &keys {
        let n: u64 = key[1..].parse().expect("a number");
        let reply = s.submit(key, n);
        assert!(matches!(reply.status, 200 | 202), "{reply:?}");
        ids.insert(reply.json()["id"].as_str().expect("an id").to_string());
    }
    assert_eq!(ids.len(), keys.len(), "every key is one run");
    let began = Instant::now();
    for id in &ids {
        let run = s.wait_for(id);
        assert_eq!(run["state"], "done", "{run:#}\n{}", s.log());
    }
    assert!(began.elapsed() < PATIENCE * 20);
    let jobs = s.get("/api/v1/runs?limit=1000").json();
    assert_eq!(jobs["runs"].as_array().map(Vec::len), Some(ids.len()), "no job that nobody handed in");
    let history = s.program.json(&["history", "list"]);
    let runs = history["runs"].as_array().expect("runs");
    let recorded: Vec<&str> = runs.iter().filter_map(|r| r["run"]["id"].as_str()).collect();
    assert_eq!(recorded.len(), ids.len(), "each stands in the history once: {recorded:?}");
    assert_eq!(recorded.iter().map(|id| id.to_string()).collect::<BTreeSet<_>>(), ids);
    for run in runs {
        assert_eq!(run["run"]["status"], "done", "{run:#}");
        assert!(run["outcome"]["bits_per_byte"].as_f64().is_some_and(f64::is_finite));
    }
    let verified: Value = s.program.json(&["history", "verify"]);
    assert_eq!(verified["well"], true, "{verified}");
    eprintln!(
        "{kills} kills, {crashed_while_running} of them while a run was carried out, {} runs, none lost or doubled",
        ids.len()
    );
}

#[test]
fn no_run_is_lost_or_doubled_by_six_kills() {
    killed(6, 1);
}

#[test]
#[ignore = "takes minutes; cargo test --release --test it a_hundred_kills -- --ignored --nocapture"]
fn no_run_is_lost_or_doubled_by_a_hundred_kills() {
    killed(100, 2);
}
