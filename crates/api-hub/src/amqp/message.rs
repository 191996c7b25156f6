//! Between AMQP's messages and the hub's: properties, annotations, bodies.
//!
//! Names as the SDKs write and read them (azure-iot-sdk-node: common/transport/amqp/src/amqp_message.ts,
//! device/transport/amqp/src/amqp_{twin,device_method}_client.ts; azure-iot-sdk-c: iothub_client/src/iothubtransport_amqp_methods.c).

use bytes::Bytes;
use usher_amqp::codec::{
    message::{Body, Message, Properties},
    types::{Map, Symbol, Value},
};
use usher_hub_embedded::{Fault, cloud_message::CloudMessage, live::MethodCall};

use crate::property_bag::PROPERTIES_MAX;

/// The application property with a method's name.
const METHOD_NAME: &str = "IoThub-methodname";
/// The application property with the status that a method answered.
const METHOD_STATUS: &str = "IoThub-status";
/// The annotation that names what a twin message is about.
const RESOURCE: &str = "resource";
/// Changes of desired properties.
pub const DESIRED: &str = "/notifications/twin/properties/desired";
/// What the device reports.
pub const REPORTED: &str = "/properties/reported";

/// Properties by their names in a property bag.
pub type Bag = Vec<(String, String)>;

/// Telemetry as the hub keeps it: properties by their names in a property bag, and the body.
pub fn telemetry(message: &Message) -> Result<(Bag, Vec<u8>), Fault> {
    let known = &message.properties;
    let id = |value: &Option<Value>| value.as_ref().map(text).transpose();
    let system = [
        ("$.mid", id(&known.message_id)?),
        ("$.cid", id(&known.correlation_id)?),
        ("$.uid", known.user_id.as_ref().map(|id| String::from_utf8_lossy(id).into_owned())),
        ("$.ct", known.content_type.as_ref().map(|symbol| symbol.as_str().to_owned())),
        ("$.ce", known.content_encoding.as_ref().map(|symbol| symbol.as_str().to_owned())),
    ];
    let mut properties: Vec<_> = system.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    for (key, value) in message.application_properties.entries() {
        properties.push((text(key)?, text(value)?));
    }
    if properties.len() > PROPERTIES_MAX {
        return Err(Fault::invalid(format!("A message may have {PROPERTIES_MAX} properties.")));
    }
    let body = body(message).ok_or_else(|| Fault::invalid("A message's body must be data or a text."))?;
    Ok((properties, body))
}

/// The bytes of a body; `None` where it is of another kind.
pub fn body(message: &Message) -> Option<Vec<u8>> {
    match &message.body {
        Body::Empty => Some(Vec::new()),
        Body::Data(sections) => Some(sections.concat()),
        Body::Value(Value::String(text)) => Some(text.clone().into_bytes()),
        Body::Value(Value::Binary(bytes)) => Some(bytes.to_vec()),
        Body::Value(Value::Null) => Some(Vec::new()),
        Body::Value(_) | Body::Sequence(_) => None,
    }
}

/// A value as a text.
fn text(value: &Value) -> Result<String, Fault> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Symbol(symbol) => symbol.as_str().to_owned(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Ulong(number) => number.to_string(),
        Value::Timestamp(ms) => ms.to_string(),
        Value::Uuid(bytes) => uuid_text(bytes),
        Value::Char(c) => c.to_string(),
        Value::Null => String::new(),
        other => match other.as_i64() {
            Some(number) => number.to_string(),
            None => return Err(Fault::invalid("A property must be a text, a number, a truth value or a UUID.")),
        },
    };
    Ok(text)
}

