//! Everything that a store holds, as it was at one moment, for copies.
//!
//! All engines tell it in one order, so that a digest taken on the way says whether two stores hold the same: the records first, then
//! the counters, each by tenant, space and key.

use crate::{BoxFuture, Key, StoreError};

/// Bytes of bodies in one step beyond which no further entry is put into it.
pub const STEP_BYTES: usize = 1024 * 1024;
/// Entries in one step. With the largest bodies a step of an engine that reads in rows is larger than [`STEP_BYTES`].
pub const STEP_MAX: usize = 256;

/// One thing that a store holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A record as it is stored.
    Record {
        /// Where.
        key: Key,
        /// Its ETag.
        etag: u64,
        /// Its sealed body.
        body: Vec<u8>,
    },
    /// A counter; one that is 0 is as good as none, and is left out.
    Counter {
        /// Which.
        key: Key,
        /// Its value.
        value: i64,
    },
}

impl Entry {
    /// Where it stands in the order of all entries: counters after records, by tenant, then by space.
    pub fn place(&self) -> (bool, u32, u8, &[u8]) {
        match self {
            Self::Record { key, .. } => (false, key.tenant.0, key.space.0, &key.key),
            Self::Counter { key, .. } => (true, key.tenant.0, key.space.0, &key.key),
        }
    }

    /// Its key.
    pub fn key(&self) -> &Key {
        match self {
            Self::Record { key, .. } | Self::Counter { key, .. } => key,
        }
    }

    /// What it takes in memory, about, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Record { key, body, .. } => key.key.len() + body.len() + 16,
            Self::Counter { key, .. } => key.key.len() + 16,
        }
    }
}

/// A view that no later commit changes. Dropping it gives back what the engine keeps for it.
pub trait Snapshot: Send {
    /// The next entries; none at the end. A snapshot that has failed has ended.
    fn step(&mut self) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>>;
}
