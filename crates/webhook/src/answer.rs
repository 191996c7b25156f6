//! Reading the answer document (MicrosoftDocs/azure-docs: articles/iot-dps/concepts-custom-allocation.md, "Custom allocation policy
//! response").

use serde::Deserialize;
use serde_json::{Map, Value};
use usher_domain::{
    HubName,
    document::InitialTwinDocument,
    hub_device::InitialTwin,
    initial_twin,
    limits::{NESTING_MAX, PAYLOAD_BYTES_MAX, nests_within_limit},
};

/// What a webhook decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Where the device goes.
    pub hub: HubName,
    /// Replaces the enrollment's initial twin whole, where given.
    pub initial_twin: Option<InitialTwin>,
    /// For the device.
    pub payload: Option<Value>,
}

/// What is wrong with the body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is not a JSON object.
    NotJson(String),
    /// It names no hub.
    NoHub,
    /// It names a hub that was not among those to choose from.
    OtherHub(String),
    /// The initial twin breaks a rule.
    Twin(String),
    /// The payload breaks a rule.
    Payload(String),
}

/// Longest hub name shown of an answer, in characters.
const SHOWN_CHARS_MAX: usize = 100;

/// Reads an answer. Members other than the three are passed over, and names may be in any case, as with the cloud's .NET: the
/// documentation itself spells `iotHubHostName` in two ways.
pub fn read(body: &[u8], hubs: &[HubName]) -> Result<Answer, Unusable> {
    // Functions written on Windows like to begin with a byte order mark.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value: Value = serde_json::from_slice(body).map_err(|why| Unusable::NotJson(why.to_string()))?;
    let Value::Object(members) = value else { return Err(Unusable::NotJson("it is JSON, but not an object".into())) };
    let hub = hub(member(&members, "iotHubHostName"), hubs)?;
    let initial_twin = member(&members, "initialTwin").map(twin).transpose()?;
    let payload = member(&members, "payload").cloned();
    let bytes = payload.as_ref().map_or(0, |payload| serde_json::to_vec(payload).map_or(usize::MAX, |json| json.len()));
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(Unusable::Payload(format!("the payload has {bytes} bytes of JSON, at most {PAYLOAD_BYTES_MAX} are taken")));
    }
    if !payload.as_ref().is_none_or(nests_within_limit) {
        return Err(Unusable::Payload(format!("the payload nests deeper than {NESTING_MAX} levels")));
    }
    Ok(Answer { hub, initial_twin, payload })
}

/// A member that says something: `null` does not.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let otherwise = || members.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    members.get(name).or_else(otherwise).filter(|value| !value.is_null())
}

fn hub(named: Option<&Value>, hubs: &[HubName]) -> Result<HubName, Unusable> {
    let text = match named {
        None => return Err(Unusable::NoHub),
        Some(Value::String(text)) => text.trim(),
        Some(_) => return Err(Unusable::OtherHub("what is not a text".into())),
    };
    if text.is_empty() {
        return Err(Unusable::NoHub);
    }
    let found = hubs.iter().find(|hub| hub.as_str().eq_ignore_ascii_case(text));
    found.cloned().ok_or_else(|| Unusable::OtherHub(text.escape_debug().take(SHOWN_CHARS_MAX).collect()))
}

fn twin(value: &Value) -> Result<InitialTwin, Unusable> {
    // An array would pass as a document whose members are all left out.
    if !value.is_object() {
        return Err(Unusable::Twin("it is not a JSON object".into()));
    }
    let document = InitialTwinDocument::deserialize(value).map_err(|why| Unusable::Twin(why.to_string()))?;
    initial_twin::read(&document).map_err(|why| Unusable::Twin(why.message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use usher_domain::limits::TWIN_BYTES_MAX;

    use super::*;

    fn hubs() -> Vec<HubName> {
        ["a.example", "b.example"].map(|name| HubName::parse(name).unwrap()).to_vec()
    }

    fn answer(value: Value) -> Result<Answer, Unusable> {
        read(&serde_json::to_vec(&value).unwrap(), &hubs())
    }

    #[test]
    fn the_documented_answer_is_read() {
        let twin = json!({"tags": {"deviceType": "toaster"}, "properties": {"desired": {"state": "ready"}}});
        let read = answer(json!({"iotHubHostName": "B.example", "initialTwin": twin, "payload": {"a": 1}, "other": [1]})).unwrap();
        assert_eq!((read.hub.as_str(), read.payload), ("b.example", Some(json!({"a": 1}))));
        let twin = read.initial_twin.unwrap();
        assert_eq!((&twin.tags["deviceType"], &twin.desired["state"]), (&json!("toaster"), &json!("ready")));
    }

    #[test]
    fn names_ignore_case_and_null_is_nothing() {
        let read = answer(json!({"IotHubHostname": "a.example", "initialTwin": null, "Payload": null})).unwrap();
        assert_eq!(read, Answer { hub: hubs()[0].clone(), initial_twin: None, payload: None });
        let empty = answer(json!({"iotHubHostName": "a.example", "initialTwin": {"tags": null, "properties": null}})).unwrap();
        assert_eq!(empty.initial_twin, Some(InitialTwin::default()));
        assert!(super::read(b"\xef\xbb\xbf{\"iotHubHostName\":\"a.example\"}", &hubs()).is_ok());
    }

    #[test]
    fn no_hub_is_told_apart_from_another_hub() {
        for none in [json!({}), json!({"iotHubHostName": null}), json!({"iotHubHostName": ""}), json!({"iotHubHostName": "  "})] {
            assert_eq!(answer(none), Err(Unusable::NoHub));
        }
        for other in [json!("c.example"), json!("a.example.evil"), json!(7), json!(["a.example"])] {
            assert!(matches!(answer(json!({"iotHubHostName": other})), Err(Unusable::OtherHub(_))));
        }
        let long = answer(json!({"iotHubHostName": "\n".repeat(100_000)}));
        assert_eq!(long, Err(Unusable::NoHub));
        let Err(Unusable::OtherHub(shown)) = answer(json!({"iotHubHostName": "x\n".repeat(100_000)})) else { panic!("another hub") };
        assert!(shown.len() <= SHOWN_CHARS_MAX && !shown.contains('\n'));
    }

    #[test]
    fn what_is_not_an_object_or_too_large_is_refused() {
        for body in [&b""[..], b"<html>", b"[1]", b"\"a.example\"", b"{\"iotHubHostName\":", b"\xff"] {
            assert!(matches!(read(body, &hubs()), Err(Unusable::NotJson(_))), "{}", String::from_utf8_lossy(body));
        }
        let with = |name: &str, value: Value| answer(json!({"iotHubHostName": "a.example", name: value}));
        for twin in [json!([]), json!("x"), json!({"tags": 1}), json!({"tags": {"a": "x".repeat(TWIN_BYTES_MAX)}})] {
            assert!(matches!(with("initialTwin", twin), Err(Unusable::Twin(_))));
        }
        assert!(matches!(with("payload", json!("x".repeat(PAYLOAD_BYTES_MAX))), Err(Unusable::Payload(_))));
        assert!(with("payload", json!("x".repeat(PAYLOAD_BYTES_MAX - 2))).is_ok());
    }
}
