//! Text that must never reach a log: symmetric keys and connection secrets.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret as base64 text, as the wire carries it.
///
/// It serialises, since records are sealed before they are stored, but it has no readable `Debug` and no `Display`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. The loud name marks the few places that may see it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
