//! The conversation with one connected device: what it publishes reaches the hub, what the hub tells reaches it.
//!
//! Nothing here reads or writes a socket; the driver moves the session's bytes.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use serde_json::{Value, json};
use usher_domain::TrackingId;
use usher_hub_embedded::{
    Code, EmbeddedHub, Fault,
    live::{CALL_BYTES_MAX, Connection, MethodResult, Notice},
};
use usher_mqtt::{
    packet::{Publish, Qos, Will},
    server::{PublishError, Session},
};

use super::{
    feeds::Feeds,
    topic::{self, Feed, Publication},
};
use crate::property_bag;

/// Cloud-to-device messages that may be on their way to a device at once. Eight of the largest stay well below a session's bound
/// of unsent bytes.
const MESSAGES_IN_FLIGHT_MAX: usize = 8;

/// Why the hub ends a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended(pub String);

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One conversation.
pub struct Conversation {
    pub(super) hub: Arc<EmbeddedHub>,
    pub(super) connection: Connection,
    pub(super) session: Session,
    feeds: Feeds,
    /// Whether subscriptions outlive the connection.
    keeps_session: bool,
    /// The last cloud-to-device message that was sent on this connection.
    last_message: u64,
    in_flight: HashMap<u16, u64>,
    /// Whether there may be messages that were not sent yet.
    mail_waits: bool,
}

impl Conversation {
    /// Begins a conversation; restores the subscriptions of a kept session.
    pub async fn begin(hub: Arc<EmbeddedHub>, connection: Connection, mut session: Session, clean: bool) -> Result<Self, Fault> {
        let device_id = connection.device_id().clone();
        let feeds = if clean {
            hub.forget_session(&device_id).await?;
            Feeds::default()
        } else {
            hub.session(&device_id).await?.map(|kept| Feeds::restore(&kept, device_id.as_str())).unwrap_or_default()
        };
        session.accept();
        connection.take_methods(feeds.qos(Feed::Methods).is_some());
        let mail_waits = feeds.qos(Feed::CloudMessages).is_some();
        let (last_message, in_flight) = (0, HashMap::new());
        Ok(Self { hub, connection, session, feeds, keeps_session: !clean, last_message, in_flight, mail_waits })
    }

    /// Takes what the device published, acknowledges it and answers it.
    pub async fn take(&mut self, publish: &Publish) -> Result<(), Ended> {
        self.connection.heard(self.hub.now());
        let publication = Publication::parse(&publish.topic, self.connection.device_id().as_str());
        match publication {
            Some(Publication::Telemetry { bag }) => self.take_telemetry(&bag, publish),
            Some(Publication::GetTwin { request_id }) => {
                self.session.acknowledge(publish);
                let twin = self.hub.device(self.connection.device_id()).await;
                self.answer_twin(&request_id, twin.map(|device| (200, None, device.twin.device_document().to_string())))
            }
            Some(Publication::Report { request_id }) => {
                self.session.acknowledge(publish);
                let version = self.report(&publish.payload).await;
                self.answer_twin(&request_id, version.map(|version| (204, Some(version), String::new())))
            }
            Some(Publication::MethodAnswer { status, request_id }) => self.take_answer(status, &request_id, publish),
            None => Err(Ended(format!("the device published to {:?}, which is no topic of its", head(&publish.topic)))),
        }
    }

    fn take_telemetry(&mut self, bag: &str, publish: &Publish) -> Result<(), Ended> {
        let mut properties = property_bag::parse(bag).map_err(|fault| Ended(fault.to_string()))?;
        if publish.retain {
            // IoT Hub keeps no messages; it marks those that ask for it.
            properties.push(("mqtt-retain".into(), "true".into()));
        }
        let accepted = self.hub.accept_telemetry(self.connection.device_id(), properties, publish.payload.to_vec());
        accepted.map_err(|fault| Ended(fault.to_string()))?;
        self.session.acknowledge(publish);
        Ok(())
    }

