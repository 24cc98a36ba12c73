//! What kind of trouble an error is, and what the user can do about it. Every stage's error answers both;
//! only the binary turns the kind into an exit code.

/// The kind of a failure; the exit code of the program follows from it (see the README).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The work was started and failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// An input file is missing, damaged or of another kind.
    Input,
    /// Nothing that was asked for can be done here.
    Infeasible,
    /// A signal stopped the work; its state is saved.
    Interrupted,
}

impl Kind {
    /// The exit code of the program: 1 failed, 2 usage, 3 input, 4 infeasible, 5 interrupted.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Input => 3,
            Kind::Infeasible => 4,
            Kind::Interrupted => 5,
        }
    }
}

/// An error that knows its kind and may know a remedy.
pub trait Fault: std::error::Error + Send + Sync + 'static {
    /// What kind of trouble it is.
    fn kind(&self) -> Kind;
    /// What to do about it, as one sentence.
    fn hint(&self) -> Option<String> {
        None
    }
}
