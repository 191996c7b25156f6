//! A device's identity as the registry's JSON has it (docs/protocol/hub-service.md, "Bodies").

use serde_json::{Map, Value, json};
use usher_domain::hub_device::{DeviceCredential, DeviceSpec, InitialTwin};

/// What `statusReason` says of a device that was made together with a twin. It stays: a device that has it and an untouched, empty
/// twin lost its twin on the way, and only then may a later call set it. See [`crate::ensure`].
pub const MADE_WITH_TWIN: &str = "Provisioned with an initial twin";

/// The body of a bulk request that makes the device with its twin in one go.
pub fn create_body(spec: &DeviceSpec, twin: &InitialTwin) -> Value {
    let mut device = json!({
        "id": spec.device_id.as_str(),
        "importMode": "create",
        "status": "enabled",
        "authentication": authentication(&spec.credential),
        "capabilities": { "iotEdge": spec.iot_edge },
    });
    if let (Some(members), false) = (device.as_object_mut(), is_empty(twin)) {
        members.insert("statusReason".into(), MADE_WITH_TWIN.into());
        members.insert("tags".into(), Value::Object(twin.tags.clone()));
        members.insert("properties".into(), json!({ "desired": twin.desired }));
    }
    json!([device])
}

/// Whether there is nothing in the twin.
pub fn is_empty(twin: &InitialTwin) -> bool {
    twin.tags.is_empty() && twin.desired.is_empty()
}

/// The body of a PUT that brings an identity, as it was read, to `spec`; `None` where it is there already. What provisioning does not
/// decide stays: above all, whether an operator has disabled the device.
pub fn update_body(found: &Value, spec: &DeviceSpec) -> Option<Value> {
    if is_brought(found, spec) {
        return None;
    }
    let mut body = Map::new();
    for kept in ["deviceId", "etag", "status", "statusReason", "deviceScope", "parentScopes"] {
        if let Some(value) = found.get(kept).filter(|value| !value.is_null()) {
            body.insert(kept.into(), value.clone());
        }
    }
    let mut capabilities = found.get("capabilities").and_then(Value::as_object).cloned().unwrap_or_default();
    capabilities.insert("iotEdge".into(), spec.iot_edge.into());
    body.insert("capabilities".into(), Value::Object(capabilities));
    body.insert("authentication".into(), authentication(&spec.credential));
    Some(Value::Object(body))
}

/// Whether the device was made by [`create_body`] with a twin.
pub fn is_made_with_twin(found: &Value) -> bool {
    found.get("statusReason").and_then(Value::as_str) == Some(MADE_WITH_TWIN)
}

/// The ETag, unquoted.
pub fn etag(found: &Value) -> Option<&str> {
    found.get("etag").and_then(Value::as_str).map(|etag| etag.trim_matches('"'))
}

fn authentication(credential: &DeviceCredential) -> Value {
    match credential {
        DeviceCredential::SymmetricKeys { primary, secondary } | DeviceCredential::TpmKeys { primary, secondary } => json!({
            "type": "sas",
            "symmetricKey": { "primaryKey": primary.expose(), "secondaryKey": secondary.expose() },
        }),
        DeviceCredential::Thumbprints { primary, secondary } => json!({
            "type": "selfSigned",
            "x509Thumbprint": { "primaryThumbprint": primary, "secondaryThumbprint": secondary },
        }),
        DeviceCredential::CertificateAuthority => json!({ "type": "certificateAuthority" }),
    }
}

fn is_brought(found: &Value, spec: &DeviceSpec) -> bool {
    let text = |path: &str| found.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let kind = text("/authentication/type");
    let edge = found.pointer("/capabilities/iotEdge").and_then(Value::as_bool).unwrap_or(false);
    edge == spec.iot_edge
        && match &spec.credential {
            DeviceCredential::SymmetricKeys { primary, secondary } | DeviceCredential::TpmKeys { primary, secondary } => {
                kind == "sas"
                    && text("/authentication/symmetricKey/primaryKey") == primary.expose()
                    && text("/authentication/symmetricKey/secondaryKey") == secondary.expose()
            }
            DeviceCredential::Thumbprints { primary, secondary } => {
                let same = |path: &str, wanted: &str| text(path).eq_ignore_ascii_case(wanted);
                kind == "selfSigned"
                    && same("/authentication/x509Thumbprint/primaryThumbprint", primary)
                    && same("/authentication/x509Thumbprint/secondaryThumbprint", secondary.as_deref().unwrap_or_default())
            }
            DeviceCredential::CertificateAuthority => kind == "certificateAuthority",
        }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use usher_domain::{DeviceId, Secret};

    use super::*;

    fn spec(credential: DeviceCredential) -> DeviceSpec {
        DeviceSpec { device_id: DeviceId::parse("d").unwrap(), credential, iot_edge: false }
    }

    fn keys() -> DeviceCredential {
        DeviceCredential::SymmetricKeys { primary: Secret::new("a2V5MQ=="), secondary: Secret::new("a2V5Mg==") }
    }

    #[test]
    fn what_was_created_needs_no_update() {
        let credentials = [
            keys(),
            DeviceCredential::Thumbprints { primary: "AB".repeat(32), secondary: None },
            DeviceCredential::Thumbprints { primary: "AB".repeat(20), secondary: Some("CD".repeat(20)) },
            DeviceCredential::CertificateAuthority,
        ];
        for (at, credential) in credentials.iter().enumerate() {
            let made = create_body(&spec(credential.clone()), &InitialTwin::default());
            for (other, wanted) in credentials.iter().enumerate() {
                assert_eq!(update_body(&made[0], &spec(wanted.clone())).is_none(), at == other, "{at} {other}");
            }
        }
    }

    #[test]
    fn an_update_leaves_what_operators_decide() {
        let found = json!({"deviceId": "d", "etag": "MQ==", "status": "disabled", "statusReason": "stolen", "deviceScope": "s",
            "authentication": {"type": "none"}, "capabilities": {"iotEdge": true, "other": 1}, "connectionState": "Connected"});
        let body = update_body(&found, &spec(keys())).unwrap();
        assert_eq!((body["status"].clone(), body["statusReason"].clone()), (json!("disabled"), json!("stolen")));
        assert_eq!(body["capabilities"], json!({"iotEdge": false, "other": 1}));
        assert!(body.get("connectionState").is_none());
    }

    #[test]
    fn only_a_device_made_with_a_twin_is_marked() {
        let bare = create_body(&spec(keys()), &InitialTwin::default());
        assert!(!is_made_with_twin(&bare[0]) && bare[0].get("tags").is_none());
        let twin = InitialTwin { desired: Map::from_iter([("a".to_owned(), json!(1))]), ..InitialTwin::default() };
        let whole = create_body(&spec(keys()), &twin);
        assert!(is_made_with_twin(&whole[0]));
        assert_eq!(whole[0]["properties"]["desired"], json!({"a": 1}));
    }
}
