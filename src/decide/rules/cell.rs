//! A cell of a table: a unary test in the DMN notation, parsed and answered. Which values a feature may have is not
//! known here.
//!
//! ```text
//! cell  = "-" | "not(" tests ")" | tests        tests = test { "," test }
//! test  = "null" | "name" | number | ("<" | "<=" | ">" | ">=") number | interval
//! interval = ("[" | "(" | "]") number ".." number ("]" | ")" | "[")     as in DMN, `]a..b[` is open like `(a..b)`
//! ```

use super::value::Value;

/// One end of an interval; an infinite one is never closed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Where.
    pub at: f64,
    /// Whether the end itself belongs to the interval.
    pub closed: bool,
}

/// Numbers between two bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: Bound,
    /// Upper end.
    pub high: Bound,
}

impl Interval {
    /// Whether the number lies within. An infinite end lets everything pass, infinity too.
    pub fn contains(&self, x: f64) -> bool {
        let above = x > self.low.at || (self.low.closed && x == self.low.at) || self.low.at == f64::NEG_INFINITY;
        let below = x < self.high.at || (self.high.closed && x == self.high.at) || self.high.at == f64::INFINITY;
        above && below
    }

    /// The ends that are finite, ascending.
    pub fn boundaries(&self) -> impl Iterator<Item = f64> {
        [self.low.at, self.high.at].into_iter().filter(|b| b.is_finite())
    }
}

/// One test of a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Unary {
    /// Nothing is known.
    Null,
    /// This name.
    Name(String),
    /// A number of the interval.
    Within(Interval),
}

impl Unary {
    fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Unary::Null, Value::Null) => true,
            (Unary::Name(name), Value::Text(text)) => **name == **text,
            (Unary::Within(interval), Value::Number(x)) => interval.contains(*x),
            _ => false,
        }
    }
}

/// A parsed cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// As it stands in the file.
    pub source: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Any,
    OneOf(Vec<Unary>),
    NoneOf(Vec<Unary>),
}

/// Why a cell cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CellError {
    /// It is not in the notation.
    #[error("`{cell}` is not a unary test: {problem}")]
    Notation {
        /// The cell.
        cell: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Its interval holds no number.
    #[error("the interval `{interval}` is reversed or empty")]
    Empty {
        /// The interval.
        interval: String,
    },
}

impl Cell {
    /// The cell that everything matches.
    pub fn any() -> Self {
        Self { source: "-".into(), test: Test::Any }
    }

    /// Reads the notation.
    ///
    /// # Errors
    /// [`CellError`] with the cell and what is wrong with it.
    pub fn parse(source: &str) -> Result<Self, CellError> {
        let text = source.trim();
        let test = if text == "-" {
            Test::Any
        } else if let Some(inner) = text.strip_prefix("not(").and_then(|t| t.strip_suffix(')')) {
            Test::NoneOf(parse_tests(inner)?)
        } else {
            Test::OneOf(parse_tests(text)?)
        };
        Ok(Self { source: text.to_string(), test })
    }

    /// Whether a value passes. An unknown value passes only `-` and `null`: what is not known is not known to be
    /// something else, so it passes no `not(...)` either.
    pub fn matches(&self, value: &Value) -> bool {
        match &self.test {
            Test::Any => true,
            Test::OneOf(tests) => tests.iter().any(|t| t.matches(value)),
            Test::NoneOf(tests) => *value != Value::Null && !tests.iter().any(|t| t.matches(value)),
        }
    }

    /// Whether both ask the same, however they are written.
    pub fn same(&self, other: &Self) -> bool {
        self.test == other.test
    }

    /// Whether it is `-`.
    pub fn is_any(&self) -> bool {
        self.test == Test::Any
    }

    /// The tests inside.
    pub fn tests(&self) -> &[Unary] {
        match &self.test {
            Test::Any => &[],
            Test::OneOf(tests) | Test::NoneOf(tests) => tests,
        }
    }

    /// Where numbers begin or cease to pass.
    pub fn boundaries(&self) -> impl Iterator<Item = f64> {
        self.tests()
            .iter()
            .filter_map(|t| if let Unary::Within(i) = t { Some(i) } else { None })
            .flat_map(Interval::boundaries)
    }
}

