//! Registrations and the indexes that go with them.
#![allow(clippy::unwrap_used)]

mod world;

use usher_domain::{ErrorCode, enrollment::EnrollmentRef};
use usher_records::RecordError;
use usher_registry::{IfMatch, Kind, PageRequest, wire_etag};
use usher_store::Expect;
use world::{World, assigned, assigning, code, group, individual, now, of_group, rid, world};

async fn pending(world: &World) -> Vec<String> {
    world.tenant.registry.pending(None, 100).await.unwrap().ids.iter().map(ToString::to_string).collect()
}

async fn in_group(world: &World, group: &str) -> Vec<String> {
    let page = PageRequest::default();
    let listing = world.tenant.registry.registrations_of_group(group, &page, now()).await.unwrap();
    listing.items.into_iter().map(|state| state.registration_id).collect()
}

#[tokio::test]
async fn an_operation_is_pending_exactly_while_it_is_under_way() {
    let world = world().await;
    let registry = &world.tenant.registry;
    let etag = registry.save_registration(&assigning("D", of_group("g")), Expect::Absent, vec![]).await.unwrap();
    assert_eq!(pending(&world).await, ["D"]);
    let held = registry.save_registration(&assigning("D", of_group("g")), Expect::Etag(etag), vec![]).await.unwrap();
    assert_eq!(pending(&world).await, ["D"], "a renewed lease changes nothing");
    let settled = assigned("D", of_group("g"));
    registry.save_registration(&settled, Expect::Etag(held), vec![registry.meter(now())]).await.unwrap();
    assert!(pending(&world).await.is_empty());
    assert_eq!(world.used().await, 1);
}

#[tokio::test]
async fn a_record_that_others_changed_is_not_overwritten_and_nothing_else_happens() {
    let world = world().await;
    let registry = &world.tenant.registry;
    let first = registry.save_registration(&assigning("d", of_group("g")), Expect::Absent, vec![]).await.unwrap();
    registry.save_registration(&assigning("d", of_group("g")), Expect::Etag(first), vec![]).await.unwrap();
    for expect in [Expect::Etag(first), Expect::Absent] {
        let late = registry.save_registration(&assigned("d", of_group("h")), expect, vec![registry.meter(now())]).await;
        assert!(matches!(late, Err(RecordError::Conflict { .. })), "{late:?}");
    }
    assert_eq!(world.used().await, 0);
    assert_eq!(pending(&world).await, ["d"]);
    assert!(in_group(&world, "h").await.is_empty());
}

#[tokio::test]
async fn a_device_is_listed_under_the_group_that_admitted_it_last() {
    let world = world().await;
    let registry = &world.tenant.registry;
    registry.save_registration(&assigned("d", of_group("Line-7")), Expect::Any, vec![]).await.unwrap();
    assert_eq!(in_group(&world, "LINE-7").await, ["d"]);
    registry.save_registration(&assigned("d", of_group("line-8")), Expect::Any, vec![]).await.unwrap();
    assert!(in_group(&world, "line-7").await.is_empty());
    assert_eq!(in_group(&world, "line-8").await, ["d"]);
    registry.save_registration(&assigned("d", EnrollmentRef::Individual), Expect::Any, vec![]).await.unwrap();
    assert!(in_group(&world, "line-8").await.is_empty());
}

