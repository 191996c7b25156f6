//! Copies end equal however often they are interrupted, and what is damaged or does not fit is refused before anything is written.

#![allow(clippy::unwrap_used)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_lc_rs::digest::{SHA256, digest};
use usher_records::Vault;
use usher_seal::{MasterKey, MasterKeys};
use usher_store::{
    BoxFuture, Expect, Found, Key, Op, Range, Snapshot, Space, Store, StoreError, Stored, TenantId,
    memory::{Fault, MemoryStore},
};
use usher_store_embedded::EmbeddedStore;
use usher_transfer::{CopyError, Filled, Header, Reader, Silent, Stage, Summary, Walk, fill, is_unfinished, write};

const RECORDS: u32 = 400;

fn fresh() -> MasterKeys {
    MasterKey::generate().unwrap().into()
}

/// The same with another authentication and a right checksum of that.
fn forged(backup: &[u8]) -> Vec<u8> {
    let (tag, check) = (32, 8);
    let mut forged = backup[..backup.len() - tag - check].to_vec();
    forged.extend_from_slice(&[7; 32]);
    let sum = digest(&SHA256, &forged);
    forged.extend_from_slice(&sum.as_ref()[..check]);
    forged
}

/// Records of three tenants, sealed, and counters.
async fn installation(masters: &MasterKeys) -> MemoryStore {
    let store = MemoryStore::default();
    for tenant in [0, 1, 7] {
        let vault = Vault::open_tenant(Arc::new(store.clone()), masters, TenantId(tenant)).await.unwrap();
        for n in 0..RECORDS {
            let key = vault.key(Space(8 + (n % 3) as u8), &format!("device-{n}"));
            let count = Op::Add { key: vault.key(Space(15), &format!("count-{}", n % 150)), delta: i64::from(n) - 300 };
            let (put, _) = vault.put(key, Expect::Absent, &format!("pump {n} ").repeat(n as usize % 40)).unwrap();
            vault.commit(vec![put, count]).await.unwrap();
        }
    }
    store
}

async fn summary(store: &dyn Store, masters: Option<&MasterKeys>) -> Result<Summary, CopyError> {
    Walk::new(store.snapshot().await.unwrap().as_mut(), masters, Stage::Reading, None).whole(&mut Silent).await
}

async fn backup(store: &dyn Store, masters: &MasterKeys, with_key: bool) -> Vec<u8> {
    taken(store, masters, with_key).await.unwrap()
}

async fn taken(store: &dyn Store, masters: &MasterKeys, with_key: bool) -> Result<Vec<u8>, CopyError> {
    let header = Header { created: "now".into(), usher: "0".into(), store: "memory".into() };
    let mut snapshot = store.snapshot().await.unwrap();
    Ok(write(snapshot.as_mut(), &header, masters, (with_key, true), Vec::new(), &mut Silent).await?.0)
}

async fn read(bytes: &[u8], masters: Option<&MasterKeys>) -> Result<Summary, CopyError> {
    let mut reader = Reader::open(bytes, masters.cloned()).await?;
    let outcome = Walk::new(&mut reader, masters, Stage::Reading, None).whole(&mut Silent).await;
    outcome.map_err(|error| reader.failure().unwrap_or(error))
}

async fn copy(from: &dyn Store, origin: &Summary, to: &dyn Store) -> Result<Filled, CopyError> {
    fill(from.snapshot().await.unwrap().as_mut(), origin, to, &mut Silent).await
}

#[tokio::test]
async fn a_backup_holds_everything_and_restores_to_the_same() {
    let master = fresh();
    let source = installation(&master).await;
    let origin = summary(&source, Some(&master)).await.unwrap();
    assert_eq!((origin.records, origin.counters > 100), (u64::from(RECORDS) * 3 + 3, true));
    let bytes = backup(&source, &master, false).await;
    assert_eq!(read(&bytes, Some(&master)).await.as_ref(), Ok(&origin));
    assert!(!bytes.windows(5).any(|window| window == b"pump ") && !bytes.windows(7).any(|window| window == b"device-"));
    let key = master.current().to_base64().unwrap();
    assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "the key was not asked for");
    let folder = std::env::temp_dir().join(format!("usher-transfer-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let target = EmbeddedStore::open(&folder).unwrap();
    let mut reader = Reader::open(bytes.as_slice(), Some(master.clone())).await.unwrap();
    assert_eq!(fill(&mut reader, &origin, &target, &mut Silent).await, Ok(Filled::Wholly));
    assert_eq!(summary(&target, Some(&master)).await.as_ref(), Ok(&origin));
    assert_eq!(is_unfinished(&target).await, Ok(false));
    assert_eq!(copy(&source, &origin, &target).await, Ok(Filled::Already));
    let vault = Vault::open_tenant(Arc::new(target), &master, TenantId(7)).await.unwrap();
    assert_eq!(vault.get::<String>(&vault.key(Space(9), "device-1")).await.unwrap().unwrap().value, "pump 1 ");
    drop(vault);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn the_key_inside_is_found_and_stands_for_the_given_one() {
    let master = fresh();
    let bytes = backup(&installation(&master).await, &master, true).await;
    let reader = Reader::open(bytes.as_slice(), None).await.unwrap();
    let check = master.current().check();
    assert_eq!((reader.key_inside().unwrap().check(), reader.masters().unwrap().current().check()), (check, check));
}

#[tokio::test]
async fn any_changed_bit_and_any_cut_is_refused() {
    let master = fresh();
    let store = MemoryStore::default();
    let vault = Vault::open_tenant(Arc::new(store.clone()), &master, TenantId(0)).await.unwrap();
    let (put, _) = vault.put(vault.key(Space(8), "a"), Expect::Absent, &"text").unwrap();
    vault.commit(vec![put, Op::Add { key: vault.key(Space(15), "n"), delta: 4 }]).await.unwrap();
    let good = backup(&store, &master, false).await;
    assert!(read(&good, None).await.is_ok() && read(&good, Some(&master)).await.is_ok());
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut bent = good.clone();
            bent[at] ^= bit;
            assert!(read(&bent, None).await.is_err(), "byte {at}");
        }
        assert!(read(&good[..at], None).await.is_err(), "{at} bytes");
    }
    let why = read(&[good.as_slice(), &[0]].concat(), None).await.unwrap_err().to_string();
    assert!(why.contains("follows its end") && why.contains("Nothing was written"), "{why}");
}

