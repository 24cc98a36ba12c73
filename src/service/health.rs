//! Is the service well, what does it count, and which names does it know?

use super::catalog::Names;
use super::error::{ApiError, Problem};
use super::openapi::Routes;
use super::service::{Service, refused};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes.
pub fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready)).routes(routes!(metrics)).routes(routes!(catalog))
}

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// ok, or draining.
    status: &'static str,
    /// hibrit's version.
    version: &'static str,
}

fn health(status: &'static str) -> Json<Health> {
    Json(Health { status, version: env!("CARGO_PKG_VERSION") })
}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, description = "Yes", body = Health)))]
async fn alive() -> Json<Health> {
    health("ok")
}

/// Whether the service takes work
#[utoipa::path(get, path = "/readyz", tag = "service",
    responses((status = 200, description = "Yes", body = Health), (status = 503, description = "It ends", body = Health)))]
async fn ready(State(service): State<Arc<Service>>) -> Result<Response, ApiError> {
    if service.is_draining() {
        return Ok((StatusCode::SERVICE_UNAVAILABLE, health("draining")).into_response());
    }
    let shared = service.clone();
    service.spawn_blocking(move || refused(shared.count_jobs()).map(|_| ())).await?;
    Ok(health("ok").into_response())
}

/// What the service counts, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, description = "OpenMetrics", content_type = "application/openmetrics-text", body = String)))]
async fn metrics(State(service): State<Arc<Service>>) -> Result<Response, ApiError> {
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            refused(shared.count_jobs())?;
            let kind = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
            Ok((kind, shared.metrics.text()).into_response())
        })
        .await
}

/// The names a client may say
#[utoipa::path(get, path = "/api/v1/catalog", tag = "service",
    responses((status = 200, description = "Models, tokenizers, texts, devices", body = Names),
              (status = 429, description = "Too many at once", body = Problem)))]
async fn catalog(State(service): State<Arc<Service>>) -> Result<Json<Names>, ApiError> {
    let shared = service.clone();
    service.spawn_blocking(move || Ok(Json(shared.catalog.names(&shared.config.devices)))).await
}
