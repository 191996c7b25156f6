//! Backups from before, amid and after a change of the master key, from a file into a token: which keys read which.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use usher_records::{Vault, rotate_master};
use usher_seal::{HeldKey, MasterKey, MasterKeys, SealError, SecretBytes};
use usher_store::{Expect, Space, Store, TenantId, memory::MemoryStore};
use usher_transfer::{CopyError, Header, Reader, Silent, Stage, Summary, Walk, write};

/// A token that keeps what it wraps, and gives out tickets for it.
#[derive(Default)]
struct Token(Mutex<Vec<(Vec<u8>, SecretBytes)>>);

impl HeldKey for Token {
    fn check(&self) -> [u8; 8] {
        [9; 8]
    }

    fn describe(&self) -> String {
        "a token".into()
    }

    fn wrap(&self, place: &[u8], key: &SecretBytes) -> Result<Vec<u8>, SealError> {
        let mut kept = self.0.lock().unwrap();
        kept.push((place.to_vec(), key.clone()));
        Ok(vec![u8::try_from(kept.len()).unwrap()])
    }

    fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretBytes, SealError> {
        let kept = self.0.lock().unwrap();
        let found = wrapped.first().and_then(|ticket| kept.get(usize::from(ticket.checked_sub(1)?)));
        found.filter(|(at, _)| at == place).map(|(_, key)| key.clone()).ok_or(SealError::NotAuthentic)
    }
}

async fn add(store: &MemoryStore, masters: &MasterKeys, tenant: u32) {
    let vault = Vault::open_tenant(Arc::new(store.clone()), masters, TenantId(tenant)).await.unwrap();
    let (put, _) = vault.put(vault.key(Space(8), "device"), Expect::Absent, &"pump").unwrap();
    vault.commit(vec![put]).await.unwrap();
}

async fn backup(store: &MemoryStore, masters: &MasterKeys, with_key: bool) -> Result<Vec<u8>, CopyError> {
    let header = Header { created: "now".into(), usher: "0".into(), store: "memory".into() };
    let mut view = store.snapshot().await.unwrap();
    Ok(write(view.as_mut(), &header, masters, (with_key, true), Vec::new(), &mut Silent).await?.0)
}

async fn read(bytes: &[u8], masters: &MasterKeys) -> Result<Summary, CopyError> {
    let mut reader = Reader::open(bytes, Some(masters.clone())).await?;
    let outcome = Walk::new(&mut reader, Some(masters), Stage::Reading, None).whole(&mut Silent).await;
    outcome.map_err(|error| reader.failure().unwrap_or(error))
}

#[tokio::test]
async fn each_backup_is_read_with_the_keys_that_wrapped_it_and_no_others() {
    let (file, token) = (MasterKey::generate().unwrap(), MasterKey::held(Arc::new(Token::default())));
    let (old, new) = (MasterKeys::from(&file), MasterKeys::from(&token));
    let both = MasterKeys::new(token.clone(), vec![file.clone()]);
    let store = MemoryStore::default();
    add(&store, &old, 0).await;
    add(&store, &old, 1).await;
    let before = backup(&store, &old, false).await.unwrap();
    // The token wraps for whoever comes now.
    add(&store, &both, 2).await;
    let amid = backup(&store, &both, false).await.unwrap();
    assert_eq!(rotate_master(&store, &both).await.unwrap().rewrapped, 2);
    let after = backup(&store, &new, false).await.unwrap();
    for (bytes, opening, failing) in
        [(&before, [&old, &both].as_slice(), [&new].as_slice()), (&amid, &[&both], &[&old, &new]), (&after, &[&new, &both], &[&old])]
    {
        for masters in opening {
            read(bytes, masters).await.unwrap();
        }
        for masters in failing {
            let why = read(bytes, masters).await.unwrap_err().to_string();
            assert!(why.contains("the master key is not the one") && why.contains("--master-key"), "{why}");
        }
    }
    let why = backup(&store, &new, true).await.unwrap_err().to_string();
    assert!(why.contains("in a token") && why.contains("--with-master-key"), "{why}");
}
