//! The embedded store: fjall, an LSM tree in pure Rust, behind a committer that groups concurrent commits into one fsync.
//!
//! fjall was chosen by measurement over SQLite, redb and RocksDB: about four times SQLite's durable writes, a reopen in a fraction
//! of a second after a crash, and neither a C++ compiler nor libclang to build it.

mod committer;
mod layout;

use std::{fmt, path::Path, thread::JoinHandle};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use tokio::sync::{mpsc, oneshot};
use usher_store::{BoxFuture, Found, Key, Op, SCAN_MAX, Space, Store, StoreError, Stored, TenantId, check_limits};

use committer::{Committer, Request};
use layout::{decode_value, full_key, full_prefix};

/// Commits that may wait for the committer; beyond, callers wait to hand theirs over.
const QUEUE_MAX: usize = 4_096;
/// Memory for cached blocks, in bytes. Small on purpose: the page cache stands behind it.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Memory for one table's writes before they are flushed, in bytes.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
/// Journal kept before the oldest tables are flushed, in bytes; it bounds the work of a reopen after a crash.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// Why the store could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it open.
    Locked {
        /// Its folder.
        folder: String,
    },
    /// The files are not what was written.
    Corrupt {
        /// Its folder.
        folder: String,
        /// What is wrong.
        detail: String,
    },
    /// The files cannot be read or written.
    Io {
        /// Its folder.
        folder: String,
        /// What went wrong.
        detail: String,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { folder } => {
                write!(f, "the store in {folder} is in use by another process: stop it, or choose another state folder")
            }
            Self::Corrupt { folder, detail } => write!(f, "the store in {folder} is damaged ({detail}): restore it from a backup"),
            Self::Io { folder, detail } => write!(f, "the store in {folder} cannot be opened: {detail}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// An open store. Dropping it ends the committer after the commits it was given.
pub struct EmbeddedStore {
    records: Keyspace,
    counters: Keyspace,
    queue: Option<mpsc::Sender<Request>>,
    committer: Option<JoinHandle<()>>,
    _database: Database,
}

impl EmbeddedStore {
    /// Opens the store in `folder`, or makes a new one there.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let told = |error| explain(folder, &error);
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .worker_threads(2)
            .max_journaling_size(JOURNAL_BYTES)
            .manual_journal_persist(true)
            .open()
            .map_err(told)?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let records = database.keyspace("records", options).map_err(told)?;
        let counters = database.keyspace("counters", options).map_err(told)?;
        let (queue, requests) = mpsc::channel(QUEUE_MAX);
        let committer = Committer::new(database.clone(), records.clone(), counters.clone());
        let thread = std::thread::Builder::new()
            .name("committer".into())
            .spawn(move || committer.run(requests))
            .map_err(|error| OpenError::Io { folder: folder.display().to_string(), detail: error.to_string() })?;
        Ok(Self { records, counters, queue: Some(queue), committer: Some(thread), _database: database })
    }
}

fn explain(folder: &Path, error: &fjall::Error) -> OpenError {
    let folder = folder.display().to_string();
    match error {
        fjall::Error::Locked => OpenError::Locked { folder },
        fjall::Error::Io(error) => OpenError::Io { folder, detail: error.to_string() },
        other => OpenError::Corrupt { folder, detail: other.to_string() },
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(committer) = self.committer.take() {
            // A committer that panicked has left its callers without an answer, which they have seen.
            let _ = committer.join();
        }
    }
}

impl Store for EmbeddedStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            let found = self.records.get(full_key(key)).map_err(|error| read_error(key.space, &error))?;
            found.map(|value| decode_value(key.space, &value)).transpose()
        })
    }

    fn scan<'a>(
        &'a self,
        space: Space,
        tenant: TenantId,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Found>, StoreError>> {
        Box::pin(async move {
            let head = full_prefix(space, tenant);
            let within = [head.as_slice(), prefix].concat();
            // The least key after `after` is itself with a zero byte.
            let from = after.map_or_else(|| within.clone(), |after| [head.as_slice(), after, &[0]].concat()).max(within.clone());
            let mut found = Vec::new();
            for guard in self.records.range(from..).take(limit.min(SCAN_MAX)) {
                let (key, value) = guard.into_inner().map_err(|error| read_error(space, &error))?;
                if !key.starts_with(&within) {
                    break;
                }
                let name = key.get(head.len()..).unwrap_or_default().to_vec();
                found.push((name, decode_value(space, &value)?));
            }
            Ok(found)
        })
    }

    fn counter<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<i64, StoreError>> {
        Box::pin(async move {
            let found = self.counters.get(full_key(key)).map_err(|error| read_error(key.space, &error))?;
            found.map_or(Ok(0), |value| layout::decode_counter(key.space, &value))
        })
    }

    fn commit(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            check_limits(&ops)?;
            let stopped = || StoreError::Unavailable("the committer has stopped; see the log, then restart".into());
            let (answer, answered) = oneshot::channel();
            let queue = self.queue.as_ref().ok_or_else(stopped)?;
            queue.send(Request { ops, answer }).await.map_err(|_| stopped())?;
            answered.await.map_err(|_| stopped())?
        })
    }
}

fn read_error(space: Space, error: &fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(_) | fjall::Error::Poisoned => StoreError::Unavailable(error.to_string()),
        other => StoreError::Corrupt { space, detail: other.to_string() },
    }
}
