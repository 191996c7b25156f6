//! Sizes and counts with their reasons. The documented ones come from the DPS limits table
//! (MicrosoftDocs/azure-docs: includes/iot-dps-limits.md).

use serde_json::Value;

/// Longest registration ID and enrollment group ID, in characters (DPS concepts-service: 128).
pub const ID_CHARS_MAX: usize = 128;
/// Longest device ID on a hub, in characters (IoT Hub identity registry: 128).
pub const DEVICE_ID_CHARS_MAX: usize = 128;
/// Longest ID scope, in characters. The cloud's have 11; ours leave room for readable ones.
pub const ID_SCOPE_CHARS_MAX: usize = 32;
/// Longest DNS name, in characters (RFC 1035 section 2.3.4).
pub const HOST_NAME_CHARS_MAX: usize = 253;
/// Largest message on any endpoint, in bytes (DPS limits: 96 KB).
pub const MESSAGE_BYTES_MAX: usize = 96 * 1024;
/// Items in one bulk request (azure-rest-api-specs: DeviceProvisioningServices/service/models.tsp: 10).
pub const BULK_ITEMS_MAX: usize = 10;
/// Page size where the client names none.
pub const PAGE_ITEMS_DEFAULT: usize = 100;
/// Largest page; larger wishes are cut to it.
pub const PAGE_ITEMS_MAX: usize = 1000;
/// Hubs linked to one provisioning service (DPS limits: 50).
pub const LINKED_HUBS_MAX: usize = 50;
/// Enrollment groups with symmetric keys in one service (DPS limits: 100). A group's key is found by trying them.
pub const SYMMETRIC_KEY_GROUPS_MAX: usize = 100;
/// Shared access policies of one service.
pub const POLICIES_MAX: usize = 100;
/// Deepest certificate chain judged, leaf and root included. Longer ones are refused unread.
pub const CHAIN_DEPTH_MAX: usize = 10;
/// Symmetric keys must decode to at least this many bytes (DPS: 16 to 64).
pub const KEY_BYTES_MIN: usize = 16;
/// Symmetric keys must decode to at most this many bytes.
pub const KEY_BYTES_MAX: usize = 64;
/// Largest initial twin document, tags and desired properties together, in bytes of JSON (IoT Hub twin sections: 32 KiB each).
pub const TWIN_BYTES_MAX: usize = 64 * 1024;
/// Largest payload that an allocation webhook may give a device, in bytes of JSON: what [`MESSAGE_BYTES_MAX`] leaves beside the rest of
/// the answer that carries it, a certificate's description included.
pub const PAYLOAD_BYTES_MAX: usize = MESSAGE_BYTES_MAX - 8 * 1024;
/// Deepest nesting of an initial twin's section, itself included (MicrosoftDocs/azure-docs:
/// articles/iot-hub/iot-hub-devguide-device-twins.md: 10).
pub const TWIN_LEVELS_MAX: usize = 10;
/// Deepest that arrays and objects may nest in data of other people's making: payloads, twins, device information. Records hold such data
/// some levels deeper and are read back by a parser that stops at 128. (IoT Hub takes ten levels in a twin.)
pub const NESTING_MAX: usize = 64;

/// Whether a value nests no deeper than [`NESTING_MAX`]. Parsers bound the depth at which this recurs.
pub fn nests_within_limit(value: &Value) -> bool {
    within(value, NESTING_MAX)
}

fn within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| within(item, levels - 1)),
        Value::Object(members) => levels > 0 && members.values().all(|member| within(member, levels - 1)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nesting_is_counted_in_arrays_and_objects() {
        let nested = |levels: usize| {
            serde_json::from_str::<Value>(&format!("{}1{}", "[{\"a\":".repeat(levels / 2), "}]".repeat(levels / 2))).unwrap()
        };
        assert!(nests_within_limit(&nested(NESTING_MAX)));
        assert!(!nests_within_limit(&nested(NESTING_MAX + 2)));
    }
}
