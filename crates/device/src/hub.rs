//! The first thing a provisioned device does: connect to its hub and read its twin.

use bytes::Bytes;
use serde_json::Value;
use usher_attestation::sas;
use usher_mqtt::packet::Connect;

use crate::{Credential, Failure, Listener, Profile, Provisioned, Transport, connect, exchange::expiry, pump::Pump, trace::Trace};

/// The device API version of IoT Hub that the Node and Python SDKs send.
const API_VERSION: &str = "2021-04-12";

/// Connects to the assigned hub over MQTT, over a WebSocket where the device was provisioned on the HTTPS port, and reads the twin.
pub async fn read_twin(profile: &Profile, place: &Provisioned, transport: Transport, listener: Listener<'_>) -> Result<Value, Failure> {
    let trace = Trace::start(listener);
    let resource = format!("{}/devices/{}", place.hub, place.device_id);
    let password = match &profile.credential {
        Credential::SymmetricKey(key) => Some(Bytes::from(sas::sign(&resource, key, expiry(), None).into_bytes())),
        Credential::Certificate { .. } => None,
        Credential::Tpm(tpm) => Some(Bytes::from(tpm.token(&resource, expiry(), None)?.into_bytes())),
    };
    let hello = Connect {
        client_id: place.device_id.clone(),
        clean_session: true,
        keep_alive_s: 60,
        user_name: Some(format!("{}/{}/?api-version={API_VERSION}&DeviceClientType=usher", place.hub, place.device_id)),
        password,
        ..Connect::default()
    };
    // The hub is always spoken to in MQTT, in the same way through the network as the provisioning service was.
    let own_port = transport.has_own_port().then_some(profile.ports.mqtts);
    let stream = connect::stream(profile, &place.hub, own_port, "mqtt", &trace).await?;
    let mut pump = Pump::open(stream, hello).await?;
    trace.step("connected to the hub");
    pump.subscribe("$iothub/twin/res/#").await?;
    let (topic, body) = pump.ask("twin", "$iothub/twin/GET/?$rid=1".into(), Vec::new(), "$iothub/twin/res/").await?;
    pump.disconnect().await;
    if !topic.starts_with("$iothub/twin/res/200/") {
        return Err(Failure::new("twin", format!("the hub answered on {topic}"), "See the hub's log."));
    }
    trace.step("twin read");
    serde_json::from_slice(&body).map_err(|why| Failure::new("twin", why.to_string(), "Is this an IoT Hub?"))
}
