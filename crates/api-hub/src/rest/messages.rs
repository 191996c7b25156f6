//! Messages over HTTP: the service's to devices and devices' telemetry. Properties travel in headers, `iothub-…` for the system's and
//! `iothub-app-…` for the application's (azure-iot-sdk-node: device/transport/http/src/http.ts).

use serde_json::{Value, json};
use usher_domain::{DeviceId, Timestamp};
use usher_hub_embedded::{Code, Fault, cloud_message::CloudMessage};

use super::{
    Answer,
    answer::{self, Refused},
    request::Call,
};
use crate::{
    access::{Evidence, Refusal, judge_device},
    property_bag::PROPERTIES_MAX,
};

const APPLICATION: &str = "iothub-app-";

/// `POST /devices/{id}/messages/deviceBound`
pub async fn send(call: &Call, id: &DeviceId) -> Answer {
    call.hub.send(id, &message_of(call)?).await?;
    Ok(answer::no_content())
}

/// `POST /messages/deviceBound` with the device in the header `iothub-to`, as an address or alone.
pub async fn send_by_header(call: &Call) -> Answer {
    let to = call.header("iothub-to").ok_or_else(|| Fault::invalid("The header iothub-to is missing."))?;
    let name = to.strip_prefix("/devices/").and_then(|rest| rest.split('/').next()).unwrap_or(to);
    let id = DeviceId::parse(&crate::property_bag::unescape(name)?).map_err(|error| Fault::invalid(error.0))?;
    send(call, &id).await
}

/// `DELETE /devices/{id}/commands`
pub async fn purge(call: &Call, id: &DeviceId) -> Answer {
    let purged = call.hub.purge_messages(id).await?;
    Ok(answer::json(&json!({ "deviceId": id.as_str(), "moduleId": null, "totalMessagesPurged": purged })))
}

/// `POST /devices/{id}/messages/events`, by the device itself.
pub async fn send_event(call: &Call, id: &DeviceId) -> Answer {
    let unknown = |fault: Fault| match fault.code {
        // A stranger must not learn which devices there are.
        Code::DeviceNotFound => Refused::unauthorized(Refusal::new("Device", fault.message)),
        _ => Refused::from(fault),
    };
    let device = call.hub.device(id).await.map_err(unknown)?;
    let evidence = Evidence { authority: &call.authority, token: call.header("authorization"), chain: &call.chain };
    judge_device(&call.hub, &device, evidence, call.hub.now()).map_err(Refused::unauthorized)?;
    call.hub.accept_telemetry(id, event_properties(call)?, call.body.to_vec())?;
    Ok(answer::no_content())
}

fn message_of(call: &Call) -> Result<CloudMessage, Fault> {
    let own = |name: &str| call.header(name).filter(|value| !value.is_empty()).map(str::to_owned);
    Ok(CloudMessage {
        message_id: own("iothub-messageid"),
        correlation_id: own("iothub-correlationid"),
        user_id: own("iothub-userid"),
        content_type: own("iothub-contenttype").or(own("content-type")),
        content_encoding: own("iothub-contentencoding").or(own("content-encoding")),
        ack: own("iothub-ack"),
        expires: own("iothub-expiry").map(|text| time_of(&text)).transpose()?,
        properties: application_properties(call)?,
        body: call.body.to_vec(),
    })
}

/// System properties under the names that MQTT's property bags use, then the application's.
fn event_properties(call: &Call) -> Result<Vec<(String, String)>, Fault> {
    let system = [
        ("iothub-messageid", "$.mid"),
        ("iothub-correlationid", "$.cid"),
        ("iothub-userid", "$.uid"),
        ("iothub-contenttype", "$.ct"),
        ("iothub-contentencoding", "$.ce"),
    ];
    let found = system.into_iter().filter_map(|(header, key)| Some((key.to_owned(), call.header(header)?.to_owned())));
    let mut properties: Vec<_> = found.collect();
    properties.extend(application_properties(call)?);
    Ok(properties)
}

fn application_properties(call: &Call) -> Result<Vec<(String, String)>, Fault> {
    let own = call.headers().filter_map(|(name, value)| Some((name.strip_prefix(APPLICATION)?.to_owned(), value.to_owned())));
    let own: Vec<_> = own.collect();
    if own.len() > PROPERTIES_MAX {
        return Err(Fault::invalid(format!("A message may have {PROPERTIES_MAX} properties.")));
    }
    Ok(own)
}

fn time_of(text: &str) -> Result<Timestamp, Fault> {
    serde_json::from_value(Value::from(text)).map_err(|_| Fault::invalid("iothub-expiry must be a time as in RFC 3339."))
}
