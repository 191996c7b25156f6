//! The custom allocation policy from end to end, through the engine and its ports.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use serde_json::{Value, json};
use usher_domain::{
    ErrorCode,
    document::{OperationStatusDocument, RegistrationStateDocument},
};
use usher_hub::{HubError, fake::Fault};
use usher_provisioning::Abandoned;
use usher_registry::Kind;
use usher_store::memory::Fault as StoreFault;
use usher_webhook::{AskError, Reply};
use world::{KEY, World};

const URL: &str = "https://f.example/api/x?code=hidden";

async fn enroll(world: &World, id: &str, extra: Value) {
    let mut document = json!({
        "allocationPolicy": "custom",
        "customAllocationDefinition": { "webhookUrl": URL, "apiVersion": "2021-10-01" },
        "initialTwin": { "properties": { "desired": { "from": "enrollment" } } },
    });
    document.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    world.enroll_device(id, document).await;
}

fn state(told: &OperationStatusDocument) -> &RegistrationStateDocument {
    told.registration_state.as_ref().unwrap()
}

fn hub(told: &OperationStatusDocument) -> &str {
    state(told).assigned_hub.as_deref().unwrap_or_default()
}

fn status(status: u16) -> Result<Reply, AskError> {
    Ok(Reply { status, retry_after_s: None, body: Vec::new() })
}

async fn with_payload(world: &World, id: &str) -> OperationStatusDocument {
    world.register_as(&world.claim(id, &KEY), br#"{"payload":{"model":"m"}}"#).await.unwrap()
}

/// Lets time pass until put off questions are due, and looks for them.
async fn wait(world: &World, seconds: i64) {
    world.clock.advance_millis(seconds * 1_000);
    world.engine.look(Abandoned::Expired).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
}

#[tokio::test]
async fn the_webhook_is_asked_as_documented_and_obeyed() {
    let world = World::new(1).await;
    enroll(&world, "d1", json!({ "deviceId": "other-name", "iotHubs": ["b.example", "a.example"] })).await;
    let twin = json!({ "tags": { "line": 7 }, "properties": { "desired": { "from": "webhook" } } });
    world.webhook.decide(move |_| (200, json!({ "iotHubHostName": "A.example", "initialTwin": twin, "payload": { "hello": "device" } })));
    let told = with_payload(&world, "d1").await;
    assert_eq!((told.status.as_str(), hub(&told)), ("assigned", "a.example"));
    assert_eq!(state(&told).payload, Some(json!({ "hello": "device" })));
    let device = world.a.device("other-name").unwrap();
    assert_eq!((&device.twin.desired["from"], &device.twin.tags["line"]), (&json!("webhook"), &json!(7)));
    let (url, request) = world.webhook.asked().remove(0);
    assert_eq!(url, URL, "the URL as it is, function key and all");
    assert_eq!(request["deviceRuntimeContext"], json!({ "registrationId": "d1", "symmetricKey": {}, "payload": { "model": "m" } }));
    assert_eq!(request["linkedHubs"], json!(["b.example", "a.example"]));
    let enrollment = &request["individualEnrollment"];
    assert_eq!((&enrollment["registrationId"], &enrollment["attestation"]), (&json!("d1"), &json!({ "type": "symmetricKey" })));
    assert_eq!(enrollment["customAllocationDefinition"]["webhookUrl"], "https://f.example/api/x?****");
    assert!(enrollment["etag"].as_str().unwrap().starts_with('"') && enrollment["createdDateTimeUtc"].is_string());
    assert!(request.get("enrollmentGroup").is_none());
    let polled = world.poll("d1", &told.operation_id).await.unwrap();
    assert_eq!(polled, told);
}

#[tokio::test]
async fn a_groups_device_is_asked_about_with_its_group_and_all_linked_hubs() {
    let world = World::new(1).await;
    let document = json!({
        "enrollmentGroupId": "g", "allocationPolicy": "custom",
        "customAllocationDefinition": { "webhookUrl": URL, "apiVersion": "2021-10-01" },
        "attestation": { "type": "symmetricKey" },
        "initialTwin": { "properties": { "desired": { "from": "group" } } },
    });
    world.enroll(Kind::Group, "g", document).await;
    let keys = world.tenant().await.registry.attestation_mechanism(Kind::Group, "g", world.engine.now()).await.unwrap();
    let key = keys.symmetric_key.unwrap().primary_key.unwrap();
    let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, key).unwrap();
    let told = world.register_as(&world.claim("d1", &usher_attestation::sas::derive_device_key(&key, "d1")), b"").await.unwrap();
    assert_eq!((told.status.as_str(), hub(&told), &state(&told).payload), ("assigned", "a.example", &None));
    let request = world.webhook.asked().remove(0).1;
    assert_eq!(request["enrollmentGroup"]["enrollmentGroupId"], "g");
    assert_eq!(request["linkedHubs"], json!(["a.example", "b.example"]));
    assert!(request.get("individualEnrollment").is_none() && request["deviceRuntimeContext"].get("payload").is_none());
    assert_eq!(world.a.device("d1").unwrap().twin.desired["from"], "group", "no twin in the answer: the enrollment's");
}

