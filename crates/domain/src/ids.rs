//! Identifiers, parsed once and typed from then on, so that a hub name can never be passed as a device ID.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Why a text is not a valid identifier. The message is fit for an error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidId(pub String);

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidId {}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }
    };
}

text_id!(
    /// Names a device within an ID scope. Case-insensitive, spelling kept: keys are derived and tokens signed over the text as
    /// the device uses it.
    ///
    /// 1 to 128 characters, alphanumeric and `- . _ :`; starts alphanumeric, ends alphanumeric or with `-`
    /// (MicrosoftDocs/azure-docs: articles/iot-dps/concepts-service.md).
    RegistrationId
);

impl RegistrationId {
    /// Parses a registration ID.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        check_registration_rules(text, "registration ID").map(|()| Self(text.to_owned()))
    }

    /// The case-folded text, for look-ups and comparison.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Whether both name the same device.
    pub fn same_as(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

text_id!(
    /// Names an enrollment group within a service. The same rules as [`RegistrationId`], in a namespace of its own.
    EnrollmentGroupId
);

impl EnrollmentGroupId {
    /// Parses an enrollment group ID.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        check_registration_rules(text, "enrollment group ID").map(|()| Self(text.to_owned()))
    }

    /// The case-folded text, for look-ups and comparison.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

fn check_registration_rules(text: &str, what: &str) -> Result<(), InvalidId> {
    if text.is_empty() || text.len() > limits::ID_CHARS_MAX {
        return Err(InvalidId(format!("the {what} must have 1 to {} characters", limits::ID_CHARS_MAX)));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
    if !text.bytes().all(allowed) {
        return Err(InvalidId(format!("the {what} may hold only letters, digits and - . _ :")));
    }
    let first_ok = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let last_ok = text.bytes().next_back().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !first_ok || !last_ok {
        return Err(InvalidId(format!("the {what} must start with a letter or digit and end with one or with -")));
    }
    Ok(())
}

text_id!(
    /// Names a device on a hub. Case-sensitive, 1 to 128 characters (IoT Hub identity registry).
    DeviceId
);

impl DeviceId {
    /// Parses a device ID.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-:.+%_#*?!(),=@;$'".contains(&b);
        if text.is_empty() || text.len() > limits::DEVICE_ID_CHARS_MAX {
            return Err(InvalidId(format!("the device ID must have 1 to {} characters", limits::DEVICE_ID_CHARS_MAX)));
        }
        if !text.bytes().all(allowed) {
            return Err(InvalidId("the device ID may hold only letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '".into()));
        }
        Ok(Self(text.to_owned()))
    }
}

text_id!(
    /// Isolates one provisioning service's devices on the shared device endpoint, for example `0ne0012ABCD`.
    IdScope
);

impl IdScope {
    /// Parses an ID scope: 1 to 32 alphanumeric characters.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let ok = (1..=limits::ID_SCOPE_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if ok { Ok(Self(text.to_owned())) } else { Err(InvalidId("the ID scope must have 1 to 32 letters and digits".into())) }
    }
}

text_id!(
    /// A hub's host name, lower case, without a port: what devices are told to connect to.
    HubName
);

impl HubName {
    /// Parses a host name or an IPv4 address; folds it to lower case.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let ok = !text.is_empty()
            && text.len() <= limits::HOST_NAME_CHARS_MAX
            && text.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            });
        if ok { Ok(Self(text.to_ascii_lowercase())) } else { Err(InvalidId("a hub must be named by a plain host name".into())) }
    }
}

text_id!(
    /// Names one registration operation, in the form seen from the cloud: digit, 16 hex digits, UUID, joined by dots
    /// (azure-sdk-for-c: sdk/src/azure/iot/az_iot_provisioning_client.c). Only letters, digits, `.` and `-`: several SDKs put it
    /// unescaped into an MQTT topic.
    OperationId
);

impl OperationId {
    /// Builds an operation ID from 24 random bytes.
    pub fn from_random(bytes: [u8; 24]) -> Self {
        let (head, tail) = bytes.split_at(8);
        Self(format!("4.{}.{}", hex(head), uuid_text(tail)))
    }

    /// Parses an operation ID that a client sends back.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let ok = (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if ok { Ok(Self(text.to_owned())) } else { Err(InvalidId("the operation ID is malformed".into())) }
    }
}

text_id!(
    /// Names one attempt in errors and in the log, so that the two can be brought together.
    TrackingId
);

impl TrackingId {
    /// Builds a tracking ID from 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid_text(&bytes))
    }

    /// Takes a tracking ID that came with a request.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let ok = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if ok { Ok(Self(text.to_owned())) } else { Err(InvalidId("the tracking ID is malformed".into())) }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

/// The 8-4-4-4-12 form of the first 16 bytes.
fn uuid_text(bytes: &[u8]) -> String {
    let text = hex(bytes);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn registration_ids_follow_the_documented_rules() {
        for good in ["a", "Device-1", "a.b_c:d", "0-", &"x".repeat(128)] {
            assert!(RegistrationId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "a/b", "ä", "a#", &"x".repeat(129)] {
            assert!(RegistrationId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hub_names_are_folded_and_hold_no_port_or_path() {
        assert_eq!(HubName::parse("Hub-1.Example").unwrap().as_str(), "hub-1.example");
        for bad in ["", "h:1", "h/x", "-h", "h..x", "h_"] {
            assert!(HubName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn operation_ids_have_the_observed_form() {
        let id = OperationId::from_random([7; 24]);
        assert_eq!(id.as_str(), "4.0707070707070707.07070707-0707-0707-0707-070707070707");
        assert_eq!(OperationId::parse(id.as_str()).unwrap(), id);
    }
}
