//! Records come back as they went in, to their tenant only, and leave nothing readable on disk.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, sync::Arc};

use usher_records::{RecordError, Vault};
use usher_seal::{MasterKey, SealError};
use usher_store::{Expect, Op, Space, Store, TenantId, memory::MemoryStore};
use usher_store_embedded::EmbeddedStore;

const SPACE: Space = Space(200);

async fn vault(store: &Arc<dyn Store>, master: &MasterKey, tenant: u32) -> Vault {
    Vault::open_tenant(Arc::clone(store), master, TenantId(tenant)).await.unwrap()
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

#[tokio::test]
async fn a_record_is_found_by_its_name_in_any_case_and_by_its_tenant_alone() {
    let (store, master) = (memory(), MasterKey::generate().unwrap());
    let (mine, theirs) = (vault(&store, &master, 1).await, vault(&store, &master, 2).await);
    let (op, etag) = mine.put(mine.key(SPACE, "Device-1"), Expect::Absent, &"value").unwrap();
    mine.commit(vec![op]).await.unwrap();
    let found = mine.get::<String>(&mine.key(SPACE, "device-1")).await.unwrap().unwrap();
    assert_eq!((found.value.as_str(), found.etag), ("value", etag));
    assert!(theirs.get::<String>(&theirs.key(SPACE, "device-1")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_record_moved_to_another_key_or_etag_is_corrupt() {
    let (store, master) = (memory(), MasterKey::generate().unwrap());
    let mine = vault(&store, &master, 1).await;
    let Op::Put { body, etag, .. } = mine.put(mine.key(SPACE, "a"), Expect::Any, &"value").unwrap().0 else { panic!("a put") };
    for (name, etag) in [("b", etag), ("a", etag ^ 1)] {
        let moved = Op::Put { key: mine.key(SPACE, name), expect: Expect::Any, etag, body: body.clone() };
        mine.commit(vec![moved]).await.unwrap();
        let read = mine.get::<String>(&mine.key(SPACE, name)).await;
        assert!(matches!(read, Err(RecordError::Corrupt { .. })), "{read:?}");
    }
}

#[tokio::test]
async fn another_master_key_is_told_apart_from_damage() {
    let store = memory();
    vault(&store, &MasterKey::generate().unwrap(), 1).await;
    let other = MasterKey::generate().unwrap();
    let opened = Vault::open_tenant(Arc::clone(&store), &other, TenantId(1)).await;
    assert_eq!(opened.err(), Some(RecordError::Seal(SealError::WrongMasterKey)));
}

#[tokio::test]
async fn listings_page_under_a_parent_and_end() {
    let (store, master) = (memory(), MasterKey::generate().unwrap());
    let mine = vault(&store, &master, 1).await;
    for n in 0..10_u32 {
        for parent in ["group", "other"] {
            let (op, _) = mine.put(mine.child(SPACE, parent, &n.to_string()), Expect::Absent, &n).unwrap();
            mine.commit(vec![op]).await.unwrap();
        }
    }
    let (prefix, mut after, mut seen) = (mine.parent_prefix(SPACE, "Group"), None, Vec::new());
    loop {
        let page = mine.page::<u32>(SPACE, &prefix, after.as_deref(), 4).await.unwrap();
        seen.extend(page.items.iter().map(|(_, item)| item.value));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn tokens_open_for_their_purpose_and_tenant_only() {
    let (store, master) = (memory(), MasterKey::generate().unwrap());
    let (mine, theirs) = (vault(&store, &master, 1).await, vault(&store, &master, 2).await);
    let token = mine.seal_token("enrollments", b"place").unwrap();
    assert_eq!(mine.open_token("enrollments", &token).unwrap(), b"place");
    assert_eq!(mine.open_token("groups", &token), None);
    assert_eq!(theirs.open_token("enrollments", &token), None);
    assert_eq!(mine.open_token("enrollments", "made up"), None);
}

#[tokio::test]
async fn nothing_written_is_readable_on_disk() {
    let folder = std::env::temp_dir().join(format!("usher-sealed-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&folder).unwrap());
    let mine = vault(&store, &MasterKey::generate().unwrap(), 1).await;
    for n in 0..200 {
        let name = format!("registration-{n}");
        let value = format!("hub-name-{n} with key c2VjcmV0-{n}");
        let (op, _) = mine.put(mine.child(SPACE, "group-alpha", &name), Expect::Absent, &value).unwrap();
        mine.commit(vec![op]).await.unwrap();
    }
    drop((mine, store));
    let mut bytes = Vec::new();
    read_all(&folder, &mut bytes);
    assert!(bytes.len() > 200 * 45, "the store's files were not found");
    for word in ["registration-", "hub-name", "c2VjcmV0", "group-alpha"] {
        assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word} is readable on disk");
    }
    fs::remove_dir_all(folder).unwrap();
}

fn read_all(folder: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, into);
        } else {
            into.extend(fs::read(path).unwrap());
        }
    }
}
