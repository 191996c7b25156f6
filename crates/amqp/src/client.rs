//! A client's side of one connection, as a state machine: as much as a device needs. One session, links on it.
//!
//! Driven as [`crate::server::Session`] is.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    codec::{
        DecodeError,
        frame::{Frame, FrameKind, FrameReader, ProtocolHeader},
        message::Message,
        performative::{AmqpError, Role},
        types::{Map, SecretBytes, Symbol},
    },
    connection::{Connection, Identity, LinkRequest},
    event::{Close, Delivery, Event, LinkId, SendError},
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

/// A client's side of one connection.
#[derive(Debug)]
pub struct Session {
    sasl: Sasl,
    sasl_hostname: Option<String>,
    phase: Phase,
    reader: FrameReader,
    connection: Connection,
    channel: Option<u16>,
    connected_ms: u64,
}

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
        Self {
            sasl: options.sasl,
            sasl_hostname: options.sasl_hostname,
            phase,
            reader: FrameReader::default(),
            connection,
            channel: None,
            connected_ms: now_ms,
        }
    }

    /// Takes bytes that arrived, in pieces of any size. Bytes after the end are ignored. They wait while there are events to poll or a
    /// verdict to give; a driver that goes on feeding meanwhile sees the connection closed at [`Limits::unread_bytes`].
    pub fn handle_bytes(&mut self, bytes: &[u8], now_ms: u64) {
        if self.is_closed() {
            return;
        }
        self.connection.heard(now_ms);
        if self.reader.buffered() > self.connection.limits().waiting_bytes_max() {
            return self.connection.fail(Close::TooMany("bytes while the driver is busy"));
        }
        self.reader.feed(bytes);
        self.work();
    }

    fn work(&mut self) {
        while !self.is_closed() && self.connection.has_room_for_events() {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => self.connection.fail(why),
            }
        }
    }

    fn step(&mut self) -> Result<bool, Close> {
        let limits = *self.connection.limits();
        match self.phase {
            Phase::SaslHeader | Phase::AmqpHeader => self.step_header(),
            Phase::SaslVerdict => Ok(false),
            Phase::SaslMechanisms | Phase::SaslChallenge => match self.reader.frame(limits.sasl_frame_bytes)? {
                Some(frame) => self.handle_sasl(frame).map(|()| true),
                None => Ok(false),
            },
            Phase::Amqp => match self.reader.frame(limits.frame_bytes)? {
                Some(frame) => {
                    self.connection.handle_frame(frame);
                    Ok(true)
                }
                None => Ok(false),
            },
        }
    }

    fn step_header(&mut self) -> Result<bool, Close> {
        let Some(header) = self.reader.header() else { return Ok(false) };
        match (self.phase, ProtocolHeader::parse(&header)) {
            (Phase::SaslHeader, Some(ProtocolHeader::Sasl)) => self.phase = Phase::SaslMechanisms,
            (Phase::AmqpHeader, Some(ProtocolHeader::Amqp)) => {
                self.phase = Phase::Amqp;
                self.connection.send_open();
                self.channel = self.connection.begin();
            }
            _ => return Err(Close::Protocol),
        }
        Ok(true)
    }

    fn handle_sasl(&mut self, frame: Frame) -> Result<(), Close> {
        if frame.kind != FrameKind::Sasl {
            return Err(Close::Malformed(DecodeError::FrameHeader));
        }
        match (self.phase, SaslFrame::decode(frame.body)?) {
            (Phase::SaslMechanisms, SaslFrame::Mechanisms(offered)) => self.choose(&offered),
            (Phase::SaslChallenge, SaslFrame::Challenge(challenge)) => {
                self.phase = Phase::SaslVerdict;
                self.connection.push_event(Event::SaslChallenge(challenge));
                Ok(())
            }
            (Phase::SaslChallenge, SaslFrame::Outcome(SaslCode::Ok)) => {
                self.connection.write_header(ProtocolHeader::Amqp);
                self.phase = Phase::AmqpHeader;
                Ok(())
            }
            (Phase::SaslChallenge, SaslFrame::Outcome(code)) => Err(Close::Sasl(code)),
            _ => Err(Close::Unexpected("a step of SASL out of order")),
        }
    }

    fn choose(&mut self, offered: &[Symbol]) -> Result<(), Close> {
        match &self.sasl {
            Sasl::Mechanism { name, initial_response } if offered.contains(name) => {
                self.connection.write_sasl(&SaslFrame::Init {
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

    /// Answers a challenge.
    pub fn sasl_response(&mut self, response: impl Into<Bytes>) {
        if self.phase == Phase::SaslVerdict && !self.is_closed() {
            self.connection.write_sasl(&SaslFrame::Response(SecretBytes(response.into())));
            self.phase = Phase::SaslChallenge;
            self.work();
        }
    }

    /// Asks for a link, after [`Event::Open`]. [`Event::Attached`] says that it is there, [`Event::Detached`] that it is refused.
    pub fn attach(&mut self, link: Link) -> Result<LinkId, SendError> {
        let channel = self.channel.ok_or(SendError::NotAttached)?;
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

    /// Sends a message; it waits for credit. [`Event::Settled`] will name it.
    pub fn send(&mut self, link: LinkId, message: &Message) -> Result<Delivery, SendError> {
        self.connection.send(link, message)
    }

    /// Says that a message is taken.
    pub fn accept(&mut self, delivery: Delivery) {
        self.connection.accept(delivery);
    }

    /// Says that a message is not taken, and why.
    pub fn reject(&mut self, delivery: Delivery, error: AmqpError) {
        self.connection.reject(delivery, error);
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        self.connection.close(None);
    }

    /// Tells that the stream is gone.
    pub fn handle_lost(&mut self) {
        self.connection.end(Close::Lost);
    }

    /// Acts on the time.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        match self.open_by() {
            Some(due) if due <= now_ms => self.connection.end(Close::OpenTimeout),
            _ => self.connection.handle_timeout(now_ms),
        }
    }

    /// When [`Self::handle_timeout`] is to be called next, on the driver's clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.open_by().into_iter().chain(self.connection.poll_timeout()).min()
    }

    fn open_by(&self) -> Option<u64> {
        let opening = !self.is_closed() && !self.is_open();
        opening.then(|| self.connected_ms.saturating_add(self.connection.limits().open_ms))
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.connection.poll_event();
        // What waits behind many events goes on now.
        self.work();
        event
    }

    /// Bytes to write. Once it gives none and [`Self::is_closed`], the stream can be closed.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.connection.poll_transmit()
    }

    /// Whether both sides have opened and neither has closed.
    pub fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }
}
