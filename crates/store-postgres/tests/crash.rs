//! The database is killed with SIGKILL under load and started again, several times; nothing acknowledged is lost, nothing counted
//! twice, and the writers go on by themselves.

#![allow(clippy::unwrap_used)]

mod server;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use server::Postgres;
use usher_store::{Expect, Op, Range, Store, StoreError, conformance};
use usher_store_postgres::{Options, PostgresStore};

const WRITERS: u64 = 16;
const KILLS: u64 = 6;

/// What one writer was told.
#[derive(Default)]
struct Told {
    /// Acknowledged, by number.
    done: Vec<u64>,
    /// Commits of which nobody knows.
    unknown: u64,
}

fn name(writer: u64, n: u64) -> String {
    format!("crash/{writer:02}/{n:06}")
}

async fn write(store: Arc<PostgresStore>, writer: u64, stop: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let op = Op::Put { key: conformance::key(&name(writer, n)), expect: Expect::Absent, etag: n + 1, body: vec![7; 700] };
        // The second key is written by all, so commits of both nodes meet.
        let shared = Op::Put { key: conformance::key("crash/shared"), expect: Expect::Any, etag: (writer << 32) | n, body: vec![1] };
        match store.commit(vec![op, shared, Op::Add { key: conformance::key("crash-n"), delta: 1 }]).await {
            Ok(()) => told.done.push(n),
            // No key is written twice by us, so a conflict would mean that a commit took place and was tried once more.
            Err(StoreError::Conflict { index }) => panic!("writer {writer}, commit {n}, operation {index} took place twice"),
            Err(StoreError::Unavailable(_)) => told.unknown += 1,
            Err(other) => panic!("{other}"),
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_or_doubled_when_the_database_is_killed() {
    let mut server = Postgres::start("crash");
    let address = server.address();
    let stop = Arc::new(AtomicBool::new(false));
    let mut stores = Vec::new();
    for _ in 0..2 {
        stores.push(Arc::new(PostgresStore::open(&address, &Options::default()).await.unwrap()));
    }
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&stores[(writer % 2) as usize]), writer, Arc::clone(&stop)))).collect();
    let killer = tokio::task::spawn_blocking(move || {
        for round in 0..KILLS {
            std::thread::sleep(Duration::from_millis(350 + 61 * round));
            server.kill();
            std::thread::sleep(Duration::from_millis(100 * round));
            server.again();
        }
        std::thread::sleep(Duration::from_millis(300));
        server
    });
    let server = killer.await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let mut told = BTreeMap::new();
    for (writer, task) in (0..).zip(writers) {
        told.insert(writer, task.await.unwrap());
    }
    check(&stores[0], &told).await;
    drop(server);
}

async fn check(store: &PostgresStore, told: &BTreeMap<u64, Told>) {
    let (mut acknowledged, mut unknown, mut there) = (0, 0, 0);
    for (writer, told) in told {
        for n in &told.done {
            let stored = store.get(&conformance::key(&name(*writer, *n))).await.unwrap();
            assert_eq!(stored.map(|stored| stored.etag), Some(n + 1), "lost {writer}/{n}");
        }
        acknowledged += told.done.len();
        unknown += told.unknown;
        assert!(told.done.len() > 10, "writer {writer} came no further than {}", told.done.len());
    }
    let key = conformance::key("crash/");
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store
            .scan(Range { space: key.space, tenant: key.tenant, prefix: b"crash/", after: after.as_deref(), limit: 1000 })
            .await
            .unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        there += page.len();
    }
    // The one that all write is among them. One count for each record, whatever was acknowledged.
    let counted = store.counter(&conformance::key("crash-n")).await.unwrap();
    println!("{acknowledged} acknowledged, {unknown} unknown, {} there, {counted} counted", there - 1);
    assert_eq!(there as i64 - 1, counted, "a commit was counted twice or not at all");
    assert!(there > acknowledged && there as u64 - 1 <= acknowledged as u64 + unknown);
    assert_eq!(unknown, 0, "a restart within the time that a commit may take is not noticed");
}
