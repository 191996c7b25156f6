//! Answers that get lost: a proxy between store and database cuts connections at random, mostly while a commit is under way. Each
//! commit takes place once or not at all, and its caller is told which.

#![allow(clippy::unwrap_used)]

mod server;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use server::Postgres;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use usher_store::{Expect, Op, Store, conformance};
use usher_store_postgres::{Options, PostgresStore};

const WRITERS: u64 = 12;
const COMMITS: u64 = 40;

/// Forwards, but every so many pieces of the server's answers it swallows one and cuts the connection.
async fn proxy(to: u16, cuts: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut connection = 0_u64;
        while let Ok((client, _)) = listener.accept().await {
            connection += 1;
            let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::spawn(forward(from_client, to_server, u64::MAX, None));
            // A dozen pieces are connecting and preparing; then it is any of a commit's.
            tokio::spawn(forward(from_server, to_client, 14 + connection * 7 % 23, Some(Arc::clone(&cuts))));
        }
    });
    port
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, pieces: u64, cuts: Option<Arc<AtomicU64>>) {
    let mut buffer = vec![0; 65_536];
    for _ in 0..pieces {
        match from.read(&mut buffer).await {
            Ok(length) if length > 0 && to.write_all(&buffer[..length]).await.is_ok() => {}
            _ => return,
        }
    }
    // The answer is there, so what it answers has happened; nobody will hear of it.
    if from.read(&mut buffer).await.is_ok() {
        cuts.unwrap().fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_takes_place_once() {
    let server = Postgres::start("lost");
    let cuts = Arc::new(AtomicU64::new(0));
    let port = proxy(server.port(), Arc::clone(&cuts)).await;
    let direct = PostgresStore::open(&server.address(), &Options::default()).await.unwrap();
    let address = server.address().replace(&server.port().to_string(), &port.to_string());
    let store = Arc::new(PostgresStore::open(&address, &Options::default()).await.unwrap());
    let write = |writer: u64| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..COMMITS {
                let key = conformance::key(&format!("lost/{writer}/{n}"));
                let add = |delta| Op::Add { key: conformance::key("lost-n"), delta };
                // Counting and deleting carry no ETag of their own: only the marker tells about them.
                store.commit(vec![add(1)]).await.unwrap();
                let put = Op::Put { key: key.clone(), expect: Expect::Absent, etag: n + 1, body: vec![1] };
                assert_eq!(store.commit(vec![put, add(10)]).await, Ok(()), "{writer}/{n} was made twice");
                let delete = Op::Delete { key, expect: Expect::Etag(n + 1) };
                assert_eq!(store.commit(vec![delete, add(100)]).await, Ok(()), "{writer}/{n} was deleted twice");
            }
        })
    };
    for task in (0..WRITERS).map(write).collect::<Vec<_>>() {
        tokio::time::timeout(Duration::from_secs(100), task).await.unwrap().unwrap();
    }
    let cuts = cuts.load(Ordering::Relaxed);
    println!("{cuts} answers lost");
    assert!(cuts > 20, "only {cuts} answers were lost");
    assert_eq!(direct.counter(&conformance::key("lost-n")).await, Ok((WRITERS * COMMITS * 111).cast_signed()));
    assert!(server.dump().contains("\tt\t"), "no commit had to be fenced off");
}
