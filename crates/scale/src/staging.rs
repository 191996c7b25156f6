//! A store that takes commits in and keeps them for later, so that the commits of many devices can become one.
//!
//! It reads from a real store until it is told to collect; from then on it is empty for whoever reads it, and every commit succeeds. So the
//! server's own code makes its records in it as for devices that nobody knows yet.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use usher_store::{BoxFuture, Found, Key, Op, Range, Snapshot, Store, StoreError, Stored};

/// The store.
pub struct Staging {
    real: Arc<dyn Store>,
    collecting: AtomicBool,
    ops: Mutex<Vec<Op>>,
}

impl Staging {
    /// In front of a real one, which it passes everything to.
    pub fn new(real: Arc<dyn Store>) -> Self {
        Self { real, collecting: AtomicBool::new(false), ops: Mutex::default() }
    }

    /// From here on it collects.
    pub fn collect(&self) {
        self.collecting.store(true, Ordering::SeqCst);
    }

    /// What was collected. Several additions to a counter are one.
    pub fn take(&self) -> Vec<Op> {
        let mut sums: BTreeMap<Key, i64> = BTreeMap::new();
        let mut ops = std::mem::take(&mut *self.ops.lock().unwrap_or_else(PoisonError::into_inner));
        ops.retain(|op| match op {
            Op::Add { key, delta } => {
                *sums.entry(key.clone()).or_default() += delta;
                false
            }
            _ => true,
        });
        ops.extend(sums.into_iter().map(|(key, delta)| Op::Add { key, delta }));
        ops
    }

    fn is_collecting(&self) -> bool {
        self.collecting.load(Ordering::SeqCst)
    }
}

impl Store for Staging {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        if self.is_collecting() { Box::pin(async { Ok(None) }) } else { self.real.get(key) }
    }

    fn scan<'a>(&'a self, range: Range<'a>) -> BoxFuture<'a, Result<Vec<Found>, StoreError>> {
        if self.is_collecting() { Box::pin(async { Ok(Vec::new()) }) } else { self.real.scan(range) }
    }

    fn counter<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<i64, StoreError>> {
        if self.is_collecting() { Box::pin(async { Ok(0) }) } else { self.real.counter(key) }
    }

    fn commit(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<(), StoreError>> {
        if !self.is_collecting() {
            return self.real.commit(ops);
        }
        self.ops.lock().unwrap_or_else(PoisonError::into_inner).extend(ops);
        Box::pin(async { Ok(()) })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StoreError>> {
        if self.is_collecting() {
            return Box::pin(async { Err(StoreError::Unavailable("commits that are being collected cannot be copied".into())) });
        }
        self.real.snapshot()
    }
}
