//! A device's conversation over AMQP: SASL, two links, register, poll.
//!
//! With a SAS token a device passes SASL unproven and is proved when it attaches its first link, as the cloud does for certificates:
//! there a refusal can carry the service's error. A TPM is proved within SASL, since its challenge runs there.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{debug, warn};
use usher_amqp::{
    codec::{
        message::{Body, Message, Properties},
        performative::{AmqpError, Role},
        types::{Map, Value},
    },
    event::{Attached, Close, Delivery, Event, LinkId},
    sasl::SaslCode,
};
use usher_domain::{ErrorCode, IdScope, RegistrationId, ServiceError, TrackingId, limits};
use usher_provisioning::{Claim, Engine, Evidence, Reply, TpmKeysShown, Transport};

use super::{
    Link,
    names::{API_VERSION, OPERATION_ID, OPERATION_TYPE, REGISTER, RETRY_AFTER, STATUS, address, condition},
    sasl::{Plain, READY, TpmInit, content, segments},
};
use crate::{https::Peer, outcome::Outcome, stopped};

/// SASL mechanisms of the device API. Java insists that its own is listed.
pub const MECHANISMS: [&str; 2] = ["PLAIN", "TPM"];
/// How long a device may stay without asking anything.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// Why a conversation ends from this side: the failed check and what was found.
type Verdict = Result<(), (&'static str, String)>;

/// Whether the event that opens a conversation is a provisioning device's: by its SASL user or mechanism, or by its link's address.
pub fn is_ours(event: &Event) -> bool {
    match event {
        Event::SaslInit { mechanism, initial_response, .. } => match mechanism.as_str() {
            "TPM" => true,
            "PLAIN" => Plain::parse(&initial_response.0).is_some_and(|plain| address(plain.user).is_some()),
            _ => false,
        },
        Event::Attached(attached) => link_address(attached).is_some_and(|text| address(text).is_some()),
        _ => false,
    }
}

fn link_address(attached: &Attached) -> Option<&str> {
    match attached.role {
        Role::Receiver => attached.source.as_deref(),
        Role::Sender => attached.target.as_deref(),
    }
}

/// Where the device stands in SASL.
enum Sasl {
    /// Before it, or without it.
    None,
    /// TPM: the storage root key is expected.
    ExpectRootKey,
    /// TPM: the receipt of the first half is expected; this is the second.
    ExpectReceipt(Vec<u8>),
    /// TPM: the token is expected.
    ExpectToken,
    /// Over.
    Done,
}

/// Who the device says it is, and what it has shown.
struct Device {
    id_scope: IdScope,
    claimed_id: RegistrationId,
    api_version: String,
    sas_token: Option<String>,
    endorsement_key: Vec<u8>,
}

struct Conversation<'a, IO> {
    link: Link<IO>,
    asker: Asker<'a>,
    sasl: Sasl,
    answers: Option<LinkId>,
    /// Whether an unproven device has been told that it is refused.
    is_refused: bool,
}

/// Who asks, and whom: all of a conversation but its stream.
struct Asker<'a> {
    engine: &'a Engine,
    peer: Peer,
    transport: Transport,
    device: Option<Device>,
    is_proven: bool,
}

