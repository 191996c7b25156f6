//! A twin as retained messages, and back: `{"desired":{…}}` for the device, `{"tags":{…}}` for the service.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use usher_domain::hub_device::InitialTwin;
use usher_hub::HubError;

/// The message with the desired properties.
pub fn desired(twin: &InitialTwin) -> Bytes {
    Bytes::from(json!({ "desired": twin.desired }).to_string())
}

/// The message with the tags.
pub fn tags(twin: &InitialTwin) -> Bytes {
    Bytes::from(json!({ "tags": twin.tags }).to_string())
}

/// Reads the two messages. Members of `desired` that begin with `$` are not properties, as at IoT Hub, and are left out; tags that
/// nobody has written are none.
///
/// # Errors
/// [`HubError::Unavailable`] where a message is none of this form, so that it can be mended while devices wait.
pub fn read(desired: &Bytes, tags: Option<&Bytes>) -> Result<InitialTwin, HubError> {
    let mut desired = member(desired, "desired")?;
    desired.retain(|name, _| !name.starts_with('$'));
    let tags = tags.map_or_else(|| Ok(Map::new()), |tags| member(tags, "tags"))?;
    Ok(InitialTwin { tags, desired })
}

fn member(payload: &Bytes, name: &str) -> Result<Map<String, Value>, HubError> {
    match serde_json::from_slice::<Value>(payload).ok().as_mut().and_then(|document| document.get_mut(name)).map(Value::take) {
        Some(Value::Object(member)) => Ok(member),
        _ => Err(HubError::Unavailable(format!(
            "the retained message in …/twin/{name} is not a JSON object with an object \"{name}\"; publish it anew in that form"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_twin_survives_its_messages() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let twin = InitialTwin { tags: object(json!({"site": "ä"})), desired: object(json!({"rate": {"per": [1, 2.5, null]}})) };
        assert_eq!(read(&desired(&twin), Some(&tags(&twin))).unwrap(), twin);
        let versioned = Bytes::from_static(br#"{"desired":{"a":1,"$version":7},"else":0}"#);
        assert_eq!(read(&versioned, None).unwrap(), InitialTwin { tags: Map::new(), desired: object(json!({"a": 1})) });
    }

    #[test]
    fn what_is_no_twin_is_not_taken_for_an_empty_one() {
        for payload in ["", "{}", "[]", r#"{"desired":1}"#, r#"{"desired":{}"#, "\u{1}"] {
            assert!(matches!(read(&Bytes::from(payload), None), Err(HubError::Unavailable(_))), "{payload}");
        }
    }
}
