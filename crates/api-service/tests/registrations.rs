//! Each documented call on registrations, once right and once wrong.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::json;
use world::world;

#[tokio::test]
async fn a_registration_is_told_with_its_place() {
    let world = world().await;
    world.registered("Device-1", "g").await;
    let answer = world.call("GET", "/registrations/device-1").send().await.expect(200);
    let state = &answer.json;
    assert_eq!(answer.header("etag"), state["etag"].as_str());
    for (member, value) in [
        ("registrationId", json!("Device-1")),
        ("status", json!("assigned")),
        ("substatus", json!("initialAssignment")),
        ("assignedHub", json!("hub-a.example")),
        ("deviceId", json!("Device-1")),
        ("payload", json!({"k": 1})),
        ("createdDateTimeUtc", json!("2026-06-01T00:00:00.0000000Z")),
        ("lastUpdatedDateTimeUtc", json!("2026-06-01T00:00:00.0000000Z")),
    ] {
        assert_eq!(state[member], value, "{member}");
    }
    assert_eq!(world.call("GET", "/registrations/nobody").send().await.expect(404).json["errorCode"], 404_201);
}

#[tokio::test]
async fn a_registration_is_deleted_as_its_etag_allows() {
    let world = world().await;
    world.registered("d", "g").await;
    let etag = world.call("GET", "/registrations/d").send().await.json["etag"].as_str().unwrap().to_owned();
    world.call("DELETE", "/registrations/d").header("If-Match", "\"0000000000000001\"").send().await.expect(412);
    let gone = world.call("DELETE", "/registrations/d").header("If-Match", &etag).send().await.expect(204);
    assert!(gone.body().is_empty());
    world.call("DELETE", "/registrations/d").send().await.expect(404);
}

#[tokio::test]
async fn a_group_s_registrations_are_listed_with_any_body_or_none() {
    let world = world().await;
    for n in 0..3 {
        world.registered(&format!("d{n}"), "g").await;
    }
    world.registered("other", "h").await;
    let list = || world.call("POST", "/registrations/G/query");
    let all = list().send().await.expect(200);
    assert_eq!(all.json.as_array().unwrap().len(), 3);
    assert_eq!(all.header("x-ms-item-type"), Some("DeviceRegistration"));
    assert_eq!(all.header("x-ms-continuation"), None);
    list().json(&json!({"query": "SELECT * FROM devices"})).send().await.expect(200);
    let first = list().header("x-ms-max-item-count", "2").send().await.expect(200);
    let token = first.header("x-ms-continuation").unwrap();
    let rest = list().header("x-ms-continuation", token).send().await.expect(200);
    assert_eq!((rest.json.as_array().unwrap().len(), rest.header("x-ms-continuation")), (1, None));
    world.call("POST", "/registrations/h/query").header("x-ms-continuation", token).send().await.expect(400);
    let empty = world.call("POST", "/registrations/nobody/query").send().await.expect(200);
    assert_eq!(empty.json, json!([]));
}