#[tokio::test]
async fn a_device_that_returns_is_asked_about_again_and_moved_by_the_enrollments_rule() {
    let world = World::new(1).await;
    for (id, migrate, from) in [("d1", true, "enrollment"), ("d2", false, "webhook")] {
        enroll(&world, id, json!({ "reprovisionPolicy": { "updateHubAssignment": true, "migrateDeviceData": migrate } })).await;
        world.webhook.decide(|_| (200, json!({ "iotHubHostName": "a.example" })));
        world.register(id).await.unwrap();
        let twin = json!({ "properties": { "desired": { "from": "webhook" } } });
        world.webhook.decide(move |_| (200, json!({ "iotHubHostName": "b.example", "initialTwin": twin, "payload": 2 })));
        let told = world.register(id).await.unwrap();
        assert_eq!((hub(&told), &state(&told).payload), ("b.example", &Some(json!(2))));
        assert_eq!(world.hubs_with(id), ["b.example"]);
        // A twin that is carried along stays as it is: the answer's counts for new and reset devices.
        assert_eq!(world.b.device(id).unwrap().twin.desired["from"], from, "{id}");
        let context = &world.webhook.asked().pop().unwrap().1["deviceRuntimeContext"];
        assert_eq!((&context["currentIotHubHostName"], &context["currentDeviceId"]), (&json!("a.example"), &json!(id)));
    }
}

#[tokio::test]
async fn a_device_that_never_moves_has_its_own_hub_to_choose_from_and_its_payload_renewed() {
    let world = World::new(1).await;
    enroll(&world, "d1", json!({ "reprovisionPolicy": { "updateHubAssignment": false, "migrateDeviceData": false } })).await;
    world.webhook.decide(|_| (200, json!({ "iotHubHostName": "b.example", "payload": 1 })));
    world.register("d1").await.unwrap();
    let twin = json!({ "properties": { "desired": { "from": "webhook" } } });
    world.webhook.decide(move |request| {
        (200, json!({ "iotHubHostName": request["linkedHubs"][0], "initialTwin": twin, "payload": request["linkedHubs"] }))
    });
    let told = world.register("d1").await.unwrap();
    assert_eq!((hub(&told), &state(&told).payload), ("b.example", &Some(json!(["b.example"]))));
    assert_eq!(world.b.device("d1").unwrap().twin.desired["from"], "enrollment");
    world.webhook.decide(|_| (200, json!({ "iotHubHostName": "a.example" })));
    assert_eq!(state(&world.register("d1").await.unwrap()).error_code, Some(400_207));
    assert_eq!(world.hubs_with("d1"), ["b.example"]);
}

