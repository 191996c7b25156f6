//! Sealing: everything at rest is AES-256-GCM with extended nonces, everything looked up is blinded by HMAC-SHA-256.
//!
//! Keys come in three layers. A [`MasterKey`] comes from outside and wraps each tenant's [`TenantKeys`]: data keys, which seal
//! records, and an index key, which blinds names. Rotating the master key rewraps those few and touches no record. All cryptography
//! is AWS-LC's.

mod blind;
mod key_file;
mod master;
mod secret_bytes;
mod source;
mod tenant;
mod xaes;

use std::fmt;

pub use blind::{BLIND_BYTES, IndexKey};
pub use master::MasterKey;
pub use secret_bytes::SecretBytes;
pub use source::{EnvironmentKey, KeyError, KeyFile, KeySource};
pub use tenant::TenantKeys;

/// Why something could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// The text is shorter than its frame, or of an unknown version.
    Malformed,
    /// It was sealed with a data key that is not on the ring.
    UnknownKey {
        /// The missing key's number.
        id: u32,
    },
    /// It was changed, moved to another place, or sealed with another key.
    NotAuthentic,
    /// The tenant's keys were wrapped under another master key. Keys that were altered are [`SealError::NotAuthentic`].
    WrongMasterKey,
    /// The cryptographic module failed.
    Module,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the sealed text is malformed"),
            Self::UnknownKey { id } => write!(f, "data key {id} is not on the ring"),
            Self::NotAuthentic => f.write_str("the sealed text was altered, moved, or sealed with another key"),
            Self::WrongMasterKey => f.write_str("the master key is not the one these records were sealed under"),
            Self::Module => f.write_str("the cryptographic module failed"),
        }
    }
}

impl std::error::Error for SealError {}
