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
    let store = EmbeddedStore::open(&folder).unwrap();
    store.commit(vec![put("kept", Expect::Absent, 4), Op::Add { key: conformance::key("n"), delta: 3 }]).await.unwrap();
    drop(store);
    let store = EmbeddedStore::open(&folder).unwrap();
    let stored = store.get(&conformance::key("kept")).await.unwrap().unwrap();
    assert_eq!((stored.etag, stored.body), (4, b"kept".to_vec()));
    assert_eq!(store.counter(&conformance::key("n")).await.unwrap(), 3);
    drop(store);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_second_opening_is_refused_with_the_reason() {
    let folder = folder("locked");
    let _open = EmbeddedStore::open(&folder).unwrap();
    assert!(matches!(EmbeddedStore::open(&folder), Err(OpenError::Locked { .. })));
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
