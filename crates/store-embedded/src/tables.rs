//! The engine's tables, and whether they still hold what was acknowledged.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, config::PartitioningPolicy};
use usher_store::StoreError;

use crate::{Options, error::OpenError, mark::Mark};

/// Memory for one table's writes before they are flushed, in bytes.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
/// Journal kept before the oldest tables are flushed, in bytes; it bounds the work of a reopen after a crash.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;
/// In `counters`: how many groups of commits were written, within the group itself. Shorter than any full key, like the next.
const GROUPS: &[u8] = &[0];
/// In both tables since they were made. A table without it has lost its beginning.
const BIRTH: &[u8] = &[1];

/// Two tables of one database: they share its journal, so one sync serves both. A table per space would cost an open file, a memtable
/// and time to open for each.
#[derive(Clone)]
pub struct Tables {
    database: Database,
    /// Records by full key.
    pub records: Keyspace,
    /// Counters by full key.
    pub counters: Keyspace,
}

impl Tables {
    /// Opens or makes the tables in `folder`, and compares them with the mark. Returns the mark and the groups it counts.
    pub fn open(folder: &Path, options: &Options) -> Result<(Self, Mark, u64), OpenError> {
        // The engine asserts that some fields of its journal make sense, and so panics where they were damaged. Nothing outlives the
        // attempt but the answer.
        let attempt = AssertUnwindSafe(|| Self::open_engine(folder, options));
        catch_unwind(attempt).unwrap_or_else(|_| Err(OpenError::corrupt(folder, "the engine cannot make sense of its files")))
    }

    fn open_engine(folder: &Path, options: &Options) -> Result<(Self, Mark, u64), OpenError> {
        let marked = Mark::read(folder)?;
        let told = |error| OpenError::engine(folder, marked.is_some(), &error);
        let database = Database::builder(folder)
            .cache_size(options.cache_bytes)
            .worker_threads(2)
            .max_journaling_size(JOURNAL_BYTES)
            .manual_journal_persist(true)
            .open()
            .map_err(told)?;
        let keyspace = || {
            // In parts in every level: what is flushed may be moved down as it is, and a look-up there would else read the whole index
            // and filter of a file, some 130 KB, as soon as there are more files than the cache holds.
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .index_block_partitioning_policy(PartitioningPolicy::all(true))
                .filter_block_partitioning_policy(PartitioningPolicy::all(true))
        };
        let records = database.keyspace("records", keyspace).map_err(told)?;
        let counters = database.keyspace("counters", keyspace).map_err(told)?;
        let tables = Self { database, records, counters };
        let groups = tables.check(folder, marked)?;
        let mark = Mark::open(folder, groups).map_err(|error| OpenError::io(folder, &error))?;
        Ok((tables, mark, groups))
    }

    /// How many groups the tables hold, once it is sure that none is missing.
    fn check(&self, folder: &Path, marked: Option<u64>) -> Result<u64, OpenError> {
        let told = |error| OpenError::engine(folder, marked.is_some(), &error);
        let written = self.counters.get(GROUPS).map_err(told)?;
        let groups = match written.as_deref().map(<[u8; 8]>::try_from) {
            None => 0,
            Some(Ok(bytes)) => u64::from_be_bytes(bytes),
            Some(Err(_)) => return Err(OpenError::corrupt(folder, "the count of commits is not a number")),
        };
        let Some(marked) = marked else {
            if groups > 0 {
                return Err(OpenError::corrupt(folder, "the file mark is missing"));
            }
            // A new store, or one that a crash left before its first commit.
            return self.give_birth().map(|()| 0).map_err(told);
        };
        for (table, name) in [(&self.records, "records"), (&self.counters, "counters")] {
            if table.get(BIRTH).map_err(told)?.is_none() {
                return Err(OpenError::corrupt(folder, format!("the table {name} or the journal has lost what it held")));
            }
        }
        if groups < marked {
            let missing = marked - groups;
            return Err(OpenError::corrupt(folder, format!("the journal has lost the last {missing} groups of commits")));
        }
        Ok(groups)
    }

    fn give_birth(&self) -> Result<(), fjall::Error> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.records, BIRTH, []);
        batch.insert(&self.counters, BIRTH, []);
        batch.commit()
    }

    /// A batch that is durable once committed, numbered as the `group`-th.
    pub fn batch(&self, group: u64) -> fjall::OwnedWriteBatch {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.counters, GROUPS, group.to_be_bytes());
        batch
    }

    /// Reads every block of both tables against its checksum, and returns how many records and counters there are.
    pub fn verify(&self) -> Result<u64, StoreError> {
        let mut entries = 0;
        for (table, name) in [(&self.records, "records"), (&self.counters, "counters")] {
            for guard in table.iter() {
                let (key, _) = guard.into_inner().map_err(|error| StoreError::Unavailable(format!("the table {name}: {error}")))?;
                entries += u64::from(key.len() > 1);
            }
        }
        Ok(entries)
    }
}