/// Serves a device from the event that showed it to be one, until it goes or `stop` turns true.
pub async fn serve<IO: AsyncRead + AsyncWrite + Unpin>(
    engine: &Engine,
    first: Event,
    link: Link<IO>,
    peer: Peer,
    transport: Transport,
    stop: watch::Receiver<bool>,
) {
    let asker = Asker { engine, peer, transport, device: None, is_proven: false };
    Conversation { link, asker, sasl: Sasl::None, answers: None, is_refused: false }.run(first, stop).await;
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Conversation<'_, IO> {
    async fn run(mut self, first: Event, mut stop: watch::Receiver<bool>) {
        let (mut idle_until, mut next) = (Instant::now() + IDLE_MAX, Some(first));
        loop {
            let event = match next.take() {
                Some(event) => Some(event),
                None => tokio::select! {
                    event = self.link.next_event() => event,
                    () = sleep_until(idle_until) => return self.end("amqp.idle", "the device asked nothing for five minutes").await,
                    () = stopped(&mut stop) => {
                        self.link.machine().close(None);
                        return self.link.finish().await;
                    }
                },
            };
            let verdict = match event {
                Some(Event::SaslInit { mechanism, initial_response, .. }) => self.sasl_init(mechanism.as_str(), &initial_response.0),
                Some(Event::SaslResponse(response)) => self.sasl_response(&response.0).await,
                Some(Event::Attached(attached)) => self.attach(*attached).await,
                Some(Event::Message { delivery, message }) => {
                    idle_until = Instant::now() + IDLE_MAX;
                    self.answer(delivery, *message).await
                }
                Some(Event::Detached { link, .. }) => {
                    self.answers = self.answers.filter(|answers| *answers != link);
                    Ok(())
                }
                Some(Event::Closed(why)) => return self.closed(why).await,
                Some(_) => Ok(()),
                None => return self.link.finish().await,
            };
            if let Err((check, why)) = verdict {
                return self.end(check, &why).await;
            }
        }
    }

    fn sasl_init(&mut self, mechanism: &str, response: &[u8]) -> Verdict {
        if mechanism == "TPM" {
            let init = TpmInit::parse(response).ok_or_else(|| sasl_form("the TPM response is malformed"))?;
            self.asker.device = Some(device(init.id_scope, init.registration_id, None, init.endorsement_key.to_vec())?);
            self.sasl = Sasl::ExpectRootKey;
            self.link.machine().sasl_challenge(READY);
            return Ok(());
        }
        let plain = Plain::parse(response).ok_or_else(|| sasl_form("the PLAIN response is malformed"))?;
        let (scope, id) = address(plain.user).ok_or_else(|| sasl_form("the PLAIN user is not {idScope}/registrations/{registrationId}"))?;
        self.asker.device = Some(device(scope, id, Some(plain.password.to_owned()), Vec::new())?);
        self.sasl = Sasl::Done;
        self.link.machine().sasl_outcome(SaslCode::Ok);
        Ok(())
    }

    async fn sasl_response(&mut self, response: &[u8]) -> Verdict {
        match std::mem::replace(&mut self.sasl, Sasl::Done) {
            Sasl::ExpectRootKey => {
                let root_key = content(response).ok_or_else(|| sasl_form("the storage root key is missing"))?;
                let Some(mut claim) = self.asker.claim(&self.asker.engine.new_tracking_id()) else {
                    return Err(sasl_form("nobody was named"));
                };
                let endorsement_key = self.asker.device.as_ref().map(|device| device.endorsement_key.clone()).unwrap_or_default();
                claim.evidence.tpm = Some(TpmKeysShown { endorsement_key, storage_root_key: root_key.to_vec() });
                match self.asker.engine.challenge(&claim).await {
                    Ok(blob) => {
                        let [first, last] = segments(&blob);
                        self.link.machine().sasl_challenge(first);
                        self.sasl = Sasl::ExpectReceipt(last);
                    }
                    Err(_) => self.link.machine().sasl_outcome(SaslCode::Auth),
                }
                Ok(())
            }
            Sasl::ExpectReceipt(last) => {
                self.link.machine().sasl_challenge(last);
                self.sasl = Sasl::ExpectToken;
                Ok(())
            }
            Sasl::ExpectToken => {
                let token = content(response).and_then(|bytes| std::str::from_utf8(bytes).ok());
                let token = token.ok_or_else(|| sasl_form("the token is missing"))?.to_owned();
                if let Some(device) = &mut self.asker.device {
                    device.sas_token = Some(token);
                }
                let Some(claim) = self.asker.claim(&self.asker.engine.new_tracking_id()) else { return Err(sasl_form("nobody was named")) };
                self.asker.is_proven = self.asker.engine.check_proof(&claim).await.is_ok();
                self.link.machine().sasl_outcome(if self.asker.is_proven { SaslCode::Ok } else { SaslCode::Auth });
                Ok(())
            }
            Sasl::None | Sasl::Done => Err(sasl_form("a response that nothing asked for")),
        }
    }

    /// Takes a link to the device's own address, and no other's. The first one proves the device.
    ///
    /// A refused device is told once. Node's SDK asks for its second link although the first was refused, and stops listening to both: an
    /// error there makes rhea drop the stream (rhea 1.0.24: lib/link.js `on_detach`, lib/connection.js `input`), and over WebSocket the SDK
    /// then waits 45 s for an AMQP close.
    async fn attach(&mut self, attached: Attached) -> Verdict {
        if self.is_refused {
            return Ok(());
        }
        let tracking_id = self.asker.engine.new_tracking_id();
        if let Err(error) = self.asker.judge_link(&attached, &tracking_id).await {
            let refusal = refusal(&Outcome::error(&error, &tracking_id, self.asker.engine.now()));
            self.link.machine().refuse_attach(attached.link, refusal);
            self.is_refused = !self.asker.is_proven;
            return Ok(());
        }
        if attached.role == Role::Receiver {
            self.answers = Some(attached.link);
        }
        self.link.machine().accept_attach(attached.link);
        Ok(())
    }

    async fn answer(&mut self, delivery: Delivery, message: Message) -> Verdict {
        let tracking_id = self.asker.engine.new_tracking_id();
        let outcome = match self.asker.ask(&message, &tracking_id).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.asker.engine.log_refused_request(&tracking_id, self.asker.transport, Some(self.asker.peer.address.ip()), &error);
                Outcome::error(&error, &tracking_id, self.asker.engine.now())
            }
        };
        if outcome.error.is_some() {
            self.link.machine().reject(delivery, refusal(&outcome));
            return Ok(());
        }
        // .NET waits for the outcome of its request before it looks for the answer.
        self.link.machine().accept(delivery);
        let Some(answers) = self.answers else {
            return Err(("amqp.order", "the device asks without a link for the answer".into()));
        };
        let mut application_properties = Map::new();
        if let Some(seconds) = outcome.retry_after_s {
            for name in RETRY_AFTER {
                application_properties.push(name, Value::Int(i32::try_from(seconds).unwrap_or(i32::MAX)));
            }
        }
        let properties = Properties { correlation_id: message.properties.correlation_id, ..Properties::default() };
        let body = Body::Data(vec![Bytes::from(outcome.body)]);
        let reply = Message { properties, application_properties, body, ..Message::default() };
        let sent = self.link.machine().send(answers, &reply);
        sent.map(|_| ()).map_err(|why| ("amqp.queue", why.to_string()))
    }

    async fn closed(self, why: Close) {
        match why {
            Close::ByPeer(_) | Close::ByDriver | Close::Lost | Close::Sasl(_) => debug!(%why, "connection ended"),
            _ => return self.end("amqp.protocol", &why.to_string()).await,
        }
        self.link.finish().await;
    }

    async fn end(mut self, check: &str, why: &str) {
        let tracking_id = self.asker.engine.new_tracking_id();
        let registration_id = self.asker.device.as_ref().map(|device| device.claimed_id.to_string()).unwrap_or_default();
        warn!(%tracking_id, registration_id, transport = self.asker.transport.name(), peer = %self.asker.peer.address, check, detail = why,
            mend = "Let the device follow the protocol: see docs/protocol/device-amqp.md.", "connection closed");
        self.link.machine().close(Some(AmqpError::new("amqp:not-allowed", why)));
        self.link.finish().await;
    }
}

