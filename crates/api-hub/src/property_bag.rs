//! Property bags: message properties as `key=value&…`, percent-encoded, at the end of an MQTT topic.
//!
//! Keys that begin with `$.` are system properties. Towards the device they are written `%24.mid`, encoded, since the C SDK looks for
//! exactly that (azure-iot-sdk-c: iothub_client/src/iothubtransport_mqtt_common.c); the other SDKs decode first.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use usher_domain::Timestamp;
use usher_hub_embedded::{Fault, cloud_message::CloudMessage};

/// Properties of one message, system ones included.
pub const PROPERTIES_MAX: usize = 128;

/// Everything but the unreserved characters (RFC 3986 section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Reads a bag. A key without `=` has an empty value.
pub fn parse(bag: &str) -> Result<Vec<(String, String)>, Fault> {
    let bag = bag.trim_start_matches('?').trim_end_matches('/');
    let pairs: Vec<&str> = bag.split('&').filter(|pair| !pair.is_empty()).collect();
    if pairs.len() > PROPERTIES_MAX {
        return Err(Fault::invalid(format!("A message may have {PROPERTIES_MAX} properties.")));
    }
    pairs.into_iter().map(parse_pair).collect()
}

/// The value of `name` in a query such as `?$rid=1&$version=2`.
pub fn value_of(query: &str, name: &str) -> Option<String> {
    parse(query).ok()?.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The bag of a message to a device.
pub fn of_cloud_message(message: &CloudMessage, device_id: &str) -> String {
    let to = format!("/devices/{device_id}/messages/devicebound");
    let expires = message.expires.map(|time: Timestamp| time.to_string());
    let system = [
        ("$.mid", message.message_id.as_deref()),
        ("$.to", Some(to.as_str())),
        ("$.cid", message.correlation_id.as_deref()),
        ("$.uid", message.user_id.as_deref()),
        ("$.ct", message.content_type.as_deref()),
        ("$.ce", message.content_encoding.as_deref()),
        ("$.exp", expires.as_deref()),
        ("iothub-ack", message.ack.as_deref()),
    ];
    let system = system.into_iter().filter_map(|(key, value)| Some(pair(key, value?)));
    let own = message.properties.iter().map(|(key, value)| pair(key, value));
    system.chain(own).collect::<Vec<_>>().join("&")
}

/// Percent-encodes one segment of a topic or query.
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Percent-decodes; `+` stays a plus, as SDKs write spaces as `%20`.
pub fn unescape(text: &str) -> Result<String, Fault> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| Fault::invalid("A percent-encoded text is not UTF-8."))
}

fn parse_pair(pair: &str) -> Result<(String, String), Fault> {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    Ok((unescape(key)?, unescape(value)?))
}

fn pair(key: &str, value: &str) -> String {
    format!("{}={}", escape(key), escape(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_device_s_bag_is_decoded() {
        let bag = parse("%24.mid=m-1&$.ct=application%2Fjson&a%20b=1%2B1+1&flag&empty=").unwrap();
        let expected = [("$.mid", "m-1"), ("$.ct", "application/json"), ("a b", "1+1+1"), ("flag", ""), ("empty", "")];
        assert_eq!(bag, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(value_of("?$rid=7&$version=2", "$version").as_deref(), Some("2"));
        assert!(parse("").unwrap().is_empty());
        assert!(parse("a=%ff").is_err());
        assert!(parse(&"a&".repeat(PROPERTIES_MAX + 1)).is_err());
    }

    #[test]
    fn a_message_to_a_device_is_spelled_as_the_c_sdk_reads_it() {
        let message = CloudMessage {
            message_id: Some("m 1".into()),
            ack: Some("full".into()),
            properties: vec![("köy".into(), "a&b".into())],
            ..CloudMessage::default()
        };
        let bag = of_cloud_message(&message, "d");
        assert_eq!(bag, "%24.mid=m%201&%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound&iothub-ack=full&k%C3%B6y=a%26b");
    }
}
