//! Past runs over HTTP: found, looked at, compared, judged, carried away.

use super::api::{FeedbackOrder, PastRun};
use super::error::{ApiError, Problem};
use super::openapi::{Body, Params, PathParam, Routes};
use super::reports::{self, ReportQuery};
use super::service::{Service, refused};
use crate::app;
use crate::domain::outcome::Status;
use crate::domain::run::{Feedback, Run};
use crate::domain::strategy::Strategy;
use crate::report;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes.
pub fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(export))
        .routes(routes!(compare))
        .routes(routes!(show))
        .routes(routes!(judge))
}

/// Which past runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct Search {
    /// Only those whose model, tokenizers, texts, notes or id contain this.
    pub q: Option<String>,
    /// Only those that came out with this strategy.
    pub strategy: Option<String>,
    /// Only those that ended so: done, stopped, failed, interrupted.
    pub status: Option<String>,
    /// Only those that began at or after this time (UTC, RFC 3339).
    pub since: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Search {
    /// What it finds, the newest first.
    ///
    /// # Errors
    /// A strategy or status that there is not.
    pub fn find<'a>(&self, runs: &'a [Run]) -> Result<Vec<&'a Run>, ApiError> {
        let given = |v: &Option<String>| v.clone().filter(|v| !v.is_empty());
        let strategy = match given(&self.strategy) {
            Some(s) => Some(s.parse::<Strategy>().map_err(|_| ApiError::unprocessable("there is no such strategy"))?),
            None => None,
        };
        let status: Option<Status> = match given(&self.status) {
            Some(s) => Some(
                serde_json::from_value(Value::String(s))
                    .map_err(|_| ApiError::unprocessable("a status is one of done, stopped, failed, interrupted"))?,
            ),
            None => None,
        };
        let needle = given(&self.q).map(|q| q.to_lowercase());
        let since = given(&self.since);
        let named = |run: &Run| {
            needle.as_ref().is_none_or(|needle| {
                let request = &run.request;
                let notes = run.feedback.iter().filter_map(|f| f.note.as_ref());
                let texts = request.train.iter().chain(&request.eval).chain(notes);
                let all = [&run.id, &request.model, &request.candidate].into_iter().chain(texts);
                all.into_iter().any(|text| text.to_lowercase().contains(needle))
            })
        };
        let kept = runs.iter().filter(|run| {
            let came_out = run.outcome.as_ref().map_or(run.decision.strategy, |o| o.strategy);
            strategy.is_none_or(|s| s == came_out)
                && status.is_none_or(|s| run.status == Some(s))
                && since.as_ref().is_none_or(|s| *s <= run.started)
                && named(run)
        });
        Ok(kept.take(self.limit.unwrap_or(200)).collect())
    }
}

/// Past runs.
#[derive(Debug, Serialize, ToSchema)]
struct PastRuns {
    /// The newest first.
    runs: Vec<PastRun>,
}

/// Past runs
///
/// With `format`, the list of the command line.
#[utoipa::path(get, path = "/api/v1/history", tag = "history", params(Search, ReportQuery),
    responses((status = 200, description = "The newest first", body = PastRuns),
              (status = 422, description = "No such strategy or status", body = Problem)))]
async fn list(
    State(service): State<Arc<Service>>,
    Params(search): Params<Search>,
    Params(wanted): Params<ReportQuery>,
) -> Result<Response, ApiError> {
    let wanted = wanted.report()?;
    let advisor = service.advisor();
    service
        .spawn_blocking(move || {
            let runs: Vec<Run> = search.find(advisor.runs())?.into_iter().cloned().collect();
            match wanted {
                Some((form, style)) => Ok(reports::answer(form, report::history(&runs, form, &style))),
                None => {
                    let runs = runs.into_iter().map(|run| PastRun { run }).collect();
                    Ok(Json(PastRuns { runs }).into_response())
                }
            }
        })
        .await
}

/// A past run, whole
///
/// Its id, or the beginning of it where that is unique.
#[utoipa::path(get, path = "/api/v1/history/{id}", tag = "history", params(("id" = String, Path), ReportQuery),
    responses((status = 200, description = "The run", body = PastRun),
              (status = 404, description = "No such run", body = Problem)))]
async fn show(
    State(service): State<Arc<Service>>,
    PathParam(id): PathParam<String>,
    Params(wanted): Params<ReportQuery>,
) -> Result<Response, ApiError> {
    let wanted = wanted.report()?;
    let settings = service.config.settings.clone();
    service
        .spawn_blocking(move || {
            let run = refused(app::run(&settings, &id))?;
            match wanted {
                Some((form, style)) => Ok(reports::answer(form, report::run(&run, form, &style))),
                None => Ok(Json(PastRun { run }).into_response()),
            }
        })
        .await
}

/// Takes a person's word on a run.
pub fn note(service: &Service, id: &str, order: FeedbackOrder) -> Result<Run, ApiError> {
    if order.verdict.is_none() && order.metric.is_none() && order.note.as_ref().is_none_or(|n| n.trim().is_empty()) {
        return Err(ApiError::unprocessable("a verdict, a metric or a note is needed"));
    }
    if order.note.as_ref().is_some_and(|n| n.chars().count() > 4_000) {
        return Err(ApiError::unprocessable("a note has at most 4,000 letters"));
    }
    if order.metric.as_ref().is_some_and(|m| m.name.is_empty() || m.name.len() > 100) {
        return Err(ApiError::unprocessable("a metric's name has 1 to 100 letters"));
    }
    let metric = order.metric.map(|m| (m.name, m.value));
    let feedback = Feedback { at: app::now(), verdict: order.verdict, metric, note: order.note };
    let run = refused(app::give_feedback(&service.config.settings, id, feedback))?;
    service.refresh();
    Ok(run)
}

