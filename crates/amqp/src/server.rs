//! A server's side of one connection, as a state machine.
//!
//! The driver turns a crank: [`Session::handle_bytes`] with what arrived, [`Session::poll_event`] until it is empty,
//! [`Session::poll_transmit`] and write until it is empty, [`Session::handle_timeout`] when [`Session::poll_timeout`] is due. What the
//! session does by itself: protocol headers, SASL's order, open, sessions, windows, credit, signs of life. What it asks the driver:
//! every judgement on credentials, links and messages.
//!
//! A client chooses by its first 8 bytes whether there is SASL (section 2.2 and 5.2); a driver knows it by [`Event::Open`] coming
//! without [`Event::SaslInit`] before it.

use bytes::Bytes;

use crate::{
    codec::{
        DecodeError,
        frame::{Frame, FrameKind, FrameReader, ProtocolHeader},
        message::Message,
        performative::AmqpError,
        types::{SecretBytes, Symbol},
    },
    connection::{Connection, Identity},
    event::{Close, Delivery, Event, LinkId, SendError},
    limits::Limits,
    sasl::{SaslCode, SaslFrame},
};

/// Who the server says it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name in its open.
    pub container_id: String,
    /// SASL mechanisms it offers, in the order of its liking.
    pub mechanisms: Vec<Symbol>,
    /// The bounds of the connection.
    pub limits: Limits,
}

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first 8 bytes.
    FirstHeader,
    /// The client's choice of a mechanism.
    SaslInit,
    /// The driver's word; bytes that come meanwhile wait.
    SaslVerdict { rounds: usize },
    /// The client's answer to a challenge.
    SaslResponse { rounds: usize },
    /// The header of AMQP after SASL.
    SecondHeader,
    /// Frames of AMQP.
    Amqp,
}

/// A server's side of one connection.
#[derive(Debug)]
pub struct Session {
    mechanisms: Vec<Symbol>,
    phase: Phase,
    reader: FrameReader,
    connection: Connection,
    accepted_ms: u64,
}

