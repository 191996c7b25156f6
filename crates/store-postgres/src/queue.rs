//! Commits that wait for a lane, bounded in number and bytes, handed out in groups of one tenant.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use usher_store::{Op, StoreError, TenantId, body_bytes};

/// Commits that may wait; beyond, callers wait to hand theirs over.
const QUEUE_MAX: usize = 4_096;
/// Bodies of the commits that wait, in bytes, for the same reason. Several of the largest commits fit.
const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Commits in one group. Enough to share a round trip and a sync among all who wait, few enough not to hold many locks for long.
const GROUP_MAX: usize = 256;
/// Bytes of bodies in one group; a larger one would hold up the rest for too long.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A commit and where its outcome goes.
pub struct Request {
    /// The operations.
    pub ops: Vec<Op>,
    /// Told once the commit is durable, or refused.
    pub answer: oneshot::Sender<Result<(), StoreError>>,
    /// Its part of what may wait, given back with the answer.
    _room: [OwnedSemaphorePermit; 2],
}

/// The queue.
pub struct Queue {
    waiting: Mutex<Waiting>,
    wake: Notify,
    places: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    closed: bool,
}

impl Queue {
    /// An empty queue.
    pub fn new() -> Self {
        let (places, bytes) = (Arc::new(Semaphore::new(QUEUE_MAX)), Arc::new(Semaphore::new(QUEUE_BYTES_MAX)));
        Self { waiting: Mutex::default(), wake: Notify::new(), places, bytes }
    }

    /// Hands a commit over; its outcome comes through what is returned. `None` once closed.
    pub async fn put(&self, ops: Vec<Op>) -> Option<oneshot::Receiver<Result<(), StoreError>>> {
        // It can be had: the port's limit on a commit is lower than all there is.
        let bytes = u32::try_from(body_bytes(&ops)).unwrap_or(u32::MAX);
        let room = [Arc::clone(&self.places).acquire_owned().await.ok()?, Arc::clone(&self.bytes).acquire_many_owned(bytes).await.ok()?];
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.closed {
            return None;
        }
        waiting.requests.push_back(Request { ops, answer, _room: room });
        drop(waiting);
        self.wake.notify_one();
        Some(answered)
    }

    /// The next group; `None` once the queue is closed and empty.
    pub async fn group(&self) -> Option<Vec<Request>> {
        loop {
            let (group, more, closed) = self.take();
            if more || closed {
                self.wake.notify_one();
            }
            if !group.is_empty() {
                return Some(group);
            }
            if closed {
                return None;
            }
            self.wake.notified().await;
        }
    }

    /// A group, whether more waits, and whether the queue is closed.
    fn take(&self) -> (Vec<Request>, bool, bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let group = take_group(&mut waiting.requests);
        (group, !waiting.requests.is_empty(), waiting.closed)
    }

    /// Takes nothing more; what waits is still worked off.
    pub fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.wake.notify_one();
    }
}

/// The first that waits and all others of its tenant, in their order. One that concerns several tenants goes alone.
fn take_group(requests: &mut VecDeque<Request>) -> Vec<Request> {
    let Some(first) = requests.pop_front() else { return Vec::new() };
    let tenant = sole_tenant(&first.ops);
    let mut bytes = body_bytes(&first.ops);
    let mut group = vec![first];
    if tenant.is_none() {
        return group;
    }
    let mut left = VecDeque::with_capacity(requests.len());
    while let Some(next) = requests.pop_front() {
        let size = body_bytes(&next.ops);
        if group.len() < GROUP_MAX && bytes + size <= GROUP_BYTES_MAX && sole_tenant(&next.ops) == tenant {
            bytes += size;
            group.push(next);
        } else {
            left.push_back(next);
        }
    }
    *requests = left;
    group
}

fn sole_tenant(ops: &[Op]) -> Option<TenantId> {
    let first = ops.first()?.key().tenant;
    ops.iter().all(|op| op.key().tenant == first).then_some(first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use usher_store::{Key, Space};

    use super::*;

    fn add(tenants: &[u32]) -> Vec<Op> {
        tenants.iter().map(|tenant| Op::Add { key: Key { space: Space(1), tenant: TenantId(*tenant), key: vec![] }, delta: 1 }).collect()
    }

    #[tokio::test]
    async fn groups_are_of_one_tenant_and_in_order_and_the_last_one_ends_the_queue() {
        let queue = Queue::new();
        for tenants in [[1, 1].as_slice(), &[2], &[1], &[1, 2], &[1]] {
            queue.put(add(tenants)).await.unwrap();
        }
        queue.close();
        assert!(queue.put(add(&[1])).await.is_none());
        let mut sizes = Vec::new();
        while let Some(group) = queue.group().await {
            sizes.push(group.iter().map(|request| request.ops.len()).collect::<Vec<_>>());
        }
        assert_eq!(sizes, [vec![2, 1, 1], vec![1], vec![2]]);
    }

    #[tokio::test]
    async fn a_group_has_at_most_so_many() {
        let queue = Queue::new();
        for _ in 0..=GROUP_MAX {
            queue.put(add(&[1])).await.unwrap();
        }
        assert_eq!(queue.group().await.unwrap().len(), GROUP_MAX);
        assert_eq!(queue.group().await.unwrap().len(), 1);
    }
}