/// Judge a run
#[utoipa::path(post, path = "/api/v1/history/{id}/feedback", tag = "history",
    params(("id" = String, Path), ReportQuery), request_body = FeedbackOrder,
    responses((status = 200, description = "The run, with what was said", body = PastRun),
              (status = 404, description = "No such run", body = Problem),
              (status = 422, description = "Nothing is said, or a number is out of its range", body = Problem)))]
async fn judge(
    State(service): State<Arc<Service>>,
    PathParam(id): PathParam<String>,
    Params(wanted): Params<ReportQuery>,
    Body(order): Body<FeedbackOrder>,
) -> Result<Response, ApiError> {
    let wanted = wanted.report()?;
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            let run = note(&shared, &id, order)?;
            match wanted {
                Some((form, style)) => Ok(reports::answer(form, report::run(&run, form, &style))),
                None => Ok(Json(PastRun { run }).into_response()),
            }
        })
        .await
}

/// Everything, to carry away
///
/// Runs, scorers and decisions as JSON lines, as `hibrit history export` writes and `import` reads them.
#[utoipa::path(get, path = "/api/v1/history/export", tag = "history",
    responses((status = 200, description = "JSON lines", content_type = "application/x-ndjson", body = String),
              (status = 404, description = "There is no history yet", body = Problem)))]
async fn export(State(service): State<Arc<Service>>) -> Result<Response, ApiError> {
    let settings = service.config.settings.clone();
    let (lines, _) = service.heavy(move || refused(app::export_lines(&settings))).await?;
    let name = "attachment; filename=\"hibrit-history.jsonl\"";
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson"), (header::CONTENT_DISPOSITION, name)], lines).into_response())
}

/// Two runs.
#[derive(Debug, Clone, PartialEq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Two {
    /// The one.
    a: String,
    /// The other.
    b: String,
}

/// Where two runs differ.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Difference)]
pub struct RunDifference {
    /// What, with dots.
    pub what: String,
    /// In the one; left out where it is not there.
    pub a: Option<String>,
    /// In the other.
    pub b: Option<String>,
}

/// Two runs side by side.
#[derive(Debug, Serialize, ToSchema)]
struct Compared {
    /// Only what differs.
    differences: Vec<RunDifference>,
}

/// Compare two runs
///
/// Only what differs.
#[utoipa::path(get, path = "/api/v1/history/compare", tag = "history", params(Two),
    responses((status = 200, description = "What differs", body = Compared),
              (status = 404, description = "No such run", body = Problem)))]
async fn compare(State(service): State<Arc<Service>>, Params(two): Params<Two>) -> Result<Json<Compared>, ApiError> {
    let settings = service.config.settings.clone();
    service
        .spawn_blocking(move || {
            let (a, b) = (refused(app::run(&settings, &two.a))?, refused(app::run(&settings, &two.b))?);
            Ok(Json(Compared { differences: differences(&a, &b) }))
        })
        .await
}

/// What differs between two runs, apart from what differs between any two: ids, times, curves.
pub fn differences(a: &Run, b: &Run) -> Vec<RunDifference> {
    let flat = |run: &Run| {
        let mut of = BTreeMap::new();
        let whole = serde_json::to_value(run).unwrap_or_default();
        for part in ["request", "profile", "decision", "outcome", "status", "version"] {
            flatten(part, &whole[part], &mut of);
        }
        of
    };
    let (a, b) = (flat(a), flat(b));
    let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
    keys.sort();
    keys.dedup();
    let differ = keys.into_iter().filter(|key| a.get(*key) != b.get(*key));
    differ.map(|key| RunDifference { what: key.clone(), a: a.get(key).cloned(), b: b.get(key).cloned() }).collect()
}

fn flatten(name: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (field, value) in fields {
                // The points of a curve are drawn, not listed.
                if field != "curve" {
                    flatten(&format!("{name}.{field}"), value, into);
                }
            }
        }
        Value::Array(items) => {
            let own = |item: &Value| {
                ["name", "strategy", "row", "class"].iter().find_map(|k| item[*k].as_str().map(str::to_string))
            };
            for (i, item) in items.iter().enumerate() {
                let key = own(item).unwrap_or_else(|| i.to_string());
                flatten(&format!("{name}.{key}"), item, into);
            }
        }
        Value::String(text) => {
            into.insert(name.into(), text.clone());
        }
        Value::Bool(_) | Value::Number(_) => {
            into.insert(name.into(), value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::example;

    #[test]
    fn a_run_does_not_differ_from_itself_and_another_differs_where_it_was_changed() {
        let a = example::run("a");
        assert_eq!(differences(&a, &a.clone()), []);
        let mut b = a.clone();
        b.request.seed = 99;
        b.id = "b".into();
        let found = differences(&a, &b);
        assert_eq!(found.iter().map(|d| d.what.as_str()).collect::<Vec<_>>(), ["request.seed"]);
        assert_eq!(found[0].b.as_deref(), Some("99"));
    }

    #[test]
    fn a_search_looks_into_names_and_notes_whatever_their_case() {
        let mut run = example::run("20260101T000000Z-0");
        run.feedback.push(Feedback { at: String::new(), verdict: None, metric: None, note: Some("Reads WELL".into()) });
        let runs = [run];
        let find = |q: &str| Search { q: Some(q.into()), ..Search::default() }.find(&runs).unwrap().len();
        assert_eq!((find("reads well"), find("nonsense"), find("")), (1, 0, 1));
        assert!(Search { strategy: Some("walk".into()), ..Search::default() }.find(&runs).is_err());
        assert!(Search { status: Some("gone".into()), ..Search::default() }.find(&runs).is_err());
    }
}
