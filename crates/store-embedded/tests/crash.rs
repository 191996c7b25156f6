//! Killed with SIGKILL at random moments under load, the store loses nothing that it acknowledged, applies no commit by half, and holds
//! nothing that was never asked for.
//!
//! The test runs itself as a child that commits and prints each acknowledgement, kills it, and looks into the reopened store.
//! `USHER_STORE_KILLS` says how often (25), `USHER_STORE_SEED` at which moments (chance).

#![allow(clippy::unwrap_used)]

mod load;

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use load::{SLOTS, WRITERS, counter_key, entry_key, entry_prefix, slot_key, slot_value};
use usher_store::{Range, SCAN_MAX, Store as _, conformance};
use usher_store_embedded::EmbeddedStore;

const CHILD: &str = "USHER_STORE_CRASH_CHILD";
/// Kills where nothing else is said: some seconds.
const KILLS: u64 = 25;
/// The child lives on for at most so long after its first acknowledgement, in milliseconds.
const LIFE_MS: u64 = 250;
/// One kill in so many comes at a moment counted from the start instead, and so while the store is being opened.
const EARLY_ONE_IN: u64 = 8;
/// All that earlier rounds wrote is read again after so many kills.
const WHOLE_CHECK_EVERY: u64 = 50;

#[derive(Default)]
struct Tally {
    acknowledged: u64,
    commits: u64,
    unacknowledged: u64,
    killed_before_first: u64,
    slowest_open: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    if let Ok(folder) = std::env::var(CHILD) {
        return load::write_until_killed(&PathBuf::from(folder)).await;
    }
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let kills = number("USHER_STORE_KILLS").unwrap_or(KILLS);
    let seed = number("USHER_STORE_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let folder = std::env::temp_dir().join(format!("usher-store-crash-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    println!("{kills} kills, seed {seed}, {}", folder.display());
    let (mut chance, mut versions, mut tally) = (seed | 1, vec![0; WRITERS as usize], Tally::default());
    for kill in 1..=kills {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (life, early) = (Duration::from_millis((chance >> 33) % LIFE_MS), (chance >> 20).is_multiple_of(EARLY_ONE_IN));
        let acknowledged = run_and_kill(&folder, life, early);
        check_round(&folder, &acknowledged, &mut versions, &mut tally).await;
        if kill.is_multiple_of(WHOLE_CHECK_EVERY) || kill == kills {
            check_entries(&folder, &versions).await;
            println!("{kill} kills: {} acknowledged commits, {} commits found", tally.acknowledged, tally.commits);
        }
    }
    assert!(tally.commits >= tally.acknowledged && tally.acknowledged > kills, "there was no load");
    println!(
        "nothing lost, nothing half there: {kills} kills, {} commits acknowledged and {} found complete that were on their way; \
         {} kills came before the first acknowledgement; slowest opening {} ms",
        tally.acknowledged,
        tally.unacknowledged,
        tally.killed_before_first,
        tally.slowest_open.as_millis()
    );
    std::fs::remove_dir_all(folder).unwrap();
}

/// Each writer's last acknowledged commit, by number.
fn run_and_kill(folder: &Path, life: Duration, early: bool) -> HashMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_acknowledged_is_lost_when_the_process_is_killed", "--nocapture"])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let (first, began) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut last = HashMap::new();
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let Some((writer, number)) = line.strip_prefix("ack ").and_then(|ack| ack.split_once(' ')) else { continue };
            last.insert(writer.parse().unwrap(), number.parse().unwrap());
            let _ = first.send(());
        }
        last
    });
    if !early {
        let _ = began.recv_timeout(Duration::from_secs(30));
    }
    std::thread::sleep(life);
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    assert!(ended.code().is_none(), "the child ended by itself: {ended}");
    reader.join().unwrap()
}

/// Every writer has one commit on its way at a time, so its version is the acknowledged one or the next, and wholly so.
async fn check_round(folder: &Path, acknowledged: &HashMap<u64, u64>, versions: &mut [u64], tally: &mut Tally) {
    let opening = Instant::now();
    let store = EmbeddedStore::open(folder).unwrap();
    tally.slowest_open = tally.slowest_open.max(opening.elapsed());
    tally.killed_before_first += u64::from(acknowledged.is_empty());
    for (writer, version) in (0..).zip(versions.iter_mut()) {
        let told = acknowledged.get(&writer).copied().unwrap_or(*version);
        let found = store.counter(&counter_key(writer)).await.unwrap().unsigned_abs();
        assert!(found == told || found == told + 1, "writer {writer}: {told} acknowledged, {found} there");
        for slot in 0..SLOTS {
            let stored = store.get(&slot_key(writer, slot)).await.unwrap();
            assert!(stored == slot_value(writer, found, slot), "writer {writer}: slot {slot} is not of commit {found}");
        }
        assert!(
            found == 0 || store.get(&entry_key(writer, found)).await.unwrap().is_some(),
            "the last entry of writer {writer} is missing"
        );
        assert_eq!(store.get(&entry_key(writer, found + 1)).await.unwrap(), None, "an entry of a commit that did not take place");
        tally.acknowledged += told - *version;
        tally.unacknowledged += found - told;
        tally.commits += found - *version;
        *version = found;
    }
    store.close().unwrap();
}

/// Every commit has left an entry: none is missing, none too many.
async fn check_entries(folder: &Path, versions: &[u64]) {
    let store = EmbeddedStore::open(folder).unwrap();
    for (writer, version) in (0..).zip(versions) {
        let (mut entries, mut after) = (0, None::<Vec<u8>>);
        loop {
            let prefix = entry_prefix(writer);
            let (space, tenant) = (conformance::key("").space, conformance::key("").tenant);
            let page = store.scan(Range { space, tenant, prefix: &prefix, after: after.as_deref(), limit: SCAN_MAX }).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, stored) in page {
                entries += 1;
                assert!(key == entry_key(writer, entries).key && stored.etag == entries, "entry {entries} of writer {writer}");
            }
        }
        assert_eq!(entries, *version, "writer {writer}");
    }
    store.close().unwrap();
}
