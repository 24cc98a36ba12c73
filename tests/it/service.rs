//! A service in a folder of its own, on a free port of loopback, with the sample as its catalog; and ways to ask it.

use crate::program::Program;
use crate::runs::sample;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A service that ends with the value.
pub struct Service {
    pub program: Program,
    child: Child,
    pub addr: String,
    more: Vec<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().filter_map(|l| l.split_once(':'));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_string()).next()
    }
}

impl Service {
    /// Started with these arguments besides the usual ones.
    pub fn start(more: &[&str]) -> Self {
        Self::start_in(Program::new(), more)
    }

    /// In the folder of an earlier one.
    pub fn start_in(program: Program, more: &[&str]) -> Self {
        let more: Vec<String> = more.iter().map(ToString::to_string).collect();
        let child = spawn(&program, &more);
        let mut service = Self { program, child, addr: String::new(), more };
        service.addr = service.listening();
        service
    }

    fn listening(&mut self) -> String {
        let file = self.program.path("addr");
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Ok(addr) = std::fs::read_to_string(&file) {
                return addr;
            }
            assert!(self.child.try_wait().expect("a child").is_none(), "the service ended: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the service does not listen: {}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.program.path("service.log")).unwrap_or_default()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it has ended");
        let _ = std::fs::remove_file(self.program.path("addr"));
    }

    pub fn restart(&mut self) {
        self.child = spawn(&self.program, &self.more);
        self.addr = self.listening();
    }

    /// Ends it with SIGTERM; its exit code and how long it took.
    pub fn terminate(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there");
        let status = self.child.wait().expect("it ends");
        let _ = std::fs::remove_file(self.program.path("addr"));
        (status.code(), began.elapsed())
    }

    /// Sends bytes as they are and reads until the other side closes or is silent for so long.
    pub fn raw(&self, bytes: &[u8], silence: Duration) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.addr)?;
        stream.set_read_timeout(Some(silence))?;
        stream.write_all(bytes)?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(n) = stream.read(&mut buffer) {
            if n == 0 {
                break;
            }
            answer.extend_from_slice(&buffer[..n]);
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// One request on a connection of its own, with these header lines.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
        self.ask_as(&self.addr, method, path, headers, body)
    }

    /// The same, calling the service by another name.
    pub fn ask_as(&self, host: &str, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
        let lines: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}{length}\r\n{body}");
        let answer = self.raw(request.as_bytes(), PATIENCE).expect("the service can be reached");
        let (head, body) =
            answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {method} {path}: {answer:?}"));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { unchunked(body) } else { body.to_string() };
        Reply { status, head: head.into(), body }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, &["Content-Type: application/json"], &body.to_string())
    }

    /// Queues a run of `keep` on the sample: about a second.
    pub fn submit(&self, key: &str, seed: u64) -> Reply {
        let order = self.order(seed);
        let key = format!("Idempotency-Key: {key}");
        self.ask("POST", "/api/v1/runs", &["Content-Type: application/json", &key], &order.to_string())
    }

    pub fn order(&self, seed: u64) -> Value {
        serde_json::json!({ "task": { "auto": {
            "model": "base", "candidate": "candidate-tokenizer", "train": ["target-train.txt"],
            "eval": ["target-eval.txt"], "strategy": "keep", "train_bytes": 12_000, "eval_bytes": 3_000,
            "set": { "epochs": 1, "batch": 4, "accumulation": 1, "sequence": 64 }, "seed": seed } } })
    }

    /// Waits until a run has ended, and gives how it stands.
    pub fn wait_for(&self, id: &str) -> Value {
        let began = Instant::now();
        loop {
            let run = self.get(&format!("/api/v1/runs/{id}")).json();
            if ["done", "failed", "cancelled"].contains(&run["state"].as_str().unwrap_or_default()) {
                return run;
            }
            assert!(began.elapsed() < PATIENCE, "{run:#}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unchunked(body: &str) -> String {
    let mut rest = body.as_bytes();
    let mut whole = Vec::new();
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|s| usize::from_str_radix(s.trim(), 16).ok());
        let Some(size) = size.filter(|s| *s > 0 && rest.len() >= end + 4 + s) else { break };
        whole.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    String::from_utf8_lossy(&whole).into_owned()
}

fn spawn(program: &Program, more: &[String]) -> Child {
    let log = std::fs::OpenOptions::new().append(true).create(true).open(program.path("service.log")).expect("a log");
    let sample = sample().display().to_string();
    Command::new(env!("CARGO_BIN_EXE_hibrit"))
        .args(["serve", "--addr", "127.0.0.1:0", "--quiet", "--state", "state", "--addr-file", "addr"])
        .args(["--models", &sample, "--tokenizers", &sample, "--corpora", &sample])
        .args(more)
        .current_dir(program.path("."))
        .env("HIBRIT_HISTORY", program.path("past.redb"))
        .env("HIBRIT_CACHE", program.path("cache"))
        .env_remove("HIBRIT_RULES")
        .env_remove("HIBRIT_SERVER")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the program starts")
}
