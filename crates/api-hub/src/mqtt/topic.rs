//! The topics of IoT Hub's MQTT, as closed sets: whatever a device publishes or subscribes to is one of these or refused
//! (azure-iot-sdk-python: iothub/pipeline/mqtt_topic_iothub.py; azure-iot-sdk-node: device/transport/mqtt).

use percent_encoding::percent_decode_str;

use crate::property_bag;

/// What a device publishes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Publication {
    /// Telemetry with its property bag.
    Telemetry {
        /// Still encoded.
        bag: String,
    },
    /// Asks for its twin.
    GetTwin {
        /// Joins answer and request.
        request_id: String,
    },
    /// Reports properties.
    Report {
        /// Joins answer and request.
        request_id: String,
    },
    /// Answers a direct method.
    MethodAnswer {
        /// The device's status.
        status: i64,
        /// The call's.
        request_id: String,
    },
}

/// What a device may subscribe to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feed {
    /// Answers about its twin.
    TwinAnswers,
    /// Changes of its desired properties.
    Desired,
    /// Method calls.
    Methods,
    /// Cloud-to-device messages.
    CloudMessages,
}

impl Publication {
    /// Reads a topic that `device_id` publishes to; `None` where the hub has no such topic for it.
    pub fn parse(topic: &str, device_id: &str) -> Option<Self> {
        if let Some(rest) = topic.strip_prefix("$iothub/twin/GET/") {
            return Some(Self::GetTwin { request_id: request_id(rest)? });
        }
        if let Some(rest) = topic.strip_prefix("$iothub/twin/PATCH/properties/reported/") {
            return Some(Self::Report { request_id: request_id(rest)? });
        }
        if let Some(rest) = topic.strip_prefix("$iothub/methods/res/") {
            let (status, rest) = rest.split_once('/')?;
            return Some(Self::MethodAnswer { status: status.parse().ok()?, request_id: request_id(rest)? });
        }
        let (owner, bag) = topic.strip_prefix("devices/")?.split_once("/messages/events")?;
        if !names(owner, device_id) {
            return None;
        }
        let bag = if bag.is_empty() { "" } else { bag.strip_prefix('/')? };
        Some(Self::Telemetry { bag: bag.to_owned() })
    }
}

impl Feed {
    /// Every feed.
    pub const ALL: [Feed; 4] = [Feed::TwinAnswers, Feed::Desired, Feed::Methods, Feed::CloudMessages];

    /// Reads a topic filter of `device_id`.
    pub fn parse(filter: &str, device_id: &str) -> Option<Self> {
        match filter {
            "$iothub/twin/res/#" => Some(Self::TwinAnswers),
            "$iothub/twin/PATCH/properties/desired/#" => Some(Self::Desired),
            "$iothub/methods/POST/#" => Some(Self::Methods),
            _ => {
                let (owner, rest) = filter.strip_prefix("devices/")?.split_once("/messages/devicebound")?;
                (names(owner, device_id) && matches!(rest, "/#" | "")).then_some(Self::CloudMessages)
            }
        }
    }
}

/// The topic of an answer about the twin.
pub fn twin_answer(status: u16, request_id: &str, version: Option<u64>) -> String {
    let version = version.map(|version| format!("&$version={version}")).unwrap_or_default();
    format!("$iothub/twin/res/{status}/?$rid={}{version}", property_bag::escape(request_id))
}

/// The topic of a change of desired properties.
pub fn desired(version: u64) -> String {
    format!("$iothub/twin/PATCH/properties/desired/?$version={version}")
}

/// The topic of a method call.
pub fn method(name: &str, request_id: &str) -> String {
    format!("$iothub/methods/POST/{}/?$rid={request_id}", property_bag::escape(name))
}

/// The topic of a cloud-to-device message.
pub fn cloud_message(device_id: &str, bag: &str) -> String {
    format!("devices/{device_id}/messages/devicebound/{bag}")
}

/// SDKs leave a device ID in a topic as it is; some firmware escapes it.
fn names(segment: &str, device_id: &str) -> bool {
    segment == device_id || percent_decode_str(segment).decode_utf8().is_ok_and(|decoded| decoded == device_id)
}

/// The `$rid` of `?$rid=…`.
fn request_id(query: &str) -> Option<String> {
    /// Longest request ID echoed, in bytes: SDKs use numbers and UUIDs.
    const REQUEST_ID_BYTES_MAX: usize = 128;
    property_bag::value_of(query, "$rid").filter(|id| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_of_the_sdks_is_known() {
        let rid = || "1a-2".to_owned();
        for (topic, expected) in [
            ("devices/d/messages/events/", Publication::Telemetry { bag: String::new() }),
            ("devices/d/messages/events", Publication::Telemetry { bag: String::new() }),
            ("devices/d/messages/events/$.mid=1&a=b/", Publication::Telemetry { bag: "$.mid=1&a=b/".into() }),
            ("$iothub/twin/GET/?$rid=1a-2", Publication::GetTwin { request_id: rid() }),
            ("$iothub/twin/PATCH/properties/reported/?$rid=1a-2", Publication::Report { request_id: rid() }),
            ("$iothub/methods/res/-3/?$rid=1a-2", Publication::MethodAnswer { status: -3, request_id: rid() }),
        ] {
            assert_eq!(Publication::parse(topic, "d"), Some(expected), "{topic}");
        }
    }

    #[test]
    fn any_other_topic_is_none() {
        for topic in [
            "",
            "devices/e/messages/events/",
            "devices/d/messages/eventsX",
            "devices/d/modules/m/messages/events/",
            "$iothub/twin/GET/",
            "$iothub/twin/GET/?$rid=",
            "$iothub/methods/res/ok/?$rid=1",
            "$dps/registrations/PUT/iotdps-register/?$rid=1",
        ] {
            assert_eq!(Publication::parse(topic, "d"), None, "{topic}");
        }
        assert_eq!(Feed::parse("devices/e/messages/devicebound/#", "d"), None);
        assert_eq!(Feed::parse("#", "d"), None);
    }

    #[test]
    fn escaped_device_ids_are_recognised() {
        assert!(Publication::parse("devices/a%2Bb/messages/events/", "a+b").is_some());
        assert_eq!(Feed::parse("devices/a+b/messages/devicebound/#", "a+b"), Some(Feed::CloudMessages));
    }
}
