//! Profiles over HTTP: measured once, stored under a name, decided on as often as anyone likes.

use super::api::{InputsOrder, ProfileAnswer, ProfileLine};
use super::error::{ApiError, Problem};
use super::openapi::{Body, Params, PathParam, Routes};
use super::reports::{self, ReportQuery};
use super::service::Service;
use crate::app;
use crate::domain::event::Silent;
use crate::report;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes.
pub fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(list, measure)).routes(routes!(show))
}

/// Stored profiles.
#[derive(Debug, Serialize, ToSchema)]
pub struct Profiles {
    /// By name.
    profiles: Vec<ProfileLine>,
}

/// All stored profiles, in short.
pub fn lines(service: &Service) -> Vec<ProfileLine> {
    let line = |(name, p): (String, Arc<crate::domain::profile::Profile>)| ProfileLine {
        name,
        source: p.source.name.clone(),
        candidate: p.candidate.name.clone(),
        model: p.model.as_ref().map(|m| m.name.clone()),
        coverage: p.coverage.vocabulary.get(),
        token_ratio: p.token_ratio.map(|r| r.get()),
    };
    service.profiles().into_iter().map(line).collect()
}

/// Stored profiles
#[utoipa::path(get, path = "/api/v1/profiles", tag = "profiles",
    responses((status = 200, description = "All of them, in short", body = Profiles)))]
async fn list(State(service): State<Arc<Service>>) -> Json<Profiles> {
    Json(Profiles { profiles: lines(&service) })
}

/// Measure two tokenizers
///
/// The same profile as `hibrit analyze`; it is stored.
#[utoipa::path(post, path = "/api/v1/profiles", tag = "profiles", params(ReportQuery), request_body = InputsOrder,
    responses((status = 201, description = "The profile", body = ProfileAnswer),
              (status = 422, description = "It cannot be measured", body = Problem),
              (status = 429, description = "Too many at once", body = Problem)))]
async fn measure(
    State(service): State<Arc<Service>>,
    Params(wanted): Params<ReportQuery>,
    Body(order): Body<InputsOrder>,
) -> Result<Response, ApiError> {
    let wanted = wanted.report()?;
    let inputs = order.inputs(&service.catalog)?;
    let shared = service.clone();
    let (name, profile) = service.heavy(move || Ok(shared.keep_profile(app::analyze(&inputs, &mut Silent)?)?)).await?;
    match wanted {
        Some((form, style)) => Ok(reports::answer(form, report::profile(&profile, form, &style))),
        None => Ok((StatusCode::CREATED, Json(ProfileAnswer { name, profile })).into_response()),
    }
}

/// A stored profile
#[utoipa::path(get, path = "/api/v1/profiles/{name}", tag = "profiles", params(("name" = String, Path), ReportQuery),
    responses((status = 200, description = "The profile", body = ProfileAnswer),
              (status = 404, description = "No such profile", body = Problem)))]
async fn show(
    State(service): State<Arc<Service>>,
    PathParam(name): PathParam<String>,
    Params(wanted): Params<ReportQuery>,
) -> Result<Response, ApiError> {
    let wanted = wanted.report()?;
    let profile = service.profile(&name).ok_or_else(|| ApiError::not_found("such profile"))?;
    match wanted {
        Some((form, style)) => Ok(reports::answer(form, report::profile(&profile, form, &style))),
        None => Ok(Json(ProfileAnswer { name, profile }).into_response()),
    }
}
