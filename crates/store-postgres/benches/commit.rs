//! Durable commits a second, on PostgreSQL and on the embedded store, in one run on one machine.
//!
//! `cargo bench -p usher-store-postgres`. It starts a PostgreSQL of its own with its usual settings (fsync and synchronous_commit on).

#![allow(clippy::unwrap_used)]

#[path = "../tests/server/mod.rs"]
mod server;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use usher_store::{Expect, Op, Store, conformance};
use usher_store_embedded::EmbeddedStore;
use usher_store_postgres::{Options, PostgresStore};

const RUN: Duration = Duration::from_secs(4);
/// A sealed registration.
const BODY_BYTES: usize = 700;
const CALLERS: [u64; 4] = [1, 16, 64, 256];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = std::env::temp_dir().join(format!("usher-store-bench-{}", std::process::id()));
    let embedded: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&folder).unwrap());
    let server = server::Postgres::start("bench");
    println!("durable commits/s (one record of {BODY_BYTES} bytes and one counter each) and reads/s");
    for callers in CALLERS {
        let (commits, reads) = runtime.block_on(measure(&embedded, "e", callers));
        println!("embedded               {callers:>3} callers: {commits:>8.0} commits/s {reads:>8.0} reads/s");
        for writers in [1, 2, 4] {
            let options = Options { writers, ..Options::default() };
            let store: Arc<dyn Store> = Arc::new(runtime.block_on(PostgresStore::open(&server.address(), &options)).unwrap());
            let (commits, reads) = runtime.block_on(measure(&store, &format!("p{writers}"), callers));
            println!("PostgreSQL, {writers} lane(s)   {callers:>3} callers: {commits:>8.0} commits/s {reads:>8.0} reads/s");
        }
    }
    drop(embedded);
    std::fs::remove_dir_all(folder).unwrap();
}

async fn measure(store: &Arc<dyn Store>, run: &str, callers: u64) -> (f64, f64) {
    let started = Instant::now();
    let write = |caller: u64| {
        let (store, run) = (Arc::clone(store), run.to_owned());
        tokio::spawn(async move {
            let mut done = 0_u64;
            while started.elapsed() < RUN {
                let key = conformance::key(&format!("{run}/{callers}/{caller}/{done}"));
                let op = Op::Put { key, expect: Expect::Absent, etag: 1, body: vec![7; BODY_BYTES] };
                store.commit(vec![op, Op::Add { key: conformance::key("n"), delta: 1 }]).await.unwrap();
                done += 1;
            }
            done
        })
    };
    let commits = total((0..callers).map(write).collect()).await as f64 / started.elapsed().as_secs_f64();
    let started = Instant::now();
    let read = |caller: u64| {
        let (store, key) = (Arc::clone(store), conformance::key(&format!("{run}/{callers}/{caller}/0")));
        tokio::spawn(async move {
            let mut done = 0_u64;
            while started.elapsed() < RUN / 4 {
                done += u64::from(store.get(&key).await.unwrap().is_some());
            }
            done
        })
    };
    (commits, total((0..callers).map(read).collect()).await as f64 / started.elapsed().as_secs_f64())
}

async fn total(tasks: Vec<tokio::task::JoinHandle<u64>>) -> u64 {
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    sum
}
