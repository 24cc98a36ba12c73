//! How an error reaches the user: one sentence, what caused it, a hint apart from it, and the exit code.

use crate::domain::fault::{Fault, Kind};
use std::process::ExitCode;

/// An error on its way to the user.
#[derive(Debug)]
pub struct Failure {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    kind: Kind,
}

impl Failure {
    /// A wrong command line that clap cannot see.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), hint: Some(hint.into()), kind: Kind::Usage }
    }

    /// A signal ended a run before it was done.
    pub fn interrupted(folder: &std::path::Path) -> Self {
        Self {
            message: "stopped by a signal before the run was done".into(),
            causes: Vec::new(),
            hint: Some(format!("resume it with `hibrit auto --resume {}`", folder.display())),
            kind: Kind::Interrupted,
        }
    }

    /// A run from which no model came out.
    pub fn no_model(verdict: &str) -> Self {
        Self {
            message: format!("the run produced no model: {verdict}"),
            causes: Vec::new(),
            hint: Some("see the report for each branch, and journal.jsonl for each step".into()),
            kind: Kind::Failed,
        }
    }

    /// A device computes something else than the CPU.
    pub fn device_differs(device: &str) -> Self {
        Self {
            message: format!("{device} does not compute what the CPU computes"),
            causes: Vec::new(),
            hint: Some("update its driver and CUDA's toolkit; until it agrees, use --device cpu".into()),
            kind: Kind::Failed,
        }
    }

    /// Something that was checked is not sound.
    pub fn unsound(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), hint: Some(hint.into()), kind: Kind::Input }
    }

    /// Writing a result failed.
    pub fn output(what: &str, source: &std::io::Error) -> Self {
        Self {
            message: format!("cannot write {what}"),
            causes: vec![source.to_string()],
            hint: None,
            kind: Kind::Failed,
        }
    }

    /// Says it on stderr and gives the exit code.
    pub fn tell(&self) -> ExitCode {
        let mut text = format!("error: {}", self.message);
        // A source that its parent's sentence already quotes would only be read twice.
        for cause in self.causes.iter().filter(|c| !self.message.contains(c.as_str())) {
            text.push_str(&format!("\n  because: {cause}"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n  hint: {hint}"));
        }
        eprintln!("{text}");
        ExitCode::from(self.kind.exit_code())
    }
}

impl<E: Fault> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut causes = Vec::new();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self { message: error.to_string(), causes, hint: error.hint(), kind: error.kind() }
    }
}
