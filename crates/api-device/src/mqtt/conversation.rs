//! A device's conversation over MQTT: connect, subscribe, register, poll.
//!
//! A device is accepted at CONNECT without proof, as the cloud does for certificates, and refused on its register request: there
//! the answer can say why, by code and tracking ID, where a CONNACK could only say "no".

use std::time::Duration;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{debug, warn};
use usher_domain::{ErrorCode, IdScope, RegistrationId, ServiceError, limits};
use usher_mqtt::{
    packet::{Connect, ConnectCode, Publish, Qos},
    server::{Close, Event},
};
use usher_provisioning::{Claim, Engine, Evidence, Reply, Transport};

use super::{Ask, Link, RESPONSE_FILTER, UserName, response_topic};
use crate::{https::Peer, outcome::Outcome, stopped};

/// How long a device may stay without asking anything. The SDKs disconnect once they have their answer.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// Pause before an answer to the Java SDK. It starts to wait for the answer only after its publish has returned, and an answer that
/// is faster than that is lost on it for a minute (azure-iot-sdk-java: ContractAPIMqtt.java; docs/protocol/answers.md).
const JAVA_PAUSE: Duration = Duration::from_millis(20);
/// Answers kept for a device that asked before it subscribed.
const UNHEARD_MAX: usize = 4;

/// A device at the other end.
struct Conversation<'a, IO> {
    link: Link<IO>,
    asker: Asker<'a>,
    subscribed: bool,
    unheard: Vec<(String, Bytes)>,
}

/// Who asks, and whom: all of a conversation but its stream.
struct Asker<'a> {
    engine: &'a Engine,
    peer: Peer,
    transport: Transport,
    device: Device,
}

/// What the device's CONNECT says.
struct Device {
    id_scope: IdScope,
    claimed_id: RegistrationId,
    api_version: String,
    sas_token: Option<String>,
    is_java: bool,
}

/// Serves a device whose CONNECT has been read, until it goes or `stop` turns true.
pub async fn serve<IO: AsyncRead + AsyncWrite + Unpin>(
    engine: &Engine,
    connect: &Connect,
    mut link: Link<IO>,
    peer: Peer,
    transport: Transport,
    stop: watch::Receiver<bool>,
) {
    match read_connect(connect) {
        Ok(device) => {
            link.machine().accept();
            let conversation =
                Conversation { link, asker: Asker { engine, peer, transport, device }, subscribed: false, unheard: Vec::new() };
            conversation.run(stop).await;
        }
        Err((code, why)) => {
            let tracking_id = engine.new_tracking_id();
            warn!(%tracking_id, transport = transport.name(), peer = %peer.address, check = "mqtt.connect", detail = why,
                mend = "Use an Azure IoT device SDK's user name: {idScope}/registrations/{registrationId}/api-version={version}.",
                "connection refused");
            link.machine().refuse(code);
            link.finish().await;
        }
    }
}

