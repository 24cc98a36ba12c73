//! Runs over HTTP: started, listed, looked at, cancelled, resumed. Carrying them out is the worker's business; a run that
//! has ended is looked at in the history.

use super::api::{RunOrder, RunTask, RunView, RunViews};
use super::curves::{self, Series};
use super::error::{ApiError, Problem};
use super::openapi::{Body, Params, PathParam, Routes};
use super::reports::{self, ReportQuery};
use super::service::{Service, refused};
use crate::app::{self, Cancelled, Job, State as JobState, Submitted};
use crate::report;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes.
pub fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(show))
        .routes(routes!(cancel))
        .routes(routes!(resume))
        .routes(routes!(curve))
}

/// The id in the history of the run that a job has led to: the job's own, once it stands there.
pub fn past_id(service: &Service, job: &str) -> Option<String> {
    service.advisor().run(job).map(|run| run.id.clone())
}

/// A job as clients see it.
pub fn view(service: &Service, job: Job) -> RunView {
    let progress = service.live.track(&job.id).map(|track| track.progress());
    let run = past_id(service, &job.id);
    RunView::new(job, progress, run)
}

/// Queues a run; the answer says whether it is new.
pub fn submit(service: &Service, order: &RunOrder, key: Option<&str>) -> Result<(Job, bool), ApiError> {
    if let RunTask::Auto(auto) = &order.task {
        // Names are looked up when it is queued, so that a wrong one is told at once, and again when it is carried out.
        auto.request(&service.catalog, Path::new("unused").into(), "cpu", Arc::new(AtomicBool::new(false)))?;
    }
    if let Some(key) = key.filter(|k| k.is_empty() || k.len() > 200 || !k.chars().all(|c| c.is_ascii_graphic())) {
        let key: String = key.chars().take(40).collect();
        return Err(ApiError::unprocessable(format!("an idempotency key is 1 to 200 visible letters, not {key:?}")));
    }
    let task = serde_json::to_value(order).map_err(|e| ApiError::unprocessable(e.to_string()))?;
    let waiting = refused(service.count_jobs())?.get(&JobState::Queued).copied().unwrap_or(0);
    if waiting >= service.config.limits.queued {
        return Err(ApiError::busy("runs"));
    }
    let now = Timestamp::now();
    let id = app::run_id(now, rand::random());
    match refused(service.queue.submit(&id, &task, key, now))? {
        Submitted::New(job) => {
            service.live.notify();
            service.notify();
            Ok((job, true))
        }
        Submitted::Known(job) => Ok((job, false)),
        Submitted::Conflict(job) => Err(ApiError::new(
            StatusCode::CONFLICT,
            format!("another run was started under this idempotency key: {}", job.id),
        )),
    }
}

/// Ends a run, at once or as soon as its worker can.
pub fn end(service: &Service, id: &str) -> Result<Job, ApiError> {
    let job = match refused(service.queue.cancel(id, Timestamp::now()))? {
        Cancelled::AtOnce(job) => job,
        Cancelled::Asked(job) => {
            if let Some(track) = service.live.track(id) {
                track.stop.store(true, Ordering::Relaxed);
            }
            job
        }
    };
    service.live.notify();
    Ok(job)
}

/// Queues a run again.
pub fn go_on(service: &Service, id: &str) -> Result<Job, ApiError> {
    let job = refused(service.queue.resume(id))?;
    service.live.notify();
    service.notify();
    Ok(job)
}

/// Which runs to list.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Which {
    /// Only those in this state: queued, leased, running, done, failed, cancelled.
    state: Option<String>,
    /// At most so many, 100 where it is left out.
    limit: Option<usize>,
}

/// Runs
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(Which),
    responses((status = 200, description = "The latest first", body = RunViews),
              (status = 422, description = "No such state", body = Problem)))]
async fn list(State(service): State<Arc<Service>>, Params(which): Params<Which>) -> Result<Json<RunViews>, ApiError> {
    let state: Option<JobState> = match &which.state {
        Some(state) => Some(state.parse().map_err(|_| {
            ApiError::unprocessable("a state is one of queued, leased, running, done, failed, cancelled")
        })?),
        None => None,
    };
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            let jobs = refused(shared.queue.list())?;
            let jobs = jobs.into_iter().filter(|j| state.is_none_or(|s| s == j.state));
            let runs = jobs.take(which.limit.unwrap_or(100)).map(|job| view(&shared, job)).collect();
            Ok(Json(RunViews { runs }))
        })
        .await
}