#[tokio::test]
async fn another_master_key_is_refused_by_name() {
    let (master, other) = (fresh(), fresh());
    let source = installation(&master).await;
    let bytes = backup(&source, &master, false).await;
    let why = read(&bytes, Some(&other)).await.unwrap_err().to_string();
    assert!(why.contains("the master key is not the one"), "{why}");
    let why = summary(&source, Some(&other)).await.unwrap_err().to_string();
    assert!(why.contains("--master-key"), "{why}");
    // Whoever has no key can make right checksums, but not the authentication.
    let why = read(&forged(&bytes), Some(&master)).await.unwrap_err().to_string();
    assert!(why.contains("changed by someone who does not have its master key"), "{why}");
    assert!(read(&forged(&bytes), None).await.is_ok());
    let why = taken(&MemoryStore::default(), &master, false).await.unwrap_err().to_string();
    assert!(why.contains("is empty"), "{why}");
}

/// Every commit in turn is the last of an attempt: it does not take place, or its answer is lost.
#[tokio::test]
async fn a_copy_that_is_interrupted_at_any_commit_ends_equal() {
    let master = fresh();
    let source = installation(&master).await;
    let origin = summary(&source, None).await.unwrap();
    let whole = MemoryStore::default();
    assert_eq!(copy(&source, &origin, &whole).await, Ok(Filled::Wholly));
    assert!(whole.commits() > 10, "{} commits", whole.commits());
    for at in 0..whole.commits() {
        for fault in [Fault::Before, Fault::After] {
            let target = Interrupted { store: MemoryStore::default(), left: AtomicU64::new(at), fault: fault.clone() };
            assert!(copy(&source, &origin, &target).await.is_err(), "commit {at}");
            let expected = match (at, &fault) {
                (0, Fault::Before) => Filled::Wholly,
                (last, Fault::After) if last + 1 == whole.commits() => Filled::Already,
                _ => Filled::Resumed,
            };
            assert_eq!(is_unfinished(&target.store).await, Ok(expected == Filled::Resumed), "commit {at}, {fault:?}");
            assert_eq!(copy(&source, &origin, &target.store).await, Ok(expected), "commit {at}, {fault:?}");
            assert_eq!(summary(&target.store, Some(&master)).await.as_ref(), Ok(&origin));
            assert!(target.store.commits() <= whole.commits() + 1, "it began anew");
        }
    }
}

#[tokio::test]
async fn a_target_with_something_else_is_left_as_it_is() {
    let master = fresh();
    let (source, other) = (installation(&master).await, installation(&master).await);
    let (origin, others) = (summary(&source, None).await.unwrap(), summary(&other, None).await.unwrap());
    let why = copy(&source, &origin, &other).await.unwrap_err().to_string();
    assert!(why.contains("not empty") && why.contains("Nothing was written"), "{why}");
    assert_eq!(summary(&other, None).await.as_ref(), Ok(&others));
    let half = Interrupted { store: MemoryStore::default(), left: AtomicU64::new(3), fault: Fault::Before };
    assert!(copy(&source, &origin, &half).await.is_err());
    let why = copy(&other, &others, &half.store).await.unwrap_err().to_string();
    assert!(why.contains("half filled with something else"), "{why}");
    // Changed while it is copied.
    let counted = Op::Add { key: usher_store::conformance::key("late"), delta: 1 };
    source.commit(vec![counted]).await.unwrap();
    let why = copy(&source, &origin, &MemoryStore::default()).await.unwrap_err().to_string();
    assert!(why.contains("has changed"), "{why}");
}

/// A store whose commits go well `left` times, then fail once.
struct Interrupted {
    store: MemoryStore,
    left: AtomicU64,
    fault: Fault,
}

impl Store for Interrupted {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        self.store.get(key)
    }

    fn scan<'a>(&'a self, range: Range<'a>) -> BoxFuture<'a, Result<Vec<Found>, StoreError>> {
        self.store.scan(range)
    }

    fn counter<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<i64, StoreError>> {
        self.store.counter(key)
    }

    fn commit(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.store.fail_next([self.fault.clone()]);
        }
        self.store.commit(ops)
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StoreError>> {
        self.store.snapshot()
    }
}
