//! Deleting a service: at once out of reach, its number never used again, its records erased step by step.
#![allow(clippy::unwrap_used)]

mod world;

use usher_domain::{ErrorCode, IdScope};
use usher_registry::{IfMatch, Kind::Individual, wire_etag};
use usher_store::{Range, Space, Store as _, TenantId};
use world::{code, individual, later, now, service, world};

#[tokio::test]
async fn a_deleted_service_is_out_of_reach_at_once_and_its_names_are_free() {
    let world = world().await;
    world.put(Individual, "d", individual("d")).await.unwrap();
    assert!(world.directory.delete("PLANT", IfMatch::Unsaid, now()).await.unwrap());
    assert!(!world.directory.delete("plant", IfMatch::Unsaid, now()).await.unwrap(), "it is gone");
    assert!(world.directory.by_scope(&IdScope::parse("0ne0000AAAA").unwrap()).await.unwrap().is_none());
    assert!(world.directory.by_host("plant.example").await.unwrap().is_none());
    let again = world.directory.create(service("plant", "0ne0000AAAA")).await.unwrap();
    assert!(again.service.tenant > world.tenant.service.tenant);
    assert!(again.registry.individual(&world::rid("d")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_stale_etag_deletes_nothing() {
    let world = world().await;
    let etag = world.directory.service("plant").await.unwrap().unwrap().etag;
    let stale = IfMatch::parse(Some(&wire_etag(etag ^ 1)));
    assert_eq!(code(world.directory.delete("plant", stale, now()).await), Some(ErrorCode::PreconditionFailed));
    assert!(world.directory.delete("plant", IfMatch::parse(Some(&wire_etag(etag))), now()).await.unwrap());
}

#[tokio::test]
async fn records_are_erased_in_steps_and_late_ones_too() {
    let world = world().await;
    for n in 0..200 {
        world.put(Individual, &format!("d{n}"), individual(&format!("d{n}"))).await.unwrap();
    }
    let second = world.directory.create(service("second", "0ne0000BBBB")).await.unwrap();
    world.directory.delete("plant", IfMatch::Unsaid, now()).await.unwrap();
    let first_step = world.directory.erase_deleted(now()).await.unwrap();
    assert!((1..200).contains(&first_step), "{first_step}");
    while world.directory.erase_deleted(now()).await.unwrap() > 0 {}
    // An operation that was under way writes once more.
    world.put(Individual, "late", individual("late")).await.unwrap();
    assert_eq!(world.directory.erase_deleted(later()).await.unwrap(), 1);
    assert_eq!(world.directory.erase_deleted(now().plus_millis(60 * 60 * 1000)).await.unwrap(), 0);
    for space in 1..=255 {
        let tenant = TenantId(world.tenant.service.tenant);
        let range = Range { space: Space(space), tenant, prefix: &[], after: None, limit: 10 };
        let left = world.store.scan(range).await.unwrap();
        assert!(left.is_empty(), "space {space}");
    }
    let found = second.registry.individual(&world::rid("d1")).await.unwrap();
    assert!(found.is_none() && world.directory.by_name("second").await.unwrap().is_some());
}

#[tokio::test]
async fn a_put_makes_replaces_and_judges_its_condition() {
    let world = world().await;
    let made = world.directory.put("second", IfMatch::Unsaid, |_| Ok(service("second", "0ne0000BBBB"))).await.unwrap();
    assert!(made.created);
    let add_tag = |old: Option<&usher_domain::service::ProvisioningService>| {
        let mut new = old.unwrap().clone();
        new.resource.tags.insert("site".into(), "a".into());
        Ok(new)
    };
    let etag = IfMatch::parse(Some(&wire_etag(made.service.etag)));
    let changed = world.directory.put("Second", etag, add_tag).await.unwrap();
    assert!(!changed.created && changed.service.etag != made.service.etag);
    assert_eq!(world.directory.service("second").await.unwrap().unwrap(), changed.service);
    assert_eq!(code(world.directory.put("second", etag, add_tag).await), Some(ErrorCode::PreconditionFailed));
    let missing = world.directory.put("third", IfMatch::Exists, |_| Ok(service("third", "0ne0000CCCC"))).await;
    assert_eq!(code(missing), Some(ErrorCode::PreconditionFailed));
}