impl Session {
    /// A fresh connection, accepted at `now_ms` (any monotonic clock, in milliseconds).
    pub fn new(options: Options, now_ms: u64) -> Self {
        let identity = Identity { container_id: options.container_id, hostname: None };
        Self {
            mechanisms: options.mechanisms,
            phase: Phase::FirstHeader,
            reader: FrameReader::default(),
            connection: Connection::new(options.limits, identity, now_ms),
            accepted_ms: now_ms,
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

    /// Reads until nothing is complete or the driver must speak first.
    fn work(&mut self) {
        while !self.is_closed() && self.connection.has_room_for_events() {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => self.connection.fail(why),
            }
        }
    }

    /// Reads one header or frame; `false` if there is none.
    fn step(&mut self) -> Result<bool, Close> {
        let limits = *self.connection.limits();
        match self.phase {
            Phase::FirstHeader | Phase::SecondHeader => self.step_header(),
            Phase::SaslVerdict { .. } => Ok(false),
            Phase::SaslInit | Phase::SaslResponse { .. } => match self.reader.frame(limits.sasl_frame_bytes)? {
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
            (Phase::FirstHeader, Some(ProtocolHeader::Sasl)) => {
                self.connection.write_header(ProtocolHeader::Sasl);
                self.connection.write_sasl(&SaslFrame::Mechanisms(self.mechanisms.clone()));
                self.phase = Phase::SaslInit;
            }
            (_, Some(ProtocolHeader::Amqp)) => {
                self.connection.write_header(ProtocolHeader::Amqp);
                self.phase = Phase::Amqp;
            }
            _ => {
                // Section 2.2: a header that will not do is answered with one that would, and the connection ends.
                let due = if self.phase == Phase::FirstHeader { ProtocolHeader::Sasl } else { ProtocolHeader::Amqp };
                self.connection.write_header(due);
                return Err(Close::Protocol);
            }
        }
        Ok(true)
    }

    fn handle_sasl(&mut self, frame: Frame) -> Result<(), Close> {
        if frame.kind != FrameKind::Sasl {
            return Err(Close::Malformed(DecodeError::FrameHeader));
        }
        match (self.phase, SaslFrame::decode(frame.body)?) {
            (Phase::SaslInit, SaslFrame::Init { mechanism, initial_response, hostname }) => {
                self.phase = Phase::SaslVerdict { rounds: 0 };
                if self.mechanisms.contains(&mechanism) {
                    self.connection.push_event(Event::SaslInit { mechanism, initial_response, hostname });
                } else {
                    self.sasl_outcome(SaslCode::Auth);
                }
                Ok(())
            }
            (Phase::SaslResponse { rounds }, SaslFrame::Response(response)) => {
                self.phase = Phase::SaslVerdict { rounds };
                self.connection.push_event(Event::SaslResponse(response));
                Ok(())
            }
            _ => Err(Close::Unexpected("a step of SASL out of order")),
        }
    }

    /// Asks the client for another step. The frame takes at most 24 bytes more than the challenge; clients may insist on frames of at
    /// most 512 (section 5.3.1). Ends the connection where there were [`Limits::sasl_rounds`] already.
    pub fn sasl_challenge(&mut self, challenge: impl Into<Bytes>) {
        let Phase::SaslVerdict { rounds } = self.phase else { return };
        if self.is_closed() {
            return;
        }
        if rounds >= self.connection.limits().sasl_rounds {
            return self.connection.fail(Close::TooMany("steps of SASL"));
        }
        self.connection.write_sasl(&SaslFrame::Challenge(SecretBytes(challenge.into())));
        self.phase = Phase::SaslResponse { rounds: rounds.saturating_add(1) };
        self.work();
    }

    /// Ends SASL. Anything but [`SaslCode::Ok`] ends the connection too.
    pub fn sasl_outcome(&mut self, code: SaslCode) {
        if !matches!(self.phase, Phase::SaslVerdict { .. }) || self.is_closed() {
            return;
        }
        self.connection.write_sasl(&SaslFrame::Outcome(code));
        self.phase = Phase::SecondHeader;
        if code != SaslCode::Ok {
            return self.connection.end(Close::Sasl(code));
        }
        self.work();
    }

    /// Agrees to a link: both of its ends are as the client said, and credit is granted where messages come in.
    pub fn accept_attach(&mut self, link: LinkId) {
        self.connection.accept_attach(link);
    }

    /// Refuses a link: it is answered without this side's terminus, then detached with the error.
    pub fn refuse_attach(&mut self, link: LinkId, error: AmqpError) {
        self.connection.refuse_attach(link, error);
    }

    /// Ends a link that was agreed to.
    pub fn detach(&mut self, link: LinkId, error: Option<AmqpError>) {
        self.connection.detach(link, error);
    }

    /// Says that a message is taken. Call it before sending an answer: .NET's DPS client awaits the outcome first.
    pub fn accept(&mut self, delivery: Delivery) {
        self.connection.accept(delivery);
    }

    /// Says that a message is not taken, and why.
    pub fn reject(&mut self, delivery: Delivery, error: AmqpError) {
        self.connection.reject(delivery, error);
    }

    /// Sends a message on a link of which the client is the receiver; it waits for credit. [`Event::Settled`] will name it, unless the
    /// client asked for settled messages at attach.
    pub fn send(&mut self, link: LinkId, message: &Message) -> Result<Delivery, SendError> {
        self.connection.send(link, message)
    }

    /// Closes the connection; before open, without a word.
    pub fn close(&mut self, error: Option<AmqpError>) {
        self.connection.close(error);
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
        if self.is_closed() || self.is_open() {
            return None;
        }
        let limits = self.connection.limits();
        let time = if self.phase == Phase::FirstHeader { limits.header_ms } else { limits.open_ms };
        Some(self.accepted_ms.saturating_add(time))
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
