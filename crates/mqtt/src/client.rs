//! A client's side of one connection, as a state machine: as much as a simulated device and a broker's administrator need.
//!
//! It never asks for level 2 and takes no message of that level. Keep-alive is the driver's: call [`Session::ping`] within the interval
//! that CONNECT named.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::{
    codec::{DecodeError, Decoder, EncodeError, encode},
    packet::{Connect, ConnectCode, Packet, Publish, Qos},
};

/// Events that are not polled; at this number packets are left undecoded, and beyond the largest packet the server is given up
/// ([`DecodeError::Backlog`]).
const EVENTS_MAX: usize = 256;
/// Requests without an answer. Fewer than there are packet IDs, so that one is always free.
const REQUESTS_MAX: usize = 32_767;

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server's answer to CONNECT. Any but [`ConnectCode::Accepted`] is the end.
    Connected(ConnectCode),
    /// The server's answer to SUBSCRIBE.
    Subscribed {
        /// As `subscribe` returned it.
        packet_id: u16,
        /// Level by filter; `None` for a refusal.
        granted: Vec<Option<Qos>>,
    },
    /// A message came. It is acknowledged already.
    Message(Publish),
    /// The server has a message for good.
    Published {
        /// As `publish` returned it.
        packet_id: u16,
    },
    /// The server sends no more for these filters.
    Unsubscribed {
        /// As `unsubscribe` returned it.
        packet_id: u16,
    },
    /// The server sent what cannot be read. The last event.
    Malformed(DecodeError),
    /// The server sent a packet that has no place here: before CONNACK, of a kind that only clients send, of level 2, an answer to
    /// another kind of request or of another length. The last event.
    Unexpected,
    /// What was to be sent cannot be expressed, and was not sent.
    Unsendable(EncodeError),
    /// There are too many requests without an answer; the one that returned 0 was not sent.
    TooManyRequests,
}

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// CONNACK; after a CONNECT that asked for a clean session or not.
    ExpectConnack { clean_session: bool },
    /// Anything that a server may send.
    Connected,
    /// Nothing.
    Closed,
}

/// A request that the server has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Publish,
    Subscribe { filters: usize },
    Unsubscribe,
}

/// A client's side of one connection.
#[derive(Debug)]
pub struct Session {
    state: State,
    decoder: Decoder,
    events: VecDeque<Event>,
    out: BytesMut,
    requests: BTreeMap<u16, Request>,
    last_id: u16,
}

impl Session {
    /// Begins a connection. The level is always that of 3.1.1.
    pub fn connect(connect: Connect) -> Self {
        let mut session = Self {
            state: State::ExpectConnack { clean_session: connect.clean_session },
            decoder: Decoder::default(),
            events: VecDeque::new(),
            out: BytesMut::new(),
            requests: BTreeMap::new(),
            last_id: 0,
        };
        session.send(&Packet::Connect(Box::new(Connect { level: 4, ..connect })));
        session
    }

    /// Asks for messages, at most of level 1. Returns the packet ID that the answer will name, or 0 where it was not sent; an event
    /// says why.
    pub fn subscribe(&mut self, filters: Vec<(String, Qos)>) -> u16 {
        let filters: Vec<_> = filters.into_iter().map(|(filter, qos)| (filter, qos.min(Qos::AtLeastOnce))).collect();
        let request = Request::Subscribe { filters: filters.len() };
        self.request(request, |packet_id| Packet::Subscribe { packet_id, filters })
    }

    /// Ends subscriptions. Returns the packet ID that the answer will name, or 0 where it was not sent; an event says why.
    pub fn unsubscribe(&mut self, filters: Vec<String>) -> u16 {
        self.request(Request::Unsubscribe, |packet_id| Packet::Unsubscribe { packet_id, filters })
    }

    /// Sends a message, at most of level 1. Returns its packet ID; 0 for [`Qos::AtMostOnce`], or where it was not sent; an event says
    /// why.
    pub fn publish(&mut self, topic: String, payload: Bytes, qos: Qos) -> u16 {
        self.send_message(topic, payload, qos.min(Qos::AtLeastOnce), false)
    }

    /// Has the server keep a message of level 1 for all who subscribe later, in place of the one before; an empty one removes it
    /// (section 3.3.1.3). Returns its packet ID, or 0 where it was not sent; an event says why.
    pub fn retain(&mut self, topic: String, payload: Bytes) -> u16 {
        self.send_message(topic, payload, Qos::AtLeastOnce, true)
    }

