//! Records come back as they went in, to their tenant only, and leave nothing readable on disk.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    sync::Arc,
};

use usher_records::{RecordError, Rotation, UnderMaster, Vault, rotate_master, try_masters, under_masters};
use usher_seal::{MasterKey, MasterKeys, SealError};
use usher_store::{
    Expect, Key, Op, Space, Store, TenantId,
    memory::{Fault, MemoryStore},
};
use usher_store_embedded::EmbeddedStore;

const SPACE: Space = Space(200);
/// Bytes by which a word is looked for first; no word is shorter.
const HEAD: usize = 7;

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
async fn damaged_tenant_keys_are_not_blamed_on_the_master_key() {
    let (store, master) = (memory(), MasterKey::generate().unwrap());
    vault(&store, &master, 1).await;
    let key = Key { space: Space(0), tenant: TenantId(0), key: 1_u32.to_be_bytes().to_vec() };
    let mut body = store.get(&key).await.unwrap().unwrap().body;
    *body.last_mut().unwrap() ^= 1;
    store.commit(vec![Op::Put { key, expect: Expect::Any, etag: 9, body }]).await.unwrap();
    let opened = Vault::open_tenant(Arc::clone(&store), &master, TenantId(1)).await;
    assert!(matches!(opened.err(), Some(RecordError::Corrupt { space: Space(0), .. })));
}

#[tokio::test]
async fn nodes_that_open_a_new_tenant_at_once_share_its_keys() {
    let (store, master) = (MemoryStore::default(), MasterKey::generate().unwrap());
    let hold = store.hold();
    let open = || {
        let (store, master) = (Arc::new(store.clone()), master.clone());
        tokio::spawn(async move { Vault::open_tenant(store, &master, TenantId(1)).await.unwrap() })
    };
    let (one, other) = (open(), open());
    // Both have found no keys, and wait to commit theirs.
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    drop(hold);
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    let (op, _) = one.put(one.key(SPACE, "device"), Expect::Absent, &"value").unwrap();
    one.commit(vec![op]).await.unwrap();
    assert_eq!(other.get::<String>(&other.key(SPACE, "device")).await.unwrap().unwrap().value, "value");
    assert_eq!(store.commits(), 2, "keys were made twice");
}

#[tokio::test]
async fn a_new_master_key_takes_over_all_tenants_and_touches_no_record() {
    let store = memory();
    let (old, new) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
    let both = MasterKeys::new(new.clone(), vec![old.clone()]);
    for tenant in 1..=40 {
        let mine = vault(&store, &old, tenant).await;
        let (op, _) = mine.put(mine.key(SPACE, "device"), Expect::Absent, &tenant).unwrap();
        mine.commit(vec![op]).await.unwrap();
    }
    let open_since_before = vault(&store, &old, 7).await;
    let before = store.get(&open_since_before.key(SPACE, "device")).await.unwrap();
    let under = |check, tenants| vec![UnderMaster { check, held: false, tenants, data_keys: tenants }];
    assert_eq!(under_masters(store.as_ref()).await.unwrap(), under(old.check(), 40));
    assert_eq!(try_masters(store.as_ref(), &both).await, Ok(()));
    assert!(try_masters(store.as_ref(), &(&new).into()).await.is_err());
    assert_eq!(rotate_master(store.as_ref(), &both).await, Ok(Rotation { rewrapped: 40, already: 0 }));
    assert_eq!(rotate_master(store.as_ref(), &both).await, Ok(Rotation { rewrapped: 0, already: 40 }), "it can be repeated");
    assert_eq!(under_masters(store.as_ref()).await.unwrap(), under(new.check(), 40));
    for tenant in 1..=40 {
        let mine = vault(&store, &new, tenant).await;
        assert_eq!(mine.get::<u32>(&mine.key(SPACE, "device")).await.unwrap().unwrap().value, tenant);
    }
    assert_eq!(store.get(&open_since_before.key(SPACE, "device")).await.unwrap(), before, "a record was rewritten");
    assert!(open_since_before.get::<u32>(&open_since_before.key(SPACE, "device")).await.unwrap().is_some());
    let opened = Vault::open_tenant(Arc::clone(&store), &old, TenantId(1)).await;
    assert_eq!(opened.err(), Some(RecordError::Seal(SealError::WrongMasterKey)), "the old key has had its day");
}

#[tokio::test]
async fn an_interrupted_change_of_the_master_key_is_finished_by_the_next() {
    let store = MemoryStore::default();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let (old, new) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
    let both = MasterKeys::new(new.clone(), vec![old.clone()]);
    for tenant in 1..=5 {
        vault(&shared, &old, tenant).await;
    }
    store.fail_next([Fault::After]);
    assert!(matches!(rotate_master(&store, &both).await, Err(RecordError::Unavailable(_))));
    assert_eq!(rotate_master(&store, &both).await, Ok(Rotation { rewrapped: 4, already: 1 }));
    let refused = rotate_master(&store, &MasterKey::generate().unwrap().into()).await;
    assert_eq!(refused, Err(RecordError::Seal(SealError::WrongMasterKey)));
}

