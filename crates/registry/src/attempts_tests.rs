//! Attempts are kept, bounded, and a stranger can push out no device's story.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use usher_domain::{
    IdScope, Timestamp,
    attempt::{AttemptResult, Outcome},
};
use usher_records::Vault;
use usher_seal::MasterKey;
use usher_store::{TenantId, memory::MemoryStore};

use super::*;

async fn registry() -> Registry {
    let master = MasterKey::generate().unwrap();
    Registry::new(Vault::open_tenant(Arc::new(MemoryStore::default()), &master, TenantId(7)).await.unwrap())
}

fn attempt(id: &str, n: i64, result: AttemptResult) -> Attempt {
    Attempt {
        at: Timestamp::from_secs(1_000 + n),
        took_ms: 1,
        tracking_id: TrackingId::parse(&format!("{id}-{n}")).unwrap(),
        registration_id: RegistrationId::parse(id).unwrap(),
        id_scope: IdScope::parse("0neX").unwrap(),
        request: "register".into(),
        transport: "mqtt".into(),
        peer: Some("192.0.2.1".parse().unwrap()),
        api_version: "2019-03-31".into(),
        outcome: Outcome { result, ..Outcome::default() },
        checks: Vec::new(),
    }
}

async fn kept(registry: &Registry, id: &str) -> Vec<(i64, &'static str)> {
    let all = registry.attempts(&RegistrationId::parse(id).unwrap()).await.unwrap();
    all.iter().map(|attempt| (attempt.at.secs() - 1_000, attempt.outcome.result.word())).collect()
}

#[tokio::test]
async fn the_newest_are_kept_newest_first_and_ids_ignore_case() {
    let registry = registry().await;
    for n in 0..40 {
        registry.keep_attempts(vec![attempt("dev", n, AttemptResult::Assigned)]).await.unwrap();
    }
    let found = kept(&registry, "DEV").await;
    assert_eq!(found.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (24..40).rev().collect::<Vec<_>>());
    assert!(kept(&registry, "other").await.is_empty());
}

#[tokio::test]
async fn an_attempt_told_again_replaces_what_was_told() {
    let registry = registry().await;
    registry.keep_attempts(vec![attempt("dev", 1, AttemptResult::Assigning)]).await.unwrap();
    registry.keep_attempts(vec![attempt("dev", 1, AttemptResult::Assigned)]).await.unwrap();
    assert_eq!(kept(&registry, "dev").await, [(1, "assigned")]);
    let both = vec![attempt("dev", 2, AttemptResult::Assigning), attempt("dev", 2, AttemptResult::Failed)];
    registry.keep_attempts(both).await.unwrap();
    assert_eq!(kept(&registry, "dev").await, [(2, "failed"), (1, "assigned")]);
}

#[tokio::test]
async fn refusals_under_a_devices_name_do_not_wipe_out_its_own_attempts() {
    let registry = registry().await;
    registry.keep_attempts(vec![attempt("dev", 0, AttemptResult::Assigned)]).await.unwrap();
    let storm = (1..300).map(|n| attempt("dev", n, AttemptResult::Refused)).collect();
    registry.keep_attempts(storm).await.unwrap();
    let found = kept(&registry, "dev").await;
    assert_eq!((found.len(), found.last()), (ATTEMPTS_KEPT, Some(&(0, "assigned"))));
}

#[tokio::test]
async fn many_devices_fit_into_one_call() {
    let registry = registry().await;
    let all = (0..500).map(|n| attempt(&format!("dev-{n}"), n, AttemptResult::Assigned)).collect();
    registry.keep_attempts(all).await.unwrap();
    assert_eq!(kept(&registry, "dev-499").await, [(499, "assigned")]);
}

#[tokio::test]
async fn strangers_share_a_bounded_number_of_places() {
    let registry = registry().await;
    for from in (0..4_000).step_by(100) {
        let some = (from..from + 100).map(|n| attempt(&format!("made-up-{n}"), n, AttemptResult::Refused)).collect();
        registry.keep_strangers(some).await.unwrap();
    }
    assert_eq!(kept(&registry, "made-up-3999").await, [(3_999, "refused")]);
    let page = registry.vault.page::<Slot>(spaces::STRANGER_ATTEMPTS, &[], None, usize::MAX).await.unwrap();
    let (places, more) = (page.items.len(), page.next.map_or(0, |_| usize::from(SLOTS) - page.items.len()));
    assert!((900..=usize::from(SLOTS)).contains(&(places + more)), "{places}");
    for n in 4_000..4_010 {
        registry.keep_strangers(vec![attempt("persistent", n, AttemptResult::Refused)]).await.unwrap();
    }
    assert_eq!(kept(&registry, "persistent").await.len(), SLOT_ATTEMPTS);
}
