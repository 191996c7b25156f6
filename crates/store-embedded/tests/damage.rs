//! Whatever is done to the files, nothing acknowledged goes missing in silence: a damaged store is refused when it is opened, or the
//! damage is named when it is read, or it did no harm.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use usher_store::{Expect, Key, Op, Range, SCAN_MAX, Store, StoreError, Stored, conformance};
use usher_store_embedded::{EmbeddedStore, OpenError};

/// Enough that some are in a table and some in the journal alone.
const RECORDS: u64 = 14_000;
const COUNTERS: u64 = 1;
/// Damages at random places of each file.
const ANYWHERE: usize = 2;

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

impl Damage {
    fn name(self) -> &'static str {
        match self {
            Self::Flipped(_) => "flipped",
            Self::Cut(_) => "cut",
            Self::Gone => "gone",
        }
    }
}

/// What can happen to a file: at its start, its middle, its end, and anywhere. A journal's preallocated rest does not count.
fn damages(file: &Path, chance: &mut u64) -> Vec<Damage> {
    let bytes = fs::read(file).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut damages = vec![Damage::Gone];
    if used > 0 {
        damages.extend([Damage::Flipped(0), Damage::Flipped(used / 2), Damage::Flipped(used - 1), Damage::Cut(0), Damage::Cut(used / 2)]);
        for at in 0..ANYWHERE {
            *chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (*chance >> 33) as usize % used;
            damages.push(if at % 2 == 1 { Damage::Cut(place) } else { Damage::Flipped(place) });
        }
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

/// When a damage is found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Found {
    /// The store is not opened.
    Opening,
    /// It is opened, and what is damaged is refused when it is read.
    Reading,
    /// Everything is there, and right.
    Harmless,
}

/// What an operator learns, and that nothing wrong is served: each record is read by its key, all are read in order, as a snapshot and
/// as `usher check` reads them. Whatever is not refused must be what was written; and what one way refuses, a check must find.
async fn look(folder: &Path) -> (Found, String) {
    let store = match EmbeddedStore::open(folder) {
        Ok(store) => store,
        Err(error) => return (Found::Opening, error.to_string()),
    };
    let mut refused = None;
    for n in 0..RECORDS {
        match store.get(&conformance::key(&format!("{n:08}"))).await {
            Ok(stored) => assert!(stored == Some(Stored { etag: 1, body: body(n) }), "record {n} is served wrong or not at all"),
            Err(error) => refused = Some(error.to_string()),
        }
    }
    match store.counter(&conformance::key("n")).await {
        Ok(counted) => assert_eq!(counted.unsigned_abs(), RECORDS),
        Err(error) => refused = Some(error.to_string()),
    }
    match scanned(&store).await {
        Ok(found) => assert_eq!(found, RECORDS, "a scan has left records out"),
        Err(error) => refused = Some(error.to_string()),
    }
    let checked = checked(&store).await;
    let verified = store.verify();
    match (refused, checked, verified) {
        (None, Ok(found), Ok(entries)) => {
            assert_eq!((found, entries), (RECORDS + COUNTERS, RECORDS + COUNTERS), "something is left out");
            (Found::Harmless, String::new())
        }
        (_, Err(error), _) => (Found::Reading, error.to_string()),
        (refused, Ok(_), verified) => panic!("a check does not find what a read does: {refused:?} {verified:?}"),
    }
}

async fn scanned(store: &EmbeddedStore) -> Result<u64, StoreError> {
    let (Key { space, tenant, .. }, mut after, mut found) = (conformance::key(""), None::<Vec<u8>>, 0);
    loop {
        let page = store.scan(Range { space, tenant, prefix: &[], after: after.as_deref(), limit: SCAN_MAX }).await?;
        let Some((last, _)) = page.last() else { return Ok(found) };
        after = Some(last.clone());
        for (key, stored) in page {
            assert!(key == format!("{found:08}").as_bytes() && stored.body == body(found), "record {found} is scanned wrong");
            found += 1;
        }
    }
}

async fn checked(store: &EmbeddedStore) -> Result<u64, StoreError> {
    let (mut snapshot, mut found) = (store.snapshot().await?, 0);
    loop {
        let step = snapshot.step().await?;
        if step.is_empty() {
            return Ok(found);
        }
        found += step.len() as u64;
    }
}

#[tokio::test]
async fn no_damage_to_any_file_loses_records_in_silence_or_serves_wrong_ones() {
    let (good, bad) = (folder("good"), folder("bad"));
    fill(&good).await;
    assert_eq!(look(&good).await, (Found::Harmless, String::new()));
    let mut all = Vec::new();
    files(&good, &mut all);
    assert!(all.iter().any(|file| file.ends_with("keyspaces/1/tables/0")), "nothing was flushed: {all:?}");
    let (mut chance, mut named) = (7_u64, 0);
    let mut tally = BTreeMap::<(&str, &str, Found), u64>::new();
    for file in all {
        for damage in damages(&file, &mut chance) {
            let _ = fs::remove_dir_all(&bad);
            copy(&good, &bad);
            inflict(&bad.join(file.strip_prefix(&good).unwrap()), damage);
            let (found, why) = look(&bad).await;
            let inside = file.strip_prefix(&good).unwrap().display().to_string();
            let names = why.contains(&inside) || inside.ends_with(".jnl") && why.contains("journal");
            assert!(names || !inside.contains("/tables/") || found == Found::Harmless, "{damage:?} of {inside} is not named: {why}");
            named += u64::from(names);
            *tally.entry((kind(&file), damage.name(), found)).or_default() += 1;
        }
    }
    let count = |wanted| tally.iter().filter(|((_, _, found), _)| *found == wanted).map(|(_, times)| times).sum::<u64>();
    for ((kind, damage, found), times) in &tally {
        println!("{kind:30} {damage:8} {found:?}: {times}");
    }
    let refused = count(Found::Opening) + count(Found::Reading);
    println!("{refused} damages refused, {named} of them by the file's name; {} harmless", count(Found::Harmless));
    assert!(refused > count(Found::Harmless) / 2, "the damage misses the data");
    fs::remove_dir_all(good).unwrap();
    fs::remove_dir_all(bad).unwrap();
}

/// Of which kind a file is.
fn kind(file: &Path) -> &'static str {
    let text = file.to_string_lossy();
    let name = file.file_name().unwrap().to_string_lossy();
    match name.as_ref() {
        "mark" => "mark",
        "lock" | "version" | "current" | "manifest" => "engine: lock, version, current",
        _ if text.contains("/tables/") => "tables",
        _ if name.ends_with(".jnl") => "journal",
        _ => "engine: manifests",
    }
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
    for _ in 0..2 {
        assert_eq!(EmbeddedStore::open(&folder).unwrap().verify(), Ok(0), "it stays so");
    }
    fs::remove_dir_all(folder).unwrap();
}
