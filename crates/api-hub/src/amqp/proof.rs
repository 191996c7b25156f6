//! Who may attach which link, and the tokens that decide it.

use usher_amqp::{
    codec::{message::Message, performative::Role},
    event::{Attached, Delivery},
};

use super::{
    address::{Address, Node},
    admit::{Gate, NotProven, Proven, TOKEN_TYPES, is_device_s},
    conversation::{Conversation, Ended, head},
    link_address,
    links::Place,
    message,
};
use crate::access::Refusal;

/// Links to or from `$cbs` at a time, each way. They are all that a client gets before it has proved a device, and it needs one.
const CBS_LINKS_MAX: usize = 2;

/// Why a link is refused.
pub(super) struct LinkRefusal {
    /// AMQP's name for it.
    pub condition: &'static str,
    /// What the device is told in a word.
    pub told: &'static str,
    /// For the log.
    pub refusal: Refusal,
}

impl LinkRefusal {
    fn new(condition: &'static str, check: &'static str, detail: impl Into<String>) -> Self {
        Self { condition, told: check, refusal: Refusal::new(check, detail) }
    }
}

impl Conversation {
    pub(super) async fn judge_link(&mut self, attached: &Attached) -> Result<Place, LinkRefusal> {
        let to_hub = attached.role == Role::Sender;
        let text = link_address(attached).unwrap_or_default();
        let unknown = || LinkRefusal::new("amqp:not-found", "LinkAddress", format!("there is no node {:?}", head(text)));
        let (segment, node) = match Address::parse(text).ok_or_else(unknown)? {
            Address::Cbs => return self.judge_cbs(if to_hub { Place::Tokens } else { Place::TokenAnswers }),
            Address::Module => return Err(LinkRefusal::new("amqp:not-implemented", "Module", "modules are not offered by this hub")),
            Address::Device { id, node } => (id, node),
        };
        if matches!((node, to_hub), (Node::Events, false) | (Node::CloudMessages, true)) {
            return Err(LinkRefusal::new("amqp:not-allowed", "LinkDirection", format!("a link to {:?} leads the wrong way", head(text))));
        }
        self.prove(segment).await?;
        Ok(if to_hub { Place::ToHub(node) } else { Place::ToDevice(node) })
    }

    fn judge_cbs(&self, place: Place) -> Result<Place, LinkRefusal> {
        if self.links.count(place) < CBS_LINKS_MAX {
            return Ok(place);
        }
        let detail = format!("there are {CBS_LINKS_MAX} links of this direction to $cbs already");
        Err(LinkRefusal::new("amqp:resource-limit-exceeded", "CbsLinks", detail))
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
        let refused = |not_proven: NotProven| LinkRefusal {
            condition: if not_proven.status == 401 { UNAUTHORIZED } else { "amqp:internal-error" },
            told: not_proven.told(),
            refusal: not_proven.refusal,
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

    pub(super) async fn take_token(&mut self, delivery: Delivery, message: &Message) -> Result<(), Ended> {
        self.session.accept(delivery);
        let outcome = match self.judge_put_token(message).await {
            Ok(proven) => self.let_in(proven).await,
            Err(not_proven) => Err(not_proven),
        };
        let answer = match &outcome {
            Ok(()) => message::token_answer(message, 200, "OK"),
            Err(not_proven) => {
                let tracking_id = self.log_refusal("a device was refused", &not_proven.refusal);
                let text = format!("{}. Tracking ID: {}", not_proven.told(), tracking_id.as_str());
                message::token_answer(message, not_proven.status, &text)
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
}
