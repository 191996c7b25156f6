//! The number of registrations that a service may hold, as devices meet it.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::json;
use usher_domain::{ErrorCode, service_limits::ServiceLimits};
use usher_registry::IfMatch;
use world::World;

#[tokio::test]
async fn a_full_service_takes_no_new_device_and_goes_on_with_those_it_has() {
    let world = World::new(1).await;
    let mut stored = world.directory.service("world").await.unwrap().unwrap();
    stored.value.limits = ServiceLimits { registrations_held: Some(2), ..ServiceLimits::NONE };
    world.directory.update(stored.value, stored.etag).await.unwrap();
    for id in ["d1", "d2", "d3"] {
        world.enroll_device(id, json!({})).await;
    }
    world.enroll_device("off", json!({ "provisioningStatus": "disabled" })).await;
    world.register("d1").await.unwrap();
    world.register("d2").await.unwrap();
    for id in ["d3", "off"] {
        let refused = world.register(id).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::QuotaExceeded);
        assert!(refused.message.contains("2 registrations"), "{}", refused.message);
    }
    assert!(world.hubs_with("d3").is_empty(), "nothing was done for it");
    assert_eq!(world.register("d1").await.unwrap().status, "assigned", "one that is there registers again");
    let registry = world.tenant().await.registry;
    assert_eq!(registry.registrations_held().await.unwrap(), 2);
    registry.delete_registration("d2", IfMatch::Unsaid, world.engine.now()).await.unwrap();
    assert_eq!(registry.registrations_held().await.unwrap(), 1);
    assert_eq!(world.register("d3").await.unwrap().status, "assigned");
    assert_eq!(registry.registrations_held().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_devices_at_once_as_many_get_in_as_there_are_places() {
    let world = World::new(2).await;
    let mut stored = world.directory.service("world").await.unwrap().unwrap();
    stored.value.limits = ServiceLimits { registrations_held: Some(5), ..ServiceLimits::NONE };
    world.directory.update(stored.value, stored.etag).await.unwrap();
    let mut tries = Vec::new();
    for n in 0..20 {
        let id = format!("d{n}");
        world.enroll_device(&id, json!({})).await;
        let (engine, claim) = (world.engine.clone(), world.claim(&id, &world::KEY));
        tries.push(tokio::spawn(async move { engine.register(&claim, b"").await.is_ok() }));
    }
    let mut in_at_last = 0;
    for tried in tries {
        in_at_last += usize::from(tried.await.unwrap());
    }
    assert_eq!(in_at_last, 5);
    assert_eq!(world.tenant().await.registry.registrations_held().await.unwrap(), 5);
}
