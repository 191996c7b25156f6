//! Being a device: provisioning by every transport and attestation that usher's own tools need, then reading the twin from the
//! assigned hub. Used by `usher device provision`, `usher demo` and the benchmarks.
//!
//! It is a client like any other and knows nothing of the server but the protocol.

mod amqp;
mod connect;
mod exchange;
mod failure;
mod https;
mod hub;
mod management_client;
mod mqtt;
mod profile;
mod pump;
mod request;
mod service_client;
mod tpm;
mod trace;

use std::time::Duration;

use serde_json::Value;
use usher_domain::document::RegistrationStateDocument;

pub use exchange::now_s;
pub use failure::Failure;
pub use hub::read_twin;
pub use management_client::ManagementClient;
pub use profile::{Credential, Ports, Profile, trust_from_file, trust_from_pem};
pub use service_client::ServiceClient;
pub use tpm::Tpm;
pub use trace::{Listener, Trace};
pub use usher_domain::Transport;

/// What became of a device.
#[derive(Clone, Debug)]
pub struct Provisioned {
    /// The hub it is to connect to.
    pub hub: String,
    /// Its ID there.
    pub device_id: String,
    /// The whole registration state.
    pub state: RegistrationStateDocument,
    /// From the first packet to the assignment.
    pub took: Duration,
}

/// Provisions a device; each step is told to `listener`.
pub async fn provision(
    profile: &Profile,
    transport: Transport,
    payload: Option<Value>,
    listener: Listener<'_>,
) -> Result<Provisioned, Failure> {
    let trace = Trace::start(listener);
    let token = exchange::token(profile);
    if token.is_some() {
        trace.step(format!("SAS token signed for {}", profile.resource()));
    }
    let own_port = |port| transport.has_own_port().then_some(port);
    let state = match transport {
        Transport::Https => {
            let mut https = https::Https::open(profile, token, &trace).await?;
            if let Credential::Tpm(tpm) = &profile.credential {
                https.prove_tpm(profile, tpm, &trace).await?;
            }
            exchange::converse(&mut https, profile, payload, &trace).await?
        }
        Transport::Mqtt | Transport::MqttWs if matches!(profile.credential, Credential::Tpm(_)) => {
            return Err(Failure::settings("no service takes a TPM over MQTT; use --transport https or amqp"));
        }
        Transport::Mqtt | Transport::MqttWs => {
            let stream = connect::stream(profile, &profile.host, own_port(profile.ports.mqtts), "mqtt", &trace).await?;
            let mut mqtt = mqtt::Mqtt::open(stream, profile, token, &trace).await?;
            let state = exchange::converse(&mut mqtt, profile, payload, &trace).await?;
            mqtt.close().await;
            state
        }
        Transport::Amqp | Transport::AmqpWs => {
            let stream = connect::stream(profile, &profile.host, own_port(profile.ports.amqps), "AMQPWSB10", &trace).await?;
            let mut amqp = amqp::Amqp::open(stream, profile, token, &trace).await?;
            let state = exchange::converse(&mut amqp, profile, payload, &trace).await?;
            amqp.close().await;
            state
        }
    };
    let took = trace.elapsed();
    if let Credential::Tpm(tpm) = &profile.credential {
        // From now on the TPM holds the key for the hub.
        exchange::activate(tpm, state.tpm.as_ref().and_then(|part| part.authentication_key.as_deref()), &trace)?;
    }
    let (hub, device_id) = (state.assigned_hub.clone().unwrap_or_default(), state.device_id.clone().unwrap_or_default());
    Ok(Provisioned { hub, device_id, state, took })
}