/// Start a run
///
/// It is queued, on the disk when this answers. With an `Idempotency-Key`, handing the same order in again gives the
/// run that is there already.
#[utoipa::path(post, path = "/api/v1/runs", tag = "runs", request_body = RunOrder,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 200 visible ASCII letters")),
    responses((status = 202, description = "Queued", body = RunView),
              (status = 200, description = "It was started before", body = RunView),
              (status = 409, description = "The key belongs to another order", body = Problem),
              (status = 422, description = "It cannot be carried out", body = Problem),
              (status = 429, description = "Too many wait", body = Problem)))]
async fn start(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Body(order): Body<RunOrder>,
) -> Result<Response, ApiError> {
    let key = match headers.get("idempotency-key").map(|v| v.to_str()) {
        Some(Ok(key)) => Some(key.to_string()),
        Some(Err(_)) => return Err(ApiError::unprocessable("an idempotency key is 1 to 200 visible letters")),
        None => None,
    };
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            let (job, new) = submit(&shared, &order, key.as_deref())?;
            let status = if new { StatusCode::ACCEPTED } else { StatusCode::OK };
            let location = [("location", format!("/api/v1/runs/{}", job.id))];
            Ok((status, location, Json(view(&shared, job))).into_response())
        })
        .await
}

/// A run
///
/// How it stands. With `format`, the report of the command line, once there is one.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs", params(("id" = String, Path), ReportQuery),
    responses((status = 200, description = "How it stands", body = RunView),
              (status = 404, description = "No such run", body = Problem)))]
async fn show(
    State(service): State<Arc<Service>>,
    PathParam(id): PathParam<String>,
    Params(wanted): Params<ReportQuery>,
) -> Result<Response, ApiError> {
    let wanted = wanted.report()?;
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            let job = refused(shared.queue.get(&id))?;
            let Some((form, style)) = wanted else { return Ok(Json(view(&shared, job)).into_response()) };
            let past = past_id(&shared, &id).ok_or_else(|| ApiError::not_found("report of this run yet"))?;
            let run = refused(app::run(&shared.config.settings, &past))?;
            Ok(reports::answer(form, report::run(&run, form, &style)))
        })
        .await
}

/// Cancel a run
///
/// One that waits will not begin; one that runs saves what it has learnt and ends.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, description = "As it stands now", body = RunView),
              (status = 404, description = "No such run", body = Problem),
              (status = 409, description = "It has ended", body = Problem)))]
async fn cancel(
    State(service): State<Arc<Service>>,
    PathParam(id): PathParam<String>,
) -> Result<Json<RunView>, ApiError> {
    let shared = service.clone();
    service.spawn_blocking(move || end(&shared, &id).map(|job| Json(view(&shared, job)))).await
}

/// Resume a run
///
/// One that was cancelled or has failed is queued again.
#[utoipa::path(post, path = "/api/v1/runs/{id}/resume", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, description = "As it stands now", body = RunView),
              (status = 404, description = "No such run", body = Problem),
              (status = 409, description = "It is under way or done", body = Problem)))]
async fn resume(
    State(service): State<Arc<Service>>,
    PathParam(id): PathParam<String>,
) -> Result<Json<RunView>, ApiError> {
    let shared = service.clone();
    service.spawn_blocking(move || go_on(&shared, &id).map(|job| Json(view(&shared, job)))).await
}

/// Learning curves.
#[derive(Debug, Serialize, ToSchema)]
struct Curve {
    /// One for each branch, and one for what came before.
    series: Vec<Series>,
}

/// The learning curves of a run
///
/// From its journal, as far as it is; at most some hundred points each.
#[utoipa::path(get, path = "/api/v1/runs/{id}/curve", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, description = "The curves", body = Curve),
              (status = 404, description = "No such run", body = Problem)))]
async fn curve(State(service): State<Arc<Service>>, PathParam(id): PathParam<String>) -> Result<Json<Curve>, ApiError> {
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            refused(shared.queue.get(&id))?;
            Ok(Json(Curve { series: curves::of_journal(&shared.journal(&id)) }))
        })
        .await
}
