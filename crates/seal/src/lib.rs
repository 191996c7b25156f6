//! Sealing: everything at rest is AES-256-GCM with extended nonces, everything looked up is blinded by HMAC-SHA-256.
//!
//! Keys come in three layers. A [`MasterKey`], in memory or in a token, comes from outside and wraps each tenant's [`TenantKeys`]: data keys, which seal
//! records, and an index key, which blinds names. Rotating the master key rewraps those few and touches no record. All cryptography
//! is AWS-LC's.

mod blind;
mod held;
mod key_file;
mod keyring;
mod master;
mod module;
mod secret_bytes;
mod source;
mod tenant;
mod wrapped;
mod xaes;

use std::fmt;

pub use blind::{BLIND_BYTES, IndexKey};
pub use held::HeldKey;
pub use keyring::MasterKeys;
pub use master::{CHECK_BYTES, MasterKey};
pub use module::Module;
pub use secret_bytes::SecretBytes;
pub use source::{EnvironmentKey, KeyError, KeyFile, KeySource};
pub use tenant::{DATA_KEYS_MAX, TenantKeys};
pub use wrapped::{Inspected, inspect};

/// Why something could not be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The token that holds the master key does not do what it is asked; in words.
    Unreachable(String),
    /// There are as many data keys as there may be.
    TooManyKeys,
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
            Self::Unreachable(why) => write!(f, "the master key's token: {why}"),
            Self::TooManyKeys => write!(f, "there are {DATA_KEYS_MAX} data keys, and no more can be added"),
            Self::Module => f.write_str("the cryptographic module failed"),
        }
    }
}

impl std::error::Error for SealError {}
