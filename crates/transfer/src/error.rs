//! Why a copy failed, in words for the person who has to act.

use std::fmt;

use usher_records::RecordError;
use usher_seal::SealError;
use usher_store::StoreError;

/// A failed copy: what happened and what to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyError {
    what: String,
    next: String,
}

impl CopyError {
    /// A failed copy.
    pub fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into() }
    }

    /// A store that is copied from cannot be read.
    pub(crate) fn source(error: &StoreError) -> Self {
        match error {
            StoreError::Corrupt { .. } => Self::new(format!("the source: {error}"), "Restore it from an earlier backup."),
            StoreError::Unavailable(why) => Self::new(format!("the source: {why}"), "Mend that, and run it again."),
            _ => Self::new(format!("the source: {error}"), "This is a fault of usher; please report it with this message."),
        }
    }

    /// A store that is copied into cannot be written or read.
    pub(crate) fn target(error: &StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => {
                Self::new("the target is being written by someone else", "Stop whatever uses it; then empty it, or take another.")
            }
            _ => Self::new(format!("the target: {error}"), "Mend that, and run it again: it goes on from where it was."),
        }
    }

    /// A record does not open with the master key.
    pub(crate) fn sealed(error: &RecordError) -> Self {
        match error {
            RecordError::Seal(SealError::WrongMasterKey) => Self::new(
                error.to_string(),
                "Give the master key that the records were sealed under (--master-key FILE); where several are in force, the configuration that \
                            names them.",
            ),
            RecordError::Seal(SealError::Unreachable(_)) => Self::new(error.to_string(), "Mend that, and run it again."),
            _ => Self::new(format!("a sealed record does not open: {error}"), "It is damaged: restore from an earlier backup."),
        }
    }

    /// A backup that is not what was written.
    pub(crate) fn damaged(what: impl fmt::Display) -> Self {
        Self::new(format!("the backup is damaged: {what}"), "Nothing was written. Take another copy of it, or an earlier backup.")
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.what, self.next)
    }
}

impl std::error::Error for CopyError {}
