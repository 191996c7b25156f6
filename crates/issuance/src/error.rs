//! Why no certificate was issued.

use std::fmt;

/// Why no certificate was issued, in sentences for operators; devices are told them too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssueError {
    /// The same may succeed later.
    Later {
        /// What happened.
        why: String,
        /// The authority's own wish, in seconds.
        retry_after_s: Option<u32>,
    },
    /// It will not succeed before somebody mends something.
    Never(String),
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later { why, .. } | Self::Never(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for IssueError {}
