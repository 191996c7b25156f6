//! A server's side of one connection, as a state machine.
//!
//! The driver turns a crank: [`Session::handle_bytes`] with what arrived, [`Session::poll_event`] until it is empty,
//! [`Session::poll_transmit`] and write, [`Session::handle_timeout`] when [`Session::poll_timeout`] is due. What the session does by
//! itself: the order of packets, keep-alive, pings, packet IDs and the window of unacknowledged messages. What it asks the driver:
//! whether to accept a client, what to grant, and when a message counts as taken.
//!
//! No sessions outlive a connection here: neither DPS nor IoT Hub's clients need it, and .NET's DPS client fails on "session present"
//! (azure-iot-sdk-csharp: ProvisioningChannelHandlerAdapter.cs).

mod event;
mod limits;
mod outbox;

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

pub use event::{Close, Event, PublishError};
pub use limits::Limits;

use crate::{
    codec::Decoder,
    packet::{Connect, ConnectCode, Packet, Publish, Qos},
};
use outbox::Outbox;

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// CONNECT, before this time.
    ExpectConnect { until_ms: u64 },
    /// The driver's word on a CONNECT; packets that come meanwhile wait.
    ExpectVerdict,
    /// Anything a connected client may send.
    Connected,
    /// Nothing.
    Closed,
}

/// A server's side of one connection.
#[derive(Debug)]
pub struct Session {
    state: State,
    decoder: Decoder,
    events: VecDeque<Event>,
    outbox: Outbox,
    limits: Limits,
    /// Messages of level 1 that the driver was told and has not acknowledged.
    unacknowledged: BTreeSet<u16>,
    keep_alive_ms: Option<u64>,
    /// When bytes came last.
    arrived_ms: u64,
    /// When the bytes came that completed the last packet.
    heard_ms: u64,
}

impl Session {
    /// A fresh connection, accepted at `now_ms` (any monotonic clock, in milliseconds).
    pub fn new(limits: Limits, now_ms: u64) -> Self {
        let limits = limits.checked();
        Self {
            state: State::ExpectConnect { until_ms: now_ms.saturating_add(limits.connect_ms) },
            decoder: Decoder::new(limits.connect_bytes),
            events: VecDeque::new(),
            outbox: Outbox::new(limits),
            limits,
            unacknowledged: BTreeSet::new(),
            keep_alive_ms: None,
            arrived_ms: now_ms,
            heard_ms: now_ms,
        }
    }

    /// Takes bytes that arrived. Bytes after the end of the session are ignored.
    ///
    /// Poll events until there are none before the next call; see [`Self::wants_bytes`].
    pub fn handle_bytes(&mut self, bytes: &[u8], now_ms: u64) {
        if self.state == State::Closed {
            return;
        }
        self.arrived_ms = now_ms;
        self.decoder.feed(bytes);
        self.work();
    }

    /// Whether bytes would be looked at now, or only kept until the driver has spoken, polled or acknowledged. Who goes on reading
    /// meanwhile loses the connection once more than the largest packet waits ([`DecodeError::Backlog`](crate::DecodeError::Backlog)).
    pub fn wants_bytes(&self) -> bool {
        let listening = matches!(self.state, State::ExpectConnect { .. } | State::Connected);
        listening && self.events.len() < self.limits.events && self.unacknowledged.len() < self.limits.unacknowledged
    }

    /// Reads packets until none is complete or the driver must act first.
    fn work(&mut self) {
        while self.wants_bytes() {
            match self.decoder.poll() {
                Ok(Some(packet)) => {
                    self.heard_ms = self.arrived_ms;
                    self.handle(packet);
                }
                Ok(None) => return,
                Err(error) => self.end(Close::Malformed(error)),
            }
        }
    }

    fn handle(&mut self, packet: Packet) {
        match (self.state, packet) {
            (State::ExpectConnect { .. }, Packet::Connect(connect)) => self.handle_connect(connect),
            (State::ExpectConnect { .. }, _) => self.end(Close::ConnectExpected),
            (State::Connected, Packet::Publish(publish)) => self.handle_publish(publish),
            (State::Connected, Packet::Puback(id)) => self.handle_puback(id),
            (State::Connected, Packet::Subscribe { packet_id, filters }) => {
                self.events.push_back(Event::Subscribe { packet_id, filters });
            }
            (State::Connected, Packet::Unsubscribe { packet_id, filters }) => {
                self.say(&Packet::Unsuback(packet_id));
                self.events.push_back(Event::Unsubscribe { filters });
            }
            (State::Connected, Packet::Pingreq) => self.say(&Packet::Pingresp),
            (State::Connected, Packet::Disconnect) => self.end(Close::Disconnected),
            (State::Connected, Packet::Connect(_)) => self.end(Close::SecondConnect),
            (State::Connected, _) => self.end(Close::Unexpected),
            (State::ExpectVerdict | State::Closed, _) => {}
        }
    }

    fn handle_connect(&mut self, connect: Box<Connect>) {
        if connect.level != 4 {
            return self.turn_away(ConnectCode::BadProtocol);
        }
        // Section 3.1.3.1: a client without a name has no session to come back to.
        if connect.client_id.is_empty() && !connect.clean_session {
            return self.turn_away(ConnectCode::BadClientId);
        }
        // Section 3.1.2.10: one and a half times the client's own interval; 0 turns it off.
        let interval_ms = u64::from(connect.keep_alive_s) * 1_500;
        self.keep_alive_ms = (interval_ms > 0).then_some(interval_ms);
        self.state = State::ExpectVerdict;
        self.events.push_back(Event::Connect(connect));
    }

