//! Speaks to a service (`--server URL`) and prints what the command would have printed here: the service makes the
//! report, in the form and language that were asked for. What the commands mean is not known here.

use super::{Failure, Session};
use crate::domain::event::{Event, Observer};
use crate::domain::fault::{Fault, Kind};
use crate::service::api::{DecisionOrder, FeedbackOrder, InputsOrder, RunOrder, RunView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A measurement may take its time; the service has limits of its own.
const PATIENCE: Duration = Duration::from_secs(900);
/// How long to wait before a stream is taken up again.
const PAUSE: Duration = Duration::from_secs(1);

/// A service somewhere.
pub struct Remote<'a> {
    base: String,
    token: Option<String>,
    agent: ureq::Agent,
    session: &'a Session,
}

/// What went wrong on the way, or what the service said.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address is none.
    #[error("`{0}` is not the address of a service; write it as http://HOST:PORT")]
    Address(String),
    /// It cannot be reached.
    #[error("the service at {url} cannot be reached: {why}")]
    Unreachable { url: String, why: String },
    /// It said no.
    #[error("{detail}")]
    Refused { status: u16, detail: String, hint: Option<String>, exit_code: Option<u8> },
    /// It answered in words that are not understood.
    #[error("the service at {url} gave an unexpected answer: {why}")]
    Strange { url: String, why: String },
    /// A run ended badly over there.
    #[error("the run {id} on the service is {state}{why}")]
    Run { id: String, state: String, why: String },
    /// A signal came; the run goes on over there.
    #[error("stopped following {id}; it continues on the service")]
    Left { id: String },
}

impl Fault for RemoteError {
    fn kind(&self) -> Kind {
        match self {
            Self::Address(_) => Kind::Usage,
            Self::Refused { exit_code: Some(2), .. } => Kind::Usage,
            Self::Refused { exit_code: Some(3), .. } => Kind::Input,
            Self::Refused { exit_code: Some(4), .. } => Kind::Infeasible,
            Self::Refused { status: 400..=499, exit_code: None, .. } => Kind::Usage,
            Self::Left { .. } => Kind::Interrupted,
            Self::Unreachable { .. } | Self::Refused { .. } | Self::Strange { .. } | Self::Run { .. } => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { status: 401, .. } => Some("set HIBRIT_TOKEN to a token of the service".into()),
            Self::Refused { hint, .. } => hint.clone(),
            Self::Unreachable { .. } => Some("start one with `hibrit serve`, or check --server".into()),
            Self::Left { id } => Some(format!("see its page, or cancel it: POST /api/v1/runs/{id}/cancel")),
            Self::Address(_) | Self::Strange { .. } | Self::Run { .. } => None,
        }
    }
}

/// A problem document.
#[derive(Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    exit_code: Option<u8>,
}

impl<'a> Remote<'a> {
    /// A service by its address; the token comes from HIBRIT_TOKEN.
    pub fn new(url: &str, session: &'a Session) -> Result<Self, RemoteError> {
        let base = url.trim_end_matches('/').to_string();
        let host = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
        if !host.is_some_and(|h| !h.is_empty() && !h.contains(['/', '?', '#', ' '])) {
            return Err(RemoteError::Address(url.into()));
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(PATIENCE))
            .max_redirects(0)
            .build()
            .new_agent();
        let token = std::env::var("HIBRIT_TOKEN").ok().filter(|t| !t.is_empty());
        Ok(Self { base, token, agent, session })
    }

    /// `path` with what makes the service answer as this command line would.
    fn as_report(&self, path: &str) -> String {
        let style = &self.session.style;
        let mark = if path.contains('?') { '&' } else { '?' };
        format!(
            "{path}{mark}format={}&lang={}&width={}&color={}",
            self.session.form, style.lang, style.width, self.session.colour
        )
    }