    async fn report(&self, payload: &[u8]) -> Result<u64, Fault> {
        let patch: Value = serde_json::from_slice(payload).map_err(|_| Fault::invalid("Reported properties are not valid JSON."))?;
        self.hub.report(self.connection.device_id(), &patch).await
    }

    fn answer_twin(&mut self, request_id: &str, answer: Result<(u16, Option<u64>, String), Fault>) -> Result<(), Ended> {
        let Some(qos) = self.feeds.qos(Feed::TwinAnswers) else {
            tracing::debug!(hub = %self.hub.name(), device = %self.connection.device_id(), "a twin request without a subscription to its answer");
            return Ok(());
        };
        let (topic, body) = match answer {
            Ok((status, version, body)) => (topic::twin_answer(status, request_id, version), body),
            Err(fault) => (topic::twin_answer(fault.code.status(), request_id, None), self.error_body(&fault)),
        };
        self.publish(topic, body.into(), qos)
    }

    /// The body of a refused twin request; the Node SDK looks for `errorCode` and `message` (mqtt_twin_client.ts).
    fn error_body(&self, fault: &Fault) -> String {
        let tracking_id = TrackingId::from_random(self.hub.random());
        tracing::warn!(hub = %self.hub.name(), device = %self.connection.device_id(), tracking_id = %tracking_id, %fault, "a twin request was refused");
        let body = json!({
            "errorCode": fault.code.number(), "trackingId": tracking_id.as_str(),
            "message": fault.message, "timestampUtc": self.hub.now().to_string(),
        });
        body.to_string()
    }

