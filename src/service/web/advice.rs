//! Pages of decisions and profiles: measured from names of the catalog, or decided on what is stored.

use super::runs::Fields;
use super::{PageContext, choose, elements, label, number};
use crate::app;
use crate::domain::event::Silent;
use crate::domain::resources::Priority;
use crate::report::{self, Background};
use crate::service::api::{InputsOrder, ResourcesOrder};
use crate::service::decisions::decide_on;
use crate::service::error::ApiError;
use crate::service::profiles::lines;
use crate::service::service::Service;
use axum::Router;
use axum::extract::{Path, RawForm, RawQuery, State};
use axum::response::Redirect;
use axum::routing::get;
use maud::{Markup, html};
use std::sync::Arc;

pub fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/decide", get(decide).post(measure))
        .route("/profiles", get(list))
        .route("/profiles/{name}", get(show))
}

const PRIORITIES: [Priority; 5] =
    [Priority::Balanced, Priority::Fastest, Priority::Quality, Priority::Tight, Priority::Research];

fn resources(fields: &Fields) -> Result<ResourcesOrder, ApiError> {
    let priority = match fields.one("priority") {
        Some(p) => Some(
            PRIORITIES
                .into_iter()
                .find(|k| k.to_string() == p)
                .ok_or_else(|| ApiError::unprocessable("there is no such priority"))?,
        ),
        None => None,
    };
    Ok(ResourcesOrder {
        devices: fields.number("devices")?,
        memory: fields.number::<f64>("memory")?.map(|gib| (gib * f64::from(1 << 30)) as u64),
        budget: fields.number::<f64>("budget")?.map(|hours| hours * 3600.0),
        priority,
    })
}

fn resource_fields(look: &PageContext, fields: &Fields) -> Markup {
    let priorities: Vec<String> = PRIORITIES.iter().map(ToString::to_string).collect();
    html! {
        label { (look.say("budget")) input type="number" name="budget" min="0" step="any" value=[fields.one("budget")]; }
        label { (look.say("memory")) input type="number" name="memory" min="0" step="any" value=[fields.one("memory")]; }
        label { (look.say("devices")) input type="number" name="devices" min="1" max="4096" value=(fields.one("devices").unwrap_or("1")); }
        label { (look.say("priority")) (choose("priority", &priorities, None, fields.one("priority"))) }
    }
}

