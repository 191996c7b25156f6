//! The committer: the store's only writer. It takes all commits that wait, judges their conditions in order, writes those that hold
//! as one batch, syncs once, and only then answers them all.
//!
//! Being the only writer makes check-then-write free of races without transactions.

use std::collections::HashMap;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use usher_store::{Expect, Op, StoreError, body_bytes, holds};

use crate::{
    layout::{decode_counter, decode_etag, encode_value, full_key},
    mark::Mark,
    tables::Tables,
};

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
    /// Its part of the memory that waiting commits may take; given back with the answer.
    pub room: OwnedSemaphorePermit,
}

/// The committer's hold on the tables.
pub struct Committer {
    tables: Tables,
    mark: Mark,
    /// Groups written so far.
    groups: u64,
}

/// What a group will have changed once written: seen by the later commits of the same group.
#[derive(Default)]
struct Pending {
    /// The new ETag and body by full key; `None` for a removal.
    records: HashMap<Vec<u8>, Option<(u64, Vec<u8>)>>,
    counters: HashMap<Vec<u8>, i64>,
}

impl Committer {
    /// A committer that goes on after `groups` groups.
    pub fn new(tables: Tables, mark: Mark, groups: u64) -> Self {
        Self { tables, mark, groups }
    }

    /// Works until all senders are gone.
    pub fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut bytes = body_bytes(&first.ops);
            let mut group = vec![first];
            while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
                let Ok(next) = requests.try_recv() else { break };
                bytes += body_bytes(&next.ops);
                group.push(next);
            }
            self.commit_group(group);
        }
    }

    fn commit_group(&mut self, group: Vec<Request>) {
        let mut pending = Pending::default();
        let mut answers = Vec::with_capacity(group.len());
        for Request { ops, answer, room } in group {
            let outcome = self.judge(&ops, &pending).and_then(|()| self.apply(ops, &mut pending));
            answers.push((answer, outcome, room));
        }
        let written = self.write(pending);
        // A refusal waits for the sync as well: it may rest on what was written just before it, and must not outlive that.
        for (answer, outcome, _room) in answers {
            // Whoever asked may have gone; that is no concern of the others.
            drop(answer.send(written.clone().and(outcome)));
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
                    let stored = self.tables.records.get(&full).map_err(|error| StoreError::Unavailable(error.to_string()))?;
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
                        let stored = self.tables.counters.get(&full).map_err(|error| StoreError::Unavailable(error.to_string()))?;
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

    fn write(&mut self, pending: Pending) -> Result<(), StoreError> {
        if pending.records.is_empty() && pending.counters.is_empty() {
            return Ok(());
        }
        let group = self.groups.saturating_add(1);
        let mut batch = self.tables.batch(group);
        for (key, change) in pending.records {
            match change {
                Some((etag, body)) => batch.insert(&self.tables.records, key, encode_value(etag, &body)),
                None => batch.remove(&self.tables.records, key),
            }
        }
        for (key, sum) in pending.counters {
            batch.insert(&self.tables.counters, key, sum.to_be_bytes());
        }
        batch.commit().map_err(|error| StoreError::Unavailable(format!("the commit could not be written: {error}")))?;
        self.groups = group;
        // The group is durable whether or not the mark says so. A mark that lags only sees less.
        let _ = self.mark.set(group);
        Ok(())
    }
}
