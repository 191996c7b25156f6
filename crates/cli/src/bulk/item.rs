//! One enrollment of a file.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A place between two lines of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Bytes from the file's start.
    pub offset: u64,
    /// The number of the line that begins there, from 1.
    pub line: u64,
}

impl Place {
    /// The file's start.
    pub const START: Self = Self { offset: 0, line: 1 };
}

/// A line of the input: where it stands and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The line it begins at, from 1.
    pub line: u64,
    /// Where the next one begins.
    pub next: Place,
    /// Its enrollment, or why it cannot be read.
    pub document: Result<Value, String>,
}
