//! What every engine must do, as one suite. An engine's tests call [`all`] on an empty store.

use std::sync::Arc;

use crate::{Expect, Key, Op, Space, Store, StoreError, TenantId};

const SPACE: Space = Space(250);
const OTHER_SPACE: Space = Space(251);
const TENANT: TenantId = TenantId(7);
const OTHER_TENANT: TenantId = TenantId(8);

/// Runs every case. Panics, as tests do, on the first thing that is wrong.
///
/// # Panics
/// Where the engine does not conform.
pub async fn all(store: Arc<dyn Store>) {
    conditions(store.as_ref()).await;
    all_or_nothing(store.as_ref()).await;
    paging(store.as_ref()).await;
    isolation(store.as_ref()).await;
    counters(store.as_ref()).await;
    limits(store.as_ref()).await;
}

/// A key of this suite.
pub fn key(name: &str) -> Key {
    Key { space: SPACE, tenant: TENANT, key: name.as_bytes().to_vec() }
}

fn put(name: &str, expect: Expect, etag: u64, body: &str) -> Op {
    Op::Put { key: key(name), expect, etag, body: body.as_bytes().to_vec() }
}

async fn body(store: &dyn Store, name: &str) -> Option<String> {
    let stored = store.get(&key(name)).await.expect("a read");
    stored.map(|stored| String::from_utf8(stored.body).expect("what was written"))
}

async fn conditions(store: &dyn Store) {
    let conflict = Err(StoreError::Conflict { index: 0 });
    assert_eq!(store.commit(vec![put("c", Expect::Etag(1), 1, "x")]).await, conflict, "an ETag of nothing");
    assert_eq!(store.commit(vec![put("c", Expect::Absent, 1, "one")]).await, Ok(()));
    assert_eq!(store.commit(vec![put("c", Expect::Absent, 2, "two")]).await, conflict, "absent, but there");
    assert_eq!(store.commit(vec![put("c", Expect::Etag(9), 2, "two")]).await, conflict, "another ETag");
    assert_eq!(body(store, "c").await.as_deref(), Some("one"));
    assert_eq!(store.commit(vec![put("c", Expect::Etag(1), 2, "two")]).await, Ok(()));
    assert_eq!(store.commit(vec![put("c", Expect::Any, 3, "three")]).await, Ok(()));
    assert_eq!(store.get(&key("c")).await.expect("a read").map(|stored| stored.etag), Some(3), "read your writes");
    assert_eq!(store.commit(vec![Op::Delete { key: key("c"), expect: Expect::Etag(2) }]).await, conflict);
    assert_eq!(store.commit(vec![Op::Delete { key: key("c"), expect: Expect::Etag(3) }]).await, Ok(()));
    assert_eq!(store.commit(vec![Op::Delete { key: key("c"), expect: Expect::Any }]).await, Ok(()), "deleting nothing");
    assert_eq!(body(store, "c").await, None);
}

async fn all_or_nothing(store: &dyn Store) {
    assert_eq!(store.commit(vec![put("a1", Expect::Absent, 1, "1")]).await, Ok(()));
    let ops = vec![
        put("a2", Expect::Absent, 1, "2"),
        Op::Add { key: key("a-count"), delta: 5 },
        put("a1", Expect::Absent, 2, "no"),
        Op::Delete { key: key("a1"), expect: Expect::Any },
    ];
    assert!(matches!(store.commit(ops).await, Err(StoreError::Invalid(_))), "a key twice in one commit");
    let ops = vec![
        put("a2", Expect::Absent, 1, "2"),
        Op::Add { key: key("a-count"), delta: 5 },
        Op::Check { key: key("a1"), expect: Expect::Etag(99) },
    ];
    assert_eq!(store.commit(ops).await, Err(StoreError::Conflict { index: 2 }));
    assert_eq!(body(store, "a2").await, None, "half a commit took place");
    assert_eq!(store.counter(&key("a-count")).await, Ok(0), "half a commit was counted");
}

async fn paging(store: &dyn Store) {
    for n in 0..25 {
        assert_eq!(store.commit(vec![put(&format!("p/{n:02}"), Expect::Absent, n + 1, "x")]).await, Ok(()));
    }
    assert_eq!(store.commit(vec![Op::Delete { key: key("p/11"), expect: Expect::Any }, put("q", Expect::Any, 1, "x")]).await, Ok(()));
    let (mut seen, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let page = store.scan(SPACE, TENANT, b"p/", after.as_deref(), 7).await.expect("a scan");
        assert!(page.len() <= 7);
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(page.into_iter().map(|(key, _)| String::from_utf8(key).expect("what was written")));
    }
    let expected: Vec<String> = (0..25).filter(|n| *n != 11).map(|n| format!("p/{n:02}")).collect();
    assert_eq!(seen, expected, "in order, each once, without the deleted one and without other prefixes");
}

async fn isolation(store: &dyn Store) {
    for (space, tenant) in [(SPACE, OTHER_TENANT), (OTHER_SPACE, TENANT)] {
        let other = Key { space, tenant, key: b"i/1".to_vec() };
        assert_eq!(store.get(&other).await, Ok(None));
        let op = Op::Put { key: other, expect: Expect::Absent, etag: 5, body: b"other".to_vec() };
        assert_eq!(store.commit(vec![op]).await, Ok(()));
    }
    assert_eq!(store.scan(SPACE, TENANT, b"i/", None, 10).await, Ok(Vec::new()), "another's record is seen");
    let theirs = store.scan(SPACE, OTHER_TENANT, b"", None, 10).await.expect("a scan");
    assert_eq!(theirs.len(), 1, "a scan with an empty prefix stays with its tenant");
}

async fn counters(store: &dyn Store) {
    let add = |delta| Op::Add { key: key("n"), delta };
    assert_eq!(store.commit(vec![add(1), add(2)]).await, Ok(()), "one counter, twice in a commit");
    assert_eq!(store.commit(vec![add(-1)]).await, Ok(()));
    assert_eq!(store.counter(&key("n")).await, Ok(2));
    assert_eq!(store.get(&key("n")).await, Ok(None), "counters are not records");
}

async fn limits(store: &dyn Store) {
    let long = Key { space: SPACE, tenant: TENANT, key: vec![0; crate::KEY_BYTES_MAX + 1] };
    let op = Op::Put { key: long, expect: Expect::Any, etag: 1, body: Vec::new() };
    assert!(matches!(store.commit(vec![op]).await, Err(StoreError::Invalid(_))));
    let large = "x".repeat(crate::BODY_BYTES_MAX);
    assert_eq!(store.commit(vec![put("large", Expect::Any, 1, &large)]).await, Ok(()));
    assert_eq!(body(store, "large").await.map(|body| body.len()), Some(large.len()));
    let beyond = "x".repeat(crate::BODY_BYTES_MAX + 1);
    assert!(matches!(store.commit(vec![put("large", Expect::Any, 2, &beyond)]).await, Err(StoreError::Invalid(_))));
}
