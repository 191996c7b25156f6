//! Searching by the beginning of an ID.
#![allow(clippy::unwrap_used)]

mod world;

use usher_registry::{Kind, PageRequest};
use usher_store::Expect;
use world::{assigned, group, individual, world};

fn page(max_items: usize, continuation: Option<String>) -> PageRequest {
    PageRequest { max_items: Some(max_items), continuation }
}

#[tokio::test]
async fn all_of_a_prefix_are_found_once_whatever_their_case_and_nothing_is_metered() {
    let world = world().await;
    for n in 0..30 {
        world.put(Kind::Individual, &format!("Press-{n}"), individual(&format!("Press-{n}"))).await.unwrap();
        world.put(Kind::Individual, &format!("other-{n}"), individual(&format!("other-{n}"))).await.unwrap();
    }
    let used = world.used().await;
    let (mut ids, mut continuation, mut pages) = (Vec::new(), None, 0);
    loop {
        let found = world.tenant.registry.find_enrollments(Kind::Individual, "pRESS-2", &page(4, continuation)).await.unwrap();
        assert!(found.items.len() <= 4);
        ids.extend(found.items.into_iter().filter_map(|document| document.registration_id));
        pages += 1;
        continuation = found.continuation;
        if continuation.is_none() {
            break;
        }
    }
    assert_eq!(ids.first().map(String::as_str), Some("Press-2"), "what is called exactly so comes first");
    ids.sort();
    let mut expected: Vec<_> = std::iter::once(2).chain(20..30).map(|n| format!("Press-{n}")).collect();
    expected.sort();
    assert_eq!((ids, pages), (expected, 4));
    assert_eq!(world.used().await, used);
}

#[tokio::test]
async fn without_a_prefix_pages_hold_everything_and_cost_no_more_than_their_size() {
    let world = world().await;
    for n in 0..25 {
        world.put(Kind::Group, &format!("g{n}"), group(&format!("g{n}"))).await.unwrap();
    }
    let first = world.tenant.registry.find_enrollments(Kind::Group, "", &page(10, None)).await.unwrap();
    assert_eq!((first.items.len(), first.looked_at), (10, 10));
    let second = world.tenant.registry.find_enrollments(Kind::Group, "", &page(100, first.continuation.clone())).await.unwrap();
    assert_eq!((second.items.len(), second.continuation), (15, None));
    let other = world.tenant.registry.find_enrollments(Kind::Group, "g", &page(100, first.continuation)).await;
    assert!(other.is_err(), "a position belongs to its search");
    let counts = world.tenant.registry.counts().await.unwrap();
    assert_eq!((counts.enrollments, counts.enrollment_groups), (0, 25));
}

#[tokio::test]
async fn registrations_are_found_too() {
    let world = world().await;
    for id in ["press-1", "press-2", "lathe-1"] {
        world.tenant.registry.save_registration(&assigned(id, world::of_group("g")), Expect::Absent, Vec::new()).await.unwrap();
    }
    let ids = async |prefix| {
        let found = world.tenant.registry.find_registrations(prefix, &page(10, None)).await.unwrap();
        let mut ids: Vec<_> = found.items.into_iter().map(|state| state.registration_id).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids("press").await, ["press-1", "press-2"]);
    assert_eq!(ids("LATHE-1").await, ["lathe-1"]);
    assert_eq!(ids("").await.len(), 3);
    assert!(ids("no such thing, not even an ID").await.is_empty());
}