    fn take_answer(&mut self, status: i64, request_id: &str, publish: &Publish) -> Result<(), Ended> {
        self.session.acknowledge(publish);
        if publish.payload.len() > CALL_BYTES_MAX {
            return Err(Ended(format!("a method's answer of {} bytes, at most {CALL_BYTES_MAX}", publish.payload.len())));
        }
        let payload = if publish.payload.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&publish.payload) };
        let payload = payload.map_err(|_| Ended("a method's answer is not valid JSON".into()))?;
        if !self.connection.answer(request_id, MethodResult { status, payload }) {
            tracing::debug!(hub = %self.hub.name(), device = %self.connection.device_id(), "a method's answer came too late");
        }
        Ok(())
    }

    /// Answers a SUBSCRIBE.
    pub async fn subscribe(&mut self, packet_id: u16, filters: &[(String, Qos)]) -> Result<(), Ended> {
        let device_id = self.connection.device_id().clone();
        let granted: Vec<_> = filters.iter().map(|(filter, qos)| self.feeds.add(filter, *qos, device_id.as_str())).collect();
        for ((filter, _), _) in filters.iter().zip(&granted).filter(|(_, granted)| granted.is_none()) {
            tracing::warn!(hub = %self.hub.name(), device = %device_id, filter = head(filter), "a subscription to a topic that the hub does not have");
        }
        self.keep_session().await?;
        self.session.grant(packet_id, granted);
        self.feeds_changed();
        Ok(())
    }

    /// Takes an UNSUBSCRIBE.
    pub async fn unsubscribe(&mut self, filters: &[String]) -> Result<(), Ended> {
        let device_id = self.connection.device_id().clone();
        filters.iter().for_each(|filter| self.feeds.remove(filter, device_id.as_str()));
        self.feeds_changed();
        self.keep_session().await
    }

    async fn keep_session(&self) -> Result<(), Ended> {
        if !self.keeps_session {
            return Ok(());
        }
        let kept = self.hub.keep_session(self.connection.device_id(), &self.feeds.session()).await;
        kept.map_err(|fault| Ended(fault.to_string()))
    }

    fn feeds_changed(&mut self) {
        self.connection.take_methods(self.feeds.qos(Feed::Methods).is_some());
        self.mail_waits = self.feeds.qos(Feed::CloudMessages).is_some();
    }

    /// Tells the device what the hub has to say.
    pub fn tell(&mut self, notice: Notice) -> Result<(), Ended> {
        match notice {
            Notice::Desired(patch) => match self.feeds.qos(Feed::Desired) {
                Some(qos) => self.publish(topic::desired(patch.version), patch.document().to_string().into(), qos),
                None => Ok(()),
            },
            Notice::Method(call) => match self.feeds.qos(Feed::Methods) {
                Some(qos) => self.publish(topic::method(&call.name, &call.request_id), call.payload.into(), qos),
                None => Ok(()),
            },
        }
    }

    /// There may be new cloud-to-device messages.
    pub fn mail(&mut self) {
        self.mail_waits = self.feeds.qos(Feed::CloudMessages).is_some();
    }

    /// Sends waiting messages as far as the window allows.
    pub async fn send_mail(&mut self) -> Result<(), Ended> {
        let Some(qos) = self.feeds.qos(Feed::CloudMessages) else { return Ok(()) };
        let device_id = self.connection.device_id().clone();
        while self.mail_waits && self.in_flight.len() < MESSAGES_IN_FLIGHT_MAX {
            let next = self.hub.next_message(&device_id, self.last_message).await.map_err(|fault| Ended(fault.to_string()))?;
            let Some((sequence, message)) = next else {
                self.mail_waits = false;
                return Ok(());
            };
            let bag = property_bag::of_cloud_message(&message, device_id.as_str());
            let sent = self.session.publish(topic::cloud_message(device_id.as_str(), &bag), message.body.into(), qos);
            let packet_id = match sent {
                Ok(packet_id) => packet_id,
                // Properties that make too long a topic: it can never be sent, and must not keep back what comes after it.
                Err(PublishError::Topic) => {
                    tracing::warn!(hub = %self.hub.name(), device = %device_id, sequence, check = "CloudMessage",
                        "a cloud-to-device message is dropped: its properties are too long for MQTT");
                    self.last_message = sequence;
                    self.complete(sequence).await?;
                    continue;
                }
                // Tried again once the device has read.
                Err(PublishError::QueueFull | PublishError::NotConnected) => return Ok(()),
            };
            self.last_message = sequence;
            if qos == Qos::AtMostOnce {
                self.complete(sequence).await?;
            } else {
                self.in_flight.insert(packet_id, sequence);
            }
        }
        Ok(())
    }

    /// The device has a message for good.
    pub async fn delivered(&mut self, packet_id: u16) -> Result<(), Ended> {
        self.connection.heard(self.hub.now());
        match self.in_flight.remove(&packet_id) {
            Some(sequence) => self.complete(sequence).await,
            None => Ok(()),
        }
    }

    async fn complete(&self, sequence: u64) -> Result<(), Ended> {
        match self.hub.complete_message(self.connection.device_id(), sequence).await {
            // The device was removed meanwhile, and its messages with it.
            Ok(_) | Err(Fault { code: Code::DeviceNotFound, .. }) => Ok(()),
            Err(fault) => Err(Ended(fault.to_string())),
        }
    }

    /// Publishes a lost device's will, as IoT Hub does: telemetry that says what it is.
    pub fn publish_will(&self, will: &Will) {
        let device_id = self.connection.device_id();
        let Some(Publication::Telemetry { bag }) = Publication::parse(&will.topic, device_id.as_str()) else { return };
        let Ok(mut properties) = property_bag::parse(&bag) else { return };
        properties.push(("iothub-MessageType".into(), "Will".into()));
        if let Err(fault) = self.hub.accept_telemetry(device_id, properties, will.payload.to_vec()) {
            tracing::warn!(hub = %self.hub.name(), device = %device_id, %fault, "a device's will was not taken");
        }
    }

    fn publish(&mut self, topic: String, body: Bytes, qos: Qos) -> Result<(), Ended> {
        self.session.publish(topic, body, qos).map(|_| ()).map_err(|_| Ended("the device does not read what it is sent".into()))
    }
}

/// The beginning of a text from a device, for the log.
fn head(text: &str) -> String {
    text.chars().take(200).collect()
}
