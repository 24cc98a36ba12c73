//! Pages of runs: what waits, what goes on, a form for more; one run with its live curve.

use super::chart::{self, Axis};
use super::{PageContext, choose, elements, label, moment, number};
use crate::domain::strategy::Strategy;
use crate::report;
use crate::service::api::{AutoTask, DemoTask, ResourcesOrder, RunOrder, RunTask, RunView};
use crate::service::curves::{self, Series};
use crate::service::error::ApiError;
use crate::service::runs::{end, go_on, submit, view};
use crate::service::service::{Service, refused};
use axum::Router;
use axum::extract::{Path, Query, RawForm, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;
use strum::IntoEnumIterator;

/// Runs on one page at most.
const SHOWN: usize = 100;

pub fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/runs", get(list))
        .route("/runs/start", post(start))
        .route("/runs/demo", post(demo))
        .route("/runs/{id}", get(show))
        .route("/runs/{id}/curve", get(curve))
        .route("/runs/{id}/cancel", post(cancel))
        .route("/runs/{id}/resume", post(resume))
}

fn what(look: &PageContext, run: &RunView) -> String {
    match run.order.as_ref().map(|o| &o.task) {
        Some(RunTask::Demo(_)) => look.say("task-demo"),
        Some(RunTask::Auto(auto)) => format!("{} → {}", label(&auto.model), label(&auto.candidate)),
        None => "–".into(),
    }
}

async fn list(look: PageContext, State(service): State<Arc<Service>>) -> Result<Markup, ApiError> {
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            let jobs = refused(shared.queue.list())?.into_iter().take(SHOWN);
            let runs: Vec<RunView> = jobs.map(|job| view(&shared, job)).collect();
            let content = html! {
                @if runs.is_empty() {
                    p { (look.say("runs-none")) }
                } @else {
                    div.table {
                        table.rows {
                            thead { tr {
                                th { (look.say("what")) } th { (look.say("state")) } th { (look.say("when")) }
                            } }
                            tbody {
                                @for run in &runs {
                                    tr {
                                        th scope="row" { a href={ "/runs/" (run.id) } { (what(&look, run)) } }
                                        td { span.state data-state=(run.state) { (look.one_of("state", &run.state)) } }
                                        td { time datetime=(run.submitted) { (moment(&run.submitted)) } }
                                    }
                                }
                            }
                        }
                    }
                }
                p.note { (look.say("runs-past")) }
                section.forms {
                    form method="post" action="/runs/demo" #demo {
                        h2 { (look.say("demo-title")) }
                        p { (look.say("demo-why")) }
                        label.check { input type="checkbox" name="quick" value="yes"; (look.say("demo-quick")) }
                        label { (look.say("seed")) input type="number" name="seed" value="0" min="0" max="999999"; }
                        button { (look.say("demo-start")) }
                    }
                    (start_form(&look, &shared))
                }
            };
            Ok(look.page(&look.say("runs-title"), content))
        })
        .await
}

fn start_form(look: &PageContext, service: &Service) -> Markup {
    let names = service.catalog.names(&service.config.devices);
    let strategies: Vec<String> = Strategy::iter().map(|s| s.to_string()).collect();
    let several = |name: &str| {
        html! {
            select name=(name) multiple required size=(names.corpora.len().clamp(2, 5)) {
                @for one in &names.corpora { option value=(one) { (one) } }
            }
        }
    };
    html! {
        form method="post" action="/runs/start" #start {
            h2 { (look.say("start-title")) }
            @if names.models.is_empty() || names.tokenizers.is_empty() || names.corpora.is_empty() {
                p.note { (look.say("start-none")) }
            } @else {
                label { (look.say("model")) (choose("model", &names.models, None, None)) }
                label { (look.say("candidate")) (choose("candidate", &names.tokenizers, None, None)) }
                label { (look.say("train")) (several("train")) }
                label { (look.say("eval")) (several("eval")) }
                p.note { (look.say("several")) }
                label { (look.say("strategy")) (choose("strategy", &strategies, Some(&look.say("strategy-decided")), None)) }
                label.check { input type="checkbox" name="with_keep" value="yes" checked; (look.say("with-keep")) }
                label { (look.say("train-bytes")) input type="number" name="train_bytes" min="1"; }
                label { (look.say("budget")) input type="number" name="budget" min="0" step="any"; }
                label { (look.say("seed")) input type="number" name="seed" value="0" min="0"; }
                label { (look.say("set")) textarea name="set" rows="2" placeholder="epochs=1" {} }
                button { (look.say("start")) }
            }
        }
    }
}

