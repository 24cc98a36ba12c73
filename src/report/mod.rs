//! What is a person, or a script, told? Profiles, decisions, runs and the history as text for a terminal and as JSON,
//! in English and Turkish. What is said is put together once, in `content`; how it looks is decided by each form.
//! Nothing is measured and nothing decided here.

mod charts;
mod content;
pub mod html;
pub mod json;
pub mod markdown;
mod numbers;
mod page;
pub mod text;
mod words;

pub use content::background::Background;
pub use words::Lang;

#[cfg(test)]
mod approved;
#[cfg(test)]
mod cases;