/// The form, and with a profile in the query the decision on it.
async fn decide(
    look: PageContext,
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
) -> Result<Markup, ApiError> {
    let fields = Fields::read(query.unwrap_or_default().as_bytes())?;
    let wanted = resources(&fields)?.resources()?;
    let shared = service.clone();
    service
        .deciding(move || {
            let answer = match fields.one("profile") {
                Some(name) => {
                    let profile = shared.profile(name).ok_or_else(|| ApiError::not_found("such profile"))?;
                    let decided = decide_on(&shared, name, &profile, &wanted)?;
                    let advisor = shared.advisor();
                    let background = Background { seed: advisor.seed(), runs: advisor.runs() };
                    Some(report::html::decision_parts(&profile, &decided.decision, background, look.lang))
                }
                None => None,
            };
            let names = shared.catalog.names(&shared.config.devices);
            let stored = lines(&shared);
            let content = html! {
                @if let Some(answer) = &answer { section #answer { (elements(answer.body.clone())) } }
                p { (look.say("decide-why")) }
                section.forms {
                    @if !stored.is_empty() {
                        form method="get" action="/decide" {
                            h2 { (look.say("decide-stored")) }
                            label { (look.say("decide-stored"))
                                select name="profile" { @for p in &stored {
                                    option value=(p.name) selected[fields.one("profile") == Some(&p.name)] {
                                        (label(&p.source)) " → " (label(&p.candidate)) " (" (p.name.chars().take(8).collect::<String>()) ")"
                                    }
                                } }
                            }
                            (resource_fields(&look, &fields))
                            button { (look.say("decide-go")) }
                        }
                    }
                    form method="post" action="/decide" {
                        h2 { (look.say("decide-measure")) }
                        @if names.tokenizers.is_empty() { p.note { (look.say("start-none")) } } @else {
                            label { (look.say("source")) (choose("source", &names.tokenizers, None, None)) }
                            label { (look.say("candidate")) (choose("candidate", &names.tokenizers, None, None)) }
                            label { (look.say("corpus"))
                                select name="corpus" multiple size=(names.corpora.len().clamp(2, 5)) {
                                    @for one in &names.corpora { option value=(one) { (one) } }
                                }
                            }
                            p.note { (look.say("several")) }
                            (resource_fields(&look, &fields))
                            button { (look.say("decide-measure")) }
                        }
                    }
                }
            };
            let title = answer.map_or_else(|| look.say("decide-title"), |a| a.title);
            Ok(look.page(&title, content))
        })
        .await
}

/// Measures, keeps the profile and goes to the decision on it.
async fn measure(State(service): State<Arc<Service>>, RawForm(form): RawForm) -> Result<Redirect, ApiError> {
    let fields = Fields::read(&form)?;
    let candidate = fields.one("candidate").ok_or_else(|| ApiError::unprocessable("candidate is missing"))?;
    let order = InputsOrder {
        source: fields.one("source").map(str::to_string),
        candidate: candidate.into(),
        corpus: fields.all("corpus"),
        model: fields.one("model").map(str::to_string),
    };
    let wanted = resources(&fields)?;
    wanted.resources()?;
    let inputs = order.inputs(&service.catalog)?;
    let shared = service.clone();
    let (name, _) = service.heavy(move || Ok(shared.keep_profile(app::analyze(&inputs, &mut Silent)?)?)).await?;
    let mut to = format!("/decide?profile={name}");
    // Numbers and one of five words: nothing here needs escaping.
    for (key, value) in [
        ("devices", fields.number::<u32>("devices")?.map(|n| n.to_string())),
        ("memory", fields.number::<f64>("memory")?.map(|n| n.to_string())),
        ("budget", fields.number::<f64>("budget")?.map(|n| n.to_string())),
        ("priority", wanted.priority.map(|p| p.to_string())),
    ] {
        if let Some(value) = value {
            to.push_str(&format!("&{key}={value}"));
        }
    }
    Ok(Redirect::to(&to))
}

async fn list(look: PageContext, State(service): State<Arc<Service>>) -> Markup {
    let stored = lines(&service);
    let content = html! {
        @if stored.is_empty() { p { (look.say("profiles-none")) } } @else {
            div.table { table.rows {
                thead { tr {
                    th { (look.say("name")) } th.right { (look.say("coverage")) } th.right { (look.say("token-ratio")) }
                    th { (look.say("model")) } th { span.unseen { (look.say("decide-go")) } }
                } }
                tbody { @for p in &stored {
                    tr {
                        th scope="row" { a href={ "/profiles/" (p.name) } { (label(&p.source)) " → " (label(&p.candidate)) } }
                        td.right { (number(Some(100.0 * p.coverage), 1, look.lang)) " %" }
                        td.right { (number(p.token_ratio, 3, look.lang)) }
                        td { (p.model.as_deref().map_or("–", label)) }
                        td { a href={ "/decide?profile=" (p.name) } { (look.say("decide-go")) } }
                    }
                } }
            } }
        }
    };
    look.page(&look.say("profiles-title"), content)
}

async fn show(
    look: PageContext,
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
) -> Result<Markup, ApiError> {
    let profile = service.profile(&name).ok_or_else(|| ApiError::not_found("such profile"))?;
    service
        .spawn_blocking(move || {
            let report = report::html::profile_parts(&profile, look.lang);
            Ok(look.page(
                &report.title,
                html! {
                    p.links { a href={ "/decide?profile=" (name) } { (look.say("decide-go")) } }
                    (elements(report.body))
                },
            ))
        })
        .await
}
