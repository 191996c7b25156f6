//! A server's side of one connection, as a state machine.
//!
//! Driven as every [`Endpoint`] is. A client chooses by its first 8 bytes whether there is SASL (section 2.2 and 5.2); a driver knows it by [`Event::Open`] coming
//! without [`Event::SaslInit`] before it.

use bytes::Bytes;

use crate::{
    codec::{
        frame::ProtocolHeader,
        performative::AmqpError,
        types::{SecretBytes, Symbol},
    },
    connection::{Connection, Identity},
    endpoint::{Awaited, Endpoint, Side},
    event::{Close, Event, LinkId},
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

/// The server's way to frames of AMQP.
#[derive(Debug)]
pub struct Server {
    mechanisms: Vec<Symbol>,
    phase: Phase,
}

impl Side for Server {
    fn awaited(&self) -> Awaited {
        match self.phase {
            Phase::FirstHeader | Phase::SecondHeader => Awaited::Header,
            Phase::SaslInit | Phase::SaslResponse { .. } => Awaited::Sasl,
            Phase::SaslVerdict { .. } => Awaited::Verdict,
            Phase::Amqp => Awaited::Amqp,
        }
    }

    fn handle_header(&mut self, header: Option<ProtocolHeader>, connection: &mut Connection) -> Result<(), Close> {
        match (self.phase, header) {
            (Phase::FirstHeader, Some(ProtocolHeader::Sasl)) => {
                connection.write_header(ProtocolHeader::Sasl);
                connection.write_sasl(&SaslFrame::Mechanisms(self.mechanisms.clone()));
                self.phase = Phase::SaslInit;
            }
            (_, Some(ProtocolHeader::Amqp)) => {
                connection.write_header(ProtocolHeader::Amqp);
                self.phase = Phase::Amqp;
            }
            _ => {
                // Section 2.2: a header that will not do is answered with one that would, and the connection ends.
                let due = if self.phase == Phase::FirstHeader { ProtocolHeader::Sasl } else { ProtocolHeader::Amqp };
                connection.write_header(due);
                return Err(Close::Protocol);
            }
        }
        Ok(())
    }

    fn handle_sasl(&mut self, frame: SaslFrame, connection: &mut Connection) -> Result<(), Close> {
        match (self.phase, frame) {
            (Phase::SaslInit, SaslFrame::Init { mechanism, .. }) if !self.mechanisms.contains(&mechanism) => {
                self.end_sasl(SaslCode::Auth, connection);
            }
            (Phase::SaslInit, SaslFrame::Init { mechanism, initial_response, hostname }) => {
                self.phase = Phase::SaslVerdict { rounds: 0 };
                connection.push_event(Event::SaslInit { mechanism, initial_response, hostname });
            }
            (Phase::SaslResponse { rounds }, SaslFrame::Response(response)) => {
                self.phase = Phase::SaslVerdict { rounds };
                connection.push_event(Event::SaslResponse(response));
            }
            _ => return Err(Close::Unexpected("a step of SASL out of order")),
        }
        Ok(())
    }

    fn time_to_open_ms(&self, limits: &Limits) -> u64 {
        if self.phase == Phase::FirstHeader { limits.header_ms } else { limits.open_ms }
    }
}

impl Server {
    fn end_sasl(&mut self, code: SaslCode, connection: &mut Connection) {
        connection.write_sasl(&SaslFrame::Outcome(code));
        self.phase = Phase::SecondHeader;
        if code != SaslCode::Ok {
            connection.end(Close::Sasl(code));
        }
    }
}

/// A server's side of one connection.
pub type Session = Endpoint<Server>;

impl Session {
    /// A fresh connection, accepted at `now_ms` (any monotonic clock, in milliseconds).
    pub fn new(options: Options, now_ms: u64) -> Self {
        let identity = Identity { container_id: options.container_id, hostname: None };
        let side = Server { mechanisms: options.mechanisms, phase: Phase::FirstHeader };
        Self::begin(side, Connection::new(options.limits, identity, now_ms), now_ms)
    }

    /// Asks the client for another step. The frame takes at most 24 bytes more than the challenge; clients may insist on frames of at
    /// most 512 (section 5.3.1). Ends the connection where there were [`Limits::sasl_rounds`] already.
    pub fn sasl_challenge(&mut self, challenge: impl Into<Bytes>) {
        let Phase::SaslVerdict { rounds } = self.side.phase else { return };
        if self.is_closed() {
            return;
        }
        if rounds >= self.connection.limits().sasl_rounds {
            return self.connection.fail(Close::TooMany("steps of SASL"));
        }
        self.connection.write_sasl(&SaslFrame::Challenge(SecretBytes(challenge.into())));
        self.side.phase = Phase::SaslResponse { rounds: rounds.saturating_add(1) };
        self.work();
    }

    /// Ends SASL. Anything but [`SaslCode::Ok`] ends the connection too.
    pub fn sasl_outcome(&mut self, code: SaslCode) {
        if matches!(self.side.phase, Phase::SaslVerdict { .. }) && !self.is_closed() {
            self.side.end_sasl(code, &mut self.connection);
            self.work();
        }
    }

    /// Agrees to a link: both of its ends are as the client said, and credit is granted where messages come in.
    pub fn accept_attach(&mut self, link: LinkId) {
        self.connection.accept_attach(link);
    }

    /// Takes messages of another format too on a link of which the client is the sender, one other at most. They have the sections of
    /// part 3 all the same; what these mean, [`Message::format`](crate::codec::message::Message::format) tells the driver. Any other
    /// format is rejected.
    pub fn take_format(&mut self, link: LinkId, format: u32) {
        self.connection.take_format(link, format);
    }

    /// Refuses a link: it is answered without this side's terminus, then detached with the error.
    pub fn refuse_attach(&mut self, link: LinkId, error: AmqpError) {
        self.connection.refuse_attach(link, error);
    }

    /// Ends a link that was agreed to.
    pub fn detach(&mut self, link: LinkId, error: Option<AmqpError>) {
        self.connection.detach(link, error);
    }

    /// Closes the connection; before open, without a word.
    pub fn close(&mut self, error: Option<AmqpError>) {
        self.connection.close(error);
    }
}
