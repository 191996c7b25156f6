//! Writing enrollments: what is taken, what is kept, what is refused.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::json;
use usher_domain::ErrorCode;
use usher_registry::{IfMatch, Kind};
use world::{KEY, OTHER_KEY, code, group, individual, now, with, world};

use Kind::{Group, Individual};

#[tokio::test]
async fn keys_that_are_not_sent_are_made_told_once_and_kept() {
    let world = world().await;
    let made = world.put(Individual, "d", individual("d")).await.unwrap();
    let keys = made["attestation"]["symmetricKey"].clone();
    // 64 bytes in base64.
    assert_eq!(keys["primaryKey"].as_str().unwrap().len(), 88);
    assert_ne!(keys["primaryKey"], keys["secondaryKey"]);
    assert_eq!(world.get(Individual, "d").await.unwrap()["attestation"], json!({"type": "symmetricKey"}));
    world.put(Individual, "d", with(individual("d"), json!({"provisioningStatus": "disabled"}))).await.unwrap();
    let mechanism = world.tenant.registry.attestation_mechanism(Individual, "d", now()).await.unwrap();
    assert_eq!(serde_json::to_value(mechanism.symmetric_key).unwrap(), keys);
}

#[tokio::test]
async fn one_key_may_be_sent_and_the_other_made() {
    let world = world().await;
    let body =
        with(individual("d"), json!({"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": KEY, "secondaryKey": ""}}}));
    let keys = world.put(Individual, "d", body).await.unwrap()["attestation"]["symmetricKey"].clone();
    assert_eq!(keys["primaryKey"], KEY);
    assert_eq!(keys["secondaryKey"].as_str().unwrap().len(), 88);
}

#[tokio::test]
async fn an_enrollment_is_told_as_it_was_written() {
    let world = world().await;
    let body = json!({
        "registrationId": "Device-1", "deviceId": "on-hub", "optionalDeviceInformation": {"room": 5},
        "attestation": {"type": "tpm", "tpm": {"endorsementKey": "AAIBAg==", "storageRootKey": null}},
        "capabilities": {"iotEdge": true}, "initialTwin": {"tags": {"a": 1}, "properties": {"desired": {"b": null}}},
        "provisioningStatus": "disabled", "reprovisionPolicy": {"updateHubAssignment": false, "migrateDeviceData": false},
        "allocationPolicy": "static", "iotHubs": ["HUB-A.example"], "etag": "\"of another time\"",
    });
    world.put(Individual, "device-1", body).await.unwrap();
    let told = world.get(Individual, "DEVICE-1").await.unwrap();
    assert_eq!(told["registrationId"], "Device-1", "the first spelling is kept");
    assert_eq!(told["iotHubs"], json!(["hub-a.example"]));
    assert_eq!(told["initialTwin"], json!({"tags": {"a": 1}, "properties": {"desired": {"b": null}}}));
    assert_eq!(told["attestation"], json!({"type": "tpm", "tpm": {"endorsementKey": "AAIBAg=="}}));
    assert_eq!(told["createdDateTimeUtc"], "2026-06-01T00:00:00.0000000Z");
    for (member, value) in [
        ("deviceId", json!("on-hub")),
        ("optionalDeviceInformation", json!({"room": 5})),
        ("capabilities", json!({"iotEdge": true})),
        ("provisioningStatus", json!("disabled")),
        ("reprovisionPolicy", json!({"updateHubAssignment": false, "migrateDeviceData": false})),
        ("allocationPolicy", json!("static")),
    ] {
        assert_eq!(told[member], value, "{member}");
    }
    assert!(told.as_object().unwrap().values().all(|value| !value.is_null()), "nulls are left out");
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_with_a_word_on_it() {
    let world = world().await;
    let sym = |members| with(individual("d"), members);
    let keyed = |key: &str| sym(json!({"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": KEY}}}));
    let custom = |definition| sym(json!({"allocationPolicy": "custom", "customAllocationDefinition": definition}));
    let cases = [
        (json!({"registrationId": "d"}), "attestation"),
        (sym(json!({"attestation": {"type": "none"}})), "type"),
        (sym(json!({"attestation": {"type": "tpm"}})), "tpm member"),
        (sym(json!({"attestation": {"type": "tpm", "tpm": {"endorsementKey": "AAMBAg=="}}})), "TPM2B_PUBLIC"),
        (sym(json!({"attestation": {"type": "tpm", "tpm": {"endorsementKey": "%"}}})), "base64"),
        (sym(json!({"attestation": {"type": "x509"}})), "x509 member"),
        (sym(json!({"attestation": {"type": "x509", "x509": {}}})), "at least one certificate"),
        (keyed("c2hvcnQ="), "16 to 64 bytes"),
        (keyed("?"), "base64"),
        (sym(json!({"deviceId": "a b"})), "device ID"),
        (sym(json!({"iotHubs": ["other.example"]})), "not linked"),
        (sym(json!({"iotHubs": ["hub-a.example:443"]})), "plain host name"),
        (sym(json!({"iotHubHostName": "other.example"})), "not linked"),
        (sym(json!({"iotHubHostName": "hub-a.example", "iotHubs": ["hub-b.example"]})), "not one of iotHubs"),
        (sym(json!({"allocationPolicy": "static"})), "exactly one hub"),
        (sym(json!({"allocationPolicy": "static", "iotHubs": ["hub-a.example", "hub-b.example"]})), "exactly one hub"),
        (sym(json!({"allocationPolicy": "nearest"})), "allocationPolicy"),
        (sym(json!({"allocationPolicy": "custom"})), "customAllocationDefinition"),
        (custom(json!({"webhookUrl": "ftp://x", "apiVersion": "2021-10-01"})), "webhookUrl"),
        (custom(json!({"webhookUrl": "https://user:key@x/", "apiVersion": "2021-10-01"})), "user name"),
        (custom(json!({"webhookUrl": "https://x/", "apiVersion": ""})), "apiVersion"),
        (sym(json!({"initialTwin": {"tags": {"a": "x".repeat(70_000)}}})), "initial twin"),
    ];
    for (body, word) in cases {
        let (status, message) = world.refusal(Individual, body.clone()).await;
        assert!(status == 400 && message.contains(word), "{body:.200}: {status} {message}");
    }
    assert_eq!(code(world.get(Individual, "d").await), Some(ErrorCode::NotFound));
}

