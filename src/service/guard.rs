//! What must every request pass before anything looks at it? In this order: a limit on how many are under way, the name
//! it calls the service by (against rebinding of names), the page it comes from (against foreign pages in a browser),
//! the token where one is needed, a limit of time. Every answer leaves with a request id and with headers that keep a
//! browser from running, framing or guessing anything. What a request asks for is not known here.

use super::error::ApiError;
use super::service::Service;
use super::token::Scope;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use tracing::Instrument;

/// The cookie of a signed-in browser.
pub const SESSION: &str = "hibrit_session";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The names by which the service may be called, with their ports.
#[derive(Debug, Clone)]
pub struct HostNames(Vec<String>);

impl HostNames {
    /// Those of the address it listens on, of this machine where that is loopback, and those its owner gave.
    pub fn new(addr: SocketAddr, hosts: &[String]) -> Self {
        let port = addr.port();
        let mut names = vec![addr.to_string()];
        if addr.ip().is_loopback() || addr.ip().is_unspecified() {
            names.extend(["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}:{port}")));
        }
        for host in hosts {
            names.push(host.to_ascii_lowercase());
            names.push(format!("{}:{port}", host.to_ascii_lowercase()));
        }
        Self(names)
    }

    fn knows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.0.contains(&host)
    }

    /// Whether a page of this origin is one of the service's own.
    fn is_own(&self, origin: &str) -> bool {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(|host| self.knows(host))
    }
}

/// Lets a request through, or answers it.
pub async fn guard(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = format!("{:016x}", rand::random::<u64>());
    let method = request.method().clone();
    let path = request.uri().path().to_string();
    let shown: String = path.chars().filter(|c| !c.is_control()).take(200).collect();
    let span = tracing::info_span!("request", request_id = %id, method = %method, path = %shown);
    let pages = !path.starts_with("/api/") && accepts_pages(request.headers());
    let mut response = async {
        match admit(&service, request, next).await {
            Ok(response) => response,
            Err(refusal) if refusal.problem().status == 401 && pages && method == Method::GET => {
                Redirect::to("/login").into_response()
            }
            Err(refusal) => {
                tracing::info!(status = refusal.problem().status, why = %refusal.problem().detail, "refused");
                refusal.into_response()
            }
        }
    }
    .instrument(span.clone())
    .await;
    let seconds = began.elapsed().as_secs_f64();
    service.metrics.answered(method.as_str(), response.status().as_u16(), seconds);
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), seconds, "answered"));
    seal(response.headers_mut(), &id);
    response
}

fn accepts_pages(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"))
}

async fn admit(service: &Arc<Service>, request: Request, next: Next) -> Result<Response, ApiError> {
    let refused = |reason: &str, refusal: ApiError| {
        service.metrics.refused(reason);
        refusal
    };
    let _counted =
        service.requests.clone().try_acquire_owned().map_err(|_| refused("requests", ApiError::busy("requests")))?;
    check_host(service, &request).map_err(|r| refused("host", r))?;
    check_origin(service, &request).map_err(|r| refused("origin", r))?;
    check_token(service, &request).map_err(|r| refused("token", r))?;
    check_length(service, &request).map_err(|r| refused("length", r))?;
    let limits = &service.config.limits;
    let path = request.uri().path();
    let slow = ["/profiles", "/decisions", "/rules/replay", "/scorer", "/decide"].iter().any(|p| path.contains(p));
    let time = if slow { limits.heavy_request } else { limits.request };
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => Ok(response),
        Err(_) => {
            let detail = format!("the request took longer than {} s", time.as_secs());
            Err(refused("time", ApiError::new(StatusCode::REQUEST_TIMEOUT, detail)))
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, format!("the header {name} stands there twice")));
    }
    first
        .map(|v| v.to_str())
        .transpose()
        .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, format!("the header {name} is not readable")))
}

fn check_host(service: &Service, request: &Request) -> Result<(), ApiError> {
    let misdirected = |name: &str| {
        let name: String = name.chars().take(80).collect();
        ApiError::new(StatusCode::MISDIRECTED_REQUEST, format!("this service is not called {name:?}"))
            .hint("start it with --host NAME to let it be called by another name")
    };
    let host = text(request.headers(), &header::HOST)?;
    let in_address = request.uri().authority().map(|a| a.as_str());
    match (host, in_address) {
        (None, None) => Err(misdirected("")),
        (host, address) => match [host, address].into_iter().flatten().find(|name| !service.names.knows(name)) {
            Some(stranger) => Err(misdirected(stranger)),
            None => Ok(()),
        },
    }
}

