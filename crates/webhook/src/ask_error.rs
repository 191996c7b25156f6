//! Why a webhook gave no answer, told apart by what there is to do.

use std::fmt;

/// Why there is no answer. The texts name the server, never the URL's path or query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskError {
    /// Too many questions to this webhook are under way here already. Nothing was sent.
    Busy,
    /// It could not be reached, or gave no whole answer: asking again may help.
    Unavailable(String),
    /// Asking again will not help before somebody mends it: the URL or the server's certificate.
    Refused(String),
    /// The answer is larger than [`ANSWER_BYTES_MAX`](crate::ANSWER_BYTES_MAX).
    TooLarge(String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("too many questions to this webhook are under way"),
            Self::Unavailable(why) | Self::Refused(why) | Self::TooLarge(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for AskError {}
