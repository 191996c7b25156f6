//! The chain in a store, and what it shows when somebody has been at it.
#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use usher_domain::{Timestamp, TrackingId};
use usher_seal::MasterKey;
use usher_store::{Op, Store, TenantId, memory::MemoryStore};

use super::*;
use crate::{Actor, Phase};

fn entry(number: u8) -> Entry {
    Entry {
        at: Timestamp::from_secs(1_000 + i64::from(number)),
        tracking_id: TrackingId::from_random([number; 16]),
        actor: Actor::Policy("owner".into()),
        address: Some([10, 0, 0, number].into()),
        service: Some("plant".into()),
        action: Entry::action("PUT", "/enrollments/press-7"),
        phase: Phase::Begun,
    }
}

async fn vault(store: &Arc<MemoryStore>, master: &MasterKey) -> Vault {
    let store: Arc<dyn Store> = store.clone();
    Vault::open_tenant(store, master, TenantId(0)).await.unwrap()
}

async fn log_with(entries: u8) -> (Vault, AuditLog) {
    let vault = vault(&Arc::default(), &MasterKey::generate().unwrap()).await;
    let log = AuditLog::start(vault.clone());
    for number in 1..=entries {
        log.append(entry(number)).await.unwrap();
    }
    (vault, log)
}

fn key(vault: &Vault, number: u64) -> Key {
    Key { space: ENTRIES, tenant: vault.tenant(), key: place(number) }
}

async fn rewrite(vault: &Vault, number: u64, change: impl Fn(&mut Link)) {
    let mut link = vault.get::<Link>(&key(vault, number)).await.unwrap().unwrap().value;
    change(&mut link);
    vault.commit(vec![vault.put(key(vault, number), Expect::Any, &link).unwrap().0]).await.unwrap();
}

#[tokio::test]
async fn entries_are_read_newest_first_and_the_chain_holds() {
    let (_, log) = log_with(5).await;
    let page = log.page(None, 2).await.unwrap();
    assert_eq!(page.iter().map(|link| link.number).collect::<Vec<_>>(), [5, 4]);
    let rest = log.page(Some(4), 10).await.unwrap();
    assert_eq!(rest.iter().map(|link| link.number).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(serde_json::from_str::<Entry>(&rest[2].text).unwrap(), entry(1));
    let verified = log.verify(Some(&rest[0].digest)).await.unwrap();
    assert_eq!((verified.entries, &verified.digest, verified.broken), (5, &page[0].digest, None));
}

#[tokio::test]
async fn an_empty_log_is_whole_and_knows_no_digest() {
    let (_, log) = log_with(0).await;
    assert_eq!(log.verify(None).await.unwrap(), Verified { entries: 0, digest: String::new(), broken: None });
    assert_eq!(log.verify(Some("ab")).await.unwrap().broken, Some(Break::Unknown("ab".into())));
}

#[tokio::test]
async fn whoever_holds_the_key_cannot_edit_unseen() {
    let (vault, log) = log_with(4).await;
    rewrite(&vault, 2, |link| link.text = link.text.replace("press-7", "press-8")).await;
    assert_eq!(log.verify(None).await.unwrap().broken, Some(Break::Changed(2)));

    // With a digest that fits, the next one does not follow.
    let (vault, log) = log_with(4).await;
    let before = vault.get::<Link>(&key(&vault, 1)).await.unwrap().unwrap().value.head();
    let forged = before.link(&entry(9)).unwrap();
    rewrite(&vault, 2, |link| *link = forged.clone()).await;
    assert_eq!(log.verify(None).await.unwrap().broken, Some(Break::Unlinked(3)));
}

#[tokio::test]
async fn what_is_taken_away_is_missed() {
    for (number, broken) in [(1, Break::Missing(1)), (2, Break::Missing(2)), (4, Break::End)] {
        let (vault, log) = log_with(4).await;
        vault.commit(vec![Op::Delete { key: key(&vault, number), expect: Expect::Any }]).await.unwrap();
        assert_eq!(log.verify(None).await.unwrap().broken, Some(broken), "{number}");
    }
}

#[tokio::test]
async fn a_cut_end_is_missed_by_whoever_kept_a_digest() {
    let (vault, log) = log_with(4).await;
    let kept = log.verify(None).await.unwrap().digest;
    let earlier = vault.get::<Link>(&key(&vault, 3)).await.unwrap().unwrap().value.head();
    let cut = vault.put(vault.key(HEAD, "end"), Expect::Any, &earlier).unwrap().0;
    vault.commit(vec![cut, Op::Delete { key: key(&vault, 4), expect: Expect::Any }]).await.unwrap();
    assert_eq!(log.verify(None).await.unwrap().broken, None, "the chain alone cannot tell");
    assert_eq!(log.verify(Some(&kept)).await.unwrap().broken, Some(Break::Unknown(kept)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_nodes_make_one_chain() {
    let store = Arc::new(MemoryStore::default());
    let master = MasterKey::generate().unwrap();
    let logs = [
        AuditLog::start(vault(&store, &master).await),
        AuditLog::start(vault(&store, &master).await),
        AuditLog::start(vault(&store, &master).await),
    ];
    let mut appending = Vec::new();
    for log in &logs {
        for number in 0..40 {
            let log = log.clone();
            appending.push(tokio::spawn(async move { log.append(entry(number)).await }));
        }
    }
    for appended in appending {
        appended.await.unwrap().unwrap();
    }
    let verified = logs[0].verify(None).await.unwrap();
    assert_eq!((verified.entries, verified.broken), (120, None));
}