    fn handle_publish(&mut self, publish: Publish) {
        // Neither DPS nor IoT Hub takes level 2 (MicrosoftDocs/azure-docs: iot-hub-mqtt-support.md).
        if publish.qos == Qos::ExactlyOnce {
            return self.end(Close::ExactlyOnce);
        }
        if publish.qos == Qos::AtLeastOnce {
            self.unacknowledged.insert(publish.packet_id);
        }
        self.events.push_back(Event::Publish(publish));
    }

    fn handle_puback(&mut self, id: u16) {
        if self.outbox.acknowledged(id) {
            self.events.push_back(Event::Delivered { packet_id: id });
        }
    }

    /// Accepts the client whose CONNECT was told, and goes on with what it sent meanwhile. Does nothing where no CONNECT awaits it.
    pub fn accept(&mut self) {
        if self.state == State::ExpectVerdict {
            self.state = State::Connected;
            self.decoder.set_limit(self.limits.packet_bytes);
            self.say(&Packet::Connack { session_present: false, code: ConnectCode::Accepted });
            self.work();
        }
    }

    /// Refuses the client whose CONNECT was told.
    pub fn refuse(&mut self, code: ConnectCode) {
        if self.state == State::ExpectVerdict {
            self.turn_away(code);
        }
    }

    fn turn_away(&mut self, code: ConnectCode) {
        self.say(&Packet::Connack { session_present: false, code });
        self.end(Close::Refused(code));
    }

    /// Answers a SUBSCRIBE: the level granted to each filter, in order; level 2 is granted as 1. Does nothing once the client is gone.
    pub fn grant(&mut self, packet_id: u16, granted: impl IntoIterator<Item = Option<Qos>>) {
        if self.state == State::Connected {
            let granted = granted.into_iter().map(|qos| qos.map(|qos| qos.min(Qos::AtLeastOnce))).collect();
            self.say(&Packet::Suback { packet_id, granted });
        }
    }

    /// Says that a message is taken for good; it may be said as late as the data is safe, but before an answer is published: .NET's
    /// DPS client fails where the answer comes first. [`Self::answer`] keeps that order. Does nothing for messages that need no
    /// acknowledgement or have it, nor once the client is gone.
    pub fn acknowledge(&mut self, publish: &Publish) {
        if self.state == State::Connected && publish.qos == Qos::AtLeastOnce && self.unacknowledged.remove(&publish.packet_id) {
            self.say(&Packet::Puback(publish.packet_id));
            self.work();
        }
    }

    /// Acknowledges `question` unless it is acknowledged, then publishes the answer to it, as [`Self::publish`] does.
    pub fn answer(&mut self, question: &Publish, topic: String, payload: Bytes, qos: Qos) -> Result<u16, PublishError> {
        self.acknowledge(question);
        self.publish(topic, payload, qos)
    }

    /// Sends a message; it may wait for the client's acknowledgements. Returns its packet ID, 0 for [`Qos::AtMostOnce`], which
    /// [`Event::Delivered`] will name. Level 2 is sent as 1.
    pub fn publish(&mut self, topic: String, payload: Bytes, qos: Qos) -> Result<u16, PublishError> {
        if self.state != State::Connected {
            return Err(PublishError::NotConnected);
        }
        self.outbox.publish(topic, payload, qos.min(Qos::AtLeastOnce))
    }

    /// Ends the session from this side.
    pub fn close(&mut self) {
        self.end(Close::ByServer);
    }

    /// Tells that the connection is gone.
    pub fn handle_lost(&mut self) {
        self.end(Close::Lost);
    }

    /// Acts on the time.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        if self.poll_timeout().is_some_and(|due| due <= now_ms) {
            let why = if self.state == State::Connected { Close::KeepAlive } else { Close::ConnectTimeout };
            self.end(why);
        }
    }

    /// When [`Self::handle_timeout`] is to be called next, on the driver's clock. Keep-alive rests while [`Self::wants_bytes`] is
    /// false: the client may have spoken.
    pub fn poll_timeout(&self) -> Option<u64> {
        match self.state {
            State::ExpectConnect { until_ms } => Some(until_ms),
            State::Connected if !self.wants_bytes() => None,
            State::Connected => self.keep_alive_ms.map(|interval| self.heard_ms.saturating_add(interval)),
            State::ExpectVerdict | State::Closed => None,
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        // Packets that found the queue full have waited for this.
        self.work();
        event
    }

    /// Bytes to write. Once it gives none and [`Self::is_closed`], the connection can be closed.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.outbox.take()
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether the client was accepted and is still there.
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    fn say(&mut self, packet: &Packet) {
        // Answers have no field that could be too long; if one had, the client would wait for it in vain.
        if self.outbox.send(packet).is_err() {
            self.end(Close::ByServer);
        } else if self.outbox.overflowed() {
            self.end(Close::SlowReader);
        }
    }

    fn end(&mut self, why: Close) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.decoder = Decoder::default();
            self.outbox.abandon();
            self.events.push_back(Event::Closed(why));
        }
    }
}
