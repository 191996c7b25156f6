//! The embedded store: fjall, an LSM tree in pure Rust, behind a committer that groups concurrent commits into one fsync.
//!
//! fjall was chosen by measurement over SQLite, redb and RocksDB: about four times SQLite's durable writes, a reopen in a fraction
//! of a second after a crash, and neither a C++ compiler nor libclang to build it.

mod committer;
mod error;
mod layout;
mod mark;
mod snapshot;
mod suspects;
mod tables;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use tokio::sync::{Semaphore, mpsc, oneshot};
use usher_store::{BoxFuture, Found, Key, Op, Range, SCAN_MAX, Snapshot, Space, Store, StoreError, Stored, body_bytes, check_limits};

use committer::{Committer, Request};
use layout::{decode_value, full_key, full_prefix};
use tables::Tables;

pub use error::OpenError;

/// Commits that may wait for the committer; beyond, callers wait to hand theirs over.
const QUEUE_MAX: usize = 4_096;
/// Bodies of the commits that wait, in bytes, for the same reason. Several of the largest commits fit.
const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Memory for cached blocks, in bytes. Small on purpose: the page cache stands behind it.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for cached blocks, in bytes. 8 MiB unless told otherwise; more helps where the data is larger than the page cache.
    pub cache_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: CACHE_BYTES }
    }
}

/// An open store. Dropping it ends the committer after the commits it was given.
pub struct EmbeddedStore {
    folder: PathBuf,
    tables: Tables,
    queue: Option<mpsc::Sender<Request>>,
    room: Arc<Semaphore>,
    committer: Option<JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Opens the store in `folder`, or makes a new one there.
    ///
    /// # Errors
    /// Where another process has it open, a later version wrote it, or files are missing or not what was written. Blocks of data
    /// are checked when they are read, not here; see [`EmbeddedStore::verify`].
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_with(folder, &Options::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    pub fn open_with(folder: &Path, options: &Options) -> Result<Self, OpenError> {
        let (tables, mark, groups) = Tables::open(folder, options)?;
        let (queue, requests) = mpsc::channel(QUEUE_MAX);
        let committer = Committer::new(tables.clone(), mark, groups);
        let thread = std::thread::Builder::new()
            .name("committer".into())
            .spawn(move || committer.run(requests))
            .map_err(|error| OpenError::io(folder, &error))?;
        let room = Arc::new(Semaphore::new(QUEUE_BYTES_MAX));
        Ok(Self { folder: folder.to_owned(), tables, queue: Some(queue), room, committer: Some(thread) })
    }

    /// Whether a store was made in `folder`. Opening makes one where there is none, which whoever only wants to read does not want.
    pub fn is_in(folder: &Path) -> bool {
        ["mark", "0.jnl", "keyspaces"].iter().any(|name| folder.join(name).exists())
    }

    /// Ends the committer after the commits it was given, and says whether it came to a good end. Dropping does the same in silence.
    ///
    /// # Errors
    /// Where the committer has panicked; its callers were told that the store is unavailable.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.end().map_err(|_| StoreError::Unavailable("the committer has panicked".into()))
    }

    /// Reads everything against its checksums, and returns how many records and counters there are. Takes about a second per
    /// million; blocks the thread.
    ///
    /// # Errors
    /// Where a block is not what was written.
    pub fn verify(&self) -> Result<u64, StoreError> {
        self.tables.verify()
    }

    fn end(&mut self) -> std::thread::Result<()> {
        drop(self.queue.take());
        self.committer.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // A committer that panicked has left its callers without an answer, which they have seen.
        let _ = self.end();
    }
}

impl Store for EmbeddedStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            let found = self.tables.records.get(full_key(key)).map_err(|error| read_error(RECORDS, key.space, &error))?;
            found.map(|value| decode_value(key.space, &value)).transpose()
        })
    }

    fn scan<'a>(&'a self, range: Range<'a>) -> BoxFuture<'a, Result<Vec<Found>, StoreError>> {
        Box::pin(async move {
            let Range { space, tenant, prefix, after, limit } = range;
            let head = full_prefix(space, tenant);
            let within = [head.as_slice(), prefix].concat();
            // The least key after `after` is itself with a zero byte.
            let from = after.map_or_else(|| within.clone(), |after| [head.as_slice(), after, &[0]].concat()).max(within.clone());
            let mut found = Vec::new();
            for guard in self.tables.records.range(from..).take(limit.min(SCAN_MAX)) {
                let (key, value) = guard.into_inner().map_err(|error| read_error(RECORDS, space, &error))?;
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
            let found = self.tables.counters.get(full_key(key)).map_err(|error| read_error(COUNTERS, key.space, &error))?;
            found.map_or(Ok(0), |value| layout::decode_counter(key.space, &value))
        })
    }

    fn commit(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            check_limits(&ops)?;
            let stopped = || StoreError::Unavailable("the committer has stopped; see the log, then restart".into());
            let (answer, answered) = oneshot::channel();
            let queue = self.queue.as_ref().ok_or_else(stopped)?;
            // It can be had: the port's limit on a commit is lower than all there is.
            let bytes = u32::try_from(body_bytes(&ops)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| stopped())?;
            queue.send(Request { ops, answer, room }).await.map_err(|_| stopped())?;
            answered.await.map_err(|_| stopped())?
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StoreError>> {
        Box::pin(async move { Ok(Box::new(snapshot::View::open(self.tables.clone(), self.folder.clone())?) as Box<dyn Snapshot>) })
    }
}

/// Where the two tables lie, for people: the engine does not say in which of its files a block is damaged.
const RECORDS: &str = "keyspaces/1/tables (records)";
const COUNTERS: &str = "keyspaces/2/tables (counters)";

fn read_error(table: &str, space: Space, error: &fjall::Error) -> StoreError {
    use std::io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    let detail = || format!("a file in {table} is not what was written: {error}");
    match error {
        fjall::Error::Io(error) if !matches!(error.kind(), InvalidData | InvalidInput | NotFound | UnexpectedEof) => {
            StoreError::Unavailable(error.to_string())
        }
        fjall::Error::Poisoned => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Corrupt { space, detail: detail() },
    }
}
