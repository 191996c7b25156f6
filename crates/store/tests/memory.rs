//! The memory store conforms, so that what is tested on it holds for the engines; and it can be told to misbehave.

#![allow(clippy::unwrap_used)]

use std::{sync::Arc, task::Poll};

use usher_store::{
    Expect, Op, Store, StoreError, conformance,
    memory::{Fault, MemoryStore},
};

fn put(name: &str) -> Vec<Op> {
    vec![Op::Put { key: conformance::key(name), expect: Expect::Absent, etag: 1, body: Vec::new() }]
}

#[tokio::test]
async fn the_memory_store_conforms() {
    conformance::all(Arc::new(MemoryStore::default())).await;
}

#[tokio::test]
async fn clones_are_the_same_store_reopened() {
    let store = MemoryStore::default();
    conformance::reopening(|| Arc::new(store.clone())).await;
}

#[tokio::test]
async fn a_fault_fails_one_commit_before_or_after_it_takes_place() {
    let store = MemoryStore::default();
    store.fail_next([Fault::Before, Fault::After]);
    assert!(matches!(store.commit(put("before")).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.commit(put("after")).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.get(&conformance::key("before")).await, Ok(None));
    assert!(store.get(&conformance::key("after")).await.unwrap().is_some(), "only the answer was lost");
    assert_eq!(store.commit(put("next")).await, Ok(()));
}

#[tokio::test]
async fn held_commits_wait_and_reads_do_not() {
    let store = MemoryStore::default();
    let hold = store.hold();
    let mut commit = store.commit(put("slow"));
    assert!(matches!(std::future::poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await, Poll::Pending));
    assert_eq!(store.get(&conformance::key("slow")).await, Ok(None));
    drop(hold);
    assert_eq!(commit.await, Ok(()));
    assert_eq!(store.commits(), 1);
}
