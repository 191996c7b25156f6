//! The AMQP layer of a connection, the same for servers and clients: open, sessions, links, transfers, signs of life, close.
//!
//! What comes before it, protocol headers and SASL, belongs to [`crate::server`] and [`crate::client`]. A peer that breaks the protocol
//! loses the whole connection: clients that do so by accident do not exist among those this is for, and one way out is easier to get
//! right than three.

mod attach;
mod begin;
mod incoming;
mod link;
mod outgoing;
mod session;
mod write;

pub use attach::LinkRequest;

use std::collections::{BTreeMap, VecDeque};

use bytes::BytesMut;

use crate::{
    codec::{
        frame::{FRAME_BYTES_MIN, Frame, FrameKind, ProtocolHeader},
        performative::{AmqpError, Close as CloseFrame, Open, Performative},
        types::Map,
    },
    event::{Close, Delivery, Event, LinkId},
    limits::Limits,
};
use link::Link;
use session::Session;

/// Shortest time between two signs of life, in milliseconds: whatever a peer asks for, it cannot make this side busy.
const KEEP_ALIVE_MS_MIN: u64 = 250;

/// Events that wait before no more frames are read. A frame makes one at most, but for an end, a disposition or a close, which make as
/// many as there are links or messages in flight.
const EVENTS_MAX: usize = 64;

/// Who this side is.
#[derive(Clone, Debug)]
pub struct Identity {
    pub container_id: String,
    /// Whom it means to speak to; for clients.
    pub hostname: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Headers and SASL are not done, or the peer has not opened.
    Opening,
    Open,
    Closed,
}

/// What the peer said in its open.
#[derive(Debug)]
struct Peer {
    frame_bytes_max: usize,
    channel_max: u16,
    /// Time between two signs of life.
    keep_alive_ms: Option<u64>,
}

#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    identity: Identity,
    state: State,
    /// This side's open is sent.
    opened: bool,
    peer: Peer,
    sessions: Vec<Session>,
    links: BTreeMap<LinkId, Link>,
    last_link: u64,
    last_delivery: u64,
    events: VecDeque<Event>,
    out: BytesMut,
    now_ms: u64,
    heard_ms: u64,
    sent_ms: u64,
}

