//! Rules and scorer over HTTP: shown, checked, tested, replayed, evaluated, promoted.

use super::error::{ApiError, Problem};
use super::openapi::{Params, Routes};
use super::service::{Service, refused};
use crate::app::{self, Growth};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes.
pub fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(rules))
        .routes(routes!(check))
        .routes(routes!(replay))
        .routes(routes!(scorer))
        .routes(routes!(evaluate))
        .routes(routes!(promote))
}

/// Which table.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Which {
    /// Its name; all of them where it is left out.
    table: Option<String>,
}

fn value(data: &impl Serialize) -> Value {
    serde_json::to_value(data).unwrap_or(Value::Null)
}

/// The decision tables
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules", params(Which),
    responses((status = 200, description = "Tables as grids", body = Value),
              (status = 422, description = "No such table", body = Problem)))]
async fn rules(State(service): State<Arc<Service>>, Params(which): Params<Which>) -> Result<Json<Value>, ApiError> {
    let shared = service.clone();
    service
        .spawn_blocking(move || {
            let grids = refused(app::show_rules(&shared.config.settings, which.table.as_deref()))?;
            let sha256 = shared.advisor().rules_sha256().to_string();
            Ok(Json(json!({ "rules_sha256": sha256, "tables": value(&grids) })))
        })
        .await
}

/// What is wrong with the rules
///
/// Gaps, overlaps, rows nothing reaches; and whether the tables' own tests hold.
#[utoipa::path(get, path = "/api/v1/rules/check", tag = "rules",
    responses((status = 200, description = "Findings and tests", body = Value)))]
async fn check(State(service): State<Arc<Service>>) -> Result<Json<Value>, ApiError> {
    let settings = service.config.settings.clone();
    service
        .heavy(move || {
            let report = refused(app::check_rules(&settings))?;
            let tests = if report.usable { value(&refused(app::test_rules(&settings))?) } else { json!([]) };
            Ok(Json(json!({ "check": value(&report), "tests": tests })))
        })
        .await
}

/// Past decisions under today's rules and scorer
#[utoipa::path(get, path = "/api/v1/rules/replay", tag = "rules",
    responses((status = 200, description = "Each past decision made again", body = Value)))]
async fn replay(State(service): State<Arc<Service>>) -> Result<Json<Value>, ApiError> {
    let settings = service.config.settings.clone();
    service.heavy(move || Ok(Json(json!({ "replayed": value(&refused(app::replay(&settings))?) })))).await
}

/// The live scorer
#[utoipa::path(get, path = "/api/v1/scorer", tag = "scorer",
    responses((status = 200, description = "The scorer and its explanation; null where there is none", body = Value)))]
async fn scorer(State(service): State<Arc<Service>>) -> Result<Json<Value>, ApiError> {
    let settings = service.config.settings.clone();
    service
        .spawn_blocking(move || {
            let found = refused(app::explain_scorer(&settings))?;
            Ok(Json(match found {
                Some((scorer, explanation)) => json!({ "scorer": value(&scorer), "explanation": explanation }),
                None => json!({ "scorer": null, "explanation": null }),
            }))
        })
        .await
}

/// How good choices would have been
#[utoipa::path(get, path = "/api/v1/scorer/evaluation", tag = "scorer",
    responses((status = 200, description = "Grouped cross-validation; null where there is too little history",
               body = Value)))]
async fn evaluate(State(service): State<Arc<Service>>) -> Result<Json<Value>, ApiError> {
    let settings = service.config.settings.clone();
    service.heavy(move || Ok(Json(json!({ "evaluation": value(&refused(app::evaluate_scorer(&settings))?) })))).await
}

/// Grow a scorer and put it to the gate
///
/// From the whole history; it goes live if the gate lets it.
#[utoipa::path(post, path = "/api/v1/scorer/promote", tag = "scorer",
    responses((status = 200, description = "What came of it", body = Value)))]
async fn promote(State(service): State<Arc<Service>>) -> Result<Json<Value>, ApiError> {
    let shared = service.clone();
    service
        .heavy(move || {
            let (growth, promotion) = refused(app::promote_scorer(&shared.config.settings))?;
            shared.refresh();
            let grown = matches!(growth, Growth::Grown(_));
            let said = app::describe(&growth, promotion.as_ref());
            let granted = promotion.as_ref().is_some_and(|p| p.granted);
            Ok(Json(json!({ "grown": grown, "live": granted, "explanation": said })))
        })
        .await
}
