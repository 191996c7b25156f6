//! The store port: an ordered map with conditional, durable batches, narrow enough for an embedded engine and for PostgreSQL and its
//! distributed kin alike.
//!
//! Keys arrive blinded and bodies sealed, so an engine can neither filter nor sort by anything but the key and the ETag. Every key
//! starts with its space and tenant; there is no scan across tenants.

pub mod conformance;
pub mod memory;
mod snapshot;

pub use snapshot::{Entry, STEP_BYTES, STEP_MAX, Snapshot};

use std::{fmt, future::Future, pin::Pin};

/// A boxed future, so that the port can be used as a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Longest key, in bytes: two blinded names of 16 bytes, with room.
pub const KEY_BYTES_MAX: usize = 64;
/// Largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Operations in one commit: a bulk request of ten enrollments with their index entries, with room.
pub const OPS_MAX: usize = 128;
/// Bodies of one commit together, in bytes: room for a full body and its company, yet little enough to bound what waits in memory.
pub const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Records in one scan.
pub const SCAN_MAX: usize = 1000;

/// One table. Its number is part of the disk format: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Space(pub u8);

/// Whose records these are; 0 is the system itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TenantId(pub u32);

/// A record's full key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Key {
    /// The table.
    pub space: Space,
    /// The owner.
    pub tenant: TenantId,
    /// At most [`KEY_BYTES_MAX`] bytes, blinded.
    pub key: Vec<u8>,
}

/// A record as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Changes with every write.
    pub etag: u64,
    /// Sealed.
    pub body: Vec<u8>,
}

/// A record found by a scan: its key within the space and tenant, and what is stored.
pub type Found = (Vec<u8>, Stored);

/// Which records a scan asks for.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// The table.
    pub space: Space,
    /// The owner.
    pub tenant: TenantId,
    /// With what their keys begin.
    pub prefix: &'a [u8],
    /// The key behind which to begin, exclusive; from the first where there is none.
    pub after: Option<&'a [u8]>,
    /// How many at most, and never more than [`SCAN_MAX`].
    pub limit: usize,
}

/// What must hold for an operation to take place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Nothing.
    Any,
    /// There is no such record.
    Absent,
    /// The record has this ETag.
    Etag(u64),
}

/// A step of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Writes a record.
    Put {
        /// Where.
        key: Key,
        /// On what condition.
        expect: Expect,
        /// The record's new ETag, chosen by the caller so that the body can be sealed to it.
        etag: u64,
        /// The sealed body.
        body: Vec<u8>,
    },
    /// Removes a record; with [`Expect::Any`] it need not be there.
    Delete {
        /// Where.
        key: Key,
        /// On what condition.
        expect: Expect,
    },
    /// Only a condition.
    Check {
        /// Where.
        key: Key,
        /// What must hold.
        expect: Expect,
    },
    /// Adds to a counter, which begins at 0. The same counter may be added to several times in a commit.
    Add {
        /// Which counter. Counters live apart from records.
        key: Key,
        /// How much.
        delta: i64,
    },
}

impl Op {
    /// The record or counter it touches.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } | Self::Check { key, .. } | Self::Add { key, .. } => key,
        }
    }
}

/// Why the store did not do as asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreError {
    /// A condition did not hold; nothing of the commit took place.
    Conflict {
        /// The first operation whose condition failed.
        index: usize,
    },
    /// The engine cannot be reached or has stopped.
    Unavailable(String),
    /// What was read is not what was written.
    Corrupt {
        /// Where.
        space: Space,
        /// What is wrong.
        detail: String,
    },
    /// A key, body or commit breaks this port's limits.
    Invalid(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { index } => write!(f, "the record was changed by someone else (operation {index})"),
            Self::Unavailable(why) => write!(f, "the store is unavailable: {why}"),
            Self::Corrupt { space, detail } => write!(f, "a record in space {} is corrupt: {detail}", space.0),
            Self::Invalid(why) => write!(f, "the store refuses the request: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// An ordered, durable map with conditional batches.
pub trait Store: Send + Sync + 'static {
    /// One record.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>>;

    /// Records in key order. Costs the same wherever it begins.
    fn scan<'a>(&'a self, range: Range<'a>) -> BoxFuture<'a, Result<Vec<Found>, StoreError>>;

    /// A counter's value; 0 where nothing was added.
    fn counter<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<i64, StoreError>>;

    /// All operations or none; durable before `Ok`. Conditions are judged against the state before the commit. No key may occur
    /// twice, but for counters.
    fn commit(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Everything as it is now. What is acknowledged by now is in it; commits go on meanwhile and are not.
    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StoreError>>;
}

/// Checks a commit against this port's limits; engines call it first.
pub fn check_limits(ops: &[Op]) -> Result<(), StoreError> {
    if ops.len() > OPS_MAX {
        return Err(StoreError::Invalid(format!("{} operations in one commit, at most {OPS_MAX}", ops.len())));
    }
    let bytes = body_bytes(ops);
    if bytes > COMMIT_BYTES_MAX {
        return Err(StoreError::Invalid(format!("{bytes} bytes in one commit, at most {COMMIT_BYTES_MAX}")));
    }
    let mut seen = std::collections::HashSet::new();
    for op in ops {
        if op.key().key.len() > KEY_BYTES_MAX {
            return Err(StoreError::Invalid(format!("a key of {} bytes, at most {KEY_BYTES_MAX}", op.key().key.len())));
        }
        match op {
            Op::Put { body, .. } if body.len() > BODY_BYTES_MAX => {
                return Err(StoreError::Invalid(format!("a body of {} bytes, at most {BODY_BYTES_MAX}", body.len())));
            }
            Op::Add { .. } => {}
            _ if !seen.insert(op.key()) => return Err(StoreError::Invalid("a key occurs twice in one commit".into())),
            _ => {}
        }
    }
    Ok(())
}

/// The bodies of a commit together, in bytes.
pub fn body_bytes(ops: &[Op]) -> usize {
    ops.iter().map(|op| if let Op::Put { body, .. } = op { body.len() } else { 0 }).sum()
}

/// Whether a condition holds for what is there.
pub fn holds(expect: Expect, found: Option<u64>) -> bool {
    match expect {
        Expect::Any => true,
        Expect::Absent => found.is_none(),
        Expect::Etag(etag) => found == Some(etag),
    }
}
