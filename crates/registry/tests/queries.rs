//! Listing enrollments, and changing several in one call.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::{Value, json};
use usher_domain::{ErrorCode, ServiceError, document::BulkResultDocument};
use usher_registry::{BulkRequest, Filter, Kind, Kind::Individual, PageRequest, bulk_from_json};
use world::{World, code, group, individual, now, with, world};

async fn thirty(world: &World) {
    for n in 0..30 {
        let status = if n % 3 == 0 { "disabled" } else { "enabled" };
        let body = with(individual(&format!("d{n}")), json!({"provisioningStatus": status}));
        world.put(Individual, &format!("d{n}"), body).await.unwrap();
    }
}

/// Reads all pages of a query; gives the IDs sorted and the number of pages.
async fn all(world: &World, query: &str, page_items: usize) -> (Vec<String>, usize) {
    let filter = Filter::parse(Some(query), Individual).unwrap();
    let (mut ids, mut page, mut pages) = (Vec::new(), PageRequest { max_items: Some(page_items), continuation: None }, 0);
    loop {
        let listing = world.tenant.registry.query(Individual, &filter, &page, now()).await.unwrap();
        assert!(listing.items.len() <= page_items);
        ids.extend(listing.items.into_iter().filter_map(|document| document.registration_id));
        pages += 1;
        page.continuation = listing.continuation;
        if page.continuation.is_none() {
            ids.sort();
            return (ids, pages);
        }
    }
}

#[tokio::test]
async fn every_enrollment_is_listed_once() {
    let world = world().await;
    thirty(&world).await;
    for (page_items, expected_pages) in [(7, 5), (10, 3), (30, 1), (1, 30), (1000, 1)] {
        let (mut ids, pages) = all(&world, "SELECT * FROM enrollments", page_items).await;
        ids.dedup();
        assert_eq!((ids.len(), pages), (30, expected_pages), "{page_items} a page");
    }
}

#[tokio::test]
async fn a_filter_lets_pass_what_it_says_on_every_page() {
    let world = world().await;
    thirty(&world).await;
    for page_items in [1, 3, 10, 100] {
        let (mut ids, _) = all(&world, "SELECT * WHERE provisioningStatus = 'disabled'", page_items).await;
        ids.dedup();
        assert_eq!(ids.len(), 10, "{page_items} a page");
    }
    assert_eq!(all(&world, "SELECT * WHERE registrationId = 'd7'", 5).await.0, ["d7"]);
}

#[tokio::test]
async fn listings_tell_no_secrets() {
    let world = world().await;
    thirty(&world).await;
    let filter = Filter::parse(None, Individual).unwrap();
    let listing = world.tenant.registry.query(Individual, &filter, &PageRequest::default(), now()).await.unwrap();
    assert!(listing.items.iter().all(|document| document.attestation.as_ref().unwrap().symmetric_key.is_none()));
}

#[tokio::test]
async fn groups_and_individual_enrollments_are_listed_apart() {
    let world = world().await;
    thirty(&world).await;
    world.put(Kind::Group, "g", group("g")).await.unwrap();
    let filter = Filter::parse(Some("SELECT *"), Kind::Group).unwrap();
    let page = PageRequest { max_items: Some(1), continuation: None };
    let groups = world.tenant.registry.query(Kind::Group, &filter, &page, now()).await.unwrap();
    assert_eq!((groups.items.len(), groups.continuation), (1, None));
    let devices = world.tenant.registry.query(Individual, &Filter::default(), &page, now()).await.unwrap();
    let crossed = PageRequest { max_items: None, continuation: devices.continuation };
    assert_eq!(code(world.tenant.registry.query(Kind::Group, &filter, &crossed, now()).await), Some(ErrorCode::BadRequest));
}

async fn bulk(world: &World, kind: Kind, body: Value) -> Result<BulkResultDocument, ServiceError> {
    let request = BulkRequest::read(bulk_from_json(body.to_string().as_bytes())?, kind)?;
    world.tenant.bulk(kind, &request, now()).await
}

