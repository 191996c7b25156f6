//! A primary with a synchronous standby: what is acknowledged is on both, whatever is cancelled, restarted, promoted or left behind.

#![allow(clippy::unwrap_used)]

mod server;

use std::{sync::Arc, time::Duration};

use server::Postgres;
use tokio::{
    task::{JoinHandle, block_in_place},
    time::{Instant, sleep, timeout},
};
use usher_store::{Expect, Op, Store, StoreError, conformance};
use usher_store_postgres::{Options, PostgresStore};

/// Connections that hold a commit which the standby has not confirmed.
const WAITING: &str = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'";

/// A primary that demands one standby, and that standby.
fn pair(name: &str) -> (Postgres, Postgres) {
    let mut primary = Postgres::start(&format!("{name}-a"));
    let standby = primary.standby(&format!("{name}-b"));
    primary.kill();
    primary.set("synchronous_standby_names=ANY 1 (*)");
    primary.again();
    primary.until("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'", "1");
    (primary, standby)
}

fn address(servers: &[&Postgres]) -> String {
    let hosts: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
    format!("postgres://usher@{}/usher?sslmode=disable", hosts.join(","))
}

/// With one connection that writes, so that a second commit goes over the same one as the first.
async fn open(servers: &[&Postgres]) -> Arc<PostgresStore> {
    Arc::new(PostgresStore::open(&address(servers), &Options { writers: 1, ..Options::default() }).await.unwrap())
}

/// Adds one to a counter, which carries no ETag: only the marker tells whether it took place.
fn add(store: &Arc<PostgresStore>) -> JoinHandle<Result<(), StoreError>> {
    let store = Arc::clone(store);
    tokio::spawn(async move { store.commit(vec![Op::Add { key: conformance::key("n"), delta: 1 }]).await })
}

async fn counted(store: &PostgresStore) -> i64 {
    store.counter(&conformance::key("n")).await.unwrap()
}

async fn is_not_answered(commit: &mut JoinHandle<Result<(), StoreError>>, within: Duration) {
    let answer = timeout(within, commit).await;
    assert!(answer.is_err(), "acknowledged, though no standby has it: {answer:?}");
}

/// PostgreSQL answers such a commit as if all were well, but for a warning.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_wait_for_the_standby_is_cancelled_is_not_acknowledged_before_the_standby_has_it() {
    let (primary, mut standby) = pair("cancelled");
    let store = open(&[&primary]).await;
    add(&store).await.unwrap().unwrap();
    standby.kill();
    let mut commit = add(&store);
    block_in_place(|| primary.until(WAITING, "t"));
    primary.ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    is_not_answered(&mut commit, Duration::from_secs(2)).await;
    block_in_place(|| standby.again());
    assert_eq!(commit.await.unwrap(), Ok(()));
    block_in_place(|| standby.promote());
    drop(primary);
    assert_eq!(counted(&*open(&[&standby]).await).await, 2, "what was acknowledged is not at the standby, or twice");
}

/// A restarted primary shows what it had written, whether or not a standby has it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_restarted_primary_has_alone_is_neither_acknowledged_nor_read_before_the_standby_has_it() {
    let (mut primary, mut standby) = pair("alone");
    let store = open(&[&primary]).await;
    add(&store).await.unwrap().unwrap();
    standby.kill();
    let mut commit = add(&store);
    block_in_place(|| {
        primary.until(WAITING, "t");
        primary.kill();
        primary.again();
    });
    assert_eq!(primary.ask("SELECT sum(n) FROM usher_counters"), "2", "the primary has not kept the commit");
    let read = tokio::spawn({
        let store = Arc::clone(&store);
        async move { counted(&store).await }
    });
    is_not_answered(&mut commit, Duration::from_secs(4)).await;
    assert!(!read.is_finished(), "it was read, though no standby has it");
    block_in_place(|| standby.again());
    assert_eq!(commit.await.unwrap(), Ok(()));
    assert_eq!(read.await.unwrap(), 2);
}

/// While a primary waits for its standbys, each new connection that writes would hang there for good, until there are no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_without_its_standby_is_not_filled_with_connections() {
    let (primary, mut standby) = pair("filled");
    let store = Arc::new(PostgresStore::open(&address(&[&primary]), &Options::default()).await.unwrap());
    add(&store).await.unwrap().unwrap();
    standby.kill();
    let began = Instant::now();
    let commits: Vec<_> = (0..6).map(|_| add(&store)).collect();
    while began.elapsed() < Duration::from_secs(20) {
        let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'usher'";
        let connections: u32 = block_in_place(|| primary.ask(connections)).parse().unwrap();
        assert!(connections <= 10, "{connections} connections");
        sleep(Duration::from_millis(500)).await;
    }
    block_in_place(|| standby.again());
    for commit in commits {
        // Given up, or done at the last moment.
        let _ = commit.await.unwrap();
    }
    let mut at_last = add(&store).await.unwrap();
    while at_last.is_err() && began.elapsed() < Duration::from_secs(60) {
        at_last = add(&store).await.unwrap();
    }
    assert_eq!(at_last, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_follows_the_promoted_standby_and_is_not_led_back_by_the_old_primary() {
    let (mut primary, mut standby) = pair("follow");
    let mut third = block_in_place(|| primary.standby("follow-c"));
    let store = open(&[&primary, &standby]).await;
    for _ in 0..5 {
        add(&store).await.unwrap().unwrap();
    }
    let before = Instant::now();
    block_in_place(|| {
        third.kill();
        primary.kill();
        standby.promote();
    });
    add(&store).await.unwrap().unwrap();
    println!("followed after {:?}", before.elapsed());
    // The old primary comes back as if nothing had been, alone.
    block_in_place(|| primary.again());
    for _ in 0..5 {
        add(&store).await.unwrap().unwrap();
    }
    assert_eq!(counted(&store).await, 11);
    let new = open(&[&primary, &standby]).await;
    assert_eq!((add(&new).await.unwrap(), counted(&new).await), (Ok(()), 12));
    // And so it is after all connections have been lost.
    standby.kill();
    block_in_place(|| standby.again());
    assert_eq!((add(&store).await.unwrap(), counted(&store).await), (Ok(()), 13));
    assert_eq!(primary.ask("SELECT sum(n) FROM usher_counters"), "5", "the old primary was written to");
    // A read-only server alone is no place to open a store.
    block_in_place(|| third.again());
    let refused = PostgresStore::open(&address(&[&third]), &Options::default()).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("does not allow writes"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_primary_dies_and_the_standby_is_promoted() {
    let (mut primary, standby) = pair("dies");
    let store = open(&[&primary, &standby]).await;
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for n in 0..200_u64 {
                    let key = conformance::key(&format!("dies/{writer}/{n}"));
                    let put = Op::Put { key, expect: Expect::Absent, etag: n + 1, body: vec![7; 100] };
                    // A conflict would be a commit that took place twice.
                    store.commit(vec![put, Op::Add { key: conformance::key("n"), delta: 1 }]).await.unwrap();
                    sleep(Duration::from_millis(5)).await;
                }
            })
        })
        .collect();
    sleep(Duration::from_millis(500)).await;
    block_in_place(|| {
        primary.kill();
        standby.promote();
    });
    for writer in writers {
        timeout(Duration::from_secs(60), writer).await.unwrap().unwrap();
    }
    assert_eq!(counted(&store).await, 1600);
    for (writer, n) in (0..8).flat_map(|writer| (0..200).map(move |n| (writer, n))) {
        assert!(store.get(&conformance::key(&format!("dies/{writer}/{n}"))).await.unwrap().is_some(), "lost {writer}/{n}");
    }
}