#[tokio::test]
async fn groups_take_no_tpm_and_no_client_certificates() {
    let world = world().await;
    let tpm = with(group("g"), json!({"attestation": {"type": "tpm", "tpm": {"endorsementKey": "AAIBAg=="}}}));
    assert!(world.refusal(Group, tpm).await.1.contains("one by one"));
    let client = json!({"clientCertificates": {"primary": {"certificate": world::ca("c")}}});
    let client = with(group("g"), json!({"attestation": {"type": "x509", "x509": client}}));
    assert!(world.refusal(Group, client).await.1.contains("takes signingCertificates"));
    let reference = with(group("g"), json!({"attestation": {"type": "x509", "x509": {"caReferences": {"primary": "ca-1"}}}}));
    assert!(world.refusal(Group, reference).await.1.contains("caReferences"));
}

#[tokio::test]
async fn the_id_in_the_body_must_be_the_one_in_the_path() {
    let world = world().await;
    assert_eq!(code(world.put(Individual, "other", individual("d")).await), Some(ErrorCode::InvalidId));
    assert_eq!(code(world.put(Individual, "a b", individual("a b")).await), Some(ErrorCode::InvalidId));
    assert!(world.put(Individual, "D", individual("d")).await.is_ok());
    assert!(world.put(Individual, "e", json!({"attestation": {"type": "symmetricKey"}})).await.is_ok());
}

#[tokio::test]
async fn individual_enrollments_and_groups_have_names_of_their_own() {
    let world = world().await;
    world.put(Individual, "same", individual("same")).await.unwrap();
    assert_eq!(code(world.get(Group, "same").await), Some(ErrorCode::NotFound));
    world.put(Group, "same", group("same")).await.unwrap();
    world.delete(Individual, "same").await.unwrap();
    assert!(world.get(Group, "same").await.is_ok());
}

