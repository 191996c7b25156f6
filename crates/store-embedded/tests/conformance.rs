//! The embedded store conforms, survives being reopened, and says so when it is in use.

#![allow(clippy::unwrap_used)]

use std::{path::PathBuf, sync::Arc};

use usher_store::{Expect, Op, Store, StoreError, conformance};
use usher_store_embedded::{EmbeddedStore, OpenError};

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("usher-store-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn put(name: &str, expect: Expect, etag: u64) -> Op {
    Op::Put { key: conformance::key(name), expect, etag, body: name.as_bytes().to_vec() }
}

#[tokio::test]
async fn the_embedded_store_conforms() {
    let folder = folder("conforms");
    conformance::all(Arc::new(EmbeddedStore::open(&folder).unwrap())).await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_reopen() {
    let folder = folder("reopen");
    conformance::reopening(|| Arc::new(EmbeddedStore::open(&folder).unwrap())).await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bodies_than_may_wait_at_once_all_get_through() {
    let folder = folder("large");
    let store = Arc::new(EmbeddedStore::open(&folder).unwrap());
    let write = |n: u64| {
        let (store, body) = (Arc::clone(&store), vec![7; usher_store::BODY_BYTES_MAX]);
        let op = Op::Put { key: conformance::key(&format!("large-{n}")), expect: Expect::Absent, etag: 1, body };
        tokio::spawn(async move { store.commit(vec![op]).await })
    };
    for task in (0..48).map(write).collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
    assert_eq!(store.verify(), Ok(48));
    drop(store);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn commits_handed_over_before_closing_are_durable_after_it() {
    let folder = folder("close");
    let store = EmbeddedStore::open(&folder).unwrap();
    // Polled once, so handed over, and then given up.
    for n in 0..50 {
        let mut commit = store.commit(vec![put(&format!("late-{n}"), Expect::Absent, 1)]);
        let _ = std::future::poll_fn(|context| std::task::Poll::Ready(commit.as_mut().poll(context).is_ready())).await;
    }
    store.close().unwrap();
    assert_eq!(EmbeddedStore::open(&folder).unwrap().verify(), Ok(50));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_second_opening_is_refused_with_the_reason() {
    let folder = folder("locked");
    let open = EmbeddedStore::open(&folder).unwrap();
    let Err(error @ OpenError::Locked { .. }) = EmbeddedStore::open(&folder) else { panic!("opened twice") };
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(open);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_claims_on_one_record_exactly_one_wins_and_every_addition_counts() {
    let folder = folder("claims");
    let store = Arc::new(EmbeddedStore::open(&folder).unwrap());
    let claim = |n: u64| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            store.commit(vec![Op::Add { key: conformance::key("tries"), delta: 1 }]).await.unwrap();
            store.commit(vec![put("prize", Expect::Absent, n + 1)]).await
        })
    };
    let mut won = 0;
    for task in (0..200).map(claim).collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(()) => won += 1,
            Err(error) => assert_eq!(error, StoreError::Conflict { index: 0 }),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(store.counter(&conformance::key("tries")).await.unwrap(), 200);
    drop(store);
    std::fs::remove_dir_all(folder).unwrap();
}
