//! Registrations from end to end, through the engine and its ports.

#![allow(clippy::unwrap_used)]

mod world;

use serde_json::json;
use usher_domain::{ErrorCode, document::OperationStatusDocument};
use usher_hub::{HubError, fake::Fault};
use usher_registry::{IfMatch, Kind};
use world::{KEY, SCOPE, World, service};

fn hub_of(document: &OperationStatusDocument) -> String {
    document.registration_state.as_ref().unwrap().assigned_hub.clone().unwrap()
}

fn substatus(document: &OperationStatusDocument) -> String {
    document.registration_state.as_ref().unwrap().substatus.clone().unwrap()
}

#[tokio::test]
async fn a_device_is_assigned_at_once_with_its_initial_twin() {
    let world = World::new(1).await;
    let twin = json!({ "tags": { "line": 7 }, "properties": { "desired": { "color": "blue" } } });
    world.enroll_device("d1", json!({ "deviceId": "other-name", "initialTwin": twin, "capabilities": { "iotEdge": true } })).await;
    let before = world.metered().await;
    let told = world.register("d1").await.unwrap();
    assert_eq!(told.status, "assigned");
    let state = told.registration_state.as_ref().unwrap();
    assert_eq!((state.device_id.as_deref(), state.registration_id.as_str()), (Some("other-name"), "d1"));
    assert!(state.symmetric_key.is_some() && state.x509.is_none());
    let hub = if hub_of(&told) == "a.example" { &world.a } else { &world.b };
    let device = hub.device("other-name").unwrap();
    assert_eq!(device.twin.desired["color"], "blue");
    assert_eq!(device.twin.tags["line"], 7);
    assert!(device.spec.iot_edge);
    assert_eq!(world.metered().await, before + 1, "one operation for one registration");
    let polled = world.poll("d1", &told.operation_id).await.unwrap();
    assert_eq!(polled, told);
    let looked_up = world.engine.registration(&world.claim("d1", &KEY)).await.unwrap();
    assert_eq!((looked_up.assigned_hub, looked_up.status.as_str()), (Some(hub_of(&told)), "assigned"));
    assert_eq!(world.metered().await, before + 1, "polls and look-ups are free");
}

#[tokio::test]
async fn a_group_admits_by_derived_keys_and_registration_ids_ignore_case() {
    let world = World::new(1).await;
    let group = usher_attestation::sas::derive_device_key(&KEY, "Dev-1");
    let keys = json!({ "primaryKey": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, KEY) });
    let document = json!({ "enrollmentGroupId": "g", "attestation": { "type": "symmetricKey", "symmetricKey": keys } });
    world.enroll(Kind::Group, "g", document).await;
    let told = world.register_as(&world.claim("Dev-1", &group), b"{\"registrationId\":\"DEV-1\",\"payload\":null}").await.unwrap();
    let state = told.registration_state.unwrap();
    assert_eq!(state.symmetric_key.unwrap().enrollment_group_id.as_deref(), Some("g"));
    let wrong = world.register_as(&world.claim("Dev-1", &KEY), b"").await.unwrap_err();
    assert_eq!(wrong.code, ErrorCode::Unauthorized);
}

#[tokio::test]
async fn every_unproven_device_hears_the_same() {
    let world = World::new(1).await;
    world.enroll_device("d1", json!({})).await;
    let wrong_key = world.register_as(&world.claim("d1", &[1; 32]), b"").await.unwrap_err();
    let unknown = world.register_as(&world.claim("nobody", &KEY), b"").await.unwrap_err();
    let other_scope = world.register_as(&world.claim_in("0neOTHER", "d1", &KEY), b"").await.unwrap_err();
    assert_eq!(wrong_key, unknown);
    assert_eq!(wrong_key, other_scope);
    assert_eq!(wrong_key.code, ErrorCode::Unauthorized);
    assert!(world.a.is_empty() && world.b.is_empty());
}

#[tokio::test]
async fn a_tenants_device_is_nothing_in_another_tenant() {
    let world = World::new(1).await;
    world.directory.create(service("second", "0neSECOND", "second.example")).await.unwrap();
    world.enroll_device("d1", json!({})).await;
    let told = world.register("d1").await.unwrap();
    let there = world.engine.operation_status(&world.claim_in("0neSECOND", "d1", &KEY), &told.operation_id).await.unwrap_err();
    assert_eq!(there.code, ErrorCode::Unauthorized);
}

