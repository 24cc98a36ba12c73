//! Pages of the history: past runs, one of them with its decision, two of them side by side, and what people say.

use super::chart;
use super::runs::{By, Fields, curve_figure, figures, named, svg};
use super::{PageContext, choose, elements, label, moment};
use crate::app;
use crate::domain::run::Run;
use crate::domain::strategy::Strategy;
use crate::report::{self, Background};
use crate::service::api::{FeedbackOrder, MetricOrder};
use crate::service::curves;
use crate::service::error::ApiError;
use crate::service::history::{Search, differences, note};
use crate::service::service::{Service, refused};
use axum::Router;
use axum::extract::{Path, Query, RawForm, State};
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;
use strum::IntoEnumIterator;

pub fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/history", get(list))
        .route("/past/{id}", get(show))
        .route("/past/{id}/curve", get(curve))
        .route("/past/{id}/decision", get(decision))
        .route("/past/{id}/feedback", post(judge))
        .route("/compare", get(compare))
}

fn status(look: &PageContext, run: &Run) -> (String, String) {
    let name = run.status.map_or("open".to_string(), |s| s.to_string());
    (look.one_of("status", &name), name)
}

async fn list(
    look: PageContext,
    State(service): State<Arc<Service>>,
    Query(search): Query<Search>,
) -> Result<Markup, ApiError> {
    let advisor = service.advisor();
    service
        .spawn_blocking(move || {
            let runs = search.find(advisor.runs())?;
            let strategies: Vec<String> = Strategy::iter().map(|s| s.to_string()).collect();
            let states: Vec<String> = ["done", "stopped", "failed", "interrupted"].map(String::from).to_vec();
            let all = look.say("all");
            let content = html! {
                form.line role="search" method="get" action="/history" {
                    label { (look.say("search")) input type="search" name="q" value=[search.q.as_deref()] #search; }
                    label { (look.say("strategy")) (choose("strategy", &strategies, Some(&all), search.strategy.as_deref())) }
                    label { (look.say("state")) (choose("status", &states, Some(&all), search.status.as_deref())) }
                    button { (look.say("search")) }
                }
                @if runs.is_empty() {
                    p { (look.say("history-none")) }
                } @else {
                    form method="get" action="/compare" #picks {
                        div.table {
                            table.rows {
                                thead { tr {
                                    th { span.unseen { (look.say("compare")) } }
                                    th { (look.say("what")) } th { (look.say("strategy")) } th { (look.say("state")) }
                                    th.right { (look.say("bits-per-byte")) } th.right { (look.say("saved")) }
                                    th { (look.say("when")) }
                                } }
                                tbody {
                                    @for run in &runs {
                                        @let (bits, saved) = figures(&look, run);
                                        @let (shown, state) = status(&look, run);
                                        @let strategy = run.outcome.as_ref().map_or(run.decision.strategy, |o| o.strategy);
                                        tr {
                                            td { input type="checkbox" name="run" value=(run.id) aria-label=(look.say("compare")); }
                                            th scope="row" { a href={ "/past/" (run.id) } {
                                                (label(&run.request.model)) " → " (label(&run.request.candidate))
                                            } }
                                            td { (strategy) }
                                            td { span.state data-state=(state) { (shown) } }
                                            td.right { (bits) } td.right { (saved) }
                                            td { time datetime=(run.started) { (moment(&run.started)) } }
                                        }
                                    }
                                }
                            }
                        }
                        p { button { (look.say("compare")) } " " span.note { (look.say("compare-pick")) } }
                    }
                    p { a href="/api/v1/history/export" { (look.say("export")) } }
                }
            };
            Ok(look.page(&look.say("history-title"), content))
        })
        .await
}

/// What a person may say of a run.
pub fn feedback_form(look: &PageContext, id: &str) -> Markup {
    html! {
        form method="post" action={ "/past/" (id) "/feedback" } #feedback {
            h2 { (look.say("feedback-title")) }
            p.note { (look.say("feedback-why")) }
            fieldset {
                legend { (look.say("verdict")) }
                @for (value, key) in [("-1", "bad"), ("0", "even"), ("1", "good")] {
                    label.check { input type="radio" name="verdict" value=(value); (look.one_of("verdict", key)) }
                }
            }
            label { (look.say("note")) textarea name="note" rows="3" maxlength="4000" {} }
            fieldset {
                legend { (look.say("metric")) }
                label { (look.say("metric-name")) input name="metric_name" maxlength="100" placeholder="mmlu_tr"; }
                label { (look.say("metric-value")) input name="metric_value" type="number" step="any"; }
            }
            button { (look.say("send")) }
        }
    }
}