/// Tests between commas; commas inside quotes are part of the name.
fn parse_tests(text: &str) -> Result<Vec<Unary>, CellError> {
    let mut quoted = false;
    text.split(|c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .map(|part| parse_test(part.trim()))
    .collect()
}

fn parse_test(text: &str) -> Result<Unary, CellError> {
    let bad = |problem: &str| CellError::Notation { cell: text.to_string(), problem: problem.to_string() };
    let open = |at: f64| Bound { at, closed: false };
    let (below, above) = (open(f64::NEG_INFINITY), open(f64::INFINITY));
    if text == "null" {
        return Ok(Unary::Null);
    }
    if let Some(rest) = text.strip_prefix('"') {
        let name = rest.strip_suffix('"').filter(|n| !n.is_empty() && !n.contains('"'));
        return name.map(|n| Unary::Name(n.to_string())).ok_or_else(|| bad("a name stands between two double quotes"));
    }
    for (sign, closed) in [("<=", true), (">=", true), ("<", false), (">", false)] {
        if let Some(rest) = text.strip_prefix(sign) {
            let bound =
                Bound { at: parse_number(rest).ok_or_else(|| bad("a finite number must follow the sign"))?, closed };
            let interval = if sign.starts_with('<') {
                Interval { low: below, high: bound }
            } else {
                Interval { low: bound, high: above }
            };
            return Ok(Unary::Within(interval));
        }
    }
    if let Some((low, high)) = text.split_once("..") {
        let closed_low = match low.chars().next() {
            Some('[') => true,
            Some('(' | ']') => false,
            _ => return Err(bad("an interval begins with [ or (")),
        };
        let closed_high = match high.chars().last() {
            Some(']') => true,
            Some(')' | '[') => false,
            _ => return Err(bad("an interval ends with ] or )")),
        };
        let number =
            |s: Option<&str>| s.and_then(parse_number).ok_or_else(|| bad("an interval's ends are finite numbers"));
        let low = Bound { at: number(low.get(1..))?, closed: closed_low };
        let high = Bound { at: number(high.get(..high.len() - 1))?, closed: closed_high };
        if low.at > high.at || (low.at == high.at && !(low.closed && high.closed)) {
            return Err(CellError::Empty { interval: text.to_string() });
        }
        return Ok(Unary::Within(Interval { low, high }));
    }
    let at =
        parse_number(text).ok_or_else(|| bad("expected -, null, \"a name\", a number, a comparison or an interval"))?;
    let exact = Bound { at, closed: true };
    Ok(Unary::Within(Interval { low: exact, high: exact }))
}

fn parse_number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cell: &str, yes: &[f64], no: &[f64]) {
        let parsed = Cell::parse(cell).unwrap();
        for x in yes {
            assert!(parsed.matches(&Value::Number(*x)), "{x} should pass {cell}");
        }
        for x in no {
            assert!(!parsed.matches(&Value::Number(*x)), "{x} should not pass {cell}");
        }
    }

    #[test]
    fn numbers_pass_the_comparisons_and_intervals_they_lie_in() {
        check("> 0.70", &[0.71], &[0.7, 0.1]);
        check("<=0.3", &[0.3, -1.0], &[0.31]);
        check("[0.50..0.70]", &[0.5, 0.6, 0.7], &[0.49, 0.71]);
        check("(0.5..0.7]", &[0.51, 0.7], &[0.5, 0.71]);
        check("]0.5..0.7[", &[0.51], &[0.5, 0.7]);
        check("[-2..-1), 3", &[-2.0, -1.5, 3.0], &[-1.0, 0.0]);
        check("not([0..1])", &[-0.1, 1.1], &[0.0, 0.5, 1.0]);
        check("-", &[0.0], &[]);
    }

    #[test]
    fn names_pass_their_lists() {
        let high = Value::text("high");
        let low = Value::text("low");
        for (cell, is_high, is_low) in [
            ("\"high\",\"medium\"", true, false),
            ("not(\"low\")", true, false),
            ("\"low\"", false, true),
            ("> 1", false, false),
        ] {
            let parsed = Cell::parse(cell).unwrap();
            assert_eq!((parsed.matches(&high), parsed.matches(&low)), (is_high, is_low), "{cell}");
        }
        assert!(Cell::parse("\"a,b\"").unwrap().matches(&Value::text("a,b")));
    }

    #[test]
    fn what_is_not_known_passes_only_dash_and_null() {
        for (cell, passes) in [("-", true), ("null", true), ("> 0", false), ("not(null)", false), ("not(\"x\")", false)]
        {
            assert_eq!(Cell::parse(cell).unwrap().matches(&Value::Null), passes, "{cell}");
        }
        assert!(Cell::parse("not(null)").unwrap().matches(&Value::Number(1.0)));
    }

    #[test]
    fn a_cell_that_cannot_be_read_says_why() {
        for cell in
            ["", "high", "> ", "> nan", "> inf", "[1..2", "1..2", "[a..b]", "\"\"", "\"a", "< 1,", "[é..2]", "é..é"]
        {
            assert!(matches!(Cell::parse(cell), Err(CellError::Notation { .. })), "{cell}");
        }
        for cell in ["[0.7..0.5]", "(1..1)", "[1..1)"] {
            assert!(matches!(Cell::parse(cell), Err(CellError::Empty { .. })), "{cell}");
        }
    }
}