fn check_origin(service: &Service, request: &Request) -> Result<(), ApiError> {
    let foreign = || ApiError::new(StatusCode::FORBIDDEN, "the request comes from a page of another origin");
    if let Some(origin) = text(request.headers(), &header::ORIGIN)?
        && !service.names.is_own(origin)
    {
        return Err(foreign());
    }
    let told = |name: &'static str| text(request.headers(), &HeaderName::from_static(name));
    let (site, mode) = (told("sec-fetch-site")?, told("sec-fetch-mode")?);
    // Following a link from elsewhere is what links are for; anything else from there is not.
    let link = mode == Some("navigate") && request.method().is_safe();
    if matches!(site, Some("cross-site" | "same-site")) && !link { Err(foreign()) } else { Ok(()) }
}

/// What may be seen by anyone who reaches the service.
fn is_open(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/login") || path.starts_with("/assets/")
}

fn needed(request: &Request) -> Scope {
    let path = request.uri().path();
    let asks = path == "/api/v1/decisions" || path == "/api/v1/decisions/batch" || path == "/language";
    if request.method().is_safe() || asks || path == "/logout" { Scope::Read } else { Scope::Write }
}

fn check_token(service: &Service, request: &Request) -> Result<(), ApiError> {
    let tokens = service.tokens.read().unwrap_or_else(PoisonError::into_inner);
    let guarded = service.config.require_token || !service.config.addr.ip().is_loopback();
    if !guarded || is_open(request.uri().path()) {
        return Ok(());
    }
    let unknown = || {
        ApiError::new(StatusCode::UNAUTHORIZED, "a token is needed")
            .hint("send `Authorization: Bearer TOKEN`, or sign in at /login")
    };
    let bearer = text(request.headers(), &header::AUTHORIZATION)?.map(|v| v.split_once(' ').unwrap_or((v, "")));
    let scope = match bearer {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => tokens.scope_of(token.trim()),
        Some(_) => None,
        None => {
            let token = cookie(request.headers(), SESSION).and_then(|session| service.sessions.token(&session));
            // A cookie comes along by itself: what changes something must also say which page it comes from.
            if token.is_some() && !request.method().is_safe() && !request.headers().contains_key(header::ORIGIN) {
                return Err(ApiError::new(StatusCode::FORBIDDEN, "the request does not say which page it comes from"));
            }
            token.and_then(|token| tokens.scope_of(&token))
        }
    };
    let needed = needed(request);
    match scope {
        None => Err(unknown()),
        Some(scope) if scope < needed => {
            Err(ApiError::new(StatusCode::FORBIDDEN, format!("the token allows {scope}, and this needs {needed}")))
        }
        Some(_) => Ok(()),
    }
}

fn check_length(service: &Service, request: &Request) -> Result<(), ApiError> {
    let length = text(request.headers(), &header::CONTENT_LENGTH)?.and_then(|v| v.parse::<u64>().ok());
    let most = service.config.limits.body as u64;
    match length.filter(|l| *l > most) {
        Some(_) => Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {most} bytes"))),
        None => Ok(()),
    }
}

/// A cookie's value.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = all.flat_map(|v| v.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(n, _)| *n == name).map(|(_, value)| value.to_string())
}

/// Headers of every answer.
fn seal(headers: &mut HeaderMap, id: &str) {
    let fixed: [(HeaderName, &'static str); 7] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_called_by_its_own_names_only() {
        let names = HostNames::new("127.0.0.1:7878".parse().unwrap(), &["Hibrit.example.org".into()]);
        for own in ["127.0.0.1:7878", "localhost:7878", "LOCALHOST:7878", "[::1]:7878", "hibrit.example.org"] {
            assert!(names.knows(own), "{own}");
        }
        for other in ["evil.example.org", "127.0.0.1", "127.0.0.1:80", "localhost", "localhost:7878.evil.org", ""] {
            assert!(!names.knows(other), "{other}");
        }
        assert!(names.is_own("http://localhost:7878") && names.is_own("https://hibrit.example.org"));
        for foreign in ["null", "http://localhost", "ftp://localhost:7878", "http://localhost:7878/", "localhost:7878"]
        {
            assert!(!names.is_own(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("xhibrit_session=1; hibrit_session=2; a=3"));
        assert_eq!(cookie(&headers, SESSION).as_deref(), Some("2"));
        assert_eq!(cookie(&headers, "session"), None);
    }
}
