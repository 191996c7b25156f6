//! User names and topics of the device API over MQTT.
//!
//! Sources: azure-iot-sdk-python mqtt_topic_provisioning.py, azure-iot-sdk-node provisioning/transport/mqtt/src/mqtt.ts,
//! azure-iot-sdk-c prov_transport_mqtt_common.c, azure-iot-sdk-csharp ProvisioningChannelHandlerAdapter.cs.

/// The only filter a device may subscribe to.
pub const RESPONSE_FILTER: &str = "$dps/registrations/res/#";
const REGISTER_TOPIC: &str = "$dps/registrations/PUT/iotdps-register/";
const STATUS_TOPIC: &str = "$dps/registrations/GET/iotdps-get-operationstatus/";
/// Longest `$rid` echoed. SDKs send a number or a UUID.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// A user name taken apart: `{idScope}/registrations/{registrationId}/api-version=…&ClientVersion=…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName<'a> {
    /// The ID scope.
    pub id_scope: &'a str,
    /// The registration ID.
    pub registration_id: &'a str,
    /// The API version; empty where none was sent.
    pub api_version: &'a str,
    /// What the client says of itself, still percent-encoded; empty where nothing was sent.
    pub client_version: &'a str,
}

impl<'a> UserName<'a> {
    /// Takes a user name apart at its first three slashes: client versions may hold more.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(4, '/');
        let (id_scope, word, registration_id) = (parts.next()?, parts.next()?, parts.next()?);
        if !word.eq_ignore_ascii_case("registrations") || id_scope.is_empty() {
            return None;
        }
        let query = parts.next().unwrap_or_default();
        let query = query.trim_start_matches('?');
        let value = |name| parameter(query, name).unwrap_or_default();
        Some(Self { id_scope, registration_id, api_version: value("api-version"), client_version: value("ClientVersion") })
    }

    /// Whether this is the Java SDK, which sends its API version once more as client version
    /// (azure-iot-sdk-java: ContractAPIMqtt.java).
    pub fn is_java(&self) -> bool {
        !self.api_version.is_empty() && self.client_version == self.api_version
    }
}

/// What a device asks by publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask<'a> {
    /// Register.
    Register {
        /// Echoed in the answer.
        request_id: &'a str,
    },
    /// Tell how an operation stands.
    Status {
        /// Echoed in the answer.
        request_id: &'a str,
        /// Which operation, still percent-encoded.
        operation_id: &'a str,
    },
}

impl<'a> Ask<'a> {
    /// Reads a topic; `None` for any that is not the device API's.
    pub fn parse(topic: &'a str) -> Option<Self> {
        if let Some(query) = topic.strip_prefix(REGISTER_TOPIC) {
            let query = query.strip_prefix('?')?;
            return Some(Self::Register { request_id: request_id(query)? });
        }
        let query = topic.strip_prefix(STATUS_TOPIC)?.strip_prefix('?')?;
        Some(Self::Status { request_id: request_id(query)?, operation_id: parameter(query, "operationId")? })
    }

    /// What to echo.
    pub fn request_id(&self) -> &'a str {
        match self {
            Self::Register { request_id } | Self::Status { request_id, .. } => request_id,
        }
    }
}

/// The topic of an answer. `$rid` comes first and no other `$` follows it: .NET and Python match on that.
pub fn response_topic(status: u16, request_id: &str, retry_after_s: Option<u32>) -> String {
    match retry_after_s {
        Some(seconds) => format!("$dps/registrations/res/{status}/?$rid={request_id}&retry-after={seconds}"),
        None => format!("$dps/registrations/res/{status}/?$rid={request_id}"),
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The `$rid`, which the device chooses and we echo: only characters that cannot change the answer's topic.
fn request_id(query: &str) -> Option<&str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'%');
    parameter(query, "$rid").filter(|id| (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn user_names_of_all_sdks_are_understood() {
        let python = "0ne1/registrations/d1/api-version=2019-03-31&ClientVersion=azure-iot-device%2F2.14.0(3.11;Linux;x86/64)";
        let name = UserName::parse(python).unwrap();
        assert_eq!((name.id_scope, name.registration_id, name.api_version), ("0ne1", "d1", "2019-03-31"));
        assert_eq!(UserName::parse("0ne1/registrations/d1/api-version=2021-06-01").unwrap().api_version, "2021-06-01");
        assert_eq!(UserName::parse("0ne1/registrations/d1").unwrap().api_version, "");
    }

    #[test]
    fn the_java_sdk_gives_itself_away() {
        assert!(UserName::parse("0ne1/registrations/d1/api-version=2019-03-31&ClientVersion=2019-03-31").unwrap().is_java());
        assert!(!UserName::parse("0ne1/registrations/d1/api-version=2019-03-31&ClientVersion=1.15.0").unwrap().is_java());
        assert!(!UserName::parse("0ne1/registrations/d1").unwrap().is_java());
    }

    #[test]
    fn a_hub_user_name_is_not_ours() {
        assert_eq!(UserName::parse("hub.example/d1/?api-version=2018-06-30"), None);
        assert_eq!(UserName::parse(""), None);
    }

    #[test]
    fn register_and_status_topics_are_read() {
        let register = Ask::parse("$dps/registrations/PUT/iotdps-register/?$rid=7").unwrap();
        assert_eq!(register, Ask::Register { request_id: "7" });
        let status = Ask::parse("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=a-b&operationId=4.x.y").unwrap();
        assert_eq!(status, Ask::Status { request_id: "a-b", operation_id: "4.x.y" });
    }

    #[test]
    fn a_request_id_cannot_break_out_of_the_answer() {
        for bad in ["", "a#", "a+", "a/b", "a$b", "a\u{0}"] {
            assert_eq!(Ask::parse(&format!("$dps/registrations/PUT/iotdps-register/?$rid={bad}")), None, "{bad:?}");
        }
        assert_eq!(Ask::parse("devices/d/messages/events/"), None);
    }

    #[test]
    fn answers_put_the_request_id_first() {
        assert_eq!(response_topic(202, "7", Some(3)), "$dps/registrations/res/202/?$rid=7&retry-after=3");
        assert_eq!(response_topic(200, "7", None), "$dps/registrations/res/200/?$rid=7");
    }
}
