//! Whether what is there is what a line asks for.
//!
//! The service tells certificates by their thumbprints, masks webhook URLs, fills in defaults and spells names its own way; what means
//! the same counts as the same here. What the service makes up itself is not compared, and keys only where the line has some.

use serde_json::{Map, Value, json};
use usher_attestation::Certificate;

use super::columns::reprovision_word;

/// What a member of a document means, whatever way it is written.
type Part = fn(&Value) -> Value;

/// The members that differ, as the service API names them; none where the record is as the line wants it. Symmetric keys are another
/// request away: see [`keys_differ`].
pub fn differences(asked: &Value, there: &Value) -> Vec<&'static str> {
    let parts: [(&'static str, Part); 10] = [
        ("attestation", attestation),
        ("deviceId", |document| given(&document["deviceId"])),
        ("iotHubs", hubs),
        ("credentialPolicyName", |document| given(&document["credentialPolicyName"])),
        ("allocationPolicy", policy),
        ("reprovisionPolicy", |document| json!(reprovision_word(&document["reprovisionPolicy"]))),
        ("provisioningStatus", |document| json!(folded(&document["provisioningStatus"]).unwrap_or_else(|| "enabled".into()))),
        ("capabilities", |document| json!(document["capabilities"]["iotEdge"].as_bool().unwrap_or_default())),
        ("initialTwin", |document| twin(&document["initialTwin"])),
        ("optionalDeviceInformation", |document| pruned(&document["optionalDeviceInformation"])),
    ];
    parts.iter().filter(|(_, part)| part(asked) != part(there)).map(|(name, _)| *name).collect()
}

/// Whether a line names symmetric keys at all.
pub fn names_keys(asked: &Value) -> bool {
    let keys = &asked["attestation"]["symmetricKey"];
    !given(&keys["primaryKey"]).is_null() || !given(&keys["secondaryKey"]).is_null()
}

/// Whether a key that the line names is not the one that is there. `mechanism` is the attestation with its keys.
pub fn keys_differ(asked: &Value, mechanism: &Value) -> bool {
    let (asked, there) = (&asked["attestation"]["symmetricKey"], &mechanism["symmetricKey"]);
    ["primaryKey", "secondaryKey"].iter().any(|key| !given(&asked[*key]).is_null() && asked[*key] != there[*key])
}

fn given(value: &Value) -> Value {
    value.as_str().filter(|text| !text.is_empty()).map_or(Value::Null, Value::from)
}

fn folded(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_ascii_lowercase)
}

fn hubs(document: &Value) -> Value {
    let mut named: Vec<String> = document["iotHubs"].as_array().into_iter().flatten().filter_map(folded).collect();
    if named.is_empty() {
        named.extend(folded(&document["iotHubHostName"]));
    }
    named.sort();
    named.dedup();
    json!(named)
}

fn policy(document: &Value) -> Value {
    let Some(name) = folded(&document["allocationPolicy"]) else { return Value::Null };
    let custom = &document["customAllocationDefinition"];
    let url = custom["webhookUrl"].as_str().unwrap_or_default();
    let shown = url.split_once('?').filter(|(_, query)| !query.is_empty()).map(|(address, _)| format!("{address}?****"));
    let asks = (name == "custom").then(|| json!([shown.as_deref().unwrap_or(url), custom["apiVersion"]]));
    json!([name, asks])
}

fn twin(twin: &Value) -> Value {
    json!([pruned(&twin["tags"]), pruned(&twin["properties"]["desired"])])
}

/// Without nulls and empty objects, which say nothing.
fn pruned(value: &Value) -> Value {
    let Value::Object(members) = value else { return value.clone() };
    let kept: Map<String, Value> =
        members.iter().map(|(name, value)| (name.clone(), pruned(value))).filter(|(_, value)| !value.is_null()).collect();
    if kept.is_empty() { Value::Null } else { Value::Object(kept) }
}

