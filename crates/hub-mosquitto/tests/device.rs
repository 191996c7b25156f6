//! The device's side, by a client that is not ours: what it may do with what it was given, and what not.

#![allow(clippy::unwrap_used)]

mod bed;

use bed::{Bed, KEY, OTHER_KEY, spec, twin, with};
use usher_domain::{Secret, hub_device::DeviceCredential};
use usher_hub::{Hub as _, TwinWrite};

async fn with_two_devices() -> Option<Bed> {
    let bed = Bed::start()?;
    let hub = bed.hub();
    for device in ["a", "b"] {
        hub.ensure_device(&spec(device), TwinWrite::IfCreated(&twin(device))).await.unwrap();
    }
    Some(bed)
}

#[tokio::test]
async fn a_device_reads_its_desired_properties_and_its_messages_by_its_key() {
    let Some(bed) = with_two_devices().await else { return };
    assert_eq!(bed.hear("a", KEY, "devices/a/twin/desired").as_deref(), Ok(r#"{"desired":{"color":"a"}}"#));
    bed.set("devices/a/messages/devicebound/x", "hello");
    assert_eq!(bed.hear("a", KEY, "devices/a/messages/devicebound/#").as_deref(), Ok("hello"));
    for wrong in [OTHER_KEY, "x"] {
        assert!(bed.hear("a", wrong, "devices/a/twin/desired").unwrap_err().contains("not authorised"));
    }
}

#[tokio::test]
async fn a_device_sends_telemetry_and_reports() {
    let Some(bed) = with_two_devices().await else { return };
    for topic in ["devices/a/messages/events/", "devices/a/messages/events/x/y", "devices/a/twin/reported"] {
        bed.publish("a", KEY, topic, &["-r", "-m", topic]);
        assert_eq!(bed.retained(topic).as_deref(), Some(topic));
    }
}

#[tokio::test]
async fn a_device_hears_nothing_but_its_own() {
    let Some(bed) = with_two_devices().await else { return };
    let topics = [
        "#",
        "+/#",
        "devices/#",
        "devices/+/twin/desired",
        "devices/b/#",
        "devices/b/twin/desired",
        "devices/a/twin/tags",
        "devices/a/twin/+",
        "devices/a/#",
        "devices/+/messages/devicebound/#",
        "$share/g/devices/b/twin/desired",
        "$share/g/#",
        "$CONTROL/dynamic-security/v1/response",
        "$SYS/#",
    ];
    for topic in topics {
        assert!(bed.hear("a", KEY, topic).is_err(), "{topic}");
    }
}

#[tokio::test]
async fn a_device_speaks_for_nobody_else() {
    let Some(bed) = with_two_devices().await else { return };
    for topic in ["devices/b/messages/events/", "devices/b/twin/reported", "devices/a/twin/desired", "devices/a/twin/tags", "x"] {
        bed.publish("a", KEY, topic, &["-r", "-m", "forged"]);
        assert!(bed.retained(topic).is_none_or(|heard| heard != "forged"), "{topic}");
    }
    let command = r#"{"commands":[{"command":"deleteClient","username":"b"}]}"#;
    bed.publish("a", KEY, "$CONTROL/dynamic-security/v1", &["-m", command]);
    assert!(bed.saved_client("b").is_some());
}

#[tokio::test]
async fn a_device_with_a_certificate_needs_no_password() {
    let Some(bed) = Bed::start() else { return };
    let hub = bed.hub();
    let spec = with("c", DeviceCredential::Thumbprints { primary: "AB".repeat(32), secondary: None });
    hub.ensure_device(&spec, TwinWrite::IfCreated(&twin("red"))).await.unwrap();
    bed.issue("c", "c");
    bed.issue("other", "other");
    let heard = bed.hear_by_certificate("c", "c", "devices/c/twin/desired");
    assert_eq!(heard.as_deref(), Some(r#"{"desired":{"color":"red"}}"#));
    assert_eq!(bed.hear_by_certificate("other", "c", "devices/c/twin/desired"), None);
    assert!(bed.hear("c", "", "devices/c/twin/desired").is_err());
    hub.delete_device(&spec.device_id).await.unwrap();
    bed.set("devices/c/twin/desired", "left");
    assert_eq!(bed.hear_by_certificate("c", "c", "devices/c/twin/desired"), None);
}

#[tokio::test]
async fn a_new_credential_takes_the_place_of_the_old() {
    let Some(bed) = Bed::start() else { return };
    let hub = bed.hub();
    let keys = |primary: &str| DeviceCredential::SymmetricKeys { primary: Secret::new(primary), secondary: Secret::new(KEY) };
    let heard = |key| bed.hear("d", key, "devices/d/twin/desired").is_ok();
    for (credential, first, second) in [
        (keys(KEY), true, false),
        (keys(OTHER_KEY), false, true),
        (DeviceCredential::CertificateAuthority, false, false),
        (keys(KEY), true, false),
    ] {
        hub.ensure_device(&with("d", credential), TwinWrite::IfCreated(&twin("red"))).await.unwrap();
        assert_eq!((heard(KEY), heard(OTHER_KEY)), (first, second));
    }
}

#[tokio::test]
async fn what_an_operator_added_to_a_device_stays() {
    let Some(bed) = Bed::start() else { return };
    let hub = bed.hub();
    hub.ensure_device(&spec("d"), TwinWrite::IfCreated(&twin("red"))).await.unwrap();
    bed.control(&["createRole", "weather"]);
    bed.control(&["addRoleACL", "weather", "subscribePattern", "weather/#", "allow"]);
    bed.control(&["addClientRole", "d", "weather", "0"]);
    bed.control(&["disableClient", "d"]);
    hub.ensure_device(&spec("d"), TwinWrite::IfCreated(&twin("red"))).await.unwrap();
    let client = bed.saved_client("d").unwrap();
    assert_eq!((client["roles"].as_array().unwrap().len(), client["disabled"].as_bool()), (2, Some(true)), "{client}");
}
