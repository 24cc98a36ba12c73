//! Signing in and out, and choosing a language.

use super::runs::Fields;
use super::{LANGUAGE, PageContext};
use crate::report::Lang;
use crate::service::error::ApiError;
use crate::service::guard::{SESSION, cookie};
use crate::service::service::Service;
use axum::Router;
use axum::extract::{RawForm, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use std::sync::{Arc, PoisonError};

pub fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/login", get(ask).post(sign_in))
        .route("/logout", post(sign_out))
        .route("/language", post(language))
}

fn form(look: &PageContext, wrong: bool) -> Markup {
    look.page(
        &look.say("sign-in"),
        html! {
            p { (look.say("sign-in-why")) }
            @if wrong { p.answer.bad role="alert" { (look.say("token-wrong")) } }
            form method="post" action="/login" {
                label { (look.say("token")) input type="password" name="token" required autocomplete="off" autofocus; }
                button { (look.say("sign-in")) }
            }
            p.note { (look.say("sign-in-how")) }
        },
    )
}

async fn ask(look: PageContext) -> Markup {
    form(&look, false)
}

async fn sign_in(
    look: PageContext,
    State(service): State<Arc<Service>>,
    RawForm(form_sent): RawForm,
) -> Result<Response, ApiError> {
    let fields = Fields::read(&form_sent)?;
    let token = fields.one("token").unwrap_or_default();
    let known = service.tokens.read().unwrap_or_else(PoisonError::into_inner).scope_of(token).is_some();
    if !known {
        service.metrics.refused("token");
        return Ok((StatusCode::UNAUTHORIZED, form(&look, true)).into_response());
    }
    let session = service.sessions.open(token);
    let cookie = format!("{SESSION}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200");
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/runs")).into_response())
}

async fn sign_out(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    if let Some(session) = cookie(&headers, SESSION) {
        service.sessions.close(&session);
    }
    let gone = format!("{SESSION}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    ([(header::SET_COOKIE, gone)], Redirect::to("/runs")).into_response()
}

async fn language(RawForm(sent): RawForm) -> Result<Response, ApiError> {
    let fields = Fields::read(&sent)?;
    let lang: Lang = fields
        .one("lang")
        .unwrap_or_default()
        .parse()
        .map_err(|_| ApiError::unprocessable("a language is one of en, tr"))?;
    let cookie = format!("{LANGUAGE}={lang}; Path=/; SameSite=Strict; Max-Age=31536000");
    // Back to a page of this service, whatever the form says.
    let back = fields.one("back").unwrap_or("/runs");
    let own = back.starts_with('/')
        && !back.starts_with("//")
        && back.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.".contains(c));
    let back = if own { back } else { "/runs" };
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(back)).into_response())
}