fn attestation(document: &Value) -> Value {
    let found = &document["attestation"];
    let kind = folded(&found["type"]).unwrap_or_default();
    match kind.as_str() {
        "tpm" => json!([kind, given(&found["tpm"]["endorsementKey"]), given(&found["tpm"]["storageRootKey"])]),
        "x509" => {
            let x509 = &found["x509"];
            let sides = |pair: &Value, of: fn(&Value) -> Value| [of(&pair["primary"]), of(&pair["secondary"])];
            let member = |name: &str| sides(&x509[name], thumbprint);
            json!([kind, member("clientCertificates"), member("signingCertificates"), sides(&x509["caReferences"], given)])
        }
        _ => json!([kind]),
    }
}

fn thumbprint(slot: &Value) -> Value {
    let sent = slot["certificate"].as_str().filter(|text| !text.is_empty());
    let of_sent = sent.and_then(|text| Certificate::from_text(text).ok()).map(|read| read.info().sha256_thumbprint.clone());
    let told = || slot["info"]["sha256Thumbprint"].as_str().map(str::to_owned);
    of_sent.or_else(told).map_or(Value::Null, |hex| json!(hex.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_means_the_same_is_the_same() {
        let asked = json!({ "registrationId": "d", "attestation": { "type": "symmetricKey", "symmetricKey": { "primaryKey": "a" } },
            "iotHubs": ["Hub.Example"], "allocationPolicy": "Custom", "customAllocationDefinition": { "webhookUrl": "https://w/x?code=1", "apiVersion": "v" },
            "initialTwin": { "tags": {}, "properties": { "desired": { "a": 1, "b": null } } }, "deviceId": "" });
        let there = json!({ "registrationId": "D", "attestation": { "type": "symmetricKey" }, "iotHubs": ["hub.example"], "etag": "x",
            "allocationPolicy": "custom", "customAllocationDefinition": { "webhookUrl": "https://w/x?****", "apiVersion": "v" },
            "capabilities": { "iotEdge": false }, "provisioningStatus": "enabled", "initialTwin": { "tags": {}, "properties": { "desired": { "a": 1 } } },
            "registrationState": { "status": "assigned" } });
        assert_eq!(differences(&asked, &there), Vec::<&str>::new());
        assert!(names_keys(&asked) && !names_keys(&there));
        assert!(!keys_differ(&asked, &json!({ "symmetricKey": { "primaryKey": "a", "secondaryKey": "b" } })));
        assert!(keys_differ(&asked, &json!({ "symmetricKey": { "primaryKey": "c", "secondaryKey": "b" } })));
    }

    #[test]
    fn every_member_that_differs_is_named() {
        let plain = json!({ "attestation": { "type": "tpm", "tpm": { "endorsementKey": "a" } } });
        for (member, value) in [
            ("attestation", json!({ "type": "tpm", "tpm": { "endorsementKey": "b" } })),
            ("deviceId", json!("x")),
            ("iotHubs", json!(["h"])),
            ("allocationPolicy", json!("static")),
            ("reprovisionPolicy", json!({})),
            ("provisioningStatus", json!("disabled")),
            ("capabilities", json!({ "iotEdge": true })),
            ("initialTwin", json!({ "tags": { "a": 1 } })),
            ("optionalDeviceInformation", json!({ "a": 1 })),
        ] {
            let mut other = plain.clone();
            other[member] = value;
            assert_eq!(differences(&plain, &other), [member]);
        }
    }

    #[test]
    fn a_certificate_is_its_thumbprint() {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap().pem();
        let thumbprint = Certificate::from_text(&pem).unwrap().info().sha256_thumbprint.to_ascii_lowercase();
        let of = |primary: Value| json!({ "attestation": { "type": "x509", "x509": { "clientCertificates": { "primary": primary } } } });
        let asked = of(json!({ "certificate": pem }));
        assert!(differences(&asked, &of(json!({ "info": { "sha256Thumbprint": thumbprint } }))).is_empty());
        assert_eq!(differences(&asked, &of(json!({ "info": { "sha256Thumbprint": "00" } }))), ["attestation"]);
    }
}