impl Asker<'_> {
    async fn judge_link(&mut self, attached: &Attached, tracking_id: &TrackingId) -> Result<(), ServiceError> {
        let named = link_address(attached).and_then(address);
        let (scope, id) = named.ok_or_else(|| self.refused(tracking_id, "amqp.address", "The link's address is not a registration's."))?;
        let is_other = |device: &Device| !device.claimed_id.same_as(id) || !device.id_scope.as_str().eq_ignore_ascii_case(scope);
        match &self.device {
            Some(device) if is_other(device) => {
                return Err(self.refused(tracking_id, "amqp.address", "The link's address is another device's."));
            }
            Some(_) => {}
            None => {
                let (id_scope, claimed_id) = Claim::names(scope, id)?;
                let (api_version, sas_token) = (String::new(), None);
                self.device = Some(Device { id_scope, claimed_id, api_version, sas_token, endorsement_key: Vec::new() });
            }
        }
        if let (Some(device), Some(version)) = (&mut self.device, attached.properties.get_str(API_VERSION)) {
            device.api_version = version.chars().take(64).collect();
        }
        if !self.is_proven
            && let Some(claim) = self.claim(tracking_id)
        {
            self.engine.check_proof(&claim).await?;
            self.is_proven = true;
        }
        Ok(())
    }

    fn refused(&self, tracking_id: &TrackingId, check: &str, why: &str) -> ServiceError {
        warn!(%tracking_id, transport = self.transport.name(), peer = %self.peer.address, check, detail = why,
            mend = "Attach links to {idScope}/registrations/{registrationId} only.", "link refused");
        ServiceError::with(ErrorCode::Unauthorized, why)
    }

    async fn ask(&self, message: &Message, tracking_id: &TrackingId) -> Result<Outcome, ServiceError> {
        let Some(claim) = self.claim(tracking_id) else { return Err(ServiceError::new(ErrorCode::Unauthorized)) };
        let kind = message.application_properties.get_str(OPERATION_TYPE).unwrap_or_default();
        match kind {
            REGISTER => {
                let body = data(&message.body);
                if body.len() > limits::MESSAGE_BYTES_MAX {
                    return Err(ServiceError::new(ErrorCode::BodyTooLarge));
                }
                match self.engine.register(&claim, &body).await? {
                    Reply::Status(document) => Ok(Outcome::operation(self.engine, &claim, &document).await),
                    Reply::Challenge(_) => Err(ServiceError::with(ErrorCode::Unauthorized, "Over AMQP a TPM is proved in SASL.")),
                }
            }
            STATUS => {
                let operation_id = message.application_properties.get_str(OPERATION_ID).unwrap_or_default();
                let document = self.engine.operation_status(&claim, operation_id).await?;
                Ok(Outcome::operation(self.engine, &claim, &document).await)
            }
            _ => Err(ServiceError::with(ErrorCode::BadRequest, format!("{OPERATION_TYPE} must be {REGISTER} or {STATUS}."))),
        }
    }

    fn claim(&self, tracking_id: &TrackingId) -> Option<Claim> {
        let device = self.device.as_ref()?;
        Some(Claim {
            id_scope: device.id_scope.clone(),
            claimed_id: device.claimed_id.clone(),
            api_version: device.api_version.clone(),
            evidence: Evidence { certificates: self.peer.certificates.clone(), sas_token: device.sas_token.clone(), tpm: None },
            tracking_id: tracking_id.clone(),
            transport: self.transport,
            peer: Some(self.peer.address.ip()),
        })
    }
}

fn sasl_form(why: &str) -> (&'static str, String) {
    ("amqp.sasl", why.to_owned())
}

fn device(scope: &str, id: &str, sas_token: Option<String>, endorsement_key: Vec<u8>) -> Result<Device, (&'static str, String)> {
    let (id_scope, claimed_id) = Claim::names(scope, id).map_err(|error| ("amqp.sasl", error.message))?;
    Ok(Device { id_scope, claimed_id, api_version: String::new(), sas_token, endorsement_key })
}

/// The bytes of a body. Polls carry other kinds of bodies, which mean nothing.
fn data(body: &Body) -> Vec<u8> {
    match body {
        Body::Data(parts) => parts.concat(),
        _ => Vec::new(),
    }
}

/// A refusal as AMQP carries it: the service's error as description, when to come back as info.
fn refusal(outcome: &Outcome) -> AmqpError {
    let mut error = AmqpError::new(condition(outcome.status), String::from_utf8_lossy(&outcome.body));
    if let Some(seconds) = outcome.retry_after_s {
        for name in RETRY_AFTER {
            error.info.push(name, Value::Int(i32::try_from(seconds).unwrap_or(i32::MAX)));
        }
    }
    error
}