fn read_connect(connect: &Connect) -> Result<Device, (ConnectCode, String)> {
    let malformed = |why: String| (ConnectCode::BadCredentials, why);
    let name = connect.user_name.as_deref().unwrap_or_default();
    let name = UserName::parse(name).ok_or_else(|| malformed("the user name is not that of a provisioning client".into()))?;
    let (id_scope, claimed_id) = Claim::names(name.id_scope, name.registration_id).map_err(|error| malformed(error.message))?;
    if !claimed_id.same_as(&connect.client_id) {
        return Err((ConnectCode::BadClientId, "the client ID is not the registration ID of the user name".into()));
    }
    let sas_token = match &connect.password {
        Some(bytes) if !bytes.is_empty() => {
            Some(String::from_utf8(bytes.to_vec()).map_err(|_| malformed("the password is not text".into()))?)
        }
        _ => None,
    };
    let is_java = name.is_java();
    Ok(Device { id_scope, claimed_id, is_java, api_version: name.api_version.chars().take(64).collect(), sas_token })
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Conversation<'_, IO> {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut idle_until = Instant::now() + IDLE_MAX;
        loop {
            let event = tokio::select! {
                event = self.link.next_event() => event,
                () = sleep_until(idle_until) => return self.end("mqtt.idle", "the device asked nothing for five minutes").await,
                () = stopped(&mut stop) => return self.link.finish().await,
            };
            let verdict = match event {
                Some(Event::Publish(publish)) => {
                    idle_until = Instant::now() + IDLE_MAX;
                    self.answer(publish).await
                }
                Some(Event::Subscribe { packet_id, filters }) => self.subscribe(packet_id, &filters),
                Some(Event::Unsubscribe { .. }) => {
                    self.subscribed = false;
                    Ok(())
                }
                Some(Event::Closed(why)) => return self.closed(why).await,
                Some(Event::Connect(_) | Event::Delivered { .. }) => Ok(()),
                None => return self.link.finish().await,
            };
            if let Err((check, why)) = verdict {
                return self.end(check, &why).await;
            }
        }
    }

    fn subscribe(&mut self, packet_id: u16, filters: &[(String, Qos)]) -> Result<(), (&'static str, String)> {
        if let Some((other, _)) = filters.iter().find(|(filter, _)| filter != RESPONSE_FILTER) {
            return Err(("mqtt.filter", format!("the device subscribed to {other:?}; only {RESPONSE_FILTER} is there")));
        }
        self.link.machine().grant(packet_id, filters.iter().map(|(_, qos)| Some(*qos)));
        self.subscribed = true;
        for (topic, body) in std::mem::take(&mut self.unheard) {
            self.send(topic, body)?;
        }
        Ok(())
    }

    async fn answer(&mut self, publish: Publish) -> Result<(), (&'static str, String)> {
        let Some(ask) = Ask::parse(&publish.topic) else {
            return Err(("mqtt.topic", format!("the device published to {:?}, which is no topic of the device API", publish.topic)));
        };
        // The message is taken: what it asks for is idempotent, and .NET wants this before the answer.
        self.link.machine().acknowledge(&publish);
        let outcome = self.asker.outcome(&ask, &publish.payload).await;
        if self.asker.device.is_java {
            self.link.flush().await.map_err(|why| ("mqtt.write", why.to_string()))?;
            tokio::time::sleep(JAVA_PAUSE).await;
        }
        let topic = response_topic(outcome.status, ask.request_id(), outcome.retry_after_s);
        let body = Bytes::from(outcome.body);
        if self.subscribed {
            return self.send(topic, body);
        }
        if self.unheard.len() == UNHEARD_MAX {
            return Err(("mqtt.order", "the device keeps asking without subscribing to the answers".into()));
        }
        self.unheard.push((topic, body));
        Ok(())
    }

    fn send(&mut self, topic: String, body: Bytes) -> Result<(), (&'static str, String)> {
        let sent = self.link.machine().publish(topic, body, Qos::AtLeastOnce);
        sent.map(|_| ()).map_err(|_| ("mqtt.queue", "the device does not acknowledge its answers".into()))
    }

    async fn closed(self, why: Close) {
        match why {
            Close::Disconnected | Close::Lost | Close::ByServer => {
                debug!(registration_id = %self.asker.device.claimed_id, %why, "connection ended")
            }
            _ => return self.end("mqtt.protocol", &why.to_string()).await,
        }
        self.link.finish().await;
    }

    async fn end(mut self, check: &str, why: &str) {
        let Asker { engine, peer, transport, device } = &self.asker;
        let tracking_id = engine.new_tracking_id();
        warn!(%tracking_id, id_scope = %device.id_scope, registration_id = %device.claimed_id,
            transport = transport.name(), peer = %peer.address, check, detail = why,
            mend = "Let the device follow the protocol: see docs/protocol/device-mqtt.md.", "connection closed");
        self.link.machine().close();
        self.link.finish().await;
    }
}

impl Asker<'_> {
    async fn outcome(&self, ask: &Ask<'_>, body: &[u8]) -> Outcome {
        let tracking_id = self.engine.new_tracking_id();
        let claim = Claim {
            id_scope: self.device.id_scope.clone(),
            claimed_id: self.device.claimed_id.clone(),
            api_version: self.device.api_version.clone(),
            evidence: Evidence { certificates: self.peer.certificates.clone(), sas_token: self.device.sas_token.clone(), tpm: None },
            tracking_id: tracking_id.clone(),
            transport: self.transport,
            peer: Some(self.peer.address.ip()),
        };
        let result = match ask {
            _ if body.len() > limits::MESSAGE_BYTES_MAX => Err(ServiceError::new(ErrorCode::BodyTooLarge)),
            Ask::Register { .. } => self.engine.register(&claim, body).await.and_then(|reply| match reply {
                Reply::Status(document) => Ok(*document),
                Reply::Challenge(_) => Err(ServiceError::with(ErrorCode::BadRequest, "TPM attestation needs HTTPS or AMQP.")),
            }),
            Ask::Status { operation_id, .. } => {
                let operation_id = percent_decode_str(operation_id).decode_utf8_lossy();
                self.engine.operation_status(&claim, &operation_id).await
            }
        };
        match result {
            Ok(document) => Outcome::operation(self.engine, &claim, &document).await,
            Err(error) => {
                self.engine.log_refused_request(&tracking_id, self.transport, Some(self.peer.address.ip()), &error);
                Outcome::error(&error, &tracking_id, self.engine.now())
            }
        }
    }
}
