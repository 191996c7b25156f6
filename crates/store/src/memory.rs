//! The fake: a store in memory that can be told to fail, to lose an answer, or to let commits wait.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use crate::{BoxFuture, Entry, Found, Key, Op, Range, SCAN_MAX, STEP_MAX, Snapshot, Store, StoreError, Stored, check_limits, holds};

/// What goes wrong with the next commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not take place.
    Before,
    /// It takes place, and the answer is lost.
    After,
}

#[derive(Default)]
struct State {
    records: BTreeMap<Key, Stored>,
    counters: BTreeMap<Key, i64>,
    faults: Vec<Fault>,
    commits: u64,
    /// [`Hold`]s alive.
    holds: usize,
    /// Commits that wait for the last of them to end.
    waiting: Vec<Waker>,
}

/// A store in memory. Clones share it, so it can be "reopened".
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

impl MemoryStore {
    /// Makes the next commits fail, one each, in this order.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut queued: Vec<Fault> = faults.into_iter().collect();
        queued.reverse();
        self.state().faults = queued;
    }

    /// Commits that took place.
    pub fn commits(&self) -> u64 {
        self.state().commits
    }

    /// Lets commits wait until the answer is dropped: a slow store, without a clock.
    #[must_use = "commits go on as soon as it is dropped"]
    pub fn hold(&self) -> Hold {
        self.state().holds += 1;
        Hold(self.clone())
    }

    async fn not_held(&self) {
        poll_fn(|context| {
            let mut state = self.state();
            if state.holds == 0 {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, commits of its store wait.
pub struct Hold(MemoryStore);

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.holds -= 1;
        if state.holds == 0 {
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

impl State {
    fn commit(&mut self, ops: Vec<Op>) -> Result<(), StoreError> {
        for (index, op) in ops.iter().enumerate() {
            let (Op::Put { key, expect, .. } | Op::Delete { key, expect } | Op::Check { key, expect }) = op else { continue };
            if !holds(*expect, self.records.get(key).map(|stored| stored.etag)) {
                return Err(StoreError::Conflict { index });
            }
        }
        for op in ops {
            match op {
                Op::Put { key, etag, body, .. } => {
                    self.records.insert(key, Stored { etag, body });
                }
                Op::Delete { key, .. } => {
                    self.records.remove(&key);
                }
                Op::Add { key, delta } => {
                    let counter = self.counters.entry(key).or_default();
                    *counter = counter.saturating_add(delta);
                }
                Op::Check { .. } => {}
            }
        }
        self.commits += 1;
        Ok(())
    }
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move { Ok(self.state().records.get(key).cloned()) })
    }

    fn scan<'a>(&'a self, range: Range<'a>) -> BoxFuture<'a, Result<Vec<Found>, StoreError>> {
        Box::pin(async move {
            let Range { space, tenant, prefix, after, limit } = range;
            let place = |key: &[u8]| Key { space, tenant, key: key.to_vec() };
            // From the later of the two, so that a page deep in a listing costs no more than the first.
            let from = match after.filter(|after| *after >= prefix) {
                Some(after) => Bound::Excluded(place(after)),
                None => Bound::Included(place(prefix)),
            };
            let state = self.state();
            let mine = state.records.range((from, Bound::Unbounded)).take_while(|(key, _)| key.space == space && key.tenant == tenant);
            let mine = mine.take_while(|(key, _)| key.key.starts_with(prefix));
            Ok(mine.take(limit.min(SCAN_MAX)).map(|(key, stored)| (key.key.clone(), stored.clone())).collect())
        })
    }

    fn counter<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<i64, StoreError>> {
        Box::pin(async move { Ok(self.state().counters.get(key).copied().unwrap_or_default()) })
    }

    fn commit(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            check_limits(&ops)?;
            self.not_held().await;
            let mut state = self.state();
            match state.faults.pop() {
                None => state.commit(ops),
                Some(Fault::Before) => Err(StoreError::Unavailable("told to fail".into())),
                Some(Fault::After) => {
                    state.commit(ops)?;
                    Err(StoreError::Unavailable("told to lose the answer".into()))
                }
            }
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let records = state.records.iter().map(|(key, stored)| {
                let Stored { etag, body } = stored.clone();
                Entry::Record { key: key.clone(), etag, body }
            });
            let counters = state.counters.iter().filter(|(_, value)| **value != 0);
            let mut all: Vec<Entry> =
                records.chain(counters.map(|(key, value)| Entry::Counter { key: key.clone(), value: *value })).collect();
            all.sort_unstable_by(|one, other| other.place().cmp(&one.place()));
            Ok(Box::new(Copy(all)) as Box<dyn Snapshot>)
        })
    }
}

/// What is left to be told, the last first.
struct Copy(Vec<Entry>);

impl Snapshot for Copy {
    fn step(&mut self) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        let mut step = self.0.split_off(self.0.len().saturating_sub(STEP_MAX));
        step.reverse();
        Box::pin(async move { Ok(step) })
    }
}