impl Connection {
    pub fn new(limits: Limits, identity: Identity, now_ms: u64) -> Self {
        Self {
            limits,
            identity,
            state: State::Opening,
            opened: false,
            // Before its open a peer takes no more than every peer must (section 2.4.1).
            peer: Peer { frame_bytes_max: FRAME_BYTES_MIN, channel_max: 0, keep_alive_ms: None },
            sessions: Vec::new(),
            links: BTreeMap::new(),
            last_link: 0,
            last_delivery: 0,
            events: VecDeque::new(),
            out: BytesMut::new(),
            now_ms,
            heard_ms: now_ms,
            sent_ms: now_ms,
        }
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub fn push_event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub fn has_room_for_events(&self) -> bool {
        self.events.len() < EVENTS_MAX
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Notes that something arrived.
    pub fn heard(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.heard_ms = now_ms;
    }

    /// Takes a frame of the AMQP layer.
    pub fn handle_frame(&mut self, frame: Frame) {
        if let Err(why) = self.try_frame(frame) {
            self.fail(why);
        }
        if self.out.len() > self.limits.unsent_bytes {
            self.fail(Close::SlowReader);
        }
    }

    fn try_frame(&mut self, frame: Frame) -> Result<(), Close> {
        if frame.kind != FrameKind::Amqp {
            return Err(Close::Unexpected("a SASL frame after SASL"));
        }
        if frame.body.is_empty() {
            return Ok(());
        }
        let channel = frame.channel;
        let (performative, payload) = Performative::decode(frame.body)?;
        match (self.state, performative) {
            (State::Closed, _) => Ok(()),
            (State::Opening, Performative::Open(open)) => self.handle_open(open),
            (State::Opening, _) => Err(Close::Unexpected("the first frame was not open (AMQP 2.4.1)")),
            (State::Open, Performative::Open(_)) => Err(Close::Unexpected("a second open")),
            (State::Open, Performative::Close(CloseFrame { error })) => {
                self.write(0, &Performative::Close(CloseFrame { error: None }));
                self.end(Close::ByPeer(error));
                Ok(())
            }
            (State::Open, Performative::Begin(begin)) => self.handle_begin(channel, &begin),
            (State::Open, other) => self.handle_in_session(channel, other, payload),
        }
    }

    fn handle_in_session(&mut self, channel: u16, performative: Performative, payload: bytes::Bytes) -> Result<(), Close> {
        let session = self.sessions.iter().find(|session| session.remote_channel == Some(channel));
        let session = session.ok_or(Close::Unexpected("a frame on a channel without a session"))?;
        let channel = session.channel;
        match performative {
            Performative::End(end) => self.handle_end(channel, end.error),
            Performative::Attach(attach) => self.handle_attach(channel, attach),
            Performative::Detach(detach) => self.handle_detach(channel, detach),
            Performative::Flow(flow) => self.handle_flow(channel, &flow),
            Performative::Transfer(transfer) => self.handle_transfer(channel, transfer, payload),
            Performative::Disposition(disposition) => self.handle_disposition(channel, &disposition),
            Performative::Open(_) | Performative::Begin(_) | Performative::Close(_) => Ok(()),
        }
    }

    fn handle_open(&mut self, open: Open) -> Result<(), Close> {
        let frame_bytes_max = usize::try_from(open.max_frame_size).unwrap_or(usize::MAX);
        if frame_bytes_max < FRAME_BYTES_MIN {
            return Err(Close::Unexpected("a max-frame-size below 512 (AMQP 2.7.1)"));
        }
        self.peer = Peer {
            // Nothing is gained by frames larger than this side would take itself.
            frame_bytes_max: frame_bytes_max.min(self.limits.frame_bytes.max(FRAME_BYTES_MIN)),
            channel_max: open.channel_max,
            keep_alive_ms: open.idle_time_out_ms.filter(|ms| *ms > 0).map(|ms| (u64::from(ms) / 2).max(KEEP_ALIVE_MS_MIN)),
        };
        self.send_open();
        self.state = State::Open;
        self.events.push_back(Event::Open { container_id: open.container_id, hostname: open.hostname });
        Ok(())
    }

    /// Sends this side's open, once.
    pub fn send_open(&mut self) {
        if self.opened {
            return;
        }
        self.opened = true;
        let open = Open {
            container_id: self.identity.container_id.clone(),
            hostname: self.identity.hostname.clone(),
            max_frame_size: u32::try_from(self.limits.frame_bytes.max(FRAME_BYTES_MIN)).unwrap_or(u32::MAX),
            channel_max: self.limits.sessions.saturating_sub(1),
            idle_time_out_ms: Some(u32::try_from(self.limits.idle_ms / 2).unwrap_or(u32::MAX)),
            properties: Map::new(),
        };
        self.write(0, &Performative::Open(open));
    }

    /// Writes a protocol header.
    pub fn write_header(&mut self, header: ProtocolHeader) {
        self.sent_ms = self.now_ms;
        self.out.extend_from_slice(header.bytes());
    }

    /// Ends the sessions, then closes. Sessions would end with the connection anyway (section 2.5.5), but Azure's Node client takes
    /// leave of each whose end it has not heard, and waits up to 45 s for the answer (azure-iot-sdk-node:
    /// common/transport/amqp/src/amqp.ts). The reason is the connection's alone: a session's error that nobody listens for is an
    /// unhandled one in rhea (lib/session.js `on_end`).
    fn send_close(&mut self, error: Option<AmqpError>) {
        if self.opened {
            self.send_ends();
            self.write(0, &Performative::Close(CloseFrame { error }));
        }
    }

    /// Closes from this side.
    pub fn close(&mut self, error: Option<AmqpError>) {
        if self.state != State::Closed {
            self.send_close(error);
            self.end(Close::ByDriver);
        }
    }

    /// Tells the peer why, if it listens, and ends.
    pub fn fail(&mut self, why: Close) {
        if self.state != State::Closed {
            if let Some(error) = why.to_error() {
                self.send_close(Some(error));
            }
            self.end(why);
        }
    }

    /// Ends without a word.
    pub fn end(&mut self, why: Close) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.links.clear();
            self.sessions.clear();
            self.events.push_back(Event::Closed(why));
        }
    }

    /// Sends a sign of life, or gives the peer up.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        if self.idle_at().is_some_and(|due| due <= now_ms) {
            return self.fail(Close::Idle);
        }
        if self.keep_alive_at().is_some_and(|due| due <= now_ms) {
            self.write_empty_frame();
        }
    }

    pub fn poll_timeout(&self) -> Option<u64> {
        self.idle_at().into_iter().chain(self.keep_alive_at()).min()
    }

    fn idle_at(&self) -> Option<u64> {
        (self.state == State::Open).then(|| self.heard_ms.saturating_add(self.limits.idle_ms))
    }

    fn keep_alive_at(&self) -> Option<u64> {
        let interval = self.peer.keep_alive_ms.filter(|_| self.state == State::Open)?;
        Some(self.sent_ms.saturating_add(interval))
    }

    fn next_link_id(&mut self) -> LinkId {
        self.last_link = self.last_link.saturating_add(1);
        LinkId(self.last_link)
    }

    fn next_delivery(&mut self, link: LinkId) -> Delivery {
        self.last_delivery = self.last_delivery.saturating_add(1);
        Delivery { link, number: self.last_delivery }
    }
}
