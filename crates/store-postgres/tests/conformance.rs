//! The store on a real PostgreSQL conforms, also where several processes write at once.

#![allow(clippy::unwrap_used)]

mod server;

use std::sync::Arc;

use server::Postgres;
use usher_store::{Expect, Key, Op, Space, Store, StoreError, TenantId, conformance};
use usher_store_postgres::{OpenError, Options, PostgresStore};

async fn open(server: &Postgres) -> Arc<PostgresStore> {
    Arc::new(PostgresStore::open(&server.address(), &Options::default()).await.unwrap())
}

fn put(name: &str, expect: Expect, etag: u64) -> Op {
    Op::Put { key: conformance::key(name), expect, etag, body: etag.to_be_bytes().to_vec() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_conforms_and_what_was_committed_is_there_when_it_is_opened_again() {
    let server = Postgres::start("conforms");
    conformance::all(open(&server).await).await;
    let reopen = || -> Arc<dyn Store> { tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(open(&server))) };
    conformance::reopening(reopen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_open_an_empty_database_at_once_all_get_in() {
    let server = Postgres::start("opening");
    let address = server.address();
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let address = address.clone();
            tokio::spawn(async move { PostgresStore::open(&address, &Options { writers: 1, readers: 1, password: None }).await.map(drop) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
}

/// Each adds one to a record by reading it and writing it back on its ETag, as often as it takes; a counter is added to in the same
/// commits. Nothing may get lost or be counted twice.
#[tokio::test(flavor = "multi_thread")]
async fn many_writers_on_several_nodes_increase_one_record_exactly() {
    const NODES: u64 = 3;
    const WRITERS: u64 = 8;
    const TIMES: u64 = 12;
    let server = Postgres::start("increase");
    let mut tasks = Vec::new();
    for node in 0..NODES {
        let store = open(&server).await;
        tasks.extend((0..WRITERS).map(|writer| tokio::spawn(increase(Arc::clone(&store), node * WRITERS + writer, TIMES))));
    }
    let mut conflicts = 0;
    for task in tasks {
        conflicts += task.await.unwrap();
    }
    let store = open(&server).await;
    let stored = store.get(&conformance::key("sum")).await.unwrap().unwrap();
    assert_eq!(stored.body, (NODES * WRITERS * TIMES).to_be_bytes());
    assert_eq!(store.counter(&conformance::key("sum-n")).await, Ok((NODES * WRITERS * TIMES).cast_signed()));
    assert!(conflicts > 0, "they never met");
}

async fn increase(store: Arc<PostgresStore>, writer: u64, times: u64) -> u64 {
    let (mut done, mut conflicts) = (0, 0);
    while done < times {
        let found = store.get(&conformance::key("sum")).await.unwrap();
        let (expect, sum) = found
            .map_or((Expect::Absent, 0), |found| (Expect::Etag(found.etag), u64::from_be_bytes(found.body.as_slice().try_into().unwrap())));
        let etag = (writer << 32) | ((done + 1) << 16) | (conflicts % 0xffff);
        let op = Op::Put { key: conformance::key("sum"), expect, etag, body: (sum + 1).to_be_bytes().to_vec() };
        match store.commit(vec![op, Op::Add { key: conformance::key("sum-n"), delta: 1 }]).await {
            Ok(()) => done += 1,
            Err(StoreError::Conflict { index: 0 }) => conflicts += 1,
            Err(other) => panic!("{other}"),
        }
    }
    conflicts
}

/// Commits over the same keys in opposite orders, some deleting what others make: none may wait for another for good, and all or
/// nothing holds at the end.
#[tokio::test(flavor = "multi_thread")]
async fn commits_over_the_same_keys_in_any_order_end_and_stay_whole() {
    let server = Postgres::start("orders");
    let stores = [open(&server).await, open(&server).await, open(&server).await];
    let name = |n: u64| format!("whole-{n:02}");
    let tasks: Vec<_> = (0..90_u64)
        .map(|n| {
            let store = Arc::clone(&stores[(n % 3) as usize]);
            let mut ops: Vec<Op> = (0..20)
                .map(|key| match n % 4 {
                    3 => Op::Delete { key: conformance::key(&name(key)), expect: Expect::Any },
                    _ => put(&name(key), Expect::Any, n + 1),
                })
                .collect();
            if n % 2 == 1 {
                ops.reverse();
            }
            tokio::spawn(async move { store.commit(ops).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
    let log = std::fs::read_to_string(server.folder().join("log")).unwrap();
    assert!(!log.contains("deadlock detected"), "they waited for each other");
    let mut etags = Vec::new();
    for key in 0..20 {
        etags.push(stores[0].get(&conformance::key(&name(key))).await.unwrap().map(|stored| stored.etag));
    }
    etags.dedup();
    assert_eq!(etags.len(), 1, "a mixture of two commits: {etags:?}");
}

/// Two commits that each write where the other relies on absence: one of them must lose.
#[tokio::test(flavor = "multi_thread")]
async fn absence_that_a_commit_relies_on_is_held() {
    let server = Postgres::start("absence");
    let stores = [open(&server).await, open(&server).await];
    for round in 0..60_u64 {
        let (a, b) = (format!("left-{round}"), format!("right-{round}"));
        let commit = |store: &Arc<PostgresStore>, writes: &str, relies: &str| {
            let ops = vec![put(writes, Expect::Absent, 1), Op::Check { key: conformance::key(relies), expect: Expect::Absent }];
            let store = Arc::clone(store);
            tokio::spawn(async move { store.commit(ops).await })
        };
        let (left, right) = (commit(&stores[0], &a, &b), commit(&stores[1], &b, &a));
        let outcomes = [left.await.unwrap(), right.await.unwrap()];
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "round {round}: {outcomes:?}");
        let conflict = outcomes.iter().find(|outcome| outcome.is_err());
        assert_eq!(conflict, Some(&Err(StoreError::Conflict { index: 1 })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_may_concern_several_tenants_and_leaves_no_markers() {
    let server = Postgres::start("tenants");
    let store = open(&server).await;
    let key = |tenant| Key { space: Space(9), tenant: TenantId(tenant), key: vec![0, 255] };
    let put = |tenant| Op::Put { key: key(tenant), expect: Expect::Absent, etag: u64::MAX, body: vec![1] };
    assert_eq!(store.commit(vec![put(u32::MAX), put(0), Op::Add { key: key(3), delta: -5 }]).await, Ok(()));
    for tenant in [0, u32::MAX] {
        assert_eq!(store.get(&key(tenant)).await.unwrap().unwrap().etag, u64::MAX);
    }
    assert_eq!(store.counter(&key(3)).await, Ok(-5));
    for n in 0..100 {
        store.commit(vec![Op::Add { key: key(0), delta: n }]).await.unwrap();
    }
    let dump = server.dump();
    let marks = dump.split("COPY public.usher_commits").nth(1).unwrap().split("\\.").next().unwrap().lines().count() - 2;
    assert!(marks <= 2 * 4, "{marks} markers are left");
}

#[tokio::test]
async fn what_keeps_a_store_from_opening_is_told() {
    let mut server = Postgres::start("refusing");
    let refused = |address: String| async move {
        let Err(error) = PostgresStore::open(&address, &Options::default()).await else { panic!("{address} opens") };
        error
    };
    let address = server.address();
    assert!(matches!(refused(address.replace("/usher?", "/nothing?")).await, OpenError::Refused(why) if why.contains("nothing")));
    let error = refused(address.replace("disable", "verify-full")).await;
    assert!(error.to_string().contains("TLS"), "{error}");
    drop(open(&server).await);
    let set = std::process::Command::new("psql").arg(&address).args(["-qc", "UPDATE usher_schema SET version = 99"]).status().unwrap();
    assert!(set.success());
    assert_eq!(refused(address.clone()).await, OpenError::Newer { found: 99, known: 1 });
    server.kill();
    assert!(matches!(refused(address).await, OpenError::Unreachable(_)));
}
