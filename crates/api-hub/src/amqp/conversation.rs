//! The conversation with one device: its links, what comes on them, what the hub tells.
//!
//! Nothing here reads or writes a socket; the driver moves the session's bytes.

use std::sync::Arc;

use serde_json::{Value, json};
use usher_amqp::{
    codec::{
        message::Message,
        performative::{AmqpError, Role},
    },
    event::{Attached, Delivery, Event, LinkId, SendError},
    server::Session,
};
use usher_domain::{Timestamp, TrackingId};
use usher_hub_embedded::{
    Code, EmbeddedHub, Fault,
    live::{CALL_BYTES_MAX, Connection, MethodResult, Notice},
};

use super::{
    address::{Address, Node},
    admit::{Gate, NotProven, Proven, TOKEN_TYPES, is_device_s},
    delivery::Mail,
    link_address,
    links::{Links, Place},
    message,
};
use crate::{access::Refusal, mqtt::PeerEvidence};

/// Refusals of one connection: a client that goes on after so many is not mistaken, it is trying things out.
const REFUSALS_MAX: usize = 8;

/// Why the hub ends a conversation: the failed check and what was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// For filters.
    pub check: &'static str,
    /// For people.
    pub why: String,
}

impl Ended {
    fn new(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, why: why.into() }
    }
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::new(fault.code.name(), fault.message)
    }
}

/// Why a link is refused.
struct LinkRefusal {
    condition: &'static str,
    refusal: Refusal,
}

impl LinkRefusal {
    fn new(condition: &'static str, check: &'static str, detail: impl Into<String>) -> Self {
        Self { condition, refusal: Refusal::new(check, detail) }
    }
}

/// One conversation.
pub struct Conversation {
    pub(super) hub: Arc<EmbeddedHub>,
    pub(super) session: Session,
    /// The proven device's connection on the hub.
    pub(super) connection: Option<Connection>,
    /// When its token expires.
    pub(super) until: Option<Timestamp>,
    host: String,
    peer: PeerEvidence,
    links: Links,
    wants_desired: bool,
    mail: Mail,
    refusals: usize,
}

impl Conversation {
    /// Begins a conversation with a device that calls the hub `host`.
    pub fn new(hub: Arc<EmbeddedHub>, host: &str, session: Session, peer: PeerEvidence) -> Self {
        let (connection, until, links, mail) = (None, None, Links::default(), Mail::default());
        Self { hub, session, connection, until, host: host.to_owned(), peer, links, wants_desired: false, mail, refusals: 0 }
    }

