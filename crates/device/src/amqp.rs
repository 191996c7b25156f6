//! Being a device over AMQP: SASL where there is a key or a TPM, two links, and a message for each request.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use usher_amqp::{
    client::{Link, Options, Sasl, Session},
    codec::{
        message::{Body, Message},
        performative::{AmqpError, DeliveryState, Role},
        types::Map,
    },
    event::{Close, Event, LinkId},
    limits::Limits,
};

use crate::{
    Credential, Failure, Profile, Tpm,
    exchange::{API_VERSION, Answer, Exchange, expiry},
    pump::Pump,
    trace::Trace,
};

/// A provisioning conversation over AMQP.
pub struct Amqp<IO> {
    pump: Pump<Session, IO>,
    requests: LinkId,
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send> Amqp<IO> {
    /// Connects, proves the device in SASL where it has a key or a TPM, and attaches both links.
    pub async fn open(io: IO, profile: &Profile, token: Option<String>, trace: &Trace<'_>) -> Result<Self, Failure> {
        let options = Options {
            container_id: profile.registration_id.clone(),
            hostname: Some(profile.host.clone()),
            sasl_hostname: Some(profile.host.clone()),
            sasl: sasl(profile, token),
            limits: Limits::default(),
        };
        let mut pump = Pump::new(io, Session::connect(options, 0));
        let mut steps = TpmSteps::default();
        loop {
            match event(&mut pump, "AMQP open").await? {
                Event::SaslChallenge(challenge) => {
                    let Credential::Tpm(tpm) = &profile.credential else { return Err(unexpected("SASL", "a challenge")) };
                    let answer = steps.answer(&challenge.0, profile, tpm, trace)?;
                    pump.session.sasl_response(answer);
                }
                Event::Open { .. } => break,
                other => return Err(unexpected("AMQP open", &format!("{other:?}"))),
            }
        }
        trace.step("AMQP connection open");
        let link = |role, name: &str| Link {
            role,
            name: name.to_owned(),
            address: profile.resource(),
            properties: Map::new().with(usher_amqp::codec::types::Symbol::from("com.microsoft:api-version"), API_VERSION),
        };
        // The receiver first, as Azure's SDKs do it.
        attach(&mut pump, link(Role::Receiver, "answers")).await?;
        let requests = attach(&mut pump, link(Role::Sender, "requests")).await?;
        trace.step(format!("both links attached to {}", profile.resource()));
        Ok(Self { pump, requests })
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        self.pump.session.close();
        self.pump.close().await;
    }

    async fn call(&mut self, step: &'static str, properties: Map, body: Vec<u8>) -> Result<Answer, Failure> {
        let body = Body::Data(vec![Bytes::from(body)]);
        let message = Message { application_properties: properties, body, ..Message::default() };
        let sent = self.pump.session.send(self.requests, &message).map_err(|why| unexpected(step, &why.to_string()))?;
        loop {
            match event(&mut self.pump, step).await? {
                Event::Settled { delivery, state: Some(DeliveryState::Rejected(error)) } if delivery == sent => {
                    let description = error.and_then(|error| error.description).unwrap_or_default();
                    return Ok(rejected(description));
                }
                Event::Message { delivery, message } => {
                    self.pump.session.accept(delivery);
                    return Ok(accepted(*message));
                }
                // A server that closes the connection may end its links first; why, the close says.
                Event::Settled { .. } | Event::Detached { error: None, .. } => {}
                Event::Detached { error: Some(error), .. } => return Err(detached(step, error)),
                other => return Err(unexpected(step, &format!("{other:?}"))),
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send> Exchange for Amqp<IO> {
    async fn register(&mut self, body: Vec<u8>) -> Result<Answer, Failure> {
        self.call("register", Map::new().with("iotdps-operation-type", "iotdps-register"), body).await
    }

    async fn status(&mut self, operation_id: &str) -> Result<Answer, Failure> {
        let properties = Map::new().with("iotdps-operation-type", "iotdps-get-operationstatus").with("iotdps-operation-id", operation_id);
        self.call("poll", properties, Vec::new()).await
    }
}

/// The service's error, as the description of a rejection carries it; its code tells the status.
fn rejected(description: String) -> Answer {
    let json: serde_json::Value = serde_json::from_str(&description).unwrap_or_default();
    let status = json["errorCode"].as_u64().and_then(|code| u16::try_from(code / 1000).ok()).unwrap_or(400);
    Answer { status, retry_after_s: None, body: Bytes::from(description.into_bytes()) }
}

/// Why the server ended a link.
fn detached(step: &'static str, error: AmqpError) -> Failure {
    let answer = rejected(error.description.unwrap_or_default());
    Failure::refused(step, answer.status, &answer.body)
}

fn accepted(message: Message) -> Answer {
    let retry_after = message.application_properties.get("retry-after").and_then(|value| value.as_i64());
    let retry_after_s = retry_after.and_then(|seconds| u64::try_from(seconds).ok());
    let body = match message.body {
        Body::Data(parts) => Bytes::from(parts.concat()),
        _ => Bytes::new(),
    };
    Answer { status: if retry_after_s.is_some() { 202 } else { 200 }, retry_after_s, body }
}

fn sasl(profile: &Profile, token: Option<String>) -> Sasl {
    match (&profile.credential, token) {
        (Credential::Tpm(tpm), _) => {
            let names = format!("\0{}\0{}\0", profile.id_scope, profile.registration_id);
            let response = [names.as_bytes(), tpm.endorsement_key()].concat();
            Sasl::Mechanism { name: "TPM".into(), initial_response: Bytes::from(response).into() }
        }
        (_, Some(token)) => Sasl::plain(&profile.resource(), &token),
        (_, None) => Sasl::None,
    }
}

/// The mechanism `TPM` from the device's side (docs/protocol/tpm.md).
#[derive(Default)]
struct TpmSteps {
    blob: Vec<u8>,
}

impl TpmSteps {
    fn answer(&mut self, challenge: &[u8], profile: &Profile, tpm: &Tpm, trace: &Trace<'_>) -> Result<Vec<u8>, Failure> {
        /// More segments follow, or this is the last: the control byte's upper bits.
        const DATA: u8 = 0x80;
        const LAST: u8 = 0x40;
        match challenge {
            [0] => Ok([&[0], tpm.storage_root_key()].concat()),
            [control, data @ ..] if control & DATA != 0 => {
                self.blob.extend_from_slice(data);
                if control & LAST == 0 {
                    return Ok(vec![0]);
                }
                trace.step("challenged in SASL with an activation blob");
                tpm.activate(&self.blob)?;
                let token = tpm.token(&profile.resource(), expiry(), Some("registration"))?;
                trace.step(format!("SAS token for {} signed inside the TPM", profile.resource()));
                Ok([&[0], token.as_bytes()].concat())
            }
            _ => Err(unexpected("SASL", "a challenge of another kind")),
        }
    }
}

async fn attach<IO: AsyncRead + AsyncWrite + Unpin>(pump: &mut Pump<Session, IO>, link: Link) -> Result<LinkId, Failure> {
    let step = "AMQP attach";
    let asked = pump.session.attach(link).map_err(|why| unexpected(step, &why.to_string()))?;
    loop {
        match event(pump, step).await? {
            // A refusal is an attach without the server's terminus, and the reason in the detach behind it (AMQP 2.6.3).
            Event::Attached(attached) if attached.source.is_none() || attached.target.is_none() => {}
            Event::Attached(attached) if attached.link == asked => return Ok(asked),
            Event::Detached { error: Some(error), .. } => return Err(detached(step, error)),
            Event::Detached { error: None, .. } => {}
            other => return Err(unexpected(step, &format!("{other:?}"))),
        }
    }
}

/// The next event but the end of the connection.
async fn event<IO: AsyncRead + AsyncWrite + Unpin>(pump: &mut Pump<Session, IO>, step: &'static str) -> Result<Event, Failure> {
    match pump.event(step).await? {
        Event::Closed(Close::Sasl(code)) => {
            let next = "The credential was refused: the server's log names the failed check.";
            Err(Failure::new(step, format!("SASL ended with {code:?}"), next))
        }
        Event::Closed(why) => Err(Failure::new(step, format!("the connection ended: {why}"), "See the server's log.")),
        event => Ok(event),
    }
}

fn unexpected(step: &'static str, what: &str) -> Failure {
    Failure::new(step, format!("an unexpected answer: {what}"), "Is this an Azure-compatible endpoint?")
}
