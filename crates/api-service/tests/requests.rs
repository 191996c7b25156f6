//! What is common to all requests: versions, methods, content types, sizes, and the shape of errors.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::json;
use usher_api_service::{BODY_BYTES_MAX, claims};
use usher_domain::limits::MESSAGE_BYTES_MAX;
use usher_store::memory::Fault;
use world::{individual, world};

#[tokio::test]
async fn every_error_has_the_documented_shape() {
    let world = world().await;
    let answer = world.call("GET", "/enrollments/nobody").send().await.expect(404);
    assert_eq!(answer.json["errorCode"], 404_201, "the number that Java clients compare with");
    assert_eq!(answer.json["timestampUtc"], "2026-06-01T00:00:00.0000000Z");
    assert!(answer.json["message"].as_str().unwrap().contains("individual enrollment"));
    assert_eq!(answer.header("x-ms-request-id"), answer.json["trackingId"].as_str());
    assert_eq!(answer.header("x-ms-error-code"), Some("NotFound"));
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
}

#[tokio::test]
async fn each_request_has_a_tracking_id_of_its_own() {
    let world = world().await;
    let first = world.call("PUT", "/enrollments/d").json(&individual("d")).send().await.expect(200);
    let second = world.call("GET", "/enrollments/d").send().await.expect(200);
    assert!(first.header("x-ms-request-id").is_some());
    assert_ne!(first.header("x-ms-request-id"), second.header("x-ms-request-id"));
}

#[tokio::test]
async fn an_api_version_is_demanded_and_any_is_taken() {
    let world = world().await;
    world.call("PUT", "/enrollments/d").json(&individual("d")).send().await.expect(200);
    for query in ["", "?", "?api-version=", "?version=2021-10-01"] {
        let answer = world.call_raw("GET", &format!("/enrollments/d{query}")).send().await.expect(400);
        assert_eq!(answer.json["errorCode"], 400_001);
    }
    for query in ["?api-version=2018-11-01", "?x=1&API-Version=2099-01-01-preview"] {
        world.call_raw("GET", &format!("/enrollments/d{query}")).send().await.expect(200);
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_answered_with_those_it_does() {
    let world = world().await;
    let answer = world.call("PATCH", "/enrollments/d").send().await.expect(405);
    assert_eq!(answer.header("allow"), Some("GET, PUT, DELETE"));
    world.call("PUT", "/registrations/d").json(&json!({})).send().await.expect(405);
    world.call("PUT", "/enrollments").json(&individual("d")).send().await.expect(405);
    world.call("GET", "/enrollments/d/more").send().await.expect(404);
}

#[tokio::test]
async fn a_body_that_is_not_json_by_its_type_is_refused() {
    let world = world().await;
    let put = || world.call("PUT", "/enrollments/d").bytes(individual("d").to_string());
    for refused in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let answer = put().header("Content-Type", refused).send().await.expect(415);
        assert_eq!(answer.json["errorCode"], 415_001);
    }
    for taken in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
        put().header("Content-Type", taken).send().await.expect(200);
    }
    put().send().await.expect(200);
    // Without a body the type means nothing.
    world.call("GET", "/enrollments/d").header("Content-Type", "text/plain").send().await.expect(200);
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_told_why() {
    let world = world().await;
    for body in ["", "{", "[]", "null", "{\"registrationId\":5}", "\u{0}"] {
        let answer = world.call("PUT", "/enrollments/d").header("Content-Type", "application/json").bytes(body).send().await.expect(400);
        assert_eq!(answer.json["errorCode"], 400_004, "{body}");
    }
    let deep = format!("{{\"initialTwin\":{}1{}}}", "{\"a\":".repeat(5000), "}".repeat(5000));
    world.call("PUT", "/enrollments/d").bytes(deep).send().await.expect(400);
}

#[tokio::test]
async fn one_message_is_held_to_its_limit_and_a_bulk_to_ten_of_them() {
    let world = world().await;
    let padded = |bytes: usize| format!("{}{}", individual("d"), " ".repeat(bytes - individual("d").to_string().len()));
    world.call("PUT", "/enrollments/d").bytes(padded(MESSAGE_BYTES_MAX)).send().await.expect(200);
    world.call("PUT", "/enrollments/d").bytes(padded(MESSAGE_BYTES_MAX + 1)).send().await.expect(413);
    let bulk = json!({"mode": "update", "enrollments": [individual("d")]}).to_string();
    let padded = |bytes: usize| format!("{bulk}{}", " ".repeat(bytes - bulk.len()));
    world.call("POST", "/enrollments").bytes(padded(BODY_BYTES_MAX)).send().await.expect(200);
    world.call("POST", "/enrollments").bytes(padded(BODY_BYTES_MAX + 1)).send().await.expect(413);
}

#[tokio::test]
async fn a_store_that_is_down_asks_the_client_to_come_back() {
    let world = world().await;
    world.store.fail_next([Fault::Before]);
    let answer = world.call("PUT", "/enrollments/d").json(&individual("d")).send().await.expect(503);
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert!(!answer.json["message"].as_str().unwrap().contains("told to fail"), "the store's own words stay in the log");
    world.call("GET", "/enrollments/d").send().await.expect(404);
}

#[test]
fn the_service_api_claims_its_own_paths() {
    assert!(claims("/enrollmentgroups/g/attestationmechanism"));
    assert!(!claims("/0ne0000AAAA/registrations/d/register"));
}
