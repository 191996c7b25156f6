//! Rows and the enrollments they mean, there and back.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn no_files(path: &str) -> Result<String, String> {
    Err(format!("cannot read {path}"))
}

fn read(kind: Kind, header: &str, cells: &[&str]) -> Result<Value, String> {
    Header::read(header.split(','), kind)?.document(cells, &|path| if path == "a.pem" { Ok("PEM".into()) } else { no_files(path) })
}

fn individual(header: &str, cells: &[&str]) -> Value {
    read(Kind::Individual, header, cells).unwrap()
}

#[test]
fn the_attestation_is_told_or_seen() {
    let keys = individual("registrationId,attestation", &["d", "symmetrickey"]);
    assert_eq!(keys, json!({ "registrationId": "d", "attestation": { "type": "symmetricKey", "symmetricKey": {} } }));
    let own = individual("RegistrationID , primaryKey", &["d", "a2V5"]);
    assert_eq!(own["attestation"], json!({ "type": "symmetricKey", "symmetricKey": { "primaryKey": "a2V5" } }));
    let x509 = individual("registrationId,certificate,secondaryCertificate", &["d", "a.pem", "sha256:AB"]);
    let pair = json!({ "primary": { "certificate": "PEM" }, "secondary": { "info": { "sha256Thumbprint": "AB" } } });
    assert_eq!(x509["attestation"], json!({ "type": "x509", "x509": { "clientCertificates": pair } }));
    let group = read(Kind::Group, "enrollmentGroupId,caReference", &["g", "root"]).unwrap();
    assert_eq!(group["attestation"], json!({ "type": "x509", "x509": { "caReferences": { "primary": "root" } } }));
    let tpm = individual("registrationId,endorsementKey", &["d", "AAA="]);
    assert_eq!(tpm["attestation"], json!({ "type": "tpm", "tpm": { "endorsementKey": "AAA=" } }));
}

#[test]
fn everything_else_has_its_column() {
    let header = "registrationId,primaryKey,deviceId,hub,webhookUrl,reprovision,status,edge,twin";
    let read = individual(
        header,
        &["d", "k", "dev", "a.example; b.example", "https://w.example", "reset", "disabled", "TRUE", r#"{"tags":{"a":1}}"#],
    );
    let expected = json!({
        "registrationId": "d", "deviceId": "dev", "iotHubs": ["a.example", "b.example"], "allocationPolicy": "custom",
        "customAllocationDefinition": { "webhookUrl": "https://w.example", "apiVersion": "2021-10-01" },
        "reprovisionPolicy": { "updateHubAssignment": true, "migrateDeviceData": false }, "provisioningStatus": "disabled",
        "capabilities": { "iotEdge": true }, "initialTwin": { "tags": { "a": 1 } },
        "attestation": { "type": "symmetricKey", "symmetricKey": { "primaryKey": "k" } },
    });
    assert_eq!(read, expected);
}

#[test]
fn what_is_wrong_with_a_row_is_named() {
    for (header, cells, word) in [
        ("registrationId,primaryKey", vec!["", "k"], "no registrationId"),
        ("registrationId,primaryKey", vec!["d"], "1 cells where the header has 2"),
        ("registrationId,primaryKey", vec!["d", ""], "no column tells"),
        ("registrationId,attestation", vec!["d", "key"], "must be symmetricKey"),
        ("registrationId,attestation", vec!["d", "tpm"], "endorsementKey"),
        ("registrationId,certificate", vec!["d", "b.pem"], "cannot read b.pem"),
        ("registrationId,primaryKey,edge", vec!["d", "k", "maybe"], "true or false"),
        ("registrationId,primaryKey,twin", vec!["d", "k", "{"], "twin is not JSON"),
        ("registrationId,primaryKey,reprovision", vec!["d", "k", "stay"], "keep, migrate or reset"),
        ("registrationId,primaryKey,webhookUrl,allocation", vec!["d", "k", "https://w", "hashed"], "must be custom"),
    ] {
        let why = read(Kind::Individual, header, &cells).unwrap_err();
        assert!(why.contains(word), "{header} {cells:?}: {why}");
    }
}

#[test]
fn headers_are_read_or_refused_with_the_column_that_may_be_meant() {
    let read = |text: &str| Header::read(text.split(','), Kind::Individual).unwrap_err();
    assert!(read("registrationId,primarykeys").contains("is primaryKey meant?"), "{}", read("registrationId,primarykeys"));
    assert!(read("primaryKey").contains("no column registrationId"));
    assert!(read("registrationId,edge,Edge").contains("twice"));
    assert!(read("enrollmentGroupId").contains("unknown column"));
}

#[test]
fn a_row_that_is_written_is_read_as_the_same_enrollment() {
    let documents = [
        json!({ "registrationId": "d,\"1", "attestation": { "type": "symmetricKey", "symmetricKey": { "primaryKey": "a", "secondaryKey": "b" } },
            "deviceId": "x", "iotHubs": ["h1", "h2"], "allocationPolicy": "hashed", "provisioningStatus": "enabled",
            "reprovisionPolicy": { "updateHubAssignment": false, "migrateDeviceData": false }, "capabilities": { "iotEdge": true },
            "initialTwin": { "tags": { "n": "\n" }, "properties": { "desired": { "é": [1] } } }, "optionalDeviceInformation": { "a": 1 }, "credentialPolicyName": "certs" }),
        json!({ "registrationId": "c", "attestation": { "type": "x509", "x509": { "clientCertificates": { "primary": { "info": { "sha256Thumbprint": "AA" } } } } },
            "allocationPolicy": "custom", "customAllocationDefinition": { "webhookUrl": "https://w/x", "apiVersion": "2019-03-31" } }),
        json!({ "registrationId": "t", "attestation": { "type": "tpm", "tpm": { "endorsementKey": "AAA=", "storageRootKey": "BBB=" } } }),
    ];
    let head = Header::read(header(Kind::Individual).into_iter(), Kind::Individual).unwrap();
    for document in documents {
        let cells = row(Kind::Individual, &document);
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        assert_eq!(cells.len(), header(Kind::Individual).len());
        assert_eq!(head.document(&cells, &no_files).unwrap(), document);
    }
}
