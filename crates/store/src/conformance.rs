//! What every engine must do, as one suite. An engine's tests call [`all`] on an empty store, and [`reopening`] if it is durable.
//!
//! The suite is plain futures, so that it runs under whatever runtime an engine needs, or none. What has to happen at once is polled
//! together in one task.

mod snapshots;

use std::{future::poll_fn, sync::Arc, task::Poll};

use crate::{BoxFuture, Expect, Key, Op, Range, Space, Store, StoreError, TenantId};

const SPACE: Space = Space(250);
const OTHER_SPACE: Space = Space(251);
const TENANT: TenantId = TenantId(7);
const OTHER_TENANT: TenantId = TenantId(8);
/// How many do something at once.
const AT_ONCE: u64 = 64;

/// Records of [`SPACE`] and [`TENANT`].
fn range<'a>(prefix: &'a [u8], after: Option<&'a [u8]>, limit: usize) -> Range<'a> {
    Range { space: SPACE, tenant: TENANT, prefix, after, limit }
}

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
    deleted_ranges(store.as_ref()).await;
    scan_edges(store.as_ref()).await;
    claims(store.as_ref()).await;
    counting_at_once(store.as_ref()).await;
    snapshots::all(store.as_ref()).await;
}

/// Opens a durable store, closes it by dropping it, and opens it again: all that was acknowledged is there, and conditions go on from it.
///
/// # Panics
/// Where something is lost.
pub async fn reopening(mut open: impl FnMut() -> Arc<dyn Store>) {
    let store = open();
    let ops = vec![put("kept", Expect::Absent, 4, "kept"), put("gone", Expect::Absent, 1, "x"), Op::Add { key: key("kept-n"), delta: 3 }];
    assert_eq!(store.commit(ops).await, Ok(()));
    assert_eq!(store.commit(vec![Op::Delete { key: key("gone"), expect: Expect::Etag(1) }]).await, Ok(()));
    drop(store);
    let store = open();
    let stored = store.get(&key("kept")).await.expect("a read").expect("what was committed");
    assert_eq!((stored.etag, stored.body.as_slice()), (4, b"kept".as_slice()));
    assert_eq!(store.get(&key("gone")).await, Ok(None), "a deleted record is back");
    assert_eq!(store.counter(&key("kept-n")).await, Ok(3));
    let conflict = Err(StoreError::Conflict { index: 0 });
    assert_eq!(store.commit(vec![put("kept", Expect::Absent, 5, "x")]).await, conflict, "conditions see what was there before");
    assert_eq!(store.commit(vec![put("kept", Expect::Etag(4), 5, "new"), Op::Add { key: key("kept-n"), delta: 1 }]).await, Ok(()));
    drop(store);
    let store = open();
    assert_eq!(body(store.as_ref(), "kept").await.as_deref(), Some("new"));
    assert_eq!(store.counter(&key("kept-n")).await, Ok(4));
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
        let page = store.scan(range(b"p/", after.as_deref(), 7)).await.expect("a scan");
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
    assert_eq!(store.scan(range(b"i/", None, 10)).await, Ok(Vec::new()), "another's record is seen");
    let theirs = store.scan(Range { tenant: OTHER_TENANT, ..range(b"", None, 10) }).await.expect("a scan");
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

async fn deleted_ranges(store: &dyn Store) {
    for n in 0..120 {
        assert_eq!(store.commit(vec![put(&format!("d/{n:03}"), Expect::Absent, 1, "x")]).await, Ok(()));
    }
    for n in 10..110 {
        let op = Op::Delete { key: key(&format!("d/{n:03}")), expect: Expect::Etag(1) };
        assert_eq!(store.commit(vec![op]).await, Ok(()));
    }
    let found = store.scan(range(b"d/", Some(b"d/008"), 5)).await.expect("a scan");
    let names: Vec<_> = found.iter().map(|(key, _)| key.as_slice()).collect();
    let expected: [&[u8]; 5] = [b"d/009", b"d/110", b"d/111", b"d/112", b"d/113"];
    assert_eq!(names, expected, "a scan goes on beyond what was deleted");
    let found = store.scan(range(b"d/", Some(b"d/050"), 1)).await.expect("a scan");
    assert_eq!(found.first().map(|(key, _)| key.as_slice()), Some(b"d/110".as_slice()), "a deleted key is still a place to go on from");
}

async fn scan_edges(store: &dyn Store) {
    let raw = |bytes: &[u8]| Key { space: SPACE, tenant: TENANT, key: bytes.to_vec() };
    for bytes in [[0xff_u8, 0xff].as_slice(), &[0xff, 0xff, 0], &[0xff, 0xff, 0xff]] {
        let op = Op::Put { key: raw(bytes), expect: Expect::Absent, etag: 1, body: Vec::new() };
        assert_eq!(store.commit(vec![op]).await, Ok(()));
    }
    let all = store.scan(range(&[0xff, 0xff], None, 10)).await.expect("a scan");
    assert_eq!(all.len(), 3, "a prefix that has no successor");
    let rest = store.scan(range(&[0xff, 0xff], Some(&[0xff, 0xff]), 10)).await.expect("a scan");
    assert_eq!(rest.len(), 2, "the place to go on from is left out, keys that begin with it are not");
    let before = store.scan(range(&[0xff, 0xff], Some(b"a"), 10)).await.expect("a scan");
    assert_eq!(before.len(), 3, "a place before the prefix");
    let beyond = store.scan(range(b"d/", Some(b"e"), 10)).await;
    assert_eq!(beyond, Ok(Vec::new()), "a place behind the prefix");
    assert_eq!(store.scan(range(&[0xff], None, 0)).await, Ok(Vec::new()));
    assert_eq!(store.commit(Vec::new()).await, Ok(()), "nothing to do");
}

/// Of many who claim one record at once, one gets it, and the record is the winner's.
async fn claims(store: &dyn Store) {
    let claim = |n: u64| store.commit(vec![put("prize", Expect::Absent, n, &n.to_string())]);
    let outcomes = together((1..=AT_ONCE).map(claim).collect()).await;
    let winners: Vec<u64> = (1..).zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(n, _)| n).collect();
    assert_eq!(winners.len(), 1, "one record was claimed by {winners:?}");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(StoreError::Conflict { index: 0 }))), "{outcomes:?}");
    assert_eq!(body(store, "prize").await, winners.first().map(u64::to_string));
}

/// A refused commit counts nothing, all others count exactly, also when they are grouped with refused ones.
async fn counting_at_once(store: &dyn Store) {
    let count = |n: u64| {
        let expect = if n.is_multiple_of(4) { Expect::Etag(99) } else { Expect::Absent };
        store.commit(vec![Op::Add { key: key("many"), delta: 1 }, Op::Check { key: key("never"), expect }])
    };
    let outcomes = together((0..AT_ONCE).map(count).collect()).await;
    let counted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(counted as u64, AT_ONCE / 4 * 3);
    assert_eq!(store.counter(&key("many")).await.map(i64::unsigned_abs), Ok(AT_ONCE / 4 * 3));
}

/// Polls all of them until each is done.
async fn together<T>(mut futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(move |context| {
        for (future, done) in futures.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(outcome) = future.as_mut().poll(context) {
                *done = Some(outcome);
            }
        }
        if done.iter().any(Option::is_none) { Poll::Pending } else { Poll::Ready(done.drain(..).flatten().collect()) }
    })
    .await
}
