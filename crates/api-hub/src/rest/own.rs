//! What IoT Hub keeps in other services and a development hub shows itself: the last telemetry, and the CAs that the hub trusts.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value, json};
use usher_attestation::Certificate;
use usher_hub_embedded::{Fault, hub::Authority, telemetry::Telemetry};

use super::{Answer, answer, request::Call};

/// Messages told at once.
const TELEMETRY_TOP_MAX: usize = 1_000;
/// Messages told where the caller names no number.
const TELEMETRY_TOP_DEFAULT: usize = 100;

/// `GET /usher/telemetry?after=&top=&deviceId=`: messages after a sequence number, oldest first.
pub fn telemetry(call: &Call) -> Answer {
    let top = call.number("top")?.and_then(|top| usize::try_from(top).ok()).unwrap_or(TELEMETRY_TOP_DEFAULT).min(TELEMETRY_TOP_MAX);
    let after = call.number("after")?.unwrap_or(0);
    let messages = call.hub.telemetry().after(after, call.parameter("deviceId").as_deref(), top);
    Ok(answer::json(&Value::Array(messages.iter().map(|message| document(message)).collect())))
}

/// `GET /usher/certificates`
pub fn authorities(call: &Call) -> Response<Bytes> {
    let tell = |authority: &Authority| json!({ "name": authority.name, "info": authority.certificate.info });
    answer::json(&Value::Array(call.hub.authorities().iter().map(tell).collect()))
}

/// `PUT /usher/certificates/{name}` with a certificate as PEM or base64 of DER.
pub async fn put_authority(call: &Call, name: &str) -> Answer {
    let text = std::str::from_utf8(&call.body).map_err(|_| Fault::invalid("The body must be a certificate as PEM or base64."))?;
    let certificate = Certificate::from_text(text).map_err(|error| Fault::invalid(format!("The certificate cannot be read: {error}.")))?;
    if !certificate.is_ca() {
        return Err(Fault::invalid("The certificate is not marked as a CA.").into());
    }
    call.hub.add_authority(Authority { name: name.to_owned(), certificate: certificate.stored() }).await?;
    Ok(answer::json(&json!({ "name": name, "info": certificate.info() })))
}

/// `DELETE /usher/certificates/{name}`
pub async fn delete_authority(call: &Call, name: &str) -> Answer {
    call.hub.remove_authority(name).await?;
    Ok(answer::no_content())
}

/// A message as JSON: the body as JSON where it is JSON, as text where it is text, and in base64 always.
pub fn document(message: &Telemetry) -> Value {
    let properties = message.properties.iter().map(|(key, value)| (key.clone(), Value::from(value.clone())));
    json!({
        "sequence": message.sequence,
        "deviceId": message.device_id.as_str(),
        "enqueuedTime": message.enqueued.to_string(),
        "properties": properties.collect::<Map<_, _>>(),
        "body": serde_json::from_slice::<Value>(&message.body).ok().or_else(|| std::str::from_utf8(&message.body).ok().map(Value::from)),
        "bodyBase64": STANDARD.encode(&message.body),
    })
}