#[tokio::test]
async fn wrong_answers_fail_at_once_with_the_documented_codes_and_leave_the_hubs_alone() {
    let world = World::new(1).await;
    enroll(&world, "d1", json!({ "iotHubs": ["a.example"] })).await;
    let answered = |body: Value| Ok(Reply { status: 200, retry_after_s: None, body: serde_json::to_vec(&body).unwrap() });
    for (outcome, code) in [
        (answered(json!({ "iotHubHostName": null })), 400_208),
        (answered(json!({ "iotHubHostName": "b.example" })), 400_207),
        (answered(json!([])), 400_207),
        (status(401), 400_209),
        (status(400), 400_207),
        (status(302), 400_207),
        (Err(AskError::Refused("not trusted".into())), 400_207),
        (Err(AskError::TooLarge("too large".into())), 400_207),
    ] {
        world.webhook.answer_next([outcome.clone()]);
        let told = world.register("d1").await.unwrap();
        assert_eq!((told.status.as_str(), state(&told).error_code), ("failed", Some(code)), "{outcome:?}");
        assert!(state(&told).error_message.as_ref().unwrap().starts_with("Custom allocation failed"));
    }
    assert_eq!(world.a.calls() + world.b.calls(), 0);
    assert_eq!(world.register("d1").await.unwrap().status, "assigned", "the next registration is a new one");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_down_is_asked_again_while_the_device_waits() {
    let mut world = World::new(1).await;
    enroll(&world, "d1", json!({})).await;
    world.webhook.answer_next([status(500), status(429), Err(AskError::Unavailable("down".into()))]);
    let told = world.register("d1").await.unwrap();
    assert_eq!(told.status, "assigning");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.webhook.asked().len(), 2, "a second's pause is waited for on this node");
    wait(&world, 5).await;
    assert_eq!(world.webhook.asked().len(), 2, "ten seconds are not over");
    wait(&world, 10).await;
    assert_eq!(world.webhook.asked().len(), 3);
    // The process dies meanwhile; the next one goes on, and a poll is as good as a look.
    world.restart().await;
    world.clock.advance_millis(30_000);
    let polled = world.poll("d1", &told.operation_id).await.unwrap();
    assert_eq!((polled.status.as_str(), polled.operation_id), ("assigned", told.operation_id));
    assert_eq!(world.webhook.asked().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn devices_of_a_dead_webhook_take_no_places_from_others() {
    let world = World::new(1).await;
    // Three registrations wait for 300 ms each, less than the first pause.
    world.webhook.answer_next((0..3).map(|_| Err(AskError::Unavailable("down".into()))));
    for n in 0..3 {
        enroll(&world, &format!("waits-{n}"), json!({})).await;
        assert_eq!(world.register(&format!("waits-{n}")).await.unwrap().status, "assigning");
    }
    assert_eq!((world.engine.under_way(), world.engine.resting()), (0, 3));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((world.engine.under_way(), world.engine.resting()), (0, 0));
    assert_eq!((world.webhook.asked().len(), world.a.len() + world.b.len()), (6, 3), "each was asked again and is assigned");
}

#[tokio::test(start_paused = true)]
async fn after_ten_retries_the_operation_has_failed() {
    let world = World::new(1).await;
    enroll(&world, "d1", json!({})).await;
    world.webhook.decide(|_| (503, Value::Null));
    let told = world.register("d1").await.unwrap();
    for _ in 0..60 {
        wait(&world, 10).await;
    }
    assert_eq!(world.webhook.asked().len(), 11);
    let polled = world.poll("d1", &told.operation_id).await.unwrap();
    assert_eq!((polled.status.as_str(), state(&polled).error_code), ("failed", Some(400_207)));
    assert_eq!(state(&polled).error_message.as_deref(), Some("Custom allocation failed with status code: 503"));
}

#[tokio::test(start_paused = true)]
async fn the_webhooks_own_wish_for_patience_counts() {
    let world = World::new(1).await;
    enroll(&world, "d1", json!({})).await;
    world.webhook.answer_next([Ok(Reply { status: 429, retry_after_s: Some(60), body: Vec::new() })]);
    world.register("d1").await.unwrap();
    wait(&world, 55).await;
    assert_eq!(world.webhook.asked().len(), 1);
    wait(&world, 25).await;
    assert_eq!(world.webhook.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_was_saved_is_never_asked_for_again() {
    let mut world = World::new(1).await;
    enroll(&world, "d1", json!({})).await;
    let mut turn = ["a.example", "b.example"].into_iter().cycle();
    world.webhook.decide(move |_| (200, json!({ "iotHubHostName": turn.next() })));
    let down = || Fault::After(HubError::Unavailable("answer lost".into()));
    world.a.fail_next([down(), down()]);
    let told = world.register("d1").await.unwrap();
    world.restart().await;
    wait(&world, 40).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let polled = world.poll("d1", &told.operation_id).await.unwrap();
    assert_eq!((polled.status.as_str(), hub(&polled)), ("assigned", "a.example"));
    assert_eq!((world.webhook.asked().len(), world.hubs_with("d1")), (1, vec!["a.example"]));
}

#[tokio::test(start_paused = true)]
async fn a_decision_whose_saving_fails_has_done_nothing_and_one_whose_acknowledgement_is_lost_stands() {
    for (fault, asked, ends_on) in [(StoreFault::Before, 2, "b.example"), (StoreFault::After, 1, "a.example")] {
        let world = World::new(1).await;
        enroll(&world, "d1", json!({})).await;
        let (store, mut turn) = (world.store.clone(), ["a.example", "b.example"].into_iter());
        let mut faults = vec![fault];
        world.webhook.decide(move |_| {
            store.fail_next(faults.pop());
            (200, json!({ "iotHubHostName": turn.next() }))
        });
        let told = world.register("d1").await.unwrap();
        assert_eq!((told.status.as_str(), world.hubs_with("d1").len()), ("assigning", 0), "nothing is done before it is durable");
        wait(&world, 40).await;
        let polled = world.poll("d1", &told.operation_id).await.unwrap();
        assert_eq!((polled.status.as_str(), hub(&polled)), ("assigned", ends_on));
        assert_eq!((world.webhook.asked().len(), world.hubs_with("d1")), (asked, vec![ends_on]));
    }
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

#[tokio::test]
async fn data_nested_too_deep_is_refused_and_spoils_no_record() {
    let world = World::new(1).await;
    enroll(&world, "d1", json!({})).await;
    for levels in (5..13).chain(60..130) {
        let body = format!(r#"{{"payload":{}}}"#, nested(levels));
        let sent = world.register_as(&world.claim("d1", &KEY), body.as_bytes()).await;
        assert_eq!(
            sent.map(|told| told.status).map_err(|why| why.code),
            if levels <= 64 { Ok("assigned".into()) } else { Err(ErrorCode::InvalidBody) }
        );
        // A twin's section counts as a level of its own.
        for (member, most) in [(r#""payload":"#, 64), (r#""initialTwin":{"tags":{"a":"#, 9)] {
            let close = "}".repeat(member.matches('{').count());
            let body = format!(r#"{{"iotHubHostName":"a.example",{member}{}{close}}}"#, nested(levels)).into_bytes();
            world.webhook.answer_next([Ok(Reply { status: 200, retry_after_s: None, body })]);
            let told = world.register("d1").await.unwrap();
            assert_eq!(told.status, if levels <= most { "assigned" } else { "failed" }, "{member} {levels}");
            assert!(world.engine.look(Abandoned::All).await.is_ok());
            assert_eq!(world.register("d1").await.unwrap().status, "assigned", "the record can be read");
        }
    }
}