/// A form's fields, in order; a name may stand there several times.
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// From a body or a query, as a browser writes it.
    ///
    /// # Errors
    /// More fields than any form here has.
    pub fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        let pairs = form_pairs(bytes);
        match pairs.len() {
            0..=200 => Ok(Self(pairs)),
            _ => Err(ApiError::unprocessable("the form has too many fields")),
        }
    }

    /// The first value of a name, where it is not empty.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.trim().is_empty()).map(|(_, v)| v.trim())
    }

    /// All values of a name.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.clone()).collect()
    }

    /// A number, where one is given.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let parse = |v: &str| v.parse().map_err(|_| ApiError::unprocessable(format!("{name} is not a number: {v:?}")));
        self.one(name).map(parse).transpose()
    }
}

/// What a browser sends for a form (application/x-www-form-urlencoded).
fn form_pairs(bytes: &[u8]) -> Vec<(String, String)> {
    let decode = |part: &[u8]| {
        let mut out = Vec::with_capacity(part.len());
        let mut rest = part;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match (first, after) {
                (b'+', _) => out.push(b' '),
                (b'%', [a, b, more @ ..]) => {
                    let hex = |c: &u8| char::from(*c).to_digit(16).and_then(|d| u8::try_from(d).ok());
                    match (hex(a), hex(b)) {
                        (Some(a), Some(b)) => {
                            out.push(a * 16 + b);
                            rest = more;
                        }
                        _ => out.push(b'%'),
                    }
                }
                (other, _) => out.push(*other),
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    };
    let pair = |pair: &[u8]| {
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        (decode(pair.get(..at).unwrap_or_default()), decode(pair.get(at + 1..).unwrap_or_default()))
    };
    bytes.split(|b| *b == b'&').filter(|p| !p.is_empty()).map(pair).collect()
}

async fn demo(State(service): State<Arc<Service>>, RawForm(form): RawForm) -> Result<Redirect, ApiError> {
    let fields = Fields::read(&form)?;
    let task = DemoTask { quick: fields.one("quick").is_some(), seed: fields.number("seed")?.unwrap_or(0) };
    begin(&service, RunOrder { task: RunTask::Demo(task) }).await
}

async fn begin(service: &Arc<Service>, order: RunOrder) -> Result<Redirect, ApiError> {
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            submit(&shared, &order, None).map(|(job, _)| Redirect::to(&format!("/runs/{}", job.id)))
        })
        .await
}

async fn start(State(service): State<Arc<Service>>, RawForm(form): RawForm) -> Result<Redirect, ApiError> {
    let fields = Fields::read(&form)?;
    let needed = |name: &str| {
        fields.one(name).map(str::to_string).ok_or_else(|| ApiError::unprocessable(format!("{name} is missing")))
    };
    let strategy = match fields.one("strategy") {
        Some(s) => Some(s.parse().map_err(|_| ApiError::unprocessable("there is no such strategy"))?),
        None => None,
    };
    let mut set = serde_json::Map::new();
    for line in fields.one("set").unwrap_or_default().lines().filter(|l| !l.trim().is_empty()) {
        let (name, value) =
            line.split_once('=').ok_or_else(|| ApiError::unprocessable(format!("write {line:?} as FIELD=VALUE")))?;
        let value = value.trim();
        let value = serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::String(value.into()));
        set.insert(name.trim().into(), value);
    }
    let task = AutoTask {
        model: needed("model")?,
        source: fields.one("source").map(str::to_string),
        candidate: needed("candidate")?,
        train: fields.all("train"),
        weights: Vec::new(),
        eval: fields.all("eval"),
        strategy,
        with_keep: fields.one("with_keep").is_some(),
        train_bytes: fields.number("train_bytes")?,
        eval_bytes: None,
        set,
        seed: fields.number("seed")?.unwrap_or(0),
        resources: ResourcesOrder {
            budget: fields.number::<f64>("budget")?.map(|hours| hours * 3600.0),
            ..ResourcesOrder::default()
        },
    };
    begin(&service, RunOrder { task: RunTask::Auto(Box::new(task)) }).await
}

/// Series with the names a reader sees.
pub fn named(look: &PageContext, series: Vec<Series>) -> Vec<(String, Series)> {
    let name = |s: &Series| if s.branch.is_empty() { look.say("curve-before") } else { s.branch.clone() };
    series.into_iter().map(|s| (name(&s), s)).collect()
}

