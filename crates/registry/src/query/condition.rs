//! Conditions over a document.

use serde_json::Value;

/// What a document must fulfil.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    /// A member, by its path, equals a literal, or does not.
    Compare {
        path: Vec<String>,
        equal: bool,
        literal: Value,
    },
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

impl Condition {
    /// Whether the document fulfils it. A missing member equals nothing but `null`.
    pub fn holds(&self, document: &Value) -> bool {
        match self {
            Self::Compare { path, equal, literal } => {
                let found = path.iter().try_fold(document, |value, name| value.get(name)).unwrap_or(&Value::Null);
                same(found, literal) == *equal
            }
            Self::Not(inner) => !inner.holds(document),
            Self::All(parts) => parts.iter().all(|part| part.holds(document)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(document)),
        }
    }
}

/// Equality; numbers are compared by value, so that 3 and 3.0 are the same.
fn same(found: &Value, literal: &Value) -> bool {
    match (found, literal) {
        (Value::Number(found), Value::Number(literal)) => found == literal || found.as_f64() == literal.as_f64(),
        (found, literal) => found == literal,
    }
}
