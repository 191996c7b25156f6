//! A client's side of one connection, as a state machine: as much as a device needs. One session, links on it.
//!
//! Driven as every [`Endpoint`] is.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    codec::{
        frame::ProtocolHeader,
        performative::Role,
        types::{Map, SecretBytes, Symbol},
    },
    connection::{Connection, Identity, LinkRequest},
    endpoint::{Awaited, Endpoint, Side},
    event::{Close, Event, LinkId, SendError},
    limits::Limits,
    sasl::{SaslCode, SaslFrame},
};

/// How a client proves who it is.
#[derive(Clone, Debug)]
pub enum Sasl {
    /// Not by SASL; a certificate, or not at all.
    None,
    /// By a mechanism and what it begins with. Further steps come as [`Event::SaslChallenge`].
    Mechanism {
        /// Its name.
        name: Symbol,
        /// What it begins with.
        initial_response: SecretBytes,
    },
}

impl Sasl {
    /// User and password in the clear (RFC 4616), without an authorization identity.
    pub fn plain(user: &str, password: &str) -> Self {
        let mut response = BytesMut::new();
        response.put_u8(0);
        response.put_slice(user.as_bytes());
        response.put_u8(0);
        response.put_slice(password.as_bytes());
        Self::Mechanism { name: "PLAIN".into(), initial_response: response.freeze().into() }
    }
}

/// Who the client says it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name in its open.
    pub container_id: String,
    /// Whom it means to speak to; in its open.
    pub hostname: Option<String>,
    /// Whom it means to speak to; in SASL.
    pub sasl_hostname: Option<String>,
    /// How it proves who it is.
    pub sasl: Sasl,
    /// The bounds of the connection.
    pub limits: Limits,
}

/// A link that a client asks for.
#[derive(Clone, Debug)]
pub struct Link {
    /// Which end the **client** is.
    pub role: Role,
    /// The link's name, unlike any other of the connection.
    pub name: String,
    /// The address at the server's end.
    pub address: String,
    /// Link properties.
    pub properties: Map,
}

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    SaslHeader,
    SaslMechanisms,
    /// A challenge or the outcome.
    SaslChallenge,
    /// The driver's answer to a challenge.
    SaslVerdict,
    AmqpHeader,
    Amqp,
}

/// The client's way to frames of AMQP.
#[derive(Debug)]
pub struct Client {
    sasl: Sasl,
    sasl_hostname: Option<String>,
    phase: Phase,
    /// This side's channel of the one session, once there is one.
    channel: Option<u16>,
}

impl Client {
    fn choose(&mut self, offered: &[Symbol], connection: &mut Connection) -> Result<(), Close> {
        match &self.sasl {
            Sasl::Mechanism { name, initial_response } if offered.contains(name) => {
                connection.write_sasl(&SaslFrame::Init {
                    mechanism: name.clone(),
                    initial_response: initial_response.clone(),
                    hostname: self.sasl_hostname.clone(),
                });
                self.phase = Phase::SaslChallenge;
                Ok(())
            }
            _ => Err(Close::Unexpected("the server does not offer the mechanism")),
        }
    }
}

impl Side for Client {
    fn awaited(&self) -> Awaited {
        match self.phase {
            Phase::SaslHeader | Phase::AmqpHeader => Awaited::Header,
            Phase::SaslMechanisms | Phase::SaslChallenge => Awaited::Sasl,
            Phase::SaslVerdict => Awaited::Verdict,
            Phase::Amqp => Awaited::Amqp,
        }
    }

    fn handle_header(&mut self, header: Option<ProtocolHeader>, connection: &mut Connection) -> Result<(), Close> {
        match (self.phase, header) {
            (Phase::SaslHeader, Some(ProtocolHeader::Sasl)) => self.phase = Phase::SaslMechanisms,
            (Phase::AmqpHeader, Some(ProtocolHeader::Amqp)) => {
                self.phase = Phase::Amqp;
                connection.send_open();
                self.channel = connection.begin();
            }
            _ => return Err(Close::Protocol),
        }
        Ok(())
    }

    fn handle_sasl(&mut self, frame: SaslFrame, connection: &mut Connection) -> Result<(), Close> {
        match (self.phase, frame) {
            (Phase::SaslMechanisms, SaslFrame::Mechanisms(offered)) => self.choose(&offered, connection),
            (Phase::SaslChallenge, SaslFrame::Challenge(challenge)) => {
                self.phase = Phase::SaslVerdict;
                connection.push_event(Event::SaslChallenge(challenge));
                Ok(())
            }
            (Phase::SaslChallenge, SaslFrame::Outcome(SaslCode::Ok)) => {
                connection.write_header(ProtocolHeader::Amqp);
                self.phase = Phase::AmqpHeader;
                Ok(())
            }
            (Phase::SaslChallenge, SaslFrame::Outcome(code)) => Err(Close::Sasl(code)),
            _ => Err(Close::Unexpected("a step of SASL out of order")),
        }
    }

    fn time_to_open_ms(&self, limits: &Limits) -> u64 {
        limits.open_ms
    }
}

/// A client's side of one connection.
pub type Session = Endpoint<Client>;

impl Session {
    /// Begins on a fresh stream, at `now_ms` (any monotonic clock, in milliseconds). [`Event::Open`] tells when links can be asked for.
    pub fn connect(options: Options, now_ms: u64) -> Self {
        let identity = Identity { container_id: options.container_id, hostname: options.hostname };
        let (phase, header) = match options.sasl {
            Sasl::None => (Phase::AmqpHeader, ProtocolHeader::Amqp),
            Sasl::Mechanism { .. } => (Phase::SaslHeader, ProtocolHeader::Sasl),
        };
        let mut connection = Connection::new(options.limits, identity, now_ms);
        connection.write_header(header);
        let side = Client { sasl: options.sasl, sasl_hostname: options.sasl_hostname, phase, channel: None };
        Self::begin(side, connection, now_ms)
    }

    /// Answers a challenge.
    pub fn sasl_response(&mut self, response: impl Into<Bytes>) {
        if self.side.phase == Phase::SaslVerdict && !self.is_closed() {
            self.connection.write_sasl(&SaslFrame::Response(SecretBytes(response.into())));
            self.side.phase = Phase::SaslChallenge;
            self.work();
        }
    }

    /// Asks for a link, after [`Event::Open`]. [`Event::Attached`] says that it is there, [`Event::Detached`] that it is refused.
    pub fn attach(&mut self, link: Link) -> Result<LinkId, SendError> {
        let channel = self.side.channel.ok_or(SendError::NotAttached)?;
        let Link { role, name, address, properties } = link;
        // The client's own end has no address worth a name, but a terminus must be there (section 2.6.3).
        let (source, target) = match role {
            Role::Sender => (Some(name.clone()), Some(address)),
            Role::Receiver => (Some(address), Some(name.clone())),
        };
        self.connection.attach(channel, LinkRequest { role, name, source, target, properties })
    }

    /// Ends a link.
    pub fn detach(&mut self, link: LinkId) {
        self.connection.detach(link, None);
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        self.connection.close(None);
    }
}
