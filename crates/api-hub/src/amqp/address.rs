//! The addresses of the hub's AMQP, as a closed set (azure-iot-sdk-node: common/core/src/endpoint.ts; azure-iot-sdk-c:
//! iothub_client/src/iothubtransport_amqp_{telemetry_messenger,twin_messenger,methods}.c).

use percent_encoding::percent_decode_str;
use usher_domain::DeviceId;

/// A node of one device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node {
    /// Telemetry: to the hub only.
    Events,
    /// Cloud-to-device messages: to the device only.
    CloudMessages,
    /// Twin requests, and answers and changes.
    Twin,
    /// Method calls, and their answers.
    Methods,
}

/// The hub's end of a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address<'a> {
    /// Where tokens are put.
    Cbs,
    /// A device's node.
    Device {
        /// The device ID as it stands in the address.
        id: &'a str,
        /// Which.
        node: Node,
    },
    /// A module's node.
    Module,
}

impl<'a> Address<'a> {
    /// Reads an address: `$cbs` or `/devices/{id}/…`, with or without a scheme and host before it.
    pub fn parse(text: &'a str) -> Option<Self> {
        let path = path_of(text);
        if path == "$cbs" {
            return Some(Self::Cbs);
        }
        let (id, rest) = path.strip_prefix("devices/")?.split_once('/')?;
        if rest.starts_with("modules/") {
            return Some(Self::Module);
        }
        let is = |known: &str| rest.trim_end_matches('/').eq_ignore_ascii_case(known);
        let nodes = [
            ("messages/events", Node::Events),
            ("messages/devicebound", Node::CloudMessages),
            ("twin", Node::Twin),
            ("methods/devicebound", Node::Methods),
        ];
        let node = nodes.into_iter().find(|(known, _)| is(known)).map(|(_, node)| node)?;
        Some(Self::Device { id, node })
    }
}

/// Whether an address is a hub's, whatever it names there.
pub fn is_hub_s(text: &str) -> bool {
    let path = path_of(text);
    path == "$cbs" || path.starts_with("devices/")
}

fn path_of(text: &str) -> &str {
    match text.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => text.trim_start_matches('/'),
    }
}

/// The devices that a segment may mean: SDKs leave an ID as it is or escape it, and an ID may hold a percent sign.
pub fn devices_of(segment: &str) -> Vec<DeviceId> {
    let decoded = percent_decode_str(segment).decode_utf8().ok().filter(|decoded| decoded != segment);
    let texts = [Some(segment.into()), decoded];
    texts.into_iter().flatten().filter_map(|text| DeviceId::parse(&text).ok()).collect()
}

/// The device's segment of an audience, `{hub}/devices/{id}` as a whole escaped or not.
pub fn segment_of_audience(audience: &str) -> Option<String> {
    let audience = percent_decode_str(audience).decode_utf8().ok()?;
    let (_, segment) = audience.split_once("/devices/")?;
    let segment = segment.trim_end_matches('/');
    (!segment.is_empty() && !segment.contains('/')).then(|| segment.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_addresses_of_all_sdks_are_understood() {
        assert_eq!(Address::parse("$cbs"), Some(Address::Cbs));
        for (text, node) in [
            ("/devices/d/messages/events", Node::Events),
            ("amqps://hub.example/devices/d/messages/events/", Node::Events),
            ("/devices/d/messages/deviceBound", Node::CloudMessages),
            ("devices/d/twin", Node::Twin),
            ("/devices/d/methods/devicebound", Node::Methods),
        ] {
            assert_eq!(Address::parse(text), Some(Address::Device { id: "d", node }), "{text}");
        }
        assert_eq!(Address::parse("/devices/d/modules/m/messages/events"), Some(Address::Module));
        for text in ["", "/", "$management", "/devices/d", "/devices/d/files", "0ne1/registrations/d", "amqps://hub.example"] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
        assert!(is_hub_s("/devices/d/files") && is_hub_s("$cbs") && !is_hub_s("0ne1/registrations/devices"));
    }

    #[test]
    fn a_segment_means_itself_or_what_it_was_escaped_from() {
        let ids = |segment| devices_of(segment).into_iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(ids("d"), ["d"]);
        assert_eq!(ids("a%2Bb"), ["a%2Bb", "a+b"]);
    }

    #[test]
    fn an_audience_names_a_device() {
        for audience in ["hub.example/devices/d", "hub.example%2Fdevices%2Fd", "hub.example%2fdevices%2fd/"] {
            assert_eq!(segment_of_audience(audience).as_deref(), Some("d"), "{audience}");
        }
        for audience in ["hub.example", "hub.example/devices/", "hub.example/devices/d/modules/m", "%ff/devices/d"] {
            assert_eq!(segment_of_audience(audience), None, "{audience}");
        }
    }
}