/// The usual spelling of a UUID (RFC 9562 section 4).
fn uuid_text(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// What became of a token: status and, where it is not 200, why.
pub fn token_answer(request: &Message, status: u16, description: &str) -> Message {
    let application_properties = Map::new().with("status-code", Value::Int(i32::from(status))).with("status-description", description);
    Message { application_properties, ..answer(request, Body::Value(Value::Null)) }
}

/// An answer about the twin, with the version where it changed.
pub fn twin_answer(request: &Message, status: u16, version: Option<u64>, body: String) -> Message {
    let mut annotations = Map::new().with(Symbol::from("status"), Value::Int(i32::from(status)));
    if let Some(version) = version {
        annotations.push(Symbol::from("version"), Value::Long(i64::try_from(version).unwrap_or(i64::MAX)));
    }
    if let Some(resource) = request.message_annotations.get_str(RESOURCE) {
        annotations.push(Symbol::from(RESOURCE), resource);
    }
    let body = if body.is_empty() { Body::Empty } else { Body::Data(vec![body.into()]) };
    Message { message_annotations: annotations, ..answer(request, body) }
}

/// A change of desired properties. Node and .NET know it by its having no correlation ID.
pub fn desired(document: &serde_json::Value) -> Message {
    let annotations = Map::new().with(Symbol::from(RESOURCE), DESIRED);
    Message { message_annotations: annotations, ..Message::data(document.to_string()) }
}

fn answer(request: &Message, body: Body) -> Message {
    let asked = &request.properties;
    let correlation_id = asked.correlation_id.clone().or_else(|| asked.message_id.clone());
    Message { properties: Properties { correlation_id, ..Properties::default() }, body, ..Message::default() }
}

/// A method call. C takes nothing but a UUID for its ID.
pub fn method_call(call: MethodCall) -> Message {
    let correlation_id = call.request_id.parse::<u64>().map_or_else(|_| call.request_id.as_str().into(), uuid_of);
    let properties = Properties { correlation_id: Some(correlation_id), ..Properties::default() };
    let application_properties = Map::new().with(METHOD_NAME, call.name.as_str());
    Message { properties, application_properties, ..Message::data(call.payload) }
}

/// A method's answer: the call's ID and the device's status.
pub fn method_answer(message: &Message) -> Option<(String, i64)> {
    let status = match message.application_properties.get(METHOD_STATUS)? {
        Value::String(text) => text.parse().ok()?,
        number => number.as_i64()?,
    };
    let request_id = match message.properties.correlation_id.as_ref()? {
        Value::Uuid(bytes) => number_of(&uuid_text(bytes))?,
        Value::String(text) => number_of(text).unwrap_or_else(|| text.clone()),
        _ => return None,
    };
    Some((request_id, status))
}

fn uuid_of(number: u64) -> Value {
    Value::Uuid(u128::from(number).to_be_bytes())
}

/// The number within a UUID that [`uuid_of`] made.
fn number_of(uuid: &str) -> Option<String> {
    let digits: String = uuid.chars().filter(|c| *c != '-').collect();
    let number = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten()?;
    u64::try_from(number).ok().map(|number| number.to_string())
}

/// A cloud-to-device message.
pub fn cloud_message(message: CloudMessage, device_id: &str) -> Message {
    let properties = Properties {
        message_id: message.message_id.map(Into::into),
        user_id: message.user_id.map(|id| Bytes::from(id.into_bytes())),
        to: Some(format!("/devices/{device_id}/messages/devicebound")),
        correlation_id: message.correlation_id.map(Into::into),
        content_type: message.content_type.as_deref().map(Symbol::from),
        content_encoding: message.content_encoding.as_deref().map(Symbol::from),
        absolute_expiry_time_ms: message.expires.map(|time| time.micros() / 1_000),
        ..Properties::default()
    };
    let mut application_properties = Map::new();
    for (key, value) in message.ack.map(|ack| ("iothub-ack".to_owned(), ack)).into_iter().chain(message.properties) {
        application_properties.push(key, value);
    }
    Message { properties, application_properties, ..Message::data(message.body) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn telemetry_keeps_its_properties_by_the_names_that_mqtt_has() {
        let message = Message {
            properties: Properties {
                message_id: Some(Value::Uuid([0xAB; 16])),
                content_type: Some("application/json".into()),
                ..Properties::default()
            },
            application_properties: Map::new().with("unit", "C").with("n", 7_i32).with("on", true),
            ..Message::data("21")
        };
        let (properties, body) = telemetry(&message).unwrap();
        let expected =
            [("$.mid", "abababab-abab-abab-abab-abababababab"), ("$.ct", "application/json"), ("unit", "C"), ("n", "7"), ("on", "true")];
        assert_eq!(properties, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(body, b"21");
        let listed = Message { application_properties: Map::new().with("a", Value::List(vec![])), ..Message::data("") };
        assert!(telemetry(&listed).is_err());
    }

    #[test]
    fn a_method_s_answer_finds_its_call_as_uuid_or_text() {
        let call = method_call(MethodCall { request_id: "12".into(), name: "blink".into(), payload: b"7".to_vec() });
        assert_eq!(call.application_properties.get_str(METHOD_NAME), Some("blink"));
        let uuid = call.properties.correlation_id.clone().unwrap();
        let as_text = Value::String("00000000-0000-0000-0000-00000000000c".into());
        for id in [uuid, as_text, Value::String("12".into())] {
            let properties = Properties { correlation_id: Some(id), ..Properties::default() };
            let answer = Message { properties, application_properties: Map::new().with(METHOD_STATUS, 200_i32), ..Message::default() };
            assert_eq!(method_answer(&answer), Some(("12".to_owned(), 200)));
        }
        assert_eq!(method_answer(&Message::default()), None);
    }
}
