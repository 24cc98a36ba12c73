//! The pages: runs with live curves, decisions, profiles, the history, rules, the scorer. HTML made on the server, charts
//! drawn on the server, one small script that only makes pages livelier and one stylesheet; nothing from another host,
//! nothing inline. What stands in a report is the report's business; here it gets a frame, forms and links.

mod advice;
mod chart;
mod past;
mod runs;
mod session;
mod tables;
mod words;

use super::error::Problem;
use super::guard::{SESSION, cookie};
use super::service::Service;
use crate::report::Lang;
use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use fluent_bundle::FluentValue;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::convert::Infallible;
use std::sync::Arc;

/// The cookie of the language.
const LANGUAGE: &str = "hibrit_lang";

/// The routes of all pages.
pub fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/", get(async || Redirect::to("/runs")))
        .merge(runs::routes())
        .merge(past::routes())
        .merge(advice::routes())
        .merge(tables::routes())
        .merge(session::routes())
        .layer(from_fn(framed))
        .route("/assets/hibrit.css", get(async || asset("text/css; charset=utf-8", include_str!("hibrit.css"))))
        .route("/assets/hibrit.js", get(async || asset("text/javascript; charset=utf-8", include_str!("hibrit.js"))))
        .route("/assets/icon.svg", get(async || asset("image/svg+xml", include_str!("icon.svg"))))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    // They change with the program; a browser asks again after a minute.
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=60")], text).into_response()
}

/// For whom a page is made.
pub struct PageContext {
    /// The language.
    pub lang: Lang,
    /// Where the reader is.
    pub path: String,
    /// Whether the reader has signed in.
    pub signed_in: bool,
}

impl PageContext {
    fn of(headers: &HeaderMap, path: &str) -> Self {
        let chosen = cookie(headers, LANGUAGE).and_then(|l| l.parse().ok());
        let asked = || {
            let accepted = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
            let mut first = accepted.split(',').map(|l| l.split([';', '-']).next().unwrap_or_default().trim());
            first.find_map(|l| l.parse().ok())
        };
        Self {
            lang: chosen.or_else(asked).unwrap_or_default(),
            path: path.into(),
            signed_in: cookie(headers, SESSION).is_some(),
        }
    }

    /// The sentence of a key.
    pub fn say(&self, key: &str) -> String {
        words::say(self.lang, key)
    }

    /// The same, filled in.
    pub fn say_with(&self, key: &str, values: &[(&str, FluentValue<'_>)]) -> String {
        words::say_with(self.lang, key, values)
    }

    /// The sentence of a family's member: `state-done`.
    pub fn one_of(&self, family: &str, member: &str) -> String {
        words::say(self.lang, &format!("{family}-{member}"))
    }

    /// A page with this content.
    pub fn page(&self, title: &str, content: Markup) -> Markup {
        let link = |path: &str, key: &str| {
            let here = self.path.starts_with(path);
            html! { a href=(path) aria-current=[here.then_some("page")] { (self.say(key)) } }
        };
        html! {
            (DOCTYPE)
            html lang=(self.lang) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · hibrit" }
                    link rel="stylesheet" href="/assets/hibrit.css";
                    link rel="icon" href="/assets/icon.svg";
                    script src="/assets/hibrit.js" defer {}
                }
                body {
                    a.skip href="#content" { (self.say("skip")) }
                    header {
                        a.brand href="/runs" { "hibrit" }
                        nav {
                            (link("/runs", "nav-runs"))
                            (link("/decide", "nav-decide"))
                            (link("/profiles", "nav-profiles"))
                            (link("/history", "nav-history"))
                            (link("/rules", "nav-rules"))
                            (link("/scorer", "nav-scorer"))
                        }
                        form.plain method="post" action="/language" {
                            input type="hidden" name="lang" value=(if self.lang == Lang::En { "tr" } else { "en" });
                            input type="hidden" name="back" value=(self.path);
                            button.quiet lang=(if self.lang == Lang::En { "tr" } else { "en" }) { (self.say("language")) }
                        }
                        @if self.signed_in {
                            form.plain method="post" action="/logout" { button.quiet { (self.say("sign-out")) } }
                        }
                    }
                    main #content tabindex="-1" {
                        h1 { (title) }
                        (content)
                    }
                    footer #keys hidden { b { (self.say("keys-title")) } ": " (self.say("keys")) }
                }
            }
        }
    }
}

impl FromRequestParts<Arc<Service>> for PageContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Service>) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers, parts.uri.path()))
    }
}

/// Elements that a report made.
pub fn elements(text: String) -> Markup {
    PreEscaped(text)
}

/// Gives a problem a page where a page was asked for.
async fn framed(request: Request, next: Next) -> Response {
    let look = PageContext::of(request.headers(), request.uri().path());
    let response = next.run(request).await;
    if response.headers().get(header::CONTENT_TYPE).is_none_or(|v| v.as_bytes() != b"application/problem+json") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // A problem is made here and short.
    let bytes = axum::body::to_bytes(body, 64 << 10).await.unwrap_or_default();
    let Ok(problem) = serde_json::from_slice::<Problem>(&bytes) else { return parts.into_response() };
    let page = look.page(
        &look.say("sorry"),
        html! {
            p.answer.bad { (problem.detail) }
            @if let Some(hint) = &problem.hint { p.note { (hint) } }
        },
    );
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    parts.headers.remove(header::CONTENT_LENGTH);
    (parts, page.into_string()).into_response()
}

/// A choice of names.
pub fn choose(name: &str, names: &[String], first: Option<&str>, chosen: Option<&str>) -> Markup {
    html! {
        select name=(name) {
            @if let Some(first) = first { option value="" { (first) } }
            @for one in names { option value=(one) selected[chosen == Some(one)] { (one) } }
        }
    }
}

/// The part of a path that a person would say.
pub fn label(path: &str) -> &str {
    let mut parts = path.rsplit(['/', '\\']).filter(|p| !p.is_empty());
    match parts.next() {
        Some("tokenizer.json") => parts.next().unwrap_or(path),
        Some(last) => last,
        None => path,
    }
}

/// A number with so many decimals, or a dash.
pub fn number(value: Option<f64>, decimals: usize, lang: Lang) -> String {
    match value.filter(|v| v.is_finite()) {
        Some(v) => {
            let text = format!("{v:.decimals$}");
            if lang == Lang::Tr { text.replace('.', ",") } else { text }
        }
        None => "–".into(),
    }
}

/// A time as people read it: to the minute, in UTC.
pub fn moment(time: &str) -> String {
    let short: String = time.chars().take(16).collect();
    short.replace('T', " ")
}