    fn send_message(&mut self, topic: String, payload: Bytes, qos: Qos, retain: bool) -> u16 {
        let publish = |packet_id| Packet::Publish(Publish { dup: false, qos, retain, topic, packet_id, payload });
        if qos == Qos::AtMostOnce {
            self.send(&publish(0));
            return 0;
        }
        self.request(Request::Publish, publish)
    }

    /// Tells the server that the client is still there.
    pub fn ping(&mut self) {
        self.send(&Packet::Pingreq);
    }

    /// Says goodbye. Nothing is sent or heard after it.
    pub fn disconnect(&mut self) {
        self.send(&Packet::Disconnect);
        self.state = State::Closed;
    }

    /// Tells that the stream is gone.
    pub fn handle_lost(&mut self) {
        self.state = State::Closed;
    }

    /// Takes bytes that arrived. Poll events until there are none before the next call.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        if self.state != State::Closed {
            self.decoder.feed(bytes);
            self.work();
        }
    }

    fn work(&mut self) {
        while self.state != State::Closed && self.events.len() < EVENTS_MAX {
            match self.decoder.poll() {
                Ok(Some(packet)) => self.handle(packet),
                Ok(None) => return,
                Err(error) => self.end(Event::Malformed(error)),
            }
        }
    }

    fn handle(&mut self, packet: Packet) {
        match (self.state, packet) {
            (State::ExpectConnack { clean_session }, Packet::Connack { session_present, code }) => {
                self.handle_connack(clean_session && session_present, code);
            }
            (State::Connected, Packet::Suback { packet_id, granted }) => self.handle_suback(packet_id, granted),
            (State::Connected, Packet::Puback(packet_id)) => self.handle_puback(packet_id),
            (State::Connected, Packet::Unsuback(packet_id)) => self.handle_unsuback(packet_id),
            (State::Connected, Packet::Publish(publish)) => self.handle_publish(publish),
            (State::Connected, Packet::Pingresp) => {}
            _ => self.end(Event::Unexpected),
        }
    }

    fn handle_connack(&mut self, unasked_session: bool, code: ConnectCode) {
        if unasked_session {
            // Section 3.2.2.2: a clean session has nothing to be present.
            self.end(Event::Unexpected);
        } else if code == ConnectCode::Accepted {
            self.state = State::Connected;
            self.events.push_back(Event::Connected(code));
        } else {
            self.end(Event::Connected(code));
        }
    }

    fn handle_suback(&mut self, packet_id: u16, granted: Vec<Option<Qos>>) {
        if self.requests.remove(&packet_id) == Some(Request::Subscribe { filters: granted.len() }) {
            self.events.push_back(Event::Subscribed { packet_id, granted });
        } else {
            self.end(Event::Unexpected);
        }
    }

    fn handle_puback(&mut self, packet_id: u16) {
        if self.requests.remove(&packet_id) == Some(Request::Publish) {
            self.events.push_back(Event::Published { packet_id });
        } else {
            self.end(Event::Unexpected);
        }
    }

    fn handle_unsuback(&mut self, packet_id: u16) {
        if self.requests.remove(&packet_id) == Some(Request::Unsubscribe) {
            self.events.push_back(Event::Unsubscribed { packet_id });
        } else {
            self.end(Event::Unexpected);
        }
    }

    fn handle_publish(&mut self, publish: Publish) {
        match publish.qos {
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => {
                self.send(&Packet::Puback(publish.packet_id));
            }
            Qos::ExactlyOnce => return self.end(Event::Unexpected),
        }
        self.events.push_back(Event::Message(publish));
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        // Packets that found the queue full have waited for this.
        self.work();
        event
    }

    /// Bytes to write.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        if self.out.is_empty() { None } else { Some(self.out.split().freeze()) }
    }

    /// Whether the session is over: refused, ended by a fault of the server, or by [`Self::disconnect`].
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    fn request(&mut self, request: Request, packet: impl FnOnce(u16) -> Packet) -> u16 {
        if self.state == State::Closed {
            return 0;
        }
        if self.requests.len() >= REQUESTS_MAX {
            self.events.push_back(Event::TooManyRequests);
            return 0;
        }
        let packet_id = self.next_id();
        if !self.send(&packet(packet_id)) {
            return 0;
        }
        self.requests.insert(packet_id, request);
        packet_id
    }

    /// Whether the packet will go out.
    fn send(&mut self, packet: &Packet) -> bool {
        if self.state == State::Closed {
            return false;
        }
        let sent = encode(packet, &mut self.out);
        if let Err(error) = sent {
            self.events.push_back(Event::Unsendable(error));
        }
        sent.is_ok()
    }

    /// The next ID that no request has.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.requests.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    fn end(&mut self, why: Event) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.decoder = Decoder::default();
            self.events.push_back(why);
        }
    }
}