#[tokio::test]
async fn a_renewed_data_key_is_met_by_nodes_that_do_not_know_it_yet() {
    let (store, master) = (memory(), MasterKey::generate().unwrap());
    let (here, there, listing, token) = (
        vault(&store, &master, 1).await,
        vault(&store, &master, 1).await,
        vault(&store, &master, 1).await,
        vault(&store, &master, 1).await,
    );
    let write = async |at: &Vault, name: &str| {
        let (op, _) = at.put(at.key(SPACE, name), Expect::Absent, &name).unwrap();
        at.commit(vec![op]).await.unwrap();
    };
    write(&here, "before").await;
    assert_eq!(here.renew_data_key().await, Ok(2));
    write(&here, "after").await;
    write(&there, "by the old one").await;
    for name in ["before", "after", "by the old one"] {
        for at in [&here, &there] {
            assert_eq!(at.get::<String>(&at.key(SPACE, name)).await.unwrap().unwrap().value, name);
        }
    }
    assert_eq!(listing.page::<String>(SPACE, &[], None, 10).await.unwrap().items.len(), 3);
    let sealed = here.seal_token("query", b"place").unwrap();
    assert_eq!(token.open_token("query", &sealed).await.unwrap(), b"place");
    assert_eq!(under_masters(store.as_ref()).await.unwrap()[0].data_keys, 2);
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
    assert_eq!(mine.open_token("enrollments", &token).await.unwrap(), b"place");
    assert_eq!(mine.open_token("groups", &token).await, None);
    assert_eq!(theirs.open_token("enrollments", &token).await, None);
    for made_up in ["made up", "", "AAAA", &"A".repeat(10_000)] {
        assert_eq!(mine.open_token("enrollments", made_up).await, None);
    }
    let mut altered = token.into_bytes();
    altered[20] = if altered[20] == b'A' { b'B' } else { b'A' };
    assert_eq!(mine.open_token("enrollments", std::str::from_utf8(&altered).unwrap()).await, None);
    assert!(matches!(mine.seal_token("enrollments", &[0; 400]), Err(RecordError::Invalid(_))), "it could not be taken back");
}

/// Written past the vault, to show that the search below finds what is there to be found.
async fn write_in_the_clear(store: &dyn Store) {
    let key = Key { space: SPACE, tenant: TenantId(1), key: b"in-the-clear".to_vec() };
    store.commit(vec![Op::Put { key, expect: Expect::Any, etag: 1, body: b"plain-body".to_vec() }]).await.unwrap();
}

#[tokio::test]
async fn nothing_written_is_readable_on_disk() {
    let folder = std::env::temp_dir().join(format!("usher-sealed-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&folder).unwrap());
    let master = MasterKey::generate().unwrap();
    let mine = vault(&store, &master, 1).await;
    let mut words = vec![master.to_base64().unwrap().to_string(), "reported".into(), "primaryKey".into()];
    // More than a memtable, so that both the journal and the tables are searched.
    for n in 0..1_200 {
        let (id, group, hub) = (format!("Registration-{n}"), format!("group-{n}"), format!("hub-{n}.example"));
        let (key, twin) = (format!("c2VjcmV0{n:04}"), format!("room temperature {n}"));
        let value = serde_json::json!({ "id": id, "hub": hub, "primaryKey": key, "reported": twin.repeat(400) });
        let (op, _) = mine.put(mine.child(SPACE, &group, &id), Expect::Absent, &value).unwrap();
        mine.commit(vec![op, Op::Add { key: mine.key(SPACE, &hub), delta: 1 }]).await.unwrap();
        words.extend([id.to_ascii_lowercase(), id, group, hub, key, twin]);
    }
    write_in_the_clear(store.as_ref()).await;
    drop((mine, store));
    let mut files = Vec::new();
    read_all(&folder, &mut files);
    let tables = files.iter().filter(|file| file.len() > 1_000_000).count();
    assert!(tables > 1, "only one file is large: the tables were not searched");
    let plain = ["in-the-clear".to_owned(), "plain-body".to_owned()];
    let clear = readable(&files, &plain);
    assert_eq!(clear.len(), 2, "the search finds only {clear:?} of what is there");
    assert_eq!(readable(&files, &words), Vec::<&str>::new(), "readable on disk");
    fs::remove_dir_all(folder).unwrap();
}

/// The words that any file holds. Looked for by their first byte, then their first [`HEAD`], so that all are searched for in one pass.
fn readable<'a>(files: &[Vec<u8>], words: &'a [String]) -> Vec<&'a str> {
    let (mut begins, mut by_head, mut found) = ([false; 256], HashMap::<&[u8], Vec<&str>>::new(), HashSet::new());
    for word in words {
        begins[usize::from(word.as_bytes()[0])] = true;
        by_head.entry(&word.as_bytes()[..HEAD]).or_default().push(word);
    }
    for file in files {
        let places = file.iter().enumerate().filter(|(_, byte)| begins[usize::from(**byte)]);
        for rest in places.map(|(at, _)| &file[at..]).filter(|rest| rest.len() >= HEAD) {
            let candidates = by_head.get(&rest[..HEAD]).into_iter().flatten();
            found.extend(candidates.filter(|word| rest.starts_with(word.as_bytes())));
        }
    }
    found.into_iter().collect()
}

fn read_all(folder: &Path, into: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, into);
        } else {
            into.push(fs::read(path).unwrap());
        }
    }
}
