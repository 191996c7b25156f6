//! What grouping gains: durable commits per second by 64 writers at once, against one writer after another.
//!
//! `cargo bench -p usher-store-embedded`

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use usher_store::{Expect, Op, Store, conformance};
use usher_store_embedded::EmbeddedStore;

const RUN: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
    let folder = std::env::temp_dir().join(format!("usher-store-bench-{}", std::process::id()));
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&folder)?);
    let alone = runtime.block_on(commits_per_second(&store, 1));
    let together = runtime.block_on(commits_per_second(&store, 64));
    println!("1 writer: {alone:.0} durable commits/s; 64 writers: {together:.0}/s; ratio {:.1}", together / alone);
    drop(store);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

async fn commits_per_second(store: &Arc<dyn Store>, writers: u64) -> f64 {
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let mut done = 0_u64;
                while started.elapsed() < RUN {
                    let key = conformance::key(&format!("{writers}/{writer}/{done}"));
                    let op = Op::Put { key, expect: Expect::Absent, etag: 1, body: vec![7; 700] };
                    done += u64::from(store.commit(vec![op]).await.is_ok());
                }
                done
            })
        })
        .collect();
    let mut total = 0;
    for task in tasks {
        total += task.await.unwrap_or_default();
    }
    total as f64 / started.elapsed().as_secs_f64()
}