#[tokio::test]
async fn a_group_s_registrations_page_to_an_end_whatever_the_page_size() {
    let world = world().await;
    let registry = &world.tenant.registry;
    for n in 0..10 {
        registry.save_registration(&assigned(&format!("d{n}"), of_group("g")), Expect::Absent, vec![]).await.unwrap();
    }
    let (mut seen, mut page, mut pages) = (Vec::new(), PageRequest { max_items: Some(5), continuation: None }, 0);
    loop {
        let listing = registry.registrations_of_group("g", &page, now()).await.unwrap();
        seen.extend(listing.items.into_iter().map(|state| state.registration_id));
        pages += 1;
        // The page size may change on the way.
        page = PageRequest { max_items: Some(3), continuation: listing.continuation };
        if page.continuation.is_none() {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!((seen.len(), pages), (10, 3), "5, 3 and 2");
    let one_page = PageRequest { max_items: Some(10), continuation: None };
    let all = registry.registrations_of_group("g", &one_page, now()).await.unwrap();
    assert_eq!((all.items.len(), all.continuation), (10, None), "a full last page has no successor");
}

#[tokio::test]
async fn a_continuation_token_opens_only_the_listing_it_was_made_for() {
    let world = world().await;
    let registry = &world.tenant.registry;
    for id in ["a", "b"] {
        registry.save_registration(&assigned(id, of_group("g")), Expect::Absent, vec![]).await.unwrap();
    }
    let first = registry.registrations_of_group("g", &PageRequest { max_items: Some(1), continuation: None }, now()).await.unwrap();
    let token = PageRequest { max_items: None, continuation: first.continuation };
    assert!(registry.registrations_of_group("g", &token, now()).await.is_ok());
    assert_eq!(code(registry.registrations_of_group("h", &token, now()).await), Some(ErrorCode::BadRequest));
    let forged = PageRequest { max_items: None, continuation: Some("bm9uc2Vuc2U".into()) };
    assert_eq!(code(registry.registrations_of_group("g", &forged, now()).await), Some(ErrorCode::BadRequest));
}

#[tokio::test]
async fn a_deleted_registration_leaves_no_trace_in_the_indexes() {
    let world = world().await;
    let registry = &world.tenant.registry;
    let etag = registry.save_registration(&assigning("d", of_group("g")), Expect::Absent, vec![]).await.unwrap();
    let stale = registry.delete_registration("d", IfMatch::Etag(etag ^ 1), now()).await;
    assert_eq!(code(stale), Some(ErrorCode::PreconditionFailed));
    registry.delete_registration("D", IfMatch::parse(Some(&wire_etag(etag))), now()).await.unwrap();
    assert!(registry.registration(&rid("d")).await.unwrap().is_none());
    assert!(pending(&world).await.is_empty());
    assert!(in_group(&world, "g").await.is_empty());
    assert_eq!(code(registry.delete_registration("d", IfMatch::Unsaid, now()).await), Some(ErrorCode::NotFound));
}

#[tokio::test]
async fn registrations_outlive_their_enrollments() {
    let world = world().await;
    let registry = &world.tenant.registry;
    world.put(Kind::Group, "g", group("g")).await.unwrap();
    world.put(Kind::Individual, "i", individual("i")).await.unwrap();
    registry.save_registration(&assigned("d", of_group("g")), Expect::Absent, vec![]).await.unwrap();
    registry.save_registration(&assigned("i", EnrollmentRef::Individual), Expect::Absent, vec![]).await.unwrap();
    let told = world.get(Kind::Individual, "i").await.unwrap();
    assert_eq!(told["registrationState"]["assignedHub"], "hub-a.example");
    world.delete(Kind::Group, "g").await.unwrap();
    world.delete(Kind::Individual, "i").await.unwrap();
    assert_eq!(in_group(&world, "g").await, ["d"]);
    assert_eq!(registry.registration_state("i", now()).await.unwrap().status, "assigned");
}

#[tokio::test]
async fn pending_operations_page() {
    let world = world().await;
    let registry = &world.tenant.registry;
    for n in 0..5 {
        registry.save_registration(&assigning(&format!("d{n}"), of_group("g")), Expect::Absent, vec![]).await.unwrap();
    }
    let first = registry.pending(None, 3).await.unwrap();
    let second = registry.pending(first.next.as_deref(), 3).await.unwrap();
    assert_eq!((first.ids.len(), second.ids.len(), second.next), (3, 2, None));
}
