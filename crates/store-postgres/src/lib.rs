//! The store on PostgreSQL, and on databases that speak as it does: any number of processes share one database, and none of them keeps
//! anything of its own.
//!
//! Commits of concurrent callers are grouped, each group being one transaction of two round trips (see `lane`). Connections are few
//! and fixed in number: what is asked at once goes over them without waiting for each other's answers. Everything is tried again, for
//! a bounded time, where a conflict, a lost connection or a restart of the database is in the way.

mod barrier;
mod durability;
mod error;
mod fault;
mod hosts;
mod judge;
mod lane;
mod marker;
mod patience;
mod queue;
mod readers;
mod rows;
mod schema;
mod session;
mod snapshot;
mod sql;
mod target;
mod tls;

use std::{sync::Arc, time::Duration};

use tokio_postgres::Row;
use usher_store::{BoxFuture, Found, Key, Op, Range, SCAN_MAX, Snapshot, Space, Store, StoreError, Stored, TenantId, check_limits};

use fault::Fault;
use lane::Lane;
use queue::Queue;
use readers::Readers;
use target::Target;

pub use error::OpenError;

/// Time to reach the database when the store is opened.
const OPEN_MAX: Duration = Duration::from_secs(10);
/// Between two sweeps of markers that dead processes left.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// Parts of each counter. Those who add to the same part wait for each other, so there are more of them than a few nodes have lanes;
/// a reader sums as many rows at most.
const COUNTER_SLOTS: u8 = 32;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Takes the place of the address's password, so that it need not stand in a file.
    pub password: Option<String>,
    /// Connections that write. More help where the database is far away; each group is larger with fewer.
    pub writers: usize,
    /// Connections that read.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { password: None, writers: 4, readers: 4 }
    }
}

/// An open store. Dropping it ends the lanes after the commits they were given.
pub struct PostgresStore {
    target: Target,
    readers: Arc<Readers>,
    queue: Arc<Queue>,
    sweeper: tokio::task::JoinHandle<()>,
}

impl PostgresStore {
    /// Connects to the database at `address` (`postgres://user:password@host/name?sslmode=verify-full`), and makes the tables there if
    /// need be.
    ///
    /// # Errors
    /// Where the address cannot be read, the database cannot be reached or refuses, or a later version changed its tables.
    pub async fn open(address: &str, options: &Options) -> Result<Self, OpenError> {
        let target = Target::parse(address, options.password.as_deref())?;
        session::within(OPEN_MAX, async {
            let client = session::connect(&target).await?;
            durability::check(&client, target.hosts.len()).await;
            Ok(schema::migrate(&client).await)
        })
        .await
        .map_err(schema::refused)??;
        let queue = Arc::new(Queue::new());
        let first = first_slot();
        for lane in 0..options.writers.max(1) {
            let slot = i32::from(first.wrapping_add(u8::try_from(lane).unwrap_or_default()) % COUNTER_SLOTS);
            tokio::spawn(Lane::new(target.clone(), Arc::clone(&queue), slot).run());
        }
        let readers = Arc::new(Readers::new(target.clone(), options.readers));
        let sweeper = tokio::spawn(sweep(Arc::clone(&readers)));
        Ok(Self { target, readers, queue, sweeper })
    }

    /// How many connections of nodes the database has at this moment: those named `usher`, which they are unless the address names
    /// them otherwise.
    ///
    /// # Errors
    /// As [`PostgresStore::open`].
    pub async fn connections(address: &str, options: &Options) -> Result<u64, OpenError> {
        let target = Target::parse(address, options.password.as_deref())?;
        let counted = session::within(OPEN_MAX, async {
            let row = session::connect(&target).await?.query_one(sql::NODES, &[]).await?;
            Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
        });
        counted.await.map_err(schema::refused)
    }
}

/// By chance, so that nodes do not all add to the same parts.
fn first_slot() -> u8 {
    let mut byte = [0_u8];
    // Without randomness, nodes wait for each other, and count right.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte[0]
}

async fn sweep(readers: Arc<Readers>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Err(why) = readers.sweep().await {
            tracing::debug!(%why, "old commit markers are not swept; the next sweep will");
        }
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.queue.close();
        self.sweeper.abort();
    }
}

impl Store for PostgresStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            let (tenant, key) = row_key(key.tenant, key.space, &key.key);
            let rows = self.readers.rows(|session| &session.statements.get, &[&tenant, &key]).await.map_err(unavailable)?;
            rows.first().map(|row| stored(row, 0)).transpose().map_err(unavailable)
        })
    }

    fn scan<'a>(&'a self, range: Range<'a>) -> BoxFuture<'a, Result<Vec<Found>, StoreError>> {
        let Range { space, tenant, prefix, after, limit } = range;
        Box::pin(async move {
            let (tenant, within) = row_key(tenant, space, prefix);
            // The least key after `after` is itself with a zero byte.
            let from = after.map_or_else(|| within.clone(), |after| [&[space.0], after, &[0]].concat()).max(within.clone());
            let limit = i64::try_from(limit.min(SCAN_MAX)).unwrap_or_default();
            let rows = match successor(&within) {
                Some(to) => self.readers.rows(|session| &session.statements.scan, &[&tenant, &from, &to, &limit]).await,
                None => self.readers.rows(|session| &session.statements.scan_to_end, &[&tenant, &from, &limit]).await,
            };
            rows.map_err(unavailable)?.iter().map(found).collect::<Result<_, _>>().map_err(unavailable)
        })
    }

    fn counter<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<i64, StoreError>> {
        Box::pin(async move {
            let (tenant, key) = row_key(key.tenant, key.space, &key.key);
            let rows = self.readers.rows(|session| &session.statements.counter, &[&tenant, &key]).await.map_err(unavailable)?;
            rows.first().map_or(Ok(0), |row| row.try_get(0).map_err(|error| unavailable(error.into())))
        })
    }

    fn commit(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            check_limits(&ops)?;
            if ops.is_empty() {
                return Ok(());
            }
            let stopped = || StoreError::Unavailable("the store is closed".into());
            self.queue.put(ops).await.ok_or_else(stopped)?.await.map_err(|_| stopped())?
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StoreError>> {
        Box::pin(async move {
            let view = snapshot::View::open(&self.target).await.map_err(unavailable)?;
            Ok(Box::new(view) as Box<dyn Snapshot>)
        })
    }
}

fn row_key(tenant: TenantId, space: Space, key: &[u8]) -> (i64, Vec<u8>) {
    (i64::from(tenant.0), [&[space.0], key].concat())
}

/// The least key greater than all that begin with `prefix`; `None` where there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix.get(..=last)?.to_vec();
    *next.last_mut()? += 1;
    Some(next)
}

fn stored(row: &Row, first: usize) -> Result<Stored, Fault> {
    Ok(Stored { etag: row.try_get::<_, i64>(first)?.cast_unsigned(), body: row.try_get(first + 1)? })
}

fn found(row: &Row) -> Result<Found, Fault> {
    let key: &[u8] = row.try_get(0)?;
    Ok((key.get(1..).unwrap_or_default().to_vec(), stored(row, 1)?))
}

fn unavailable(fault: Fault) -> StoreError {
    StoreError::Unavailable(fault.text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        assert_eq!(super::successor(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(super::successor(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(super::successor(&[255, 255]), None);
        assert_eq!(super::successor(&[]), None);
    }
}
