//! A device on the hub: its identity with its twin. Both live in one record, so that they come and go together.

mod authentication;
mod document;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use usher_domain::{DeviceId, Secret, Timestamp, hub_device::DeviceSpec};

pub use authentication::{Authentication, KEY_BYTES};
pub use document::Presence;

use crate::{
    Fault, etag,
    twin::{Twin, TwinChange},
};

/// Longest `statusReason`, in characters (IoT Hub identity registry: 128).
pub const STATUS_REASON_CHARS_MAX: usize = 128;

/// A device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Its name, unique and case-sensitive on the hub.
    pub device_id: DeviceId,
    /// Tells a device from an earlier one of the same name.
    pub generation_id: String,
    /// How it proves itself.
    pub authentication: Authentication,
    /// Whether it may connect.
    pub status: Status,
    /// Why, in the operator's words.
    pub status_reason: Option<String>,
    /// When `status` changed last.
    pub status_updated: Option<Timestamp>,
    /// Whether it is an IoT Edge device.
    pub iot_edge: bool,
    /// The scope of an IoT Edge device, or that of the parent of a leaf device.
    pub device_scope: Option<String>,
    /// When it was last seen by the hub.
    pub last_activity: Option<Timestamp>,
    /// The Plug and Play model that it last connected with.
    pub model_id: Option<String>,
    /// Its twin.
    pub twin: Twin,
    revision: u64,
}

/// Whether a device may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It may.
    Enabled,
    /// It may not.
    Disabled,
}

impl Status {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// What a new device needs beyond the request: its generation and keys to draw from.
pub struct Birth<'a> {
    /// Distinguishes it from earlier devices of the same name.
    pub generation_id: String,
    /// Draws a symmetric key.
    pub new_key: &'a mut dyn FnMut() -> Secret,
    /// Now.
    pub now: Timestamp,
}

impl Device {
    /// A device that provisioning asks for.
    pub fn from_spec(spec: &DeviceSpec, twin: TwinChange, birth: Birth<'_>) -> Result<Self, Fault> {
        let authentication = Authentication::from_credential(&spec.credential)?;
        Ok(Self {
            device_scope: edge_scope(spec.iot_edge, &spec.device_id, &birth.generation_id),
            iot_edge: spec.iot_edge,
            ..Self::bare(spec.device_id.clone(), authentication, twin, birth)?
        })
    }

    /// A device from the body of a registry request.
    pub fn from_request(device_id: DeviceId, body: &Value, twin: TwinChange, birth: Birth<'_>) -> Result<Self, Fault> {
        let authentication = Authentication::parse(body.get("authentication"), None, &mut *birth.new_key)?;
        let now = birth.now;
        let mut device = Self::bare(device_id, authentication, twin, birth)?;
        device.take_attributes(body, now)?;
        Ok(device)
    }

    /// Brings the device to what provisioning asks for. Whether anything changed.
    pub fn bring_to(&mut self, spec: &DeviceSpec) -> Result<bool, Fault> {
        let authentication = Authentication::from_credential(&spec.credential)?;
        if self.authentication == authentication && self.iot_edge == spec.iot_edge {
            return Ok(false);
        }
        self.authentication = authentication;
        self.iot_edge = spec.iot_edge;
        self.device_scope = edge_scope(self.iot_edge, &self.device_id, &self.generation_id).or(self.device_scope.take());
        self.touch();
        Ok(true)
    }

    /// Puts the body of a registry request in place of what it may change.
    pub fn update(&mut self, body: &Value, new_key: &mut dyn FnMut() -> Secret, now: Timestamp) -> Result<(), Fault> {
        self.authentication = Authentication::parse(body.get("authentication"), Some(&self.authentication), new_key)?;
        self.take_attributes(body, now)?;
        self.touch();
        Ok(())
    }

    /// The ETag of the identity, unquoted. The twin has its own.
    pub fn etag(&self) -> String {
        etag::of_revision(self.revision)
    }

    fn bare(device_id: DeviceId, authentication: Authentication, twin: TwinChange, birth: Birth<'_>) -> Result<Self, Fault> {
        Ok(Self {
            device_id,
            generation_id: birth.generation_id,
            authentication,
            status: Status::Enabled,
            status_reason: None,
            status_updated: None,
            iot_edge: false,
            device_scope: None,
            last_activity: None,
            model_id: None,
            twin: Twin::new(twin, birth.now)?,
            revision: 1,
        })
    }

