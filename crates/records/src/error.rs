//! What can go wrong with records.

use std::fmt;

use usher_seal::SealError;
use usher_store::{Space, StoreError};

/// Why a record could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The record was changed by someone else meanwhile.
    Conflict {
        /// The first operation of the commit whose condition failed.
        index: usize,
    },
    /// The store cannot be reached or has stopped.
    Unavailable(String),
    /// What was read is not what was written.
    Corrupt {
        /// The table.
        space: Space,
        /// What is wrong.
        detail: String,
    },
    /// The keys do not fit the records.
    Seal(SealError),
    /// The request breaks a limit of the store.
    Invalid(String),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { .. } => f.write_str("the record was changed by someone else meanwhile"),
            Self::Unavailable(why) => write!(f, "the store is unavailable: {why}"),
            Self::Corrupt { space, detail } => write!(f, "a record in space {} is corrupt: {detail}", space.0),
            Self::Seal(error) => error.fmt(f),
            Self::Invalid(why) => write!(f, "the store refuses the request: {why}"),
        }
    }
}

impl std::error::Error for RecordError {}

impl From<StoreError> for RecordError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { index } => Self::Conflict { index },
            StoreError::Unavailable(why) => Self::Unavailable(why),
            StoreError::Corrupt { space, detail } => Self::Corrupt { space, detail },
            StoreError::Invalid(why) => Self::Invalid(why),
        }
    }
}

impl From<SealError> for RecordError {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}
