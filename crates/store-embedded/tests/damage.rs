//! Whatever is done to the files, nothing acknowledged goes missing in silence: a damaged store is refused when it is opened, or the
//! damage is named when it is read, or it did no harm.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use usher_store::{Expect, Op, Store, conformance};
use usher_store_embedded::{EmbeddedStore, OpenError};

/// Enough that some are in a table and some in the journal alone.
const RECORDS: u64 = 14_000;
const COUNTERS: u64 = 1;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("usher-store-damage-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn body(n: u64) -> Vec<u8> {
    (0..700_u64).map(|byte| (n.wrapping_mul(31) ^ byte.wrapping_mul(7)) as u8).collect()
}

async fn fill(folder: &Path) {
    let store = EmbeddedStore::open(folder).unwrap();
    let put = |n: u64| Op::Put { key: conformance::key(&format!("{n:08}")), expect: Expect::Absent, etag: 1, body: body(n) };
    for first in (0..RECORDS).step_by(100) {
        let mut ops: Vec<Op> = (first..first + 100).map(put).collect();
        ops.push(Op::Add { key: conformance::key("n"), delta: 100 });
        store.commit(ops).await.unwrap();
    }
    store.close().unwrap();
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flipped(usize),
    Cut(usize),
    Gone,
}

/// What can happen to a file: at its start, its middle, its end. A journal's preallocated rest does not count.
fn damages(file: &Path) -> Vec<Damage> {
    let bytes = fs::read(file).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut damages = vec![Damage::Gone];
    if used > 0 {
        damages.extend([Damage::Flipped(0), Damage::Flipped(used / 2), Damage::Flipped(used - 1), Damage::Cut(0), Damage::Cut(used / 2)]);
    }
    damages
}

fn inflict(file: &Path, damage: Damage) {
    match damage {
        Damage::Gone => fs::remove_file(file).unwrap(),
        Damage::Cut(length) => fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length as u64).unwrap(),
        Damage::Flipped(at) => {
            let mut bytes = fs::read(file).unwrap();
            bytes[at] ^= 0x41;
            fs::write(file, bytes).unwrap();
        }
    }
}

/// What an operator learns: `Err` with the words, or how many entries are there.
fn open_and_read(folder: &Path) -> Result<u64, String> {
    let store = EmbeddedStore::open(folder).map_err(|error| error.to_string())?;
    store.verify().map_err(|error| error.to_string())
}

#[tokio::test]
async fn no_damage_to_any_file_loses_records_in_silence() {
    let (good, bad) = (folder("good"), folder("bad"));
    fill(&good).await;
    assert_eq!(open_and_read(&good), Ok(RECORDS + COUNTERS));
    let mut all = Vec::new();
    files(&good, &mut all);
    assert!(all.iter().any(|file| file.ends_with("keyspaces/1/tables/0")), "nothing was flushed: {all:?}");
    let (mut named, mut harmless) = (0, 0);
    for file in all {
        for damage in damages(&file) {
            let _ = fs::remove_dir_all(&bad);
            copy(&good, &bad);
            inflict(&bad.join(file.strip_prefix(&good).unwrap()), damage);
            match open_and_read(&bad) {
                Err(_) => named += 1,
                Ok(found) => {
                    assert_eq!(found, RECORDS + COUNTERS, "{damage:?} of {} is not noticed", file.display());
                    harmless += 1;
                }
            }
        }
    }
    println!("{named} damages named, {harmless} without harm");
    assert!(named > harmless / 2, "{named} named, {harmless} harmless: the damage misses the data");
    fs::remove_dir_all(good).unwrap();
    fs::remove_dir_all(bad).unwrap();
}

#[tokio::test]
async fn a_lost_journal_or_table_or_mark_is_named() {
    let good = folder("named");
    fill(&good).await;
    for (file, word) in [("0.jnl", "journal"), ("keyspaces/1/current", "records"), ("keyspaces/2/current", "lost"), ("mark", "mark")] {
        let bad = folder("named-bad");
        copy(&good, &bad);
        fs::remove_file(bad.join(file)).unwrap();
        let Err(OpenError::Corrupt { detail, .. }) = EmbeddedStore::open(&bad) else { panic!("{file} is not missed") };
        assert!(detail.contains(word), "{file}: {detail}");
        fs::remove_dir_all(bad).unwrap();
    }
    fs::remove_dir_all(good).unwrap();
}

#[tokio::test]
async fn a_store_whose_making_was_interrupted_is_made_whole() {
    let folder = folder("interrupted");
    EmbeddedStore::open(&folder).unwrap().close().unwrap();
    fs::remove_file(folder.join("mark")).unwrap();
    fs::write(folder.join("mark.new"), b"half").unwrap();
    assert_eq!(open_and_read(&folder), Ok(0));
    assert_eq!(open_and_read(&folder), Ok(0), "and stays so");
    fs::remove_dir_all(folder).unwrap();
}