    fn answer(&self, result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<String, RemoteError> {
        let mut response = self.reached(result)?;
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string();
        text.map_err(|e| RemoteError::Unreachable { url: self.base.clone(), why: e.to_string() })
    }

    fn reached(
        &self,
        result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<ureq::http::Response<ureq::Body>, RemoteError> {
        let mut response =
            result.map_err(|e| RemoteError::Unreachable { url: self.base.clone(), why: e.to_string() })?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(response);
        }
        let text = response.body_mut().read_to_string().unwrap_or_default();
        Err(match serde_json::from_str::<Problem>(&text) {
            Ok(p) => RemoteError::Refused { status, detail: p.detail, hint: p.hint, exit_code: p.exit_code },
            Err(_) => RemoteError::Strange { url: self.base.clone(), why: format!("status {status}") },
        })
    }

    fn get(&self, path: &str) -> Result<String, RemoteError> {
        self.answer(self.authorised(self.agent.get(format!("{}{path}", self.base))).call())
    }

    fn post(&self, path: &str, body: &impl Serialize) -> Result<String, RemoteError> {
        self.answer(self.authorised(self.agent.post(format!("{}{path}", self.base))).send_json(body))
    }

    fn authorised<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, RemoteError> {
        serde_json::from_str(text).map_err(|e| RemoteError::Strange { url: self.base.clone(), why: e.to_string() })
    }

    /// The profile of two tokenizers.
    pub fn analyze(&self, inputs: &InputsOrder) -> Result<(), Failure> {
        self.session.write(self.post(&self.as_report("/api/v1/profiles"), inputs)?)
    }

    /// A decision.
    pub fn decide(&self, order: &DecisionOrder, full: bool) -> Result<(), Failure> {
        self.session.write(self.post(&self.as_report(&format!("/api/v1/decisions?full={full}")), order)?)
    }

    /// Past runs.
    pub fn history(&self) -> Result<(), Failure> {
        self.session.write(self.get(&self.as_report("/api/v1/history"))?)
    }

    /// A past run.
    pub fn past(&self, id: &str) -> Result<(), Failure> {
        self.session.write(self.get(&self.as_report(&format!("/api/v1/history/{}", plain(id)?)))?)
    }

    /// Says how a run turned out; gives how much has been said of it, and the run as JSON.
    pub fn feedback(&self, id: &str, order: &FeedbackOrder) -> Result<serde_json::Value, Failure> {
        let text = self.post(&format!("/api/v1/history/{}/feedback?format=json", plain(id)?), order)?;
        Ok(self.read(&text)?)
    }

    /// Every record as JSON lines.
    pub fn export(&self) -> Result<String, Failure> {
        Ok(self.get("/api/v1/history/export")?)
    }

    /// Starts a run, shows its progress as if it went on here, and prints its report.
    pub fn run(&self, order: &RunOrder) -> Result<(), Failure> {
        // One key for this call: where the answer got lost, asking again does not start a second run.
        let key = format!("cli-{:032x}", rand::random::<u128>());
        let request = |_: u32| {
            let request = self.authorised(self.agent.post(format!("{}/api/v1/runs", self.base)));
            self.answer(request.header("idempotency-key", &key).send_json(order))
        };
        let text = match request(1) {
            Err(RemoteError::Unreachable { .. }) => {
                std::thread::sleep(PAUSE);
                request(2)?
            }
            other => other?,
        };
        let started: RunView = self.read(&text)?;
        let mut progress = self.session.progress();
        progress.observe(&Event::Note { text: format!("The service runs it as {}", started.id) });
        let ended = self.follow(&started.id, &mut progress)?;
        drop(progress);
        if ended.state != "done" {
            let why = ended.failure.map(|w| format!(": {w}")).unwrap_or_default();
            return Err(RemoteError::Run { id: ended.id, state: ended.state, why }.into());
        }
        let report = self.get(&self.as_report(&format!("/api/v1/history/{}", started.id)))?;
        self.session.write(report)
    }

    /// Hears a run's events until it has ended; where the stream breaks, it is taken up after the last one.
    fn follow(&self, id: &str, observer: &mut dyn Observer) -> Result<RunView, RemoteError> {
        let mut last: Option<u64> = None;
        loop {
            let mut request = self.authorised(self.agent.get(format!("{}/api/v1/runs/{id}/events", self.base)));
            if let Some(n) = last {
                request = request.header("last-event-id", n.to_string());
            }
            match self.reached(request.call()) {
                Ok(response) => {
                    let body = response.into_body().into_reader();
                    if self.listen(id, BufReader::new(body), &mut last, observer)? {
                        let text = self.get(&format!("/api/v1/runs/{id}"))?;
                        return self.read(&text);
                    }
                }
                Err(RemoteError::Unreachable { .. }) => {}
                Err(other) => return Err(other),
            }
            if self.session.stop.load(Ordering::Relaxed) {
                return Err(RemoteError::Left { id: id.into() });
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Reads a stream of events; whether it said that nothing more comes.
    fn listen(
        &self,
        id: &str,
        from: BufReader<impl Read>,
        last: &mut Option<u64>,
        observer: &mut dyn Observer,
    ) -> Result<bool, RemoteError> {
        let (mut kind, mut number, mut data) = (String::new(), None, String::new());
        for line in from.lines() {
            // A stream that breaks is taken up again.
            let Ok(line) = line else { return Ok(false) };
            if self.session.stop.load(Ordering::Relaxed) {
                return Err(RemoteError::Left { id: id.into() });
            }
            match line.split_once(':').map(|(name, value)| (name, value.trim_start())) {
                Some(("event", value)) => kind = value.into(),
                Some(("id", value)) => number = value.parse().ok(),
                Some(("data", value)) => data.push_str(value),
                _ if line.is_empty() => {
                    if kind == "end" {
                        return Ok(true);
                    }
                    // What a newer service says and this program does not know is left out.
                    if kind == "run"
                        && let Ok(event) = serde_json::from_str::<Event>(&data)
                    {
                        observer.observe(&event);
                    }
                    *last = number.or(*last);
                    kind.clear();
                    number = None;
                    data.clear();
                }
                _ => {}
            }
        }
        Ok(false)
    }
}

/// An id that can stand in an address as it is.
fn plain(id: &str) -> Result<&str, RemoteError> {
    let fits = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if fits { Ok(id) } else { Err(RemoteError::Address(id.into())) }
}

/// Names instead of paths: what stands on the command line is what the service's catalog calls things.
pub fn name(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}
