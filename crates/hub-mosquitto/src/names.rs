//! What a device's things are called on the broker: topics close to IoT Hub's, a role of its own.

use usher_domain::DeviceId;
use usher_hub::HubError;

/// A device's names on the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    device_id: String,
}

impl Names {
    /// The names of a device.
    ///
    /// # Errors
    /// Where the ID holds `+`, `#` or `%`: the first two are wildcards in topics and access rules, and later versions of the plugin
    /// put user names in place of `%u` and client IDs in place of `%c`, so such a device would be given the topics of others.
    pub fn of(device_id: &DeviceId) -> Result<Self, HubError> {
        if device_id.as_str().contains(['+', '#', '%']) {
            let why = format!("a broker cannot serve the device ID {device_id}: +, # and % have meanings of their own in topics and rules");
            return Err(HubError::Rejected(format!("{why}. Give the enrollment another device ID.")));
        }
        Ok(Self { device_id: device_id.to_string() })
    }

    /// The client's user name and client ID.
    pub fn user(&self) -> &str {
        &self.device_id
    }

    /// Its role.
    pub fn role(&self) -> String {
        format!("usher-device/{}", self.device_id)
    }

    /// Where the desired properties are kept for the device.
    pub fn desired(&self) -> String {
        self.topic("twin/desired")
    }

    /// Where the tags are kept, which the device may not read.
    pub fn tags(&self) -> String {
        self.topic("twin/tags")
    }

    /// Where the device reports its properties.
    pub fn reported(&self) -> String {
        self.topic("twin/reported")
    }

    /// A topic below the device's own.
    pub fn topic(&self, rest: &str) -> String {
        format!("devices/{}/{rest}", self.device_id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn topics_are_the_devices_own() {
        let names = Names::of(&DeviceId::parse("d:1*?=@;$'").unwrap()).unwrap();
        assert_eq!(names.desired(), "devices/d:1*?=@;$'/twin/desired");
        assert_eq!(names.role(), "usher-device/d:1*?=@;$'");
        assert!(usher_mqtt::topic::is_name(&names.tags()));
    }

    #[test]
    fn ids_that_mean_other_devices_too_are_refused() {
        for id in ["+", "a#", "a+b", "%u", "%c", "50%"] {
            assert!(matches!(Names::of(&DeviceId::parse(id).unwrap()), Err(HubError::Rejected(_))), "{id}");
        }
    }
}
