//! The committer: the store's only writer. It takes all commits that wait, judges their conditions in order, writes those that hold
//! as one batch, syncs once, and only then answers them all.
//!
//! Being the only writer makes check-then-write free of races without transactions.

use std::collections::HashMap;

use fjall::{Database, Keyspace, PersistMode};
use tokio::sync::{mpsc, oneshot};
use usher_store::{Expect, Op, StoreError, holds};

use crate::layout::{decode_counter, decode_etag, encode_value, full_key};

/// Commits in one group. Enough to share a sync among all who wait, few enough to keep the first of them from waiting long.
const GROUP_MAX: usize = 512;
/// Bytes of bodies in one group; a larger one would hold up the rest for too long.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A commit and where its outcome goes.
pub struct Request {
    /// The operations.
    pub ops: Vec<Op>,
    /// Told once the commit is durable, or refused.
    pub answer: oneshot::Sender<Result<(), StoreError>>,
}

/// The committer's hold on the database.
pub struct Committer {
    database: Database,
    records: Keyspace,
    counters: Keyspace,
}

/// What a group will have changed once written: seen by the later commits of the same group.
#[derive(Default)]
struct Pending {
    /// The new ETag and body by full key; `None` for a removal.
    records: HashMap<Vec<u8>, Option<(u64, Vec<u8>)>>,
    counters: HashMap<Vec<u8>, i64>,
}

impl Committer {
    /// A committer over these tables.
    pub fn new(database: Database, records: Keyspace, counters: Keyspace) -> Self {
        Self { database, records, counters }
    }

    /// Works until all senders are gone.
    pub fn run(self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut group = vec![first];
            let mut bytes = 0;
            while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
                let Ok(next) = requests.try_recv() else { break };
                bytes += size(&next.ops);
                group.push(next);
            }
            self.commit_group(group);
        }
    }

    fn commit_group(&self, group: Vec<Request>) {
        let mut pending = Pending::default();
        let mut written = Vec::with_capacity(group.len());
        for Request { ops, answer } in group {
            match self.judge(&ops, &pending).and_then(|()| self.apply(ops, &mut pending)) {
                Ok(()) => written.push(answer),
                // Whoever asked may have gone; that is no concern of the others.
                Err(error) => drop(answer.send(Err(error))),
            }
        }
        if written.is_empty() {
            return;
        }
        let outcome = self.write(pending).map_err(|error| StoreError::Unavailable(format!("the commit could not be written: {error}")));
        for answer in written {
            drop(answer.send(outcome.clone()));
        }
    }

    /// Whether every condition of a commit holds, given what goes before it in the group.
    fn judge(&self, ops: &[Op], pending: &Pending) -> Result<(), StoreError> {
        for (index, op) in ops.iter().enumerate() {
            let (Op::Put { key, expect, .. } | Op::Delete { key, expect } | Op::Check { key, expect }) = op else { continue };
            if *expect == Expect::Any {
                continue;
            }
            let full = full_key(key);
            let found = match pending.records.get(&full) {
                Some(change) => change.as_ref().map(|(etag, _)| *etag),
                None => {
                    let stored = self.records.get(&full).map_err(|error| StoreError::Unavailable(error.to_string()))?;
                    stored.map(|value| decode_etag(key.space, &value)).transpose()?
                }
            };
            if !holds(*expect, found) {
                return Err(StoreError::Conflict { index });
            }
        }
        Ok(())
    }

    fn apply(&self, ops: Vec<Op>, pending: &mut Pending) -> Result<(), StoreError> {
        // Counters first: reading one is all that can fail, and nothing may have been applied then.
        let mut sums = HashMap::new();
        for op in &ops {
            if let Op::Add { key, delta } = op {
                let full = full_key(key);
                let sum = match sums.get(&full).or_else(|| pending.counters.get(&full)) {
                    Some(sum) => *sum,
                    None => {
                        let stored = self.counters.get(&full).map_err(|error| StoreError::Unavailable(error.to_string()))?;
                        stored.map_or(Ok(0), |value| decode_counter(key.space, &value))?
                    }
                };
                sums.insert(full, sum.saturating_add(*delta));
            }
        }
        pending.counters.extend(sums);
        for op in ops {
            match op {
                Op::Put { key, etag, body, .. } => drop(pending.records.insert(full_key(&key), Some((etag, body)))),
                Op::Delete { key, .. } => drop(pending.records.insert(full_key(&key), None)),
                Op::Check { .. } | Op::Add { .. } => {}
            }
        }
        Ok(())
    }

    fn write(&self, pending: Pending) -> Result<(), fjall::Error> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (key, change) in pending.records {
            match change {
                Some((etag, body)) => batch.insert(&self.records, key, encode_value(etag, &body)),
                None => batch.remove(&self.records, key),
            }
        }
        for (key, sum) in pending.counters {
            batch.insert(&self.counters, key, sum.to_be_bytes());
        }
        batch.commit()
    }
}

fn size(ops: &[Op]) -> usize {
    ops.iter().map(|op| if let Op::Put { body, .. } = op { body.len() } else { 0 }).sum()
}
