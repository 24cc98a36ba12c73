//! Decisions over HTTP: one or several, on stored profiles (fast), on profiles that come along, or measured first.

use super::api::{BatchAnswer, BatchItem, BatchOrder, DecisionAnswer, DecisionOrder};
use super::error::{ApiError, Problem};
use super::openapi::{Body, Params, Routes};
use super::reports::{self, ReportQuery};
use super::service::{Service, profile_name};
use crate::app;
use crate::domain::decision::Recommendation;
use crate::domain::event::Silent;
use crate::domain::profile::Profile;
use crate::domain::resources::Resources;
use crate::domain::strategy::Strategy;
use crate::report::{self, Background};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes.
pub fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(decide, recent)).routes(routes!(decide_many))
}

/// A decision on a profile, noted in the log.
pub fn decide_on(
    service: &Service,
    name: &str,
    profile: &Profile,
    resources: &Resources,
) -> Result<DecisionAnswer, ApiError> {
    let advisor = service.advisor();
    let decision = advisor.decide(profile, resources)?;
    let id = app::run_id(jiff::Timestamp::now(), rand::random());
    let at = app::now();
    service.metrics.decided(decision.strategy.into());
    service.recommendation_log.note(Recommendation {
        id: id.clone(),
        at: at.clone(),
        profile: name.into(),
        pair: Some([profile.source.name.clone(), profile.candidate.name.clone()]),
        resources: resources.clone(),
        strategy: decision.strategy,
        confidence: decision.confidence.get(),
        rules_sha256: decision.rules_sha256.clone(),
        scorer: decision.scorer.id.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
    });
    Ok(DecisionAnswer { id, at, profile_name: name.into(), decision })
}

/// The profile that an order names or brings along; `None` where it must be measured first.
fn at_hand(service: &Service, order: &DecisionOrder) -> Result<Option<(String, Arc<Profile>)>, ApiError> {
    match (&order.profile_name, &order.profile, &order.inputs) {
        (Some(name), None, None) => {
            let profile = service.profile(name).ok_or_else(|| {
                ApiError::not_found("such profile").hint("POST /api/v1/profiles measures one and gives its name")
            })?;
            Ok(Some((name.clone(), profile)))
        }
        (None, Some(profile), None) => Ok(Some((profile_name(profile), Arc::new((**profile).clone())))),
        (None, None, Some(_)) => Ok(None),
        _ => Err(ApiError::unprocessable("exactly one of profile_name, profile and inputs is needed")),
    }
}

/// Recommend a strategy
///
/// The same recommendation as `hibrit decide`. With `format`, the report of the command line instead of the resource.
#[utoipa::path(post, path = "/api/v1/decisions", tag = "decisions", params(ReportQuery), request_body = DecisionOrder,
    responses((status = 200, description = "The recommendation", body = DecisionAnswer),
              (status = 404, description = "No such profile", body = Problem),
              (status = 422, description = "It cannot be decided", body = Problem),
              (status = 429, description = "Too many at once", body = Problem)))]
async fn decide(
    State(service): State<Arc<Service>>,
    Params(wanted): Params<ReportQuery>,
    Body(order): Body<DecisionOrder>,
) -> Result<Response, ApiError> {
    let resources = order.resources.resources()?;
    let (full, wanted) = (wanted.full.unwrap_or(false), wanted.report()?);
    let (name, profile) = match (at_hand(&service, &order)?, &order.inputs) {
        (Some(found), _) => found,
        (None, Some(inputs)) => {
            let inputs = inputs.inputs(&service.catalog)?;
            let shared = service.clone();
            service.heavy(move || Ok(shared.keep_profile(app::analyze(&inputs, &mut Silent)?)?)).await?
        }
        (None, None) => return Err(ApiError::unprocessable("there is nothing to decide on")),
    };
    let shared = service.clone();
    service
        .deciding(move || {
            let answer = decide_on(&shared, &name, &profile, &resources)?;
            let Some((form, style)) = wanted else { return Ok(Json(answer).into_response()) };
            let advisor = shared.advisor();
            let background = Background { seed: advisor.seed(), runs: advisor.runs() };
            let text = match form {
                report::Form::Text if !full => report::text::brief(&profile, &answer.decision, background, &style),
                _ => report::decision(&profile, &answer.decision, background, form, &style),
            };
            Ok(reports::answer(form, text))
        })
        .await
}

/// Recommend a strategy for several cases
///
/// Each on a stored profile or one that comes along; those that cannot be decided are answered with their problem.
#[utoipa::path(post, path = "/api/v1/decisions/batch", tag = "decisions", request_body = BatchOrder,
    responses((status = 200, description = "The answers, in order", body = BatchAnswer),
              (status = 422, description = "Too many, or badly put", body = Problem),
              (status = 429, description = "Too many at once", body = Problem)))]
async fn decide_many(
    State(service): State<Arc<Service>>,
    Body(batch): Body<BatchOrder>,
) -> Result<Json<BatchAnswer>, ApiError> {
    let most = service.config.limits.batch;
    if batch.items.len() > most {
        return Err(ApiError::unprocessable(format!("at most {most} decisions in a batch")));
    }
    let shared = service.clone();
    service
        .deciding(move || {
            let one = |order: &DecisionOrder| {
                let resources = order.resources.resources()?;
                let (name, profile) = at_hand(&shared, order)?.ok_or_else(|| {
                    ApiError::unprocessable("in a batch nothing is measured: store the profile first")
                })?;
                decide_on(&shared, &name, &profile, &resources)
            };
            let items = batch.items.iter().map(|order| match one(order) {
                Ok(answer) => BatchItem::Decision(Box::new(answer)),
                Err(refusal) => BatchItem::Problem(refusal.problem().clone()),
            });
            Ok(Json(BatchAnswer { items: items.collect() }))
        })
        .await
}

/// How many to list.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct HowMany {
    /// At most so many, 50 where it is left out.
    #[param(maximum = 200)]
    limit: Option<usize>,
}

/// A decision in short.
#[derive(Debug, Serialize, ToSchema)]
struct Entry {
    /// Unique.
    id: String,
    /// When (UTC, RFC 3339).
    at: String,
    /// The profile it rests on.
    profile: String,
    /// What there was to work with.
    #[schema(value_type = Object)]
    resources: Resources,
    /// What was recommended.
    #[schema(value_type = String)]
    strategy: Strategy,
    /// How sure.
    confidence: f64,
    /// sha256 of the rules.
    rules_sha256: String,
    /// The live scorer.
    scorer: Option<String>,
    /// hibrit's version.
    version: String,
}

impl From<Recommendation> for Entry {
    fn from(given: Recommendation) -> Self {
        let Recommendation { id, at, profile, pair: _, resources, strategy, confidence, rules_sha256, scorer, version } =
            given;
        Self { id, at, profile, resources, strategy, confidence, rules_sha256, scorer, version }
    }
}

/// Decisions in short.
#[derive(Debug, Serialize, ToSchema)]
struct Recent {
    /// The latest first.
    decisions: Vec<Entry>,
}

/// The latest decisions
///
/// Those that this service has given since it started; all of them are in its log.
#[utoipa::path(get, path = "/api/v1/decisions", tag = "decisions", params(HowMany),
    responses((status = 200, description = "The latest first", body = Recent)))]
async fn recent(State(service): State<Arc<Service>>, Params(many): Params<HowMany>) -> Json<Recent> {
    let recent = service.recommendation_log.recent(many.limit.unwrap_or(50));
    Json(Recent { decisions: recent.into_iter().map(Entry::from).collect() })
}