#[tokio::test]
async fn another_devices_operation_is_not_found() {
    let world = World::new(1).await;
    world.enroll_device("d1", json!({})).await;
    world.enroll_device("d2", json!({})).await;
    let first = world.register("d1").await.unwrap();
    world.register("d2").await.unwrap();
    assert_eq!(world.poll("d2", &first.operation_id).await.unwrap_err().code, ErrorCode::OperationNotFound);
    world.enroll_device("d3", json!({})).await;
    assert_eq!(world.poll("d3", &first.operation_id).await.unwrap_err().code, ErrorCode::OperationNotFound);
}

#[tokio::test]
async fn a_disabled_enrollment_refuses_before_any_group_is_tried() {
    let world = World::new(1).await;
    world.enroll_device("d1", json!({ "provisioningStatus": "disabled" })).await;
    let told = world.register("d1").await.unwrap();
    assert_eq!(told.status, "disabled");
    assert!(world.hubs_with("d1").is_empty());
}

#[tokio::test]
async fn malformed_bodies_are_refused_and_blank_ones_are_fine() {
    let world = World::new(1).await;
    world.enroll_device("d1", json!({})).await;
    for body in ["{", "[]", "\"x\"", "{\"registrationId\":\"other\"}"] {
        let error = world.register_as(&world.claim("d1", &KEY), body.as_bytes()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidBody, "{body}");
    }
    for body in ["", " ", "null", "{}", "{\"payload\":{\"a\":[1]}}"] {
        assert!(world.register_as(&world.claim("d1", &KEY), body.as_bytes()).await.is_ok(), "{body}");
    }
}

#[tokio::test]
async fn static_allocation_wins_and_a_change_of_hub_moves_the_device_with_its_twin() {
    let world = World::new(1).await;
    let on =
        |hub: &str| json!({ "allocationPolicy": "static", "iotHubs": [hub], "initialTwin": { "properties": { "desired": { "n": 1 } } } });
    world.enroll_device("d1", on("a.example")).await;
    assert_eq!(hub_of(&world.register("d1").await.unwrap()), "a.example");
    world.enroll_device("d1", on("b.example")).await;
    let moved = world.register("d1").await.unwrap();
    assert_eq!((hub_of(&moved).as_str(), substatus(&moved).as_str()), ("b.example", "deviceDataMigrated"));
    assert_eq!(world.hubs_with("d1"), ["b.example"]);
    world.enroll_device("d1", on("a.example")).await;
    assert_eq!(substatus(&world.register("d1").await.unwrap()), "reprovisionedToInitialAssignment");
}

