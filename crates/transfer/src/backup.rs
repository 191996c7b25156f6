//! The backup file: everything as it is stored, sealed, in frames that are checked one after the other.
//!
//! `"usherbak" || version (2)`, then frames `kind (1) || length (4) || payload || check (8)`. The check is the beginning of SHA-256 over
//! all bytes of the file before it, so that damage is found in the frame where it is. The last frame but one tells what there was; the
//! last is HMAC-SHA-256 over the SHA-256 of all before it, under a key of the system's own tenant. Those keys are the first entry of every
//! backup, wrapped under the master key; so whoever has that, or the token that it is in, can prove the rest.

mod authentication;
mod frame;
mod read;
mod write;

pub use read::Reader;
pub use write::write;

use serde::{Deserialize, Serialize};

/// First bytes of every backup.
const MAGIC: &[u8; 8] = b"usherbak";
/// The version that this program writes.
const VERSION: u16 = 1;
/// Entries of one frame together, in bytes, beyond which none is added.
const FRAME_BYTES: usize = 1024 * 1024;
/// Largest payload, in bytes: [`FRAME_BYTES`] and one more of the largest bodies.
const PAYLOAD_MAX: usize = FRAME_BYTES + usher_store::BODY_BYTES_MAX + 4096;

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Kind {
    /// A [`Header`].
    Header = 1,
    /// The master key, where it was asked for.
    MasterKey = 2,
    /// Entries.
    Entries = 3,
    /// A [`crate::Summary`].
    End = 4,
    /// The authentication.
    Tag = 5,
}

/// What a backup says about itself, readable by anyone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// When it was taken.
    pub created: String,
    /// The version of usher that wrote it.
    pub usher: String,
    /// Of what kind the store was: `embedded` or `postgres`. Any kind can be restored to any.
    pub store: String,
}
