//! What is a person, or a script, told? Profiles, decisions, runs and the history as text for a terminal and as JSON,
//! in English and Turkish. What is said is put together once, in `content`; how it looks is decided by each form.
//! Nothing is measured and nothing decided here.

pub mod charts;
mod content;
pub mod html;
pub mod json;
pub mod markdown;
mod numbers;
mod page;
mod reasons;
pub mod text;
mod words;

pub use content::background::Background;

pub use crate::domain::language::Lang;

use crate::domain::decision::{Decision, DecisionLog, LoggedDecision, Recommendation};
use crate::domain::profile::Profile;
use crate::domain::run::Run;
use text::Style;

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString, strum::EnumIter)]
#[strum(serialize_all = "lowercase")]
pub enum Form {
    /// For a terminal.
    #[default]
    Text,
    /// For scripts.
    Json,
    /// For issues, wikis and version control.
    Markdown,
    /// For a browser: one file that needs no other.
    Html,
}

/// The profile of a tokenizer pair.
pub fn profile(profile: &Profile, form: Form, style: &Style) -> String {
    match form {
        Form::Text => text::profile(profile, style),
        Form::Json => format!("{:#}\n", json::profile(profile)),
        Form::Markdown => markdown::profile(profile, style.lang),
        Form::Html => html::profile(profile, style.lang),
    }
}

/// A decision with the evidence it rests on, beside what the seed expected and past runs measured.
pub fn decision(
    profile: &Profile,
    decision: &Decision,
    background: Background<'_>,
    form: Form,
    style: &Style,
) -> String {
    match form {
        Form::Text => text::dossier(profile, decision, background, style),
        Form::Json => format!("{:#}\n", json::decision(profile, decision)),
        Form::Markdown => markdown::decision(profile, decision, background, style.lang),
        Form::Html => html::decision(profile, decision, background, style.lang),
    }
}

/// How a run went.
pub fn run(run: &Run, form: Form, style: &Style) -> String {
    match form {
        Form::Text => text::run(run, style),
        Form::Json => format!("{:#}\n", json::run(run)),
        Form::Markdown => markdown::run(run, style.lang),
        Form::Html => html::run(run, style.lang),
    }
}

/// Past runs, a line each.
pub fn history(runs: &[Run], form: Form, style: &Style) -> String {
    match form {
        Form::Text => text::history(runs, style),
        Form::Json => format!("{:#}\n", json::history(runs)),
        Form::Markdown => markdown::history(runs, style.lang),
        Form::Html => html::history(runs, style.lang),
    }
}

/// Past runs side by side.
pub fn compare(runs: &[Run], form: Form, style: &Style) -> String {
    match form {
        Form::Text => text::compare(runs, style),
        Form::Json => format!("{:#}\n", json::history(runs)),
        Form::Markdown => markdown::compare(runs, style.lang),
        Form::Html => html::compare(runs, style.lang),
    }
}

/// The decision log, a line each.
pub fn decisions(log: &DecisionLog, form: Form, style: &Style) -> String {
    match form {
        Form::Text => text::decisions(log, style),
        Form::Json => format!("{:#}\n", json::decisions(log)),
        Form::Markdown => markdown::decisions(log, style.lang),
        Form::Html => html::decisions(log, style.lang),
    }
}

/// What a service recommended.
pub fn recommendation(given: &Recommendation, form: Form, style: &Style) -> String {
    match form {
        Form::Text => text::recommendation(given, style),
        Form::Json => format!("{:#}\n", json::recommendation(given)),
        Form::Markdown => markdown::recommendation(given, style.lang),
        Form::Html => html::recommendation(given, style.lang),
    }
}

/// A logged decision whole, with what became of it.
pub fn logged(logged: &LoggedDecision, became: Option<&Run>, form: Form, style: &Style) -> String {
    match form {
        Form::Text => text::logged(logged, became, style),
        Form::Json => format!("{:#}\n", json::logged(logged, became)),
        Form::Markdown => markdown::logged(logged, became, style.lang),
        Form::Html => html::logged(logged, became, style.lang),
    }
}

#[cfg(test)]
mod approved;
#[cfg(test)]
mod cases;