#[tokio::test]
async fn the_items_of_a_bulk_call_stand_alone_and_are_one_operation() {
    let world = world().await;
    let items = [individual("a"), individual("b"), json!({"registrationId": "bad id", "attestation": {"type": "symmetricKey"}})];
    let result = bulk(&world, Individual, json!({"mode": "create", "enrollments": items})).await.unwrap();
    assert!(!result.is_successful);
    assert_eq!(result.errors.len(), 1);
    assert_eq!(result.errors[0].registration_id.as_deref(), Some("bad id"));
    assert_eq!(result.errors[0].error_code, ErrorCode::InvalidId.code());
    assert_eq!(world.used().await, 1);
    let again = bulk(&world, Individual, json!({"mode": "create", "enrollments": [individual("a")]})).await.unwrap();
    assert_eq!(again.errors[0].error_code, ErrorCode::Conflict.code());
    assert_eq!(world.used().await, 2);
}

#[tokio::test]
async fn bulk_updates_ask_for_the_record_and_where_wanted_for_its_etag() {
    let world = world().await;
    let etag = world.put(Individual, "a", individual("a")).await.unwrap()["etag"].clone();
    let update = |mode: &str, item: Value| json!({"mode": mode, "enrollments": [item]});
    let missing = bulk(&world, Individual, update("update", individual("new"))).await.unwrap();
    assert_eq!(missing.errors[0].error_code, ErrorCode::NotFound.code());
    // The Node SDK's spelling of the mode.
    let item = with(individual("a"), json!({"etag": etag}));
    assert!(bulk(&world, Individual, update("updateIfMatchEtag", item.clone())).await.unwrap().is_successful);
    let stale = bulk(&world, Individual, update("updateIfMatchETag", item)).await.unwrap();
    assert_eq!(stale.errors[0].error_code, ErrorCode::PreconditionFailed.code());
    let bare = bulk(&world, Individual, update("updateIfMatchETag", individual("a"))).await.unwrap();
    assert_eq!(bare.errors[0].error_code, ErrorCode::PreconditionFailed.code());
    assert!(bulk(&world, Individual, update("update", individual("a"))).await.unwrap().is_successful);
}

#[tokio::test]
async fn a_bulk_delete_needs_ids_alone() {
    let world = world().await;
    for id in ["a", "b"] {
        world.put(Kind::Group, id, group(id)).await.unwrap();
    }
    let items = json!([{"enrollmentGroupId": "A"}, {"enrollmentGroupId": "b"}, {"enrollmentGroupId": "c"}, {}]);
    let result = bulk(&world, Kind::Group, json!({"mode": "delete", "enrollmentGroups": items})).await.unwrap();
    let failed: Vec<_> = result.errors.iter().map(|error| (error.enrollment_group_id.clone().unwrap(), error.error_code)).collect();
    assert_eq!(failed, [("c".to_owned(), ErrorCode::NotFound.code()), (String::new(), ErrorCode::InvalidId.code())]);
    assert!(world.tenant.registry.symmetric_key_groups().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_bulk_call_that_is_no_bulk_call_is_refused_whole() {
    let world = world().await;
    let items = |count: usize| (0..count).map(|n| individual(&format!("d{n}"))).collect::<Vec<_>>();
    for body in [
        json!({"mode": "create", "enrollments": items(11)}),
        json!({"mode": "create", "enrollments": []}),
        json!({"mode": "create", "enrollmentGroups": [group("g")]}),
        json!({"mode": "upsert", "enrollments": items(1)}),
        json!({"enrollments": items(1)}),
        json!([1]),
    ] {
        assert_eq!(code(bulk(&world, Individual, body.clone()).await), Some(ErrorCode::InvalidBody), "{body:.80}");
    }
    assert_eq!(world.used().await, 0);
}
