//! One end of a connection, as a state machine: what a server and a client do alike.
//!
//! The driver turns a crank: [`Endpoint::handle_bytes`] with what arrived, [`Endpoint::poll_event`] until it is empty,
//! [`Endpoint::poll_transmit`] and write until it is empty, [`Endpoint::handle_timeout`] when [`Endpoint::poll_timeout`] is due. What
//! the endpoint does by itself: protocol headers, SASL's order, open, sessions, windows, credit, signs of life. What it asks the
//! driver: every judgement on credentials, links and messages.
//!
//! The two ends differ in how they come to frames of AMQP, which is their [`Side`], and in what a driver may ask of them, which stands
//! in [`crate::server`] and [`crate::client`].

use bytes::Bytes;

use crate::{
    codec::{
        DecodeError,
        frame::{FrameKind, FrameReader, ProtocolHeader},
        message::Message,
        performative::AmqpError,
    },
    connection::Connection,
    event::{Close, Delivery, Event, LinkId, SendError},
    limits::Limits,
    sasl::SaslFrame,
};

/// What an end awaits from its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Eight bytes that name a protocol.
    Header,
    /// A step of SASL.
    Sasl,
    /// Nothing yet: the driver must speak first, and bytes that come meanwhile wait.
    Verdict,
    /// Frames of AMQP.
    Amqp,
}

/// What comes before frames of AMQP, as one of the two ends sees it.
pub trait Side {
    /// What is awaited now.
    fn awaited(&self) -> Awaited;

    /// Takes a header; `None` for another protocol or version.
    fn handle_header(&mut self, header: Option<ProtocolHeader>, connection: &mut Connection) -> Result<(), Close>;

    /// Takes a step of SASL.
    fn handle_sasl(&mut self, frame: SaslFrame, connection: &mut Connection) -> Result<(), Close>;

    /// Time for the step that is due, from the connection's beginning, in milliseconds.
    fn time_to_open_ms(&self, limits: &Limits) -> u64;
}

/// One end of a connection.
#[derive(Debug)]
pub struct Endpoint<S> {
    pub(crate) side: S,
    pub(crate) connection: Connection,
    reader: FrameReader,
    began_ms: u64,
}

impl<S: Side> Endpoint<S> {
    pub(crate) fn begin(side: S, connection: Connection, now_ms: u64) -> Self {
        Self { side, connection, reader: FrameReader::default(), began_ms: now_ms }
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
    pub(crate) fn work(&mut self) {
        while !self.is_closed() && self.connection.has_room_for_events() {
            match self.step() {
                Ok(Some(())) => {}
                Ok(None) => return,
                Err(why) => self.connection.fail(why),
            }
        }
    }

    /// Reads one header or frame; `None` if there is none.
    fn step(&mut self) -> Result<Option<()>, Close> {
        let limits = *self.connection.limits();
        match self.side.awaited() {
            Awaited::Verdict => Ok(None),
            Awaited::Header => {
                let Some(header) = self.reader.header() else { return Ok(None) };
                self.side.handle_header(ProtocolHeader::parse(&header), &mut self.connection).map(Some)
            }
            Awaited::Sasl => {
                let Some(frame) = self.reader.frame(limits.sasl_frame_bytes)? else { return Ok(None) };
                if frame.kind != FrameKind::Sasl {
                    return Err(Close::Malformed(DecodeError::FrameHeader));
                }
                self.side.handle_sasl(SaslFrame::decode(frame.body)?, &mut self.connection).map(Some)
            }
            Awaited::Amqp => Ok(self.reader.frame(limits.frame_bytes)?.map(|frame| self.connection.handle_frame(frame))),
        }
    }

    /// Says that a message is taken. Call it before sending an answer: .NET's DPS client awaits the outcome first.
    pub fn accept(&mut self, delivery: Delivery) {
        self.connection.accept(delivery);
    }

    /// Says that a message is not taken, and why.
    pub fn reject(&mut self, delivery: Delivery, error: AmqpError) {
        self.connection.reject(delivery, error);
    }

    /// Sends a message on a link of which the peer is the receiver; it waits for credit. [`Event::Settled`] will name it, unless the
    /// peer asked for settled messages at attach.
    pub fn send(&mut self, link: LinkId, message: &Message) -> Result<Delivery, SendError> {
        self.connection.send(link, message)
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
        opening.then(|| self.began_ms.saturating_add(self.side.time_to_open_ms(self.connection.limits())))
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
