//! Command lines and the enrollments they mean.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::enroll::settings::{GroupSettings, IndividualSettings, Settings};

fn said<S: Settings>(kind: Kind, line: &str, document: Value) -> Result<Value, String> {
    let command = S::augment_args(clap::Command::new("x").no_binary_name(true));
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let settings =
        S::from_arg_matches(&command.try_get_matches_from(words).map_err(|why| why.to_string())?).map_err(|why| why.to_string())?;
    let read = |path: &Path| match path.to_str() {
        Some("t.json") => Ok(r#"{"tags":{"a":1},"desired":{"b":2}}"#.to_owned()),
        Some("e.json") => Ok(r#"{"deviceId":"from-file","provisioningStatus":"disabled"}"#.to_owned()),
        Some("-") => Ok("read\n".to_owned()),
        Some(name) if name.ends_with(".pem") => Ok(format!("PEM of {name}")),
        _ => Err(Failure::settings("no such file")),
    };
    let mut document = base(&settings.said(), &read).map_err(|why| why.to_string())?.unwrap_or(document);
    apply(kind, &settings.said(), &mut document, &read).map_err(|why| why.to_string())?;
    Ok(document)
}

fn individual(line: &str) -> Value {
    said::<IndividualSettings>(Kind::Individual, line, json!({})).unwrap()
}

#[test]
fn every_attestation_can_be_said() {
    assert_eq!(individual("--symmetric-key")["attestation"], json!({ "type": "symmetricKey", "symmetricKey": {} }));
    assert_eq!(individual("--symmetric-key generate --edge")["attestation"], json!({ "type": "symmetricKey", "symmetricKey": {} }));
    let keys = json!({ "type": "symmetricKey", "symmetricKey": { "primaryKey": "a2V5", "secondaryKey": "b" } });
    assert_eq!(individual("--symmetric-key a2V5 --secondary-key b")["attestation"], keys);
    assert_eq!(individual("--symmetric-key -")["attestation"]["symmetricKey"]["primaryKey"], "read");
    let pair = json!({ "primary": { "certificate": "PEM of a.pem" }, "secondary": { "certificate": "PEM of b.pem" } });
    assert_eq!(individual("--certificate a.pem --certificate b.pem")["attestation"]["x509"], json!({ "clientCertificates": pair }));
    let names = json!({ "caReferences": { "primary": "root" } });
    assert_eq!(individual("--ca-reference root")["attestation"]["x509"], names);
    let tpm = json!({ "type": "tpm", "tpm": { "endorsementKey": "e", "storageRootKey": "s" } });
    assert_eq!(individual("--tpm-ek e --tpm-srk s")["attestation"], tpm);
    let group = said::<GroupSettings>(Kind::Group, "--ca a.pem", json!({})).unwrap();
    assert_eq!(group["attestation"]["x509"], json!({ "signingCertificates": { "primary": { "certificate": "PEM of a.pem" } } }));
}

#[test]
fn the_rest_is_put_where_the_service_has_it() {
    let line = "--device-id x --hub h1 --hub h2 --allocation geo-latency --reprovision keep --edge --status disabled --twin t.json \
                --credential-policy certs";
    let expected = json!({
        "credentialPolicyName": "certs",
        "deviceId": "x", "iotHubs": ["h1", "h2"], "allocationPolicy": "geoLatency", "capabilities": { "iotEdge": true },
        "reprovisionPolicy": { "updateHubAssignment": false, "migrateDeviceData": false }, "provisioningStatus": "disabled",
        "initialTwin": { "tags": { "a": 1 }, "properties": { "desired": { "b": 2 } } },
    });
    assert_eq!(individual(line), expected);
    let custom = individual("--webhook https://w");
    assert_eq!(
        (&custom["allocationPolicy"], &custom["customAllocationDefinition"]["apiVersion"]),
        (&json!("custom"), &json!("2021-10-01"))
    );
}

#[test]
fn a_change_leaves_what_was_not_said_and_can_take_back() {
    let there = json!({ "deviceId": "x", "iotHubs": ["h"], "allocationPolicy": "custom", "customAllocationDefinition": { "webhookUrl": "w" },
        "attestation": { "type": "symmetricKey" } });
    let changed = |line: &str| said::<IndividualSettings>(Kind::Individual, line, there.clone()).unwrap();
    assert_eq!(changed(""), there);
    let expected = json!({ "attestation": { "type": "symmetricKey" } });
    assert_eq!(changed("--device-id= --hub any --allocation service"), expected);
    assert_eq!(changed("--from-json e.json --status enabled"), json!({ "deviceId": "from-file", "provisioningStatus": "enabled" }));
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let refused = |line: &str| said::<IndividualSettings>(Kind::Individual, line, json!({})).unwrap_err();
    for (line, word) in [
        ("--certificate a.pem --certificate b.pem --certificate c.pem", "more than twice"),
        ("--certificate a.pem --symmetric-key", "cannot be used with"),
        ("--tpm-ek e --ca-reference r", "cannot be used with"),
        ("--twin nowhere.json", "no such file"),
        ("--twin {", "not JSON"),
        ("--twin {\"x\":1}", "has a member \"x\""),
        ("--from-json a.pem", "not JSON"),
        ("--allocation nearest", "geo-latency"),
    ] {
        assert!(refused(line).contains(word), "{line}: {}", refused(line));
    }
}