#[tokio::test]
async fn never_keeps_the_device_and_reset_gives_it_a_new_twin() {
    let world = World::new(1).await;
    let on = |hub: &str, update: bool, n: i32| {
        json!({ "allocationPolicy": "static", "iotHubs": [hub],
            "reprovisionPolicy": { "updateHubAssignment": update, "migrateDeviceData": false },
            "initialTwin": { "properties": { "desired": { "n": n } } } })
    };
    world.enroll_device("d1", on("a.example", false, 1)).await;
    world.register("d1").await.unwrap();
    world.enroll_device("d1", on("b.example", false, 2)).await;
    assert_eq!(hub_of(&world.register("d1").await.unwrap()), "a.example");
    assert_eq!(world.a.device("d1").unwrap().twin.desired["n"], 1);
    world.enroll_device("d1", on("a.example", true, 3)).await;
    assert_eq!(substatus(&world.register("d1").await.unwrap()), "deviceDataReset");
    assert_eq!(world.a.device("d1").unwrap().twin.desired["n"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_down_delays_the_device_until_it_is_back() {
    let world = World::new(1).await;
    world.enroll_device("d1", json!({ "allocationPolicy": "static", "iotHubs": ["a.example"] })).await;
    let down = || Fault::Before(HubError::Unavailable("down".into()));
    world.a.fail_next([down(), down(), down()]);
    let told = world.register("d1").await.unwrap();
    assert_eq!(told.status, "assigning");
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    let polled = world.poll("d1", &told.operation_id).await.unwrap();
    assert_eq!((polled.status.as_str(), polled.operation_id), ("assigned", told.operation_id));
}

#[tokio::test(start_paused = true)]
async fn a_device_waits_while_a_hub_refuses_credentials_and_is_assigned_once_they_are_mended() {
    let world = World::new(1).await;
    world.enroll_device("d1", json!({ "allocationPolicy": "static", "iotHubs": ["a.example"] })).await;
    world.a.fail_next(vec![Fault::Before(HubError::Unauthorized("key".into())); 5]);
    let told = world.register("d1").await.unwrap();
    assert_eq!(told.status, "assigning");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(world.poll("d1", &told.operation_id).await.unwrap().status, "assigned");
    assert_eq!(world.hubs_with("d1"), ["a.example"]);
}

#[tokio::test(start_paused = true)]
async fn credentials_refused_for_ten_minutes_fail_the_registration_with_the_code_that_sdks_know() {
    let world = World::new(1).await;
    world.enroll_device("d1", json!({ "allocationPolicy": "static", "iotHubs": ["a.example"] })).await;
    world.a.fail_next(vec![Fault::Before(HubError::Unauthorized("key".into())); 500]);
    let told = world.register("d1").await.unwrap();
    world.clock.advance_millis(601_000);
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let polled = world.poll("d1", &told.operation_id).await.unwrap();
    assert_eq!(polled.status, "failed");
    assert_eq!(polled.registration_state.unwrap().error_code, Some(400_209));
    world.a.fail_next([]);
    assert_eq!(world.register("d1").await.unwrap().status, "assigned", "the next attempt is a new one");
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_waits_sees_the_links_as_they_are_changed_meanwhile() {
    let world = World::new(1).await;
    world.enroll_device("d1", json!({ "allocationPolicy": "static", "iotHubs": ["a.example"] })).await;
    world.a.fail_next(vec![Fault::Before(HubError::Unauthorized("key".into())); 500]);
    let told = world.register("d1").await.unwrap();
    assert_eq!(told.status, "assigning");
    let mut stored = world.directory.service("world").await.unwrap().unwrap();
    stored.value.hubs.retain(|hub| hub.name.as_str() != "a.example");
    world.directory.update(stored.value, stored.etag).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    let polled = world.poll("d1", &told.operation_id).await.unwrap();
    assert_eq!(polled.status, "failed");
    assert!(polled.registration_state.unwrap().error_message.unwrap().contains("not linked any more"));
}

#[tokio::test(start_paused = true)]
async fn devices_of_a_dead_hub_take_no_places_from_others() {
    let world = World::new(1).await;
    world.a.fail_next(vec![Fault::Before(HubError::Unavailable("down".into())); 10_000]);
    for n in 0..20 {
        world.enroll_device(&format!("dead-{n}"), json!({ "allocationPolicy": "static", "iotHubs": ["a.example"] })).await;
        assert_eq!(world.register(&format!("dead-{n}")).await.unwrap().status, "assigning");
    }
    assert_eq!((world.engine.under_way(), world.engine.resting()), (0, 20));
    world.enroll_device("alive", json!({ "allocationPolicy": "static", "iotHubs": ["b.example"] })).await;
    assert_eq!(world.register("alive").await.unwrap().status, "assigned");
    world.a.fail_next([]);
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!((world.engine.under_way(), world.engine.resting()), (0, 0));
    assert_eq!(world.a.len(), 20);
}

#[tokio::test]
async fn deleting_a_registration_makes_the_next_one_the_first() {
    let world = World::new(1).await;
    world.enroll_device("d1", json!({})).await;
    let first = world.register("d1").await.unwrap();
    let tenant = world.tenant().await;
    tenant.registry.delete_registration("d1", IfMatch::Unsaid, world.engine.now()).await.unwrap();
    assert!(world.poll("d1", &first.operation_id).await.is_err());
    assert_eq!(substatus(&world.register("d1").await.unwrap()), "initialAssignment");
    assert_eq!(world.claim("d1", &KEY).id_scope.as_str(), SCOPE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_registers_many_times_at_once_is_made_once() {
    let world = std::sync::Arc::new(World::new(1).await);
    world.enroll_device("d1", json!({})).await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move { world.register("d1").await })
        })
        .collect();
    let mut hubs = std::collections::BTreeSet::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(told) if told.status == "assigned" => drop(hubs.insert(hub_of(&told))),
            Ok(told) => assert_eq!(told.status, "assigning"),
            Err(error) => assert_eq!(error.code, ErrorCode::ConcurrentChange),
        }
    }
    assert_eq!(hubs.len(), 1);
    assert_eq!(world.hubs_with("d1").len(), 1);
}
