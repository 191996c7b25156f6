//! The conversation with one device: its links, what comes on them, what the hub tells.
//!
//! Nothing here reads or writes a socket; the driver moves the session's bytes.

use std::sync::Arc;

use usher_amqp::{
    codec::{message::Message, performative::AmqpError},
    event::{Attached, Delivery, Event, LinkId, SendError},
    server::Session,
};
use usher_domain::{Timestamp, TrackingId};
use usher_hub_embedded::{
    Code, EmbeddedHub, Fault,
    live::{Connection, Notice},
};

use super::{
    address::Node,
    batch,
    delivery::Mail,
    links::{Links, Place},
    message,
    proof::LinkRefusal,
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

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::new(fault.code.name(), fault.message)
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
    pub(super) host: String,
    pub(super) peer: PeerEvidence,
    pub(super) links: Links,
    pub(super) wants_desired: bool,
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
                if place == Place::ToHub(Node::Events) {
                    self.session.take_format(attached.link, batch::FORMAT);
                }
                self.links.add(attached.link, place);
                self.attached(place, attached).await;
                Ok(())
            }
            Err(LinkRefusal { condition, told, refusal }) => {
                let tracking_id = self.log_refusal("a link was refused", &refusal);
                let text = format!("{told}. Tracking ID: {}", tracking_id.as_str());
                self.session.refuse_attach(attached.link, AmqpError::new(condition, text));
                self.count_refusal()
            }
        }
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
        // A device asks anew on a new link.
        self.wants_desired &= self.links.to(Place::ToDevice(Node::Twin)).is_some();
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

    pub(super) fn send(&mut self, place: Place, message: &Message) -> Result<(), Ended> {
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

    pub(super) fn count_refusal(&mut self) -> Result<(), Ended> {
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

/// The beginning of a text from a device, for the log.
pub(super) fn head(text: &str) -> String {
    text.chars().take(200).collect()
}
