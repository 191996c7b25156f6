//! Killed with SIGKILL at a random moment, the store loses nothing that it acknowledged.
//!
//! The test runs itself as a child that commits and prints each acknowledgement, kills it, and looks into the reopened store.

#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use usher_store::{Expect, Op, Store, conformance};
use usher_store_embedded::EmbeddedStore;

const CHILD: &str = "USHER_STORE_CRASH_CHILD";
const WRITERS: u64 = 16;
const ROUNDS: u64 = 6;

fn key(round: u64, writer: u64, n: u64) -> usher_store::Key {
    conformance::key(&format!("{round}/{writer}/{n}"))
}

async fn write_until_killed(folder: PathBuf, round: u64) {
    let store = Arc::new(EmbeddedStore::open(&folder).unwrap());
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0.. {
                let op = Op::Put { key: key(round, writer, n), expect: Expect::Absent, etag: n + 1, body: vec![7; 700] };
                store.commit(vec![op, Op::Add { key: conformance::key("acknowledged"), delta: 1 }]).await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "ack {writer} {n}").unwrap();
                out.flush().unwrap();
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    if let Ok(told) = std::env::var(CHILD) {
        let (round, folder) = told.split_once(' ').unwrap();
        return write_until_killed(folder.into(), round.parse().unwrap()).await;
    }
    let folder = std::env::temp_dir().join(format!("usher-store-crash-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let acks = run_and_kill(&folder, round);
        assert!(!acks.is_empty(), "the child did nothing in round {round}");
        let store = EmbeddedStore::open(&folder).unwrap();
        for (writer, n) in &acks {
            let stored = store.get(&key(round, *writer, *n)).await.unwrap();
            assert_eq!(stored.map(|stored| stored.etag), Some(n + 1), "lost {writer}/{n} of round {round}");
        }
        acknowledged += i64::try_from(acks.len()).unwrap();
        let counted = store.counter(&conformance::key("acknowledged")).await.unwrap();
        assert!(counted >= acknowledged, "{counted} counted, {acknowledged} acknowledged");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

fn run_and_kill(folder: &std::path::Path, round: u64) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_acknowledged_is_lost_when_the_process_is_killed", "--nocapture"])
        .env(CHILD, format!("{round} {}", folder.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        lines
            .filter_map(|line| {
                let mut words = line.strip_prefix("ack ")?.split(' ').map(str::to_owned);
                Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
            })
            .collect::<Vec<_>>()
    });
    std::thread::sleep(Duration::from_millis(300 + 37 * round));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}
