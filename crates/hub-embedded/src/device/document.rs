//! A device as registry requests and queries tell it (azure-iot-sdk-python: iot-hub protocol/models/{device,twin}.py; the shapes are
//! IoT Hub's REST models `Device` and `Twin`).

use serde_json::{Map, Value, json};
use usher_domain::Timestamp;

use super::Device;

/// "Never", as IoT Hub writes it: .NET's earliest time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What the hub knows of a device beyond its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Whether it is connected.
    pub connected: bool,
    /// When that changed last, where known.
    pub connection_changed: Option<Timestamp>,
    /// When it was last heard, where it is connected.
    pub last_activity: Option<Timestamp>,
    /// Cloud-to-device messages that wait for it.
    pub messages_waiting: usize,
}

impl Presence {
    const fn word(self) -> &'static str {
        if self.connected { "Connected" } else { "Disconnected" }
    }
}

impl Device {
    /// The identity, keys included.
    pub fn identity_document(&self, presence: Presence) -> Value {
        let mut document = json!({
            "deviceId": self.device_id.as_str(),
            "generationId": self.generation_id,
            "etag": self.etag(),
            "connectionState": presence.word(),
            "status": self.status.word(),
            "statusReason": self.status_reason,
            "connectionStateUpdatedTime": time_or_never(presence.connection_changed),
            "statusUpdatedTime": time_or_never(self.status_updated),
            "lastActivityTime": time_or_never(presence.last_activity.or(self.last_activity)),
            "cloudToDeviceMessageCount": presence.messages_waiting,
            "authentication": self.authentication.document(),
            "capabilities": { "iotEdge": self.iot_edge },
        });
        self.add_scopes(&mut document);
        document
    }

    /// The twin as the service sees it.
    pub fn twin_document(&self, presence: Presence) -> Value {
        let mut document = json!({
            "deviceId": self.device_id.as_str(),
            "etag": self.twin.etag(),
            "deviceEtag": self.etag(),
            "status": self.status.word(),
            "statusUpdateTime": time_or_never(self.status_updated),
            "connectionState": presence.word(),
            "lastActivityTime": time_or_never(presence.last_activity.or(self.last_activity)),
            "cloudToDeviceMessageCount": presence.messages_waiting,
            "authenticationType": self.authentication.kind(),
            "x509Thumbprint": self.authentication.thumbprints_document(),
            "modelId": self.model_id.as_deref().unwrap_or_default(),
            "version": self.twin.version(),
            "tags": self.twin.tags(),
            "properties": self.twin.properties_document(),
            "capabilities": { "iotEdge": self.iot_edge },
        });
        if let (Some(map), Some(reason)) = (document.as_object_mut(), &self.status_reason) {
            map.insert("statusReason".into(), reason.clone().into());
        }
        self.add_scopes(&mut document);
        document
    }

    fn add_scopes(&self, document: &mut Value) {
        if let (Some(map), Some(scope)) = (document.as_object_mut(), &self.device_scope) {
            map.extend(Map::from_iter([
                ("deviceScope".to_owned(), Value::from(scope.clone())),
                ("parentScopes".to_owned(), if self.iot_edge { json!([]) } else { json!([scope]) }),
            ]));
        }
    }
}

fn time_or_never(time: Option<Timestamp>) -> Value {
    time.map_or_else(|| NEVER.into(), |time| time.to_string().into())
}
