//! How is the service described? An OpenAPI 3.1 document, put together from the handlers themselves; the domain's types
//! come from the same schemas as the command line's JSON. Also the extractors that every handler uses, which answer
//! what cannot be read with a problem document.

use super::error::ApiError;
use super::service::Service;
use crate::domain::decision::Decision;
use crate::domain::profile::Profile;
use crate::domain::resources::Priority;
use crate::domain::run::Run;
use crate::domain::strategy::Strategy;
use axum::Router;
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::header;
use axum::routing::get;
use serde_json::Value;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

/// Routes with their description.
pub type Routes = OpenApiRouter<Arc<Service>>;

/// A body of JSON.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub struct Body<T>(pub T);

/// The query.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub struct Params<T>(pub T);

/// A part of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub struct PathParam<T>(pub T);

#[derive(OpenApi)]
#[openapi(info(
    title = "hibrit",
    description = "Decides whether and how a pretrained language model should move to another tokenizer, and carries \
                   it out. Everything is named, never addressed: models, tokenizers and texts by their names in the \
                   catalog."
))]
struct Document;

/// All routes, and the document that describes them.
pub fn assemble(parts: &[fn() -> Routes]) -> (Router<Arc<Service>>, Value) {
    let whole: Routes = OpenApiRouter::with_openapi(Document::openapi());
    let (router, mut document) = parts.iter().fold(whole, |whole, part| whole.merge(part())).split_for_parts();
    let components = document.components.get_or_insert_default();
    let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("needed where tokens are")).build();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    let mut document = serde_json::to_value(document).unwrap_or_default();
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        let settings = schemars::generate::SchemaSettings::draft2020_12()
            .with(|s| s.definitions_path = "/components/schemas".into());
        let mut generator = settings.into_generator();
        generator.subschema_for::<Profile>();
        generator.subschema_for::<Decision>();
        generator.subschema_for::<Run>();
        generator.subschema_for::<Priority>();
        generator.subschema_for::<Strategy>();
        for (name, schema) in generator.take_definitions(true) {
            schemas.insert(name, schema);
        }
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for path in paths.into_iter().flat_map(|paths| paths.values_mut()).filter_map(Value::as_object_mut) {
        path.values_mut().for_each(tell_refusals);
    }
    if let Some(object) = document.as_object_mut() {
        // No token at all is an answer too, where the service listens on loopback only.
        object.insert("security".into(), serde_json::json!([{}, { "token": [] }]));
    }
    (router, document)
}

/// What holds for every operation: a refusal is a problem document, whatever its status; and where a report may be asked
/// for, it may be the answer.
fn tell_refusals(operation: &mut Value) {
    const JSON: &str = "application/json";
    const PROBLEM: &str = "application/problem+json";
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let reports = parameters.is_some_and(|all| all.iter().any(|p| p["name"] == "format"));
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let schema = serde_json::json!({ "$ref": "#/components/schemas/Problem" });
    for (status, response) in responses.iter_mut() {
        let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { continue };
        if content.get(JSON).is_some_and(|c| c["schema"] == schema)
            && let Some(problem) = content.remove(JSON)
        {
            content.insert(PROBLEM.into(), problem);
        }
        if reports && status.starts_with('2') {
            for kind in ["text/plain", "text/markdown", "text/html"] {
                content.insert(kind.into(), serde_json::json!({ "schema": { "type": "string" } }));
            }
        }
    }
    let refusal = serde_json::json!({
        "description": "Refused: badly put, not allowed, too large, or too much at once",
        "content": { PROBLEM: { "schema": schema } }
    });
    responses.entry("default").or_insert(refusal);
}

/// Where the document is.
pub fn route(document: Value) -> Router<Arc<Service>> {
    let text: Arc<str> = document.to_string().into();
    let answer = move || {
        let text = text.to_string();
        async move { ([(header::CONTENT_TYPE, "application/json")], text) }
    };
    Router::new().route("/api/v1/openapi.json", get(answer))
}
