//! What is said when something cannot be done: to whoever starts the service ([`ServiceError`]) and to its clients
//! ([`Refusal`], a problem document after RFC 9457).

use crate::app::AppError;
use crate::domain::fault::{Fault, Kind};
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a service cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Bind { addr: SocketAddr, source: std::io::Error },
    /// Others could reach it and nobody needs to say who they are.
    #[error("{addr} can be reached from other machines, and there is no token yet")]
    Unguarded { addr: SocketAddr },
    /// A folder is not there.
    #[error("the folder of {what}, {}, cannot be used", path.display())]
    Root { what: &'static str, path: PathBuf, source: std::io::Error },
    /// A file of the service's own.
    #[error("cannot {verb} {}", path.display())]
    File { verb: &'static str, path: PathBuf, source: std::io::Error },
    /// The tokens' file is damaged.
    #[error("the tokens in {} cannot be read: {detail}", path.display())]
    Tokens { path: PathBuf, detail: String },
    /// A token's name.
    #[error("{0}")]
    Token(String),
    /// The machinery below.
    #[error("the service could not be started")]
    Runtime { source: std::io::Error },
    /// Queue, rules, history.
    #[error(transparent)]
    Pipeline(#[from] AppError),
}

impl Fault for ServiceError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unguarded { .. } | Self::Root { .. } | Self::Token(_) => Kind::Usage,
            Self::Tokens { .. } => Kind::Input,
            Self::Bind { .. } | Self::File { .. } | Self::Runtime { .. } => Kind::Failed,
            Self::Pipeline(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { .. } => Some("choose another with --addr; port 0 picks a free port".into()),
            Self::Unguarded { .. } => {
                Some("create one with `hibrit token create NAME --scope write --state DIR`".into())
            }
            Self::Root { .. } => Some("name a folder that exists and is readable".into()),
            Self::File { .. } => Some("check that the path is right and writable".into()),
            Self::Tokens { .. } => Some("restore the file, or delete it and create new tokens".into()),
            Self::Token(_) | Self::Runtime { .. } => None,
            Self::Pipeline(e) => e.hint(),
        }
    }
}

/// A problem document (RFC 9457).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// What is wrong here, in a sentence.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Exit code that the command line would give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
}

/// An answer that says no.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    problem: Problem,
    retry_after: Option<u64>,
}

impl ApiError {
    /// With a status and a sentence.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let problem = Problem {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            detail: detail.into(),
            hint: None,
            exit_code: None,
        };
        Self { problem, retry_after: None }
    }

    /// The same with what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.hint = Some(hint.into());
        self
    }

    /// Too much at once; come again.
    pub fn busy(what: &str) -> Self {
        let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, format!("too many {what} at once"));
        refusal.retry_after = Some(1);
        refusal.hint("try again after the seconds in Retry-After")
    }

    /// There is no such thing.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what}"))
    }

    /// The request makes no sense.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self.problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hibrit\""));
        }
        response
    }
}

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        use crate::app::ExpectedError;
        let status = match (error.snag(), error.kind()) {
            (Some(ExpectedError::NoJob), _) => StatusCode::NOT_FOUND,
            (Some(ExpectedError::WrongState), _) => StatusCode::CONFLICT,
            (Some(ExpectedError::NoRun), _) => StatusCode::NOT_FOUND,
            (Some(ExpectedError::Busy), _) => StatusCode::TOO_MANY_REQUESTS,
            (None, Kind::Usage | Kind::Input | Kind::Infeasible) => StatusCode::UNPROCESSABLE_ENTITY,
            (None, Kind::Failed | Kind::Interrupted) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut detail = error.to_string();
        if status.is_server_error() {
            tracing::error!(%error, "a request failed");
            // Paths and causes stay in the log.
            detail = "the service could not do this; its log says why".into();
        }
        let mut refusal = Self::new(status, detail);
        refusal.problem.exit_code = Some(error.kind().exit_code());
        refusal.problem.hint = error.hint().filter(|_| !status.is_server_error());
        refusal.retry_after = (status == StatusCode::TOO_MANY_REQUESTS).then_some(1);
        refusal
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<axum::extract::rejection::FormRejection> for ApiError {
    fn from(rejection: axum::extract::rejection::FormRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}
