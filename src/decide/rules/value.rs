//! What a cell is asked about: a number, a name, or nothing known.

use std::sync::Arc;

/// The value of a feature. Names are shared: a decision asks the same ones thousands of times.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Not known.
    Null,
    /// Never NaN: what is not a number is not known.
    Number(f64),
    /// One of a feature's allowed names.
    Text(Arc<str>),
}

impl Value {
    /// A number, or nothing where there is none (NaN counts as none).
    pub fn number(value: Option<f64>) -> Self {
        value.filter(|v| !v.is_nan()).map_or(Value::Null, Value::Number)
    }

    /// A name.
    pub fn text(value: impl ToString) -> Self {
        Value::Text(value.to_string().into())
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        if let Value::Number(n) = self { Some(*n) } else { None }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Null => write!(f, "null"),
            Value::Number(n) => write!(f, "{n}"),
            Value::Text(t) => write!(f, "\"{t}\""),
        }
    }
}
