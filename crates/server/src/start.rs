//! Why the server could not start, in words for whoever started it.

use std::fmt;

/// A failed start: what happened and what to do next.
#[derive(Debug)]
pub struct StartError {
    what: String,
    next: String,
}

impl StartError {
    /// A failed start.
    pub fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into() }
    }

    /// What happened, and what to do next.
    pub(crate) fn parts(self) -> (String, String) {
        (self.what, self.next)
    }

    /// Something that only the server's own fault can explain.
    pub(crate) fn internal(step: &str, error: &dyn fmt::Display) -> Self {
        Self::new(format!("{step}: {error}"), "This is a fault of usher; please report it with this message.")
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.what, self.next)
    }
}

impl std::error::Error for StartError {}