    /// Acts on what the session tells.
    pub async fn take(&mut self, event: Event) -> Result<(), Ended> {
        match event {
            Event::Attached(attached) => self.attach(&attached).await,
            Event::Message { delivery, message } => self.take_message(delivery, &message).await,
            Event::Settled { delivery, state } => match self.mail.settled(delivery, state.as_ref()) {
                Some(sequence) => self.complete(sequence).await,
                None => Ok(()),
            },
            Event::Detached { link, .. } => {
                self.detached(link);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn attach(&mut self, attached: &Attached) -> Result<(), Ended> {
        match self.judge_link(attached).await {
            Ok(place) => {
                self.session.accept_attach(attached.link);
                self.links.add(attached.link, place);
                self.attached(place, attached).await;
                Ok(())
            }
            Err(LinkRefusal { condition, refusal }) => {
                let tracking_id = self.log_refusal("a link was refused", &refusal);
                let text = format!("{}. Tracking ID: {}", refusal.check, tracking_id.as_str());
                self.session.refuse_attach(attached.link, AmqpError::new(condition, text));
                self.count_refusal()
            }
        }
    }

    async fn judge_link(&mut self, attached: &Attached) -> Result<Place, LinkRefusal> {
        let to_hub = attached.role == Role::Sender;
        let text = link_address(attached).unwrap_or_default();
        let unknown = || LinkRefusal::new("amqp:not-found", "LinkAddress", format!("there is no node {:?}", head(text)));
        let (segment, node) = match Address::parse(text).ok_or_else(unknown)? {
            Address::Cbs => return Ok(if to_hub { Place::Tokens } else { Place::TokenAnswers }),
            Address::Module => return Err(LinkRefusal::new("amqp:not-implemented", "Module", "modules are not offered by this hub")),
            Address::Device { id, node } => (id, node),
        };
        if matches!((node, to_hub), (Node::Events, false) | (Node::CloudMessages, true)) {
            return Err(LinkRefusal::new("amqp:not-allowed", "LinkDirection", format!("a link to {:?} leads the wrong way", head(text))));
        }
        self.prove(segment).await?;
        Ok(if to_hub { Place::ToHub(node) } else { Place::ToDevice(node) })
    }

    /// A link to a device's node needs that device proven: by the token put before, or now by its certificate.
    async fn prove(&mut self, segment: &str) -> Result<(), LinkRefusal> {
        const UNAUTHORIZED: &str = "amqp:unauthorized-access";
        if let Some(connection) = &self.connection {
            return match is_device_s(segment, connection.device_id()) {
                true => Ok(()),
                false => Err(LinkRefusal::new(UNAUTHORIZED, "LinkAddress", format!("a link to another device, {:?}", head(segment)))),
            };
        }
        let refused = |NotProven { status, refusal }| LinkRefusal {
            condition: if status == 401 { UNAUTHORIZED } else { "amqp:internal-error" },
            refusal,
        };
        let proven = self.gate().judge_certificate(segment).await.map_err(refused)?;
        self.let_in(proven).await.map_err(refused)
    }

    fn gate(&self) -> Gate<'_> {
        Gate { hub: &self.hub, host: &self.host, peer: &self.peer }
    }

    async fn let_in(&mut self, proven: Proven) -> Result<(), NotProven> {
        match &self.connection {
            Some(connection) if *connection.device_id() != proven.device.device_id => {
                let detail = format!("the connection is {}'s already", connection.device_id());
                return Err(NotProven::unauthorized("OneDevice", detail));
            }
            Some(_) => {}
            None => {
                self.connection = Some(self.gate().connect(&proven.device).await?);
                tracing::info!(hub = %self.hub.name(), device = %proven.device.device_id, peer = %self.peer.addr, "a device connected by AMQP");
            }
        }
        self.until = proven.until;
        Ok(())
    }

    async fn attached(&mut self, place: Place, attached: &Attached) {
        match place {
            Place::ToDevice(Node::Methods) => self.methods_changed(),
            Place::ToDevice(Node::CloudMessages) => self.mail.ring(),
            _ => {}
        }
        // The model is named at every link; one is enough.
        let model_id = attached.properties.get_str("com.microsoft:model-id");
        if let (Some(connection), Some(_), Place::ToHub(Node::Events)) = (&self.connection, model_id, place) {
            self.hub.note_activity(connection.device_id(), self.hub.now(), model_id).await;
        }
    }

    fn detached(&mut self, link: LinkId) {
        self.links.remove(link);
        self.mail.link_ended(link);
        self.methods_changed();
    }

    fn methods_changed(&self) {
        if let Some(connection) = &self.connection {
            connection.take_methods(self.links.to(Place::ToDevice(Node::Methods)).is_some());
        }
    }

    async fn take_message(&mut self, delivery: Delivery, message: &Message) -> Result<(), Ended> {
        if let Some(connection) = &self.connection {
            connection.heard(self.hub.now());
        }
        match self.links.place(delivery.link()) {
            Some(Place::Tokens) => self.take_token(delivery, message).await,
            Some(Place::ToHub(Node::Events)) => self.take_telemetry(delivery, message),
            Some(Place::ToHub(Node::Twin)) => self.answer_twin(delivery, message).await,
            Some(Place::ToHub(Node::Methods)) => self.take_answer(delivery, message),
            // Judged at attach; a link that was refused carries no messages.
            _ => Ok(()),
        }
    }

    async fn take_token(&mut self, delivery: Delivery, message: &Message) -> Result<(), Ended> {
        self.session.accept(delivery);
        let outcome = match self.judge_put_token(message).await {
            Ok(proven) => self.let_in(proven).await,
            Err(not_proven) => Err(not_proven),
        };
        let answer = match &outcome {
            Ok(()) => message::token_answer(message, 200, "OK"),
            Err(NotProven { status, refusal }) => {
                let tracking_id = self.log_refusal("a device was refused", refusal);
                message::token_answer(message, *status, &format!("{}. Tracking ID: {}", refusal.check, tracking_id.as_str()))
            }
        };
        self.send(Place::TokenAnswers, &answer)?;
        if outcome.is_err() { self.count_refusal() } else { Ok(()) }
    }

    async fn judge_put_token(&self, message: &Message) -> Result<Proven, NotProven> {
        let named = |name| message.application_properties.get_str(name).unwrap_or_default();
        if named("operation") != "put-token" || !TOKEN_TYPES.contains(&named("type")) {
            return Err(NotProven::unauthorized("CbsForm", "the operation is not put-token, or the type is not a SAS token's"));
        }
        let token = message::body(message).and_then(|bytes| String::from_utf8(bytes).ok());
        let token = token.ok_or_else(|| NotProven::unauthorized("TokenForm", "the token is not a text"))?;
        self.gate().judge_token(named("name"), &token).await
    }

    fn take_telemetry(&mut self, delivery: Delivery, message: &Message) -> Result<(), Ended> {
        let Some(connection) = &self.connection else { return Ok(()) };
        let accepted =
            message::telemetry(message).and_then(|(properties, body)| self.hub.accept_telemetry(connection.device_id(), properties, body));
        match accepted {
            Ok(()) => self.session.accept(delivery),
            Err(fault) => self.reject(delivery, &fault),
        }
        Ok(())
    }

    /// Refuses a message. The condition is what Node decides by (azure-iot-sdk-node: amqp_common_errors.ts).
    fn reject(&mut self, delivery: Delivery, fault: &Fault) {
        let condition = match fault.code {
            Code::MessageTooLarge => "amqp:link:message-size-exceeded",
            Code::DeviceNotFound => "amqp:not-found",
            Code::ArgumentInvalid => "com.microsoft:argument-error",
            _ => "amqp:internal-error",
        };
        let tracking_id = self.log_refusal("a message was refused", &Refusal::new(fault.code.name(), fault.message.clone()));
        let text = format!("{} Tracking ID: {}", fault.message, tracking_id.as_str());
        self.session.reject(delivery, AmqpError::new(condition, text));
    }

    async fn answer_twin(&mut self, delivery: Delivery, request: &Message) -> Result<(), Ended> {
        self.session.accept(delivery);
        let answer = match self.ask_twin(request).await {
            Ok((status, version, body)) => message::twin_answer(request, status, version, body),
            Err(fault) => message::twin_answer(request, fault.code.status(), None, self.error_body(&fault)),
        };
        self.send(Place::ToDevice(Node::Twin), &answer)
    }

    async fn ask_twin(&mut self, request: &Message) -> Result<(u16, Option<u64>, String), Fault> {
        let device_id = self.connection.as_ref().ok_or_else(|| Fault::invalid("Nobody is proven."))?.device_id().clone();
        let named = |name| request.message_annotations.get_str(name).unwrap_or_default();
        match (named("operation"), named("resource")) {
            ("GET", "" | "/") => {
                let device = self.hub.device(&device_id).await?;
                Ok((200, None, device.twin.device_document().to_string()))
            }
            ("PATCH", message::REPORTED) => {
                let body = message::body(request).unwrap_or_default();
                let patch: Value = serde_json::from_slice(&body).map_err(|_| Fault::invalid("Reported properties are not valid JSON."))?;
                let version = self.hub.report(&device_id, &patch).await?;
                Ok((204, Some(version), String::new()))
            }
            (operation @ ("PUT" | "DELETE"), message::DESIRED) => {
                self.wants_desired = operation == "PUT";
                Ok((200, None, String::new()))
            }
            (operation, resource) => Err(Fault::invalid(format!("A twin has no operation {:?} on {:?}.", head(operation), head(resource)))),
        }
    }

    /// The body of a refused twin request, the same as over MQTT.
    fn error_body(&self, fault: &Fault) -> String {
        let tracking_id = self.log_refusal("a twin request was refused", &Refusal::new(fault.code.name(), fault.message.clone()));
        let body = json!({
            "errorCode": fault.code.number(), "trackingId": tracking_id.as_str(),
            "message": fault.message, "timestampUtc": self.hub.now().to_string(),
        });
        body.to_string()
    }

    fn take_answer(&mut self, delivery: Delivery, message: &Message) -> Result<(), Ended> {
        let Some(connection) = &self.connection else { return Ok(()) };
        match method_result(message) {
            Ok((request_id, result)) => {
                if !connection.answer(&request_id, result) {
                    tracing::debug!(hub = %self.hub.name(), device = %connection.device_id(), "a method's answer came too late");
                }
                self.session.accept(delivery);
            }
            Err(fault) => self.reject(delivery, &fault),
        }
        Ok(())
    }

    /// Tells the device what the hub has to say.
    pub fn tell(&mut self, notice: Notice) -> Result<(), Ended> {
        match notice {
            Notice::Desired(patch) if self.wants_desired && self.links.to(Place::ToDevice(Node::Twin)).is_some() => {
                self.send(Place::ToDevice(Node::Twin), &message::desired(&patch.document()))
            }
            Notice::Method(call) if self.links.to(Place::ToDevice(Node::Methods)).is_some() => {
                self.send(Place::ToDevice(Node::Methods), &message::method_call(call))
            }
            Notice::Desired(_) | Notice::Method(_) => Ok(()),
        }
    }

    fn send(&mut self, place: Place, message: &Message) -> Result<(), Ended> {
        let link = self.links.to(place).ok_or_else(|| Ended::new("AnswerLink", "the device asks without a link for the answer"))?;
        self.session.send(link, message).map(|_| ()).map_err(|why| Ended::new("Queue", why.to_string()))
    }

    /// There may be new cloud-to-device messages.
    pub fn mail(&mut self) {
        self.mail.ring();
    }

    /// Sends waiting messages as far as the window allows.
    pub async fn send_mail(&mut self) -> Result<(), Ended> {
        let Some(link) = self.links.to(Place::ToDevice(Node::CloudMessages)) else { return Ok(()) };
        let Some(device_id) = self.connection.as_ref().map(|connection| connection.device_id().clone()) else { return Ok(()) };
        while let Some(after) = self.mail.look_after() {
            let Some((sequence, waiting)) = self.hub.next_message(&device_id, after).await? else {
                self.mail.exhausted();
                return Ok(());
            };
            if self.mail.is_in_flight(sequence) {
                self.mail.pass(sequence);
                continue;
            }
            match self.session.send(link, &message::cloud_message(waiting, device_id.as_str())) {
                Ok(delivery) => self.mail.sent(delivery, sequence),
                // It stays queued until it expires; what is behind it goes on.
                Err(SendError::TooLarge) => {
                    let refusal = Refusal::new("PeerMessageSize", format!("message {sequence} is larger than the device takes"));
                    self.log_refusal("a message cannot be delivered", &refusal);
                    self.mail.pass(sequence);
                }
                // Tried again once the device has read.
                Err(SendError::QueueFull | SendError::NotAttached) => return Ok(()),
            }
        }
        Ok(())
    }

    async fn complete(&self, sequence: u64) -> Result<(), Ended> {
        let Some(connection) = &self.connection else { return Ok(()) };
        connection.heard(self.hub.now());
        match self.hub.complete_message(connection.device_id(), sequence).await {
            // The device was removed meanwhile, and its messages with it.
            Ok(_) | Err(Fault { code: Code::DeviceNotFound, .. }) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    fn count_refusal(&mut self) -> Result<(), Ended> {
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals < REFUSALS_MAX { Ok(()) } else { Err(Ended::new("Refusals", format!("refused {REFUSALS_MAX} times"))) }
    }

    /// Logs a refusal under a new tracking ID.
    pub(super) fn log_refusal(&self, what: &str, refusal: &Refusal) -> TrackingId {
        let tracking_id = TrackingId::from_random(self.hub.random());
        let device = self.connection.as_ref().map(|connection| connection.device_id().as_str()).unwrap_or_default();
        tracing::warn!(
            hub = %self.hub.name(), device, tracking_id = %tracking_id, peer = %self.peer.addr, check = refusal.check,
            detail = refusal.detail, "{what}"
        );
        tracking_id
    }
}

fn method_result(message: &Message) -> Result<(String, MethodResult), Fault> {
    let (request_id, status) =
        message::method_answer(message).ok_or_else(|| Fault::invalid("A method's answer needs a correlation ID and a status."))?;
    let body = message::body(message).unwrap_or_default();
    if body.len() > CALL_BYTES_MAX {
        return Err(Fault::new(Code::MessageTooLarge, format!("A method's answer may have {CALL_BYTES_MAX} bytes.")));
    }
    let payload = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
    let payload = payload.map_err(|_| Fault::invalid("A method's answer is not valid JSON."))?;
    Ok((request_id, MethodResult { status, payload }))
}

/// The beginning of a text from a device, for the log.
fn head(text: &str) -> String {
    text.chars().take(200).collect()
}
