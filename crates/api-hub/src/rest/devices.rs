//! `/devices` and `/statistics`.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use usher_domain::DeviceId;
use usher_hub_embedded::{Fault, etag::Condition, hub::LIST_DEVICES_MAX};

use super::{Answer, answer, request::Call};

/// `GET /devices?top=`
pub async fn list(call: &Call) -> Answer {
    let top = call.number("top")?.and_then(|top| usize::try_from(top).ok()).filter(|top| *top > 0).unwrap_or(LIST_DEVICES_MAX);
    let mut found = Vec::new();
    for device in call.hub.list(top).await? {
        let presence = call.hub.presence(&device.device_id).await?;
        found.push(device.identity_document(presence));
    }
    Ok(answer::json(&Value::Array(found)))
}

/// `POST /devices`: 400 where an item failed, with the outcome in the body (azure-iot-sdk-python: BulkRegistryOperations reads both).
pub async fn bulk(call: &Call) -> Answer {
    let body = call.json()?;
    let items = body.as_array().ok_or_else(|| Fault::invalid("The body must be a JSON array of devices."))?;
    let errors = call.hub.bulk(items).await?;
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok(answer::with_status(status, &json!({ "isSuccessful": errors.is_empty(), "errors": errors, "warnings": [] })))
}

/// `GET /devices/{id}`
pub async fn get(call: &Call, id: &DeviceId) -> Answer {
    let device = call.hub.device(id).await?;
    Ok(answer::with_etag(&device.identity_document(call.hub.presence(id).await?), &device.etag()))
}

/// `PUT /devices/{id}`: makes a new device, or with `If-Match` updates an existing one.
pub async fn put(call: &Call, id: &DeviceId) -> Answer {
    let device = call.hub.put_device(id, &call.json()?, &call.condition()).await?;
    Ok(answer::with_etag(&device.identity_document(call.hub.presence(id).await?), &device.etag()))
}

/// `DELETE /devices/{id}`
pub async fn delete(call: &Call, id: &DeviceId) -> Answer {
    let condition = match call.condition() {
        Condition::None => Condition::Any,
        condition => condition,
    };
    call.hub.remove_device(id, &condition).await?;
    Ok(answer::no_content())
}

/// `GET /devices/{id}/modules`: none, for modules are not offered.
pub async fn modules(call: &Call, id: &DeviceId) -> Answer {
    call.hub.device(id).await?;
    Ok(answer::json(&json!([])))
}

/// `GET /statistics/devices`
pub async fn statistics(call: &Call) -> Answer {
    let count = call.hub.statistics().await?;
    let body = json!({
        "totalDeviceCount": count.total, "enabledDeviceCount": count.enabled, "disabledDeviceCount": count.disabled,
    });
    Ok(answer::json(&body))
}

/// `GET /statistics/service`
pub fn connected(call: &Call) -> Response<Bytes> {
    answer::json(&json!({ "connectedDeviceCount": call.hub.connected() }))
}