    fn take_attributes(&mut self, body: &Value, now: Timestamp) -> Result<(), Fault> {
        let status = status_of(body, self.status)?;
        if status != self.status {
            self.status_updated = Some(now);
        }
        self.status = status;
        self.status_reason = reason_of(body)?;
        if let Some(edge) = body.pointer("/capabilities/iotEdge").and_then(Value::as_bool) {
            self.iot_edge = edge;
        }
        let asked = body.get("deviceScope").and_then(Value::as_str).filter(|scope| !scope.is_empty() && scope.len() <= 256);
        self.device_scope = edge_scope(self.iot_edge, &self.device_id, &self.generation_id).or(asked.map(str::to_owned));
        Ok(())
    }

    fn touch(&mut self) {
        self.revision = self.revision.saturating_add(1);
    }
}

fn edge_scope(iot_edge: bool, device_id: &DeviceId, generation_id: &str) -> Option<String> {
    iot_edge.then(|| format!("ms-azure-iot-edge://{device_id}-{generation_id}"))
}

fn status_of(body: &Value, before: Status) -> Result<Status, Fault> {
    match body.get("status").filter(|value| !value.is_null()) {
        None => Ok(before),
        Some(word) if word.as_str().is_some_and(|word| word.eq_ignore_ascii_case("enabled")) => Ok(Status::Enabled),
        Some(word) if word.as_str().is_some_and(|word| word.eq_ignore_ascii_case("disabled")) => Ok(Status::Disabled),
        Some(_) => Err(Fault::invalid("status must be enabled or disabled.")),
    }
}

fn reason_of(body: &Value) -> Result<Option<String>, Fault> {
    let reason = body.get("statusReason").and_then(Value::as_str).filter(|reason| !reason.is_empty());
    match reason {
        Some(reason) if reason.chars().count() > STATUS_REASON_CHARS_MAX => {
            Err(Fault::invalid(format!("statusReason is longer than {STATUS_REASON_CHARS_MAX} characters.")))
        }
        reason => Ok(reason.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use usher_domain::hub_device::{DeviceCredential, InitialTwin};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn key() -> Secret {
        Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    }

    fn id() -> DeviceId {
        DeviceId::parse("press-7").unwrap()
    }

    fn made(body: Value) -> Device {
        let birth = Birth { generation_id: "638".into(), new_key: &mut key, now: NOW };
        Device::from_request(id(), &body, TwinChange::default(), birth).unwrap()
    }

    #[test]
    fn an_update_changes_the_etag_and_keeps_the_generation() {
        let mut device = made(json!({"status": "enabled"}));
        let (etag, generation) = (device.etag(), device.generation_id.clone());
        device.update(&json!({"status": "disabled", "statusReason": "lost"}), &mut key, NOW).unwrap();
        assert_ne!(device.etag(), etag);
        assert_eq!(device.generation_id, generation);
        assert_eq!((device.status, device.status_reason.as_deref()), (Status::Disabled, Some("lost")));
    }

    #[test]
    fn bringing_a_device_to_the_same_spec_twice_changes_it_once() {
        let mut device = made(json!({}));
        let spec = DeviceSpec {
            device_id: id(),
            credential: DeviceCredential::Thumbprints { primary: "AB".repeat(32), secondary: None },
            iot_edge: true,
        };
        assert!(device.bring_to(&spec).unwrap());
        let after = device.clone();
        assert!(!device.bring_to(&spec).unwrap());
        assert_eq!(device, after);
        assert_eq!(device.device_scope.as_deref(), Some("ms-azure-iot-edge://press-7-638"));
    }

    #[test]
    fn a_device_survives_its_record_with_keys() {
        let device = made(json!({}));
        let back: Device = serde_json::from_slice(&serde_json::to_vec(&device).unwrap()).unwrap();
        assert_eq!(back, device);
        assert!(!format!("{device:?}").contains("AAAAAAAA"));
        assert_eq!(back.twin.to_initial(), InitialTwin::default());
    }
}