/// Buttons for the axis and the curve beside them.
pub fn curve_figure(look: &PageContext, address: &str, drawn: String, live: bool) -> Markup {
    html! {
        figure.curve #curve data-address=(address) data-live=(live) {
            figcaption {
                (look.say("curve-title"))
                span.axes role="group" aria-label=(look.say("by")) {
                    @for axis in Axis::iter() {
                        @let key = match axis { Axis::Step => look.say("axis-step"), Axis::Bytes => look.say("axis-bytes"), Axis::Time => look.say("axis-time") };
                        a href={ "?by=" (axis) "#curve" } data-by=(axis) aria-current=[(axis == Axis::default()).then_some("true")] { (key) }
                    }
                }
            }
            div.drawing aria-live="off" {
                @if drawn.is_empty() { p.note { (look.say("curve-none")) } } @else { (elements(drawn)) }
            }
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct By {
    by: Option<String>,
}

impl By {
    pub fn axis(&self) -> Axis {
        self.by.as_deref().and_then(|by| by.parse().ok()).unwrap_or_default()
    }
}

async fn show(
    look: PageContext,
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Query(by): Query<By>,
) -> Result<Markup, ApiError> {
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            let job = refused(shared.queue.get(&id))?;
            let over = job.state.is_terminal();
            let run = view(&shared, job);
            let series = named(&look, curves::of_journal(&shared.journal(&id)));
            let drawn = chart::drawing(&series, by.axis(), look.lang);
            let advisor = shared.advisor();
            let past = run.run.as_deref().and_then(|past| advisor.run(past));
            let content = html! {
                div #run data-run=(run.id) data-over=(over) {
                    p.standing {
                        span.state data-state=(run.state) #state { (look.one_of("state", &run.state)) }
                        " " (what(&look, &run)) " · " time datetime=(run.submitted) { (moment(&run.submitted)) }
                        @if run.attempts > 1 {
                            " · " (look.say_with("attempts", &[("n", i64::from(run.attempts).into())]))
                        }
                        @if run.cancelling { " · " (look.say("cancelling")) }
                    }
                    @if let Some(why) = &run.failure { p.answer.bad { (why) } }
                    @if !over {
                        p #progress.note role="status" {
                            @if let Some(p) = &run.progress { (p.phase) " " (p.done) "/" (p.total) " " (p.unit) " · " (p.note) }
                        }
                        progress #bar max="100" hidden {}
                        form method="post" action={ "/runs/" (run.id) "/cancel" } { button.quiet { (look.say("cancel")) } }
                    }
                    @if matches!(run.state.as_str(), "failed" | "cancelled") {
                        form method="post" action={ "/runs/" (run.id) "/resume" } { button { (look.say("resume")) } }
                    }
                }
                @if let Some(past) = past {
                    p.links {
                        a #decision href={ "/past/" (past.id) "/decision" } { (look.say("open-decision")) }
                        " " a href={ "/past/" (past.id) } { (look.say("open-past")) }
                    }
                }
                (curve_figure(&look, &format!("/runs/{}/curve", run.id), drawn, !over))
                @if let Some(past) = past {
                    @let report = report::html::run_parts(past, look.lang);
                    @if past.outcome.is_some() {
                        h2 { (look.say("report")) }
                        (elements(report.body))
                        (super::past::feedback_form(&look, &past.id))
                    }
                }
                details open[!over] { summary { (look.say("log-title")) } ol #log {} }
            };
            Ok(look.page(&look.say_with("run-title", &[("id", run.id.as_str().into())]), content))
        })
        .await
}

async fn curve(
    look: PageContext,
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Query(by): Query<By>,
) -> Result<Response, ApiError> {
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            refused(shared.queue.get(&id))?;
            let series = named(&look, curves::of_journal(&shared.journal(&id)));
            Ok(svg(chart::drawing(&series, by.axis(), look.lang)))
        })
        .await
}

/// A drawing on its way.
pub fn svg(drawn: String) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], drawn).into_response()
}

async fn cancel(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Result<Redirect, ApiError> {
    let shared = service.clone();
    service.spawn_blocking(move || end(&shared, &id).map(|job| Redirect::to(&format!("/runs/{}", job.id)))).await
}

async fn resume(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Result<Redirect, ApiError> {
    let shared = service.clone();
    service.spawn_blocking(move || go_on(&shared, &id).map(|job| Redirect::to(&format!("/runs/{}", job.id)))).await
}

/// Bits per byte, and what was saved against keep.
pub fn figures(look: &PageContext, run: &crate::domain::run::Run) -> (String, String) {
    let outcome = run.outcome.as_ref();
    let bits = outcome.and_then(|o| o.bits_per_byte).map(|b| b.get());
    (number(bits, 3, look.lang), number(outcome.and_then(|o| o.saved_against_keep), 3, look.lang))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_a_browser_writes_it() {
        let fields = Fields::read(b"train=a.txt&train=b%2Fc.txt&note=y%C3%BCz+%25+&empty=&odd=%zz%4").unwrap();
        assert_eq!(fields.all("train"), ["a.txt", "b/c.txt"]);
        assert_eq!(fields.one("note"), Some("yüz %"));
        assert_eq!((fields.one("empty"), fields.one("odd")), (None, Some("%zz%4")));
        assert!(fields.number::<u64>("note").is_err());
    }
}
