//! What grouping gains, what a reopen costs, and what the store takes of memory and disk.
//!
//! `cargo bench -p usher-store-embedded`; `RECORDS=1000000` for another number of records than 200,000.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use usher_store::{Expect, Key, Op, Space, Store, TenantId, conformance};
use usher_store_embedded::EmbeddedStore;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const RUN: Duration = Duration::from_secs(3);
/// A sealed registration.
const BODY_BYTES: usize = 700;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
    let folder = std::env::temp_dir().join(format!("usher-store-bench-{}", std::process::id()));
    let records = std::env::var("RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    // First, while the process is fresh: what it takes of memory would else be the other's.
    reopening(&runtime, &folder, records)?;
    std::fs::remove_dir_all(&folder)?;
    grouping(&runtime, &folder)?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

fn grouping(runtime: &tokio::runtime::Runtime, folder: &Path) -> Outcome<()> {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(folder)?);
    let alone = runtime.block_on(commits_per_second(&store, 1));
    let together = runtime.block_on(commits_per_second(&store, 64));
    println!("1 writer: {alone:.0} durable commits/s; 64 writers: {together:.0}/s; ratio {:.1}", together / alone);
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
                    let op = Op::Put { key, expect: Expect::Absent, etag: 1, body: vec![7; BODY_BYTES] };
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

fn reopening(runtime: &tokio::runtime::Runtime, folder: &Path, records: u64) -> Outcome<()> {
    let before = resident_mib();
    let store = EmbeddedStore::open(folder)?;
    println!("resident: {before:.1} MiB before opening, {:.1} MiB with an empty store", resident_mib());
    let started = Instant::now();
    for first in (0..records).step_by(100) {
        let ops = (first..records.min(first + 100)).map(scattered).collect();
        runtime.block_on(store.commit(ops))?;
    }
    println!("{records} records loaded in {:.1} s; resident {:.1} MiB", started.elapsed().as_secs_f64(), resident_mib());
    store.close()?;
    let payload = records * BODY_BYTES as u64;
    println!("on disk {} MiB for {} MiB of bodies", disk_bytes(folder)? >> 20, payload >> 20);
    for attempt in ["first", "second"] {
        let started = Instant::now();
        let store = EmbeddedStore::open(folder)?;
        let opened = started.elapsed();
        let Op::Put { key, .. } = scattered(records / 2) else { return Err("a put".into()) };
        let found = runtime.block_on(store.get(&key))?.is_some();
        println!("{attempt} reopen {} ms, with a first read {} ms (found: {found})", opened.as_millis(), started.elapsed().as_millis());
        store.close()?;
    }
    let store = EmbeddedStore::open(folder)?;
    let started = Instant::now();
    println!("verified {} records in {:.2} s; resident {:.1} MiB", store.verify()?, started.elapsed().as_secs_f64(), resident_mib());
    Ok(())
}

/// Keys as blinded ones are: 16 bytes, in no order. Bodies that do not compress.
fn scattered(n: u64) -> Op {
    let mut state = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let key = [next().to_be_bytes(), next().to_be_bytes()].concat();
    let body = std::iter::repeat_with(|| next().to_be_bytes()).flatten().take(BODY_BYTES).collect();
    Op::Put { key: Key { space: Space(250), tenant: TenantId(7), key }, expect: Expect::Any, etag: 1, body }
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
}

fn disk_bytes(folder: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let data = entry.metadata()?;
        // Blocks, since journals are allocated ahead of their use.
        bytes += if data.is_dir() { disk_bytes(&entry.path())? } else { data.blocks() * 512 };
    }
    Ok(bytes)
}
