//! In which form and language is a report wanted? The same reports as on the command line, chosen by the query. What
//! stands in them is the report's business.

use super::error::ApiError;
use crate::report::text::Style;
use crate::report::{Form, Lang};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// How a report is wanted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ReportQuery {
    /// text, json, markdown or html: the command line's report instead of the resource.
    pub format: Option<String>,
    /// en or tr.
    pub lang: Option<String>,
    /// Columns of a text report.
    pub width: Option<u16>,
    /// Whether a text report may have colours.
    pub color: Option<bool>,
    /// Whether a decision's text report holds everything, and not only what matters first.
    pub full: Option<bool>,
}

impl ReportQuery {
    /// The form and style; `None` where no report is asked for.
    pub fn report(&self) -> Result<Option<(Form, Style)>, ApiError> {
        let Some(form) = &self.format else { return Ok(None) };
        let form: Form =
            form.parse().map_err(|_| ApiError::unprocessable("a format is one of text, json, markdown, html"))?;
        let lang: Lang = match &self.lang {
            Some(lang) => lang.parse().map_err(|_| ApiError::unprocessable("a language is one of en, tr"))?,
            None => Lang::En,
        };
        let width = self.width.unwrap_or(100).clamp(40, 400);
        Ok(Some((form, Style { width, colour: self.color.unwrap_or(false), lang })))
    }
}

/// A report on its way.
pub fn answer(form: Form, text: String) -> Response {
    let kind = match form {
        Form::Text => "text/plain; charset=utf-8",
        Form::Json => "application/json",
        Form::Markdown => "text/markdown; charset=utf-8",
        Form::Html => "text/html; charset=utf-8",
    };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
