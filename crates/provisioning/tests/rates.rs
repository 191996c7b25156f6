//! Rates at the device's door: who is let through, what the others hear, and that nobody pays for another.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::json;
use usher_domain::{
    ErrorCode,
    service_limits::{Rate, ServiceLimits},
};
use world::{KEY, SCOPE, World, service};

async fn limit(world: &World, limits: ServiceLimits) {
    let mut stored = world.directory.service(&world.tenant().await.service.name).await.unwrap().unwrap();
    stored.value.limits = limits;
    world.directory.update(stored.value, stored.etag).await.unwrap();
}

#[tokio::test]
async fn a_device_that_polls_too_often_is_told_when_to_come_back() {
    let world = World::new(1).await;
    limit(&world, ServiceLimits::DPS).await;
    world.enroll_device("d1", json!({})).await;
    world.enroll_device("d2", json!({})).await;
    let told = world.register("d1").await.unwrap();
    let other = world.register("d2").await.unwrap();
    for _ in 0..5 {
        world.poll("d1", &told.operation_id).await.unwrap();
    }
    let refused = world.poll("d1", &told.operation_id).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after_s), (ErrorCode::Throttled, Some(2)));
    assert!(world.poll("D1", &told.operation_id).await.is_err(), "the same device in capitals");
    assert!(world.poll("d2", &other.operation_id).await.is_ok(), "another device");
    world.clock.advance_millis(2_000);
    assert!(world.poll("d1", &told.operation_id).await.is_ok());
    assert!(world.register("d1").await.is_ok(), "registering is another rate");
}

#[tokio::test]
async fn an_unproven_device_uses_up_nothing() {
    let world = World::new(1).await;
    limit(&world, ServiceLimits { registrations: Some(Rate::of(1, 60)), ..ServiceLimits::DPS }).await;
    world.enroll_device("d1", json!({})).await;
    for _ in 0..10 {
        let wrong = world.register_as(&world.claim("d1", b"not the device's key"), b"").await.unwrap_err();
        assert_eq!(wrong.code, ErrorCode::Unauthorized, "and learns nothing of rates");
    }
    assert!(world.register("d1").await.is_ok());
    assert_eq!(world.register("d1").await.unwrap_err().code, ErrorCode::Throttled);
}

#[tokio::test]
async fn a_service_over_its_rate_spreads_its_devices_and_leaves_other_services_alone() {
    let world = World::new(1).await;
    let limits = ServiceLimits { registrations: Some(Rate::of(60, 60)), ..ServiceLimits::DPS };
    limit(&world, limits).await;
    let other = usher_domain::service::ProvisioningService { limits, ..service("other", "0neOTHER", "other.example") };
    world.directory.create(other).await.unwrap();
    world.enroll_device("d1", json!({})).await;
    for _ in 0..60 {
        world.register("d1").await.unwrap();
    }
    let mut waits = Vec::new();
    for _ in 0..3 {
        waits.push(world.register("d1").await.unwrap_err().retry_after_s.unwrap());
    }
    assert_eq!(waits, [1, 2, 3]);
    // The other service's device is not enrolled, and hears just that.
    let there = world.register_as(&world.claim_in("0neOTHER", "d1", &KEY), b"").await.unwrap_err();
    assert_eq!(there.code, ErrorCode::Unauthorized);
    let elsewhere = world.directory.by_name("other").await.unwrap().unwrap();
    assert!((0..60).all(|_| elsewhere.admit_registration(world.engine.now()).is_ok()));
    assert!(elsewhere.admit_registration(world.engine.now()).is_err());
}

#[tokio::test]
async fn devices_are_asked_to_poll_within_their_rate() {
    let world = World::new(1).await;
    let scope = usher_domain::IdScope::parse(SCOPE).unwrap();
    assert_eq!(world.engine.poll_after_s(&scope).await, 1);
    limit(&world, ServiceLimits::DPS).await;
    assert_eq!(world.engine.poll_after_s(&scope).await, 2);
}
