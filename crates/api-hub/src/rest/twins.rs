//! `/twins`.

use serde_json::{Value, json};
use usher_domain::DeviceId;
use usher_hub_embedded::{
    Fault,
    device::Device,
    hub::{RESPONSE_TIMEOUT_DEFAULT_S, RESPONSE_TIMEOUT_S},
};

use super::{
    Answer,
    answer::{self, Refused},
    request::Call,
};

/// `GET /twins/{id}`
pub async fn get(call: &Call, id: &DeviceId) -> Answer {
    tell(call, call.hub.device(id).await?).await
}

/// `PATCH /twins/{id}`
pub async fn patch(call: &Call, id: &DeviceId) -> Answer {
    tell(call, call.hub.patch_twin(id, &call.json()?, &call.condition()).await?).await
}

/// `PUT /twins/{id}`
pub async fn put(call: &Call, id: &DeviceId) -> Answer {
    tell(call, call.hub.replace_twin(id, &call.json()?, &call.condition()).await?).await
}

/// `POST /twins/{id}/methods`
pub async fn call_method(call: &Call, id: &DeviceId) -> Answer {
    let body = call.json()?;
    let name = body.get("methodName").and_then(Value::as_str).ok_or_else(|| Fault::invalid("methodName is missing."))?;
    let respond_s = seconds(&body, "responseTimeoutInSeconds")?.or(seconds(&body, "timeoutInSeconds")?);
    // The .NET and Java SDKs send 0 for "as you please".
    let respond_s = respond_s.filter(|seconds| *seconds > 0).unwrap_or(RESPONSE_TIMEOUT_DEFAULT_S).max(*RESPONSE_TIMEOUT_S.start());
    let connect_s = seconds(&body, "connectTimeoutInSeconds")?.unwrap_or(0);
    let result = call.hub.call_method(id, name, body.get("payload"), connect_s, respond_s).await.map_err(Refused::method)?;
    Ok(answer::json(&json!({ "status": result.status, "payload": result.payload })))
}

fn seconds(body: &Value, member: &str) -> Result<Option<u64>, Fault> {
    match body.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| Fault::invalid(format!("{member} must be a whole number."))),
    }
}

async fn tell(call: &Call, device: Device) -> Answer {
    let presence = call.hub.presence(&device.device_id).await?;
    Ok(answer::with_etag(&device.twin_document(presence), &device.twin.etag()))
}