fn found(service: &Service, id: &str) -> Result<Run, ApiError> {
    refused(app::run(&service.config.settings, id))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    said: Option<String>,
}

async fn show(
    look: PageContext,
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Query(by): Query<By>,
    Query(said): Query<Said>,
) -> Result<Markup, ApiError> {
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            let run = found(&shared, &id)?;
            let series = named(&look, curves::of_run(&run));
            let report = report::html::run_parts(&run, look.lang);
            let content = html! {
                @if said.said.is_some() { p.answer.good role="status" { (look.say("feedback-thanks")) } }
                p.links { a #decision href={ "/past/" (run.id) "/decision" } { (look.say("open-decision")) } }
                @if !series.is_empty() {
                    (curve_figure(&look, &format!("/past/{}/curve", run.id), chart::drawing(&series, by.axis(), look.lang), false))
                }
                (elements(report.body))
                (feedback_form(&look, &run.id))
            };
            Ok(look.page(&report.title, content))
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
            let series = named(&look, curves::of_run(&found(&shared, &id)?));
            Ok(svg(chart::drawing(&series, by.axis(), look.lang)))
        })
        .await
}

async fn decision(
    look: PageContext,
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
) -> Result<Markup, ApiError> {
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            let run = found(&shared, &id)?;
            let advisor = shared.advisor();
            let background = Background { seed: advisor.seed(), runs: advisor.runs() };
            let report = report::html::decision_parts(&run.profile, &run.decision, background, look.lang);
            Ok(look.page(
                &report.title,
                html! {
                    p.links { a href={ "/past/" (run.id) } { (look.say("report")) } }
                    (elements(report.body))
                },
            ))
        })
        .await
}

async fn judge(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Redirect, ApiError> {
    let fields = Fields::read(&form)?;
    let metric = match (fields.one("metric_name"), fields.number::<f64>("metric_value")?) {
        (Some(name), Some(value)) => Some(MetricOrder { name: name.into(), value }),
        _ => None,
    };
    let order =
        FeedbackOrder { verdict: fields.number("verdict")?, metric, note: fields.one("note").map(str::to_string) };
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            note(&shared, &id, order).map(|run| Redirect::to(&format!("/past/{}?said=yes", run.id)))
        })
        .await
}

async fn compare(
    look: PageContext,
    State(service): State<Arc<Service>>,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> Result<Markup, ApiError> {
    let picked = Fields::read(query.unwrap_or_default().as_bytes())?.all("run");
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            let title = look.say("compare-title");
            let [a, b] = match picked.as_slice() {
                [a, b] => [found(&shared, a)?, found(&shared, b)?],
                _ => {
                    return Ok(look.page(
                        &title,
                        html! {
                            p { (look.say("compare-pick")) }
                            p { a href="/history" { (look.say("nav-history")) } }
                        },
                    ));
                }
            };
            let differ = differences(&a, &b);
            let sides = [("A", &a), ("B", &b)];
            let both = sides.iter().flat_map(|(side, run)| {
                curves::of_run(run).into_iter().filter(|s| s.held_out).map(move |mut s| {
                    s.branch = format!("{side} {}", s.branch);
                    (s.branch.clone(), s)
                })
            });
            let drawn = chart::drawing(&both.collect::<Vec<_>>(), chart::Axis::Bytes, look.lang);
            let short = |v: &Option<String>| v.clone().unwrap_or_else(|| "–".into());
            let content = html! {
                ul { @for (side, run) in sides {
                    li { b { (side) } ": " a href={ "/past/" (run.id) } {
                        (label(&run.request.model)) " → " (label(&run.request.candidate)) }
                        " · " (moment(&run.started)) }
                } }
                @if !drawn.is_empty() { figure { figcaption { (look.say("curve-title")) } (elements(drawn)) } }
                @if differ.is_empty() { p { (look.say("compare-same")) } } @else {
                    h2 { (look.say("compare-what")) }
                    div.table { table #differences {
                        thead { tr { th { (look.say("what")) } th { "A" } th { "B" } } }
                        tbody { @for d in &differ {
                            tr { th scope="row" { (d.what) } td.value { (short(&d.a)) } td.value { (short(&d.b)) } }
                        } }
                    } }
                }
            };
            Ok(look.page(&title, content))
        })
        .await
}
