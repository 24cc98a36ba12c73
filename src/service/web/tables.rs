//! Pages of what decides: the rules with their findings, the scorer with its tree.

use super::PageContext;
use crate::app;
use crate::service::error::ApiError;
use crate::service::service::{Service, refused};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use fluent_bundle::FluentValue;
use maud::{Markup, html};
use serde_json::Value;
use std::sync::Arc;

pub fn routes() -> Router<Arc<Service>> {
    Router::new().route("/rules", get(rules)).route("/scorer", get(scorer).post(promote))
}

/// Past decisions that are shown made again.
const REPLAYED: usize = 50;

async fn rules(look: PageContext, State(service): State<Arc<Service>>) -> Result<Markup, ApiError> {
    let settings = service.config.settings.clone();
    service
        .heavy(move || {
            let check = refused(app::check_rules(&settings))?;
            let findings = serde_json::to_value(&check.findings).unwrap_or_default();
            let grids = if check.usable { refused(app::show_rules(&settings, None))? } else { Vec::new() };
            let tests = if check.usable { refused(app::test_rules(&settings))? } else { Vec::new() };
            let passed = tests.iter().filter(|t| t.got == t.wanted).count();
            let replayed = if check.usable { refused(app::replay(&settings))? } else { Vec::new() };
            let flips = replayed.iter().filter(|r| r.flips).count();
            let count = |n: usize| FluentValue::from(u32::try_from(n).unwrap_or(u32::MAX));
            let findings = findings.as_array().cloned().unwrap_or_default();
            let content = html! {
                @if findings.is_empty() { p.answer.good { (look.say("rules-fine")) } } @else {
                    h2 { (look.say("rules-findings")) }
                    ul { @for f in &findings { li { (said(f)) } } }
                }
                p { (look.say_with("rules-tests", &[("passed", count(passed)), ("total", count(tests.len()))])) }
                @for grid in &grids {
                    h2 #(grid.table) { (grid.table) }
                    p.note { (grid.about) }
                    div.table { table {
                        thead { tr { @for h in &grid.headings { th scope="col" { (h) } } } }
                        tbody { @for row in &grid.rows { tr { @for (i, cell) in row.iter().enumerate() {
                            @if i == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                        } } } }
                    } }
                }
                h2 { (look.say("rules-replay")) }
                @if replayed.is_empty() { p { (look.say("rules-replay-none")) } } @else {
                    p { (look.say_with("rules-flips", &[("n", count(flips)), ("total", count(replayed.len()))])) }
                    div.table { table {
                        thead { tr { th { (look.say("what")) } th { (look.say("was")) } th { (look.say("now")) } th { (look.say("why")) } } }
                        tbody { @for r in replayed.iter().filter(|r| r.flips).take(REPLAYED) {
                            tr {
                                th scope="row" { a href={ "/past/" (r.run) } { (r.run) } }
                                td { (r.was) } td { (r.now.map_or("–".into(), |s| s.to_string())) } td { (r.because) }
                            }
                        } }
                    } }
                }
            };
            Ok(look.page(&look.say("rules-title"), content))
        })
        .await
}

/// A finding in a line.
fn said(finding: &Value) -> String {
    let text = |key: &str| finding[key].as_str().unwrap_or_default().to_string();
    let place = format!("{}:{}", text("file"), finding["line"]);
    let parts = [place, text("code"), text("message"), text("hint")];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" · ")
}

fn scorer_page(look: &PageContext, explanation: Option<&str>, came: Option<&str>) -> Markup {
    look.page(
        &look.say("scorer-title"),
        html! {
            @if let Some(came) = came { h2 { (look.say("scorer-said")) } pre { (came) } }
            @match explanation {
                Some(text) => pre { (text) },
                None => p { (look.say("scorer-none")) },
            }
            form method="post" action="/scorer" {
                button { (look.say("scorer-promote")) }
                p.note { (look.say("scorer-promote-why")) }
            }
        },
    )
}

async fn scorer(look: PageContext, State(service): State<Arc<Service>>) -> Result<Markup, ApiError> {
    let settings = service.config.settings.clone();
    service
        .spawn_blocking(move || {
            let found = refused(app::explain_scorer(&settings))?;
            Ok(scorer_page(&look, found.as_ref().map(|(_, text)| text.as_str()), None))
        })
        .await
}

async fn promote(look: PageContext, State(service): State<Arc<Service>>) -> Result<Markup, ApiError> {
    let shared = service.clone();
    service
        .heavy(move || {
            let settings = &shared.config.settings;
            let (growth, promotion) = refused(app::promote_scorer(settings))?;
            shared.refresh();
            let found = refused(app::explain_scorer(settings))?;
            let came = app::describe(&growth, promotion.as_ref());
            Ok(scorer_page(&look, found.as_ref().map(|(_, text)| text.as_str()), Some(&came)))
        })
        .await
}
