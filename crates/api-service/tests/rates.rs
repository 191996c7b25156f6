//! The service API over its rate: 429 with the time to come back, for the one service that is.
#![allow(clippy::unwrap_used)]

mod world;

use usher_domain::service_limits::{Rate, ServiceLimits};
use world::{HOST, OTHER_HOST, OWNER, limited, token};

#[tokio::test]
async fn the_last_call_is_answered_and_the_next_is_told_when_to_come_back() {
    let world = limited(ServiceLimits { operations: Some(Rate::of(3, 60)), ..ServiceLimits::NONE }).await;
    for _ in 0..3 {
        world.call("GET", "/enrollments/nobody").send().await.expect(404);
    }
    let answer = world.call("GET", "/enrollments/nobody").send().await.expect(429);
    assert_eq!(answer.json["errorCode"], 429_001);
    assert_eq!(answer.header("retry-after"), Some("20"));
    assert_eq!(answer.header("x-ms-error-code"), Some("Throttled"));
    assert!(answer.json["message"].as_str().unwrap().contains("3 operations in 60 s"));
    let second = world.call("PUT", "/enrollments/d").json(&world::individual("d")).send().await.expect(429);
    assert_eq!(second.header("retry-after"), Some("40"), "the refused are spread");
    world.clock.advance_millis(20_000);
    world.call("GET", "/enrollments/nobody").send().await.expect(404);
}

#[tokio::test]
async fn another_service_is_not_slowed_and_wrong_tokens_use_up_nothing() {
    let world = limited(ServiceLimits { operations: Some(Rate::of(1, 60)), ..ServiceLimits::NONE }).await;
    for _ in 0..10 {
        world.call("GET", "/enrollments/nobody").token(token(HOST, OWNER, 77, 3600)).send().await.expect(401);
    }
    world.call("GET", "/enrollments/nobody").send().await.expect(404);
    world.call("GET", "/enrollments/nobody").send().await.expect(429);
    let theirs = || world.call("GET", "/enrollments/nobody").host(OTHER_HOST).token(token(OTHER_HOST, OWNER, 101, 3600)).send();
    theirs().await.expect(404);
    theirs().await.expect(429);
}