#[tokio::test]
async fn a_change_can_be_tied_to_the_etag_that_was_read() {
    let world = world().await;
    let first = world.put(Individual, "d", individual("d")).await.unwrap()["etag"].as_str().unwrap().to_owned();
    assert!(first.starts_with('"') && first.ends_with('"') && first.len() == 18, "{first}");
    let second = world.put_if(Individual, "d", individual("d"), Some(&first)).await.unwrap()["etag"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(code(world.put_if(Individual, "d", individual("d"), Some(&first)).await), Some(ErrorCode::PreconditionFailed));
    assert!(world.put_if(Individual, "d", individual("d"), Some("*")).await.is_ok());
    assert_eq!(code(world.put_if(Individual, "new", individual("new"), Some("*")).await), Some(ErrorCode::PreconditionFailed));
    assert!(world.put(Individual, "d", individual("d")).await.is_ok(), "without a condition the record is replaced");
    let registry = &world.tenant.registry;
    let stale = registry.delete_enrollment(Individual, "d", IfMatch::parse(Some(&second)), now()).await;
    assert_eq!(code(stale), Some(ErrorCode::PreconditionFailed));
    assert!(registry.delete_enrollment(Individual, "d", IfMatch::parse(Some("*")), now()).await.is_ok());
    assert_eq!(code(registry.delete_enrollment(Individual, "d", IfMatch::parse(Some("*")), now()).await), Some(ErrorCode::NotFound));
}

#[tokio::test]
async fn a_webhooks_key_is_masked_and_survives_being_sent_back_masked() {
    let world = world().await;
    let definition = json!({"webhookUrl": "https://f.example/api/x?code=secret", "apiVersion": "2021-10-01"});
    let body = with(individual("d"), json!({"allocationPolicy": "custom", "customAllocationDefinition": definition}));
    world.put(Individual, "d", body).await.unwrap();
    let told = world.get(Individual, "d").await.unwrap();
    assert_eq!(told["customAllocationDefinition"]["webhookUrl"], "https://f.example/api/x?****");
    world.put(Individual, "d", told).await.unwrap();
    let stored = world.tenant.registry.individual(&world::rid("d")).await.unwrap().unwrap().value;
    let Some(usher_domain::enrollment::AllocationPolicy::Custom(custom)) = stored.allocation else { panic!("a custom policy") };
    assert_eq!(custom.webhook_url.expose(), "https://f.example/api/x?code=secret");
}

#[tokio::test]
async fn each_call_is_metered_once_with_its_change() {
    let world = world().await;
    world.put(Individual, "d", individual("d")).await.unwrap();
    world.get(Individual, "d").await.unwrap();
    world.delete(Individual, "d").await.unwrap();
    assert_eq!(world.used().await, 3);
    assert!(world.get(Individual, "d").await.is_err());
    assert_eq!(world.used().await, 3, "what is refused does not count");
    let months = world.tenant.registry.usage_by_months(now(), 2).await.unwrap();
    assert_eq!(months, [("2026-06".to_owned(), 3), ("2026-05".to_owned(), 0)]);
}

#[tokio::test]
async fn a_failed_commit_leaves_neither_record_nor_count() {
    let world = world().await;
    world.store.fail_next([usher_store::memory::Fault::Before]);
    assert_eq!(code(world.put(Group, "g", group("g")).await), Some(ErrorCode::Unavailable));
    assert_eq!(world.used().await, 0);
    assert!(world.tenant.registry.symmetric_key_groups().await.unwrap().is_empty());
    assert_eq!(code(world.get(Group, "g").await), Some(ErrorCode::NotFound));
}

#[tokio::test]
async fn keys_sent_are_used_as_sent() {
    let world = world().await;
    let keys = json!({"primaryKey": KEY, "secondaryKey": OTHER_KEY});
    let body = with(group("g"), json!({"attestation": {"type": "symmetricKey", "symmetricKey": keys}}));
    assert_eq!(world.put(Group, "g", body).await.unwrap()["attestation"]["symmetricKey"], keys);
}
