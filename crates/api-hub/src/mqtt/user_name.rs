//! The MQTT user name of a device: `{hub}/{deviceId}/?api-version=…&DeviceClientType=…` (azure-iot-sdk-python:
//! iothub/pipeline/pipeline_stages_iothub_mqtt.py; azure-iot-sdk-node: device/transport/mqtt; MicrosoftDocs/azure-docs:
//! articles/iot-hub/iot-mqtt-connect-to-iot-hub.md, which also allows `{hub}/{deviceId}/api-version=…` and no version at all).

use usher_domain::{DeviceId, HubName};

use crate::property_bag;

/// Longest user name read, in bytes: a host, an ID and the SDK's description of itself and its platform.
pub const USER_NAME_BYTES_MAX: usize = 2048;

/// A user name, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserName {
    /// The hub that the device wants.
    pub hub: HubName,
    /// Who it says it is.
    pub device_id: DeviceId,
    /// Its Plug and Play model, where it has one.
    pub model_id: Option<String>,
    /// The SDK, for the log.
    pub client_type: Option<String>,
}

/// Why a user name is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserNameError {
    /// It is no hub's user name.
    Form,
    /// It names a module.
    Module,
}

impl UserName {
    /// The hub that a user name is for, where it has that form: to find out whose connection it is before anything is judged.
    pub fn hub_of(text: &str) -> Option<HubName> {
        let (host, rest) = text.split_once('/')?;
        let is_registration = rest.starts_with("registrations/");
        if is_registration { None } else { host_name(host) }
    }

    /// Reads a user name.
    pub fn parse(text: &str) -> Result<Self, UserNameError> {
        if text.len() > USER_NAME_BYTES_MAX {
            return Err(UserNameError::Form);
        }
        let mut parts = text.splitn(3, '/');
        let hub = parts.next().and_then(host_name).ok_or(UserNameError::Form)?;
        let device_id = parts.next().and_then(|id| DeviceId::parse(id).ok()).ok_or(UserNameError::Form)?;
        let rest = parts.next().unwrap_or_default();
        if !(rest.is_empty() || rest.starts_with('?') || rest.starts_with("api-version=")) {
            return Err(UserNameError::Module);
        }
        let value = |name| property_bag::value_of(rest, name).filter(|value| !value.is_empty());
        Ok(Self { hub, device_id, model_id: value("model-id"), client_type: value("DeviceClientType") })
    }
}

/// The host without a port, which some clients leave in.
fn host_name(host: &str) -> Option<HubName> {
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    HubName::parse(host).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_form_that_devices_send_is_read() {
        for text in [
            "Hub.example/d-1/?api-version=2021-04-12&DeviceClientType=py-iothub%2F2",
            "hub.example/d-1/api-version=2016-11-14&DeviceClientType=py-iothub%2F2",
            "hub.example:8883/d-1/",
            "hub.example/d-1",
        ] {
            let read = UserName::parse(text).unwrap();
            assert_eq!((read.hub.as_str(), read.device_id.as_str()), ("hub.example", "d-1"), "{text}");
        }
        let model = UserName::parse("h/d/?api-version=2020-09-30&model-id=dtmi%3Acom%3Ax%3B1").unwrap().model_id;
        assert_eq!(model.as_deref(), Some("dtmi:com:x;1"));
    }

    #[test]
    fn modules_and_other_names_are_told_apart() {
        assert_eq!(UserName::parse("h/d/m/?api-version=2021-04-12"), Err(UserNameError::Module));
        assert_eq!(UserName::parse("h"), Err(UserNameError::Form));
        assert_eq!(UserName::parse("h//?api-version=1"), Err(UserNameError::Form));
        assert_eq!(UserName::hub_of("0ne1/registrations/d/api-version=2019-03-31"), None);
        assert_eq!(UserName::hub_of("h/d/?x").unwrap().as_str(), "h");
    }
}
