//! Snapshots: everything, as it was at one moment, in the one order.

use super::{OTHER_SPACE, OTHER_TENANT, SPACE, TENANT, key};
use crate::{Entry, Expect, Key, Op, STEP_MAX, Snapshot, Space, Store, TenantId};

/// More than one step.
const MANY: usize = STEP_MAX * 2 + 10;

/// Runs every case, on a store with whatever is in it.
pub async fn all(store: &dyn Store) {
    everything_in_order_as_it_was(store).await;
    large_bodies(store).await;
}

async fn everything_in_order_as_it_was(store: &dyn Store) {
    let places = [(SPACE, OTHER_TENANT), (OTHER_SPACE, TENANT), (SPACE, TENANT), (Space(0), TenantId(0)), (Space(255), TenantId(u32::MAX))];
    let named = |(space, tenant), name: String| Key { space, tenant, key: name.into_bytes() };
    for place in places {
        let put = |n: usize| Op::Put { key: named(place, format!("v/{n:04}")), expect: Expect::Absent, etag: 7, body: vec![n as u8] };
        for ops in (0..MANY).map(put).collect::<Vec<_>>().chunks(100) {
            assert_eq!(store.commit(ops.to_vec()).await, Ok(()));
        }
        let add = |delta| Op::Add { key: named(place, "v/n".into()), delta };
        assert_eq!(store.commit(vec![add(5), Op::Add { key: named(place, "v/zero".into()), delta: 1 }]).await, Ok(()));
        assert_eq!(store.commit(vec![add(-7), Op::Add { key: named(place, "v/zero".into()), delta: -1 }]).await, Ok(()));
    }
    let mut snapshot = store.snapshot().await.expect("a snapshot");
    let later = vec![
        Op::Put { key: key("v/0000"), expect: Expect::Etag(7), etag: 8, body: b"later".to_vec() },
        Op::Delete { key: key("v/0001"), expect: Expect::Etag(7) },
        Op::Put { key: key("v/later"), expect: Expect::Absent, etag: 1, body: Vec::new() },
        Op::Add { key: key("v/n"), delta: 100 },
    ];
    assert_eq!(store.commit(later).await, Ok(()));
    let found = whole(snapshot.as_mut()).await;
    assert!(found.windows(2).all(|pair| pair[0].place() < pair[1].place()), "in order, each once");
    assert!(found.iter().all(|entry| !matches!(entry, Entry::Counter { value: 0, .. })), "a counter of 0 is no entry");
    let mine: Vec<&Entry> = found.iter().filter(|entry| entry.key().key.starts_with(b"v/")).collect();
    assert_eq!(mine.len(), places.len() * (MANY + 1), "what was there, and nothing that came later");
    for (space, tenant) in places {
        let of_place = |entry: &&&Entry| (entry.key().space, entry.key().tenant) == (space, tenant);
        let records = mine.iter().filter(of_place).filter_map(|entry| match entry {
            Entry::Record { key, etag, body } => Some((key.key.clone(), *etag, body.clone())),
            Entry::Counter { .. } => None,
        });
        let expected: Vec<_> = (0..MANY).map(|n| (format!("v/{n:04}").into_bytes(), 7, vec![n as u8])).collect();
        assert_eq!(records.collect::<Vec<_>>(), expected);
        let counter = Entry::Counter { key: named((space, tenant), "v/n".into()), value: -2 };
        assert!(mine.iter().filter(of_place).any(|entry| **entry == counter), "the counter as it was");
    }
    let now = whole(store.snapshot().await.expect("a snapshot").as_mut()).await;
    assert!(now.iter().any(|entry| *entry == Entry::Record { key: key("v/0000"), etag: 8, body: b"later".to_vec() }));
}

async fn large_bodies(store: &dyn Store) {
    let put = |n: u8| Op::Put { key: key(&format!("w/{n}")), expect: Expect::Absent, etag: 1, body: vec![n; crate::BODY_BYTES_MAX] };
    for n in 0..3 {
        assert_eq!(store.commit(vec![put(n)]).await, Ok(()));
    }
    let found = whole(store.snapshot().await.expect("a snapshot").as_mut()).await;
    let large = found.iter().filter(|entry| entry.key().key.starts_with(b"w/") && entry.bytes() > crate::BODY_BYTES_MAX);
    assert_eq!(large.count(), 3);
}

async fn whole(snapshot: &mut dyn Snapshot) -> Vec<Entry> {
    let mut all = Vec::new();
    loop {
        let step = snapshot.step().await.expect("a step");
        if step.is_empty() {
            return all;
        }
        assert!(step.len() <= STEP_MAX);
        all.extend(step);
    }
}
