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
mod outbox;

use std::collections::VecDeque;

use bytes::Bytes;

pub use event::{Close, Event, QueueFull};

use crate::{
    codec::Decoder,
    packet::{Connect, ConnectCode, Packet, Publish, Qos},
};
use outbox::Outbox;

/// The bounds of a session.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest packet, in bytes.
    pub packet_bytes: usize,
    /// Time for CONNECT to arrive, in milliseconds.
    pub connect_ms: u64,
    /// Unacknowledged messages to the client.
    pub in_flight: usize,
    /// Messages that wait for the window.
    pub queued: usize,
    /// Bytes of answers that the client has not read; beyond, it is given up.
    pub unsent_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { packet_bytes: crate::codec::PACKET_BYTES_MAX, connect_ms: 20_000, in_flight: 16, queued: 128, unsent_bytes: 1024 * 1024 }
    }
}

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
    keep_alive_ms: Option<u64>,
    heard_ms: u64,
}

impl Session {
    /// A fresh connection, accepted at `now_ms` (any monotonic clock, in milliseconds).
    pub fn new(limits: Limits, now_ms: u64) -> Self {
        Self {
            state: State::ExpectConnect { until_ms: now_ms.saturating_add(limits.connect_ms) },
            decoder: Decoder::new(limits.packet_bytes),
            events: VecDeque::new(),
            outbox: Outbox::new(limits),
            keep_alive_ms: None,
            heard_ms: now_ms,
        }
    }

    /// Takes bytes that arrived. Bytes after the end of the session are ignored.
    pub fn handle_bytes(&mut self, bytes: &[u8], now_ms: u64) {
        if self.state == State::Closed {
            return;
        }
        self.heard_ms = now_ms;
        self.decoder.feed(bytes);
        self.work();
    }

    /// Reads packets until none is complete or the driver must speak first.
    fn work(&mut self) {
        while matches!(self.state, State::ExpectConnect { .. } | State::Connected) {
            match self.decoder.poll() {
                Ok(Some(packet)) => self.handle(packet),
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
            (State::Connected, Packet::Puback(id)) => {
                if self.outbox.acknowledged(id) {
                    self.events.push_back(Event::Delivered { packet_id: id });
                }
            }
            (State::Connected, Packet::Subscribe { packet_id, filters }) => {
                self.events.push_back(Event::Subscribe { packet_id, filters });
            }
            (State::Connected, Packet::Unsubscribe { packet_id, filters }) => {
                self.outbox.send(&Packet::Unsuback(packet_id));
                self.events.push_back(Event::Unsubscribe { filters });
            }
            (State::Connected, Packet::Pingreq) => self.outbox.send(&Packet::Pingresp),
            (State::Connected, Packet::Disconnect) => self.end(Close::Disconnected),
            (State::Connected, Packet::Connect(_)) => self.end(Close::SecondConnect),
            (State::Connected, _) => self.end(Close::Unexpected),
            (State::ExpectVerdict | State::Closed, _) => {}
        }
        if self.outbox.overflowed() {
            self.end(Close::SlowReader);
        }
    }

    fn handle_connect(&mut self, connect: Box<Connect>) {
        if connect.level != 4 {
            self.outbox.send(&Packet::Connack { session_present: false, code: ConnectCode::BadProtocol });
            return self.end(Close::Refused(ConnectCode::BadProtocol));
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
        self.events.push_back(Event::Publish(publish));
    }

    /// Accepts the client whose CONNECT was told, and goes on with what it sent meanwhile.
    pub fn accept(&mut self) {
        if self.state == State::ExpectVerdict {
            self.outbox.send(&Packet::Connack { session_present: false, code: ConnectCode::Accepted });
            self.state = State::Connected;
            self.work();
        }
    }

    /// Refuses the client whose CONNECT was told.
    pub fn refuse(&mut self, code: ConnectCode) {
        if self.state == State::ExpectVerdict {
            self.outbox.send(&Packet::Connack { session_present: false, code });
            self.end(Close::Refused(code));
        }
    }

    /// Answers a SUBSCRIBE: the level granted to each filter, in order; level 2 is granted as 1.
    pub fn grant(&mut self, packet_id: u16, granted: impl IntoIterator<Item = Option<Qos>>) {
        let granted = granted.into_iter().map(|qos| qos.map(|qos| qos.min(Qos::AtLeastOnce))).collect();
        self.outbox.send(&Packet::Suback { packet_id, granted });
    }

    /// Says that a message is taken for good. Call it before publishing an answer: .NET's DPS client fails where the answer comes
    /// first. Does nothing for messages that need no acknowledgement.
    pub fn acknowledge(&mut self, publish: &Publish) {
        if publish.qos == Qos::AtLeastOnce {
            self.outbox.send(&Packet::Puback(publish.packet_id));
        }
    }

    /// Sends a message; it may wait for the client's acknowledgements. Returns its packet ID, 0 for [`Qos::AtMostOnce`], which
    /// [`Event::Delivered`] will name.
    pub fn publish(&mut self, topic: String, payload: Bytes, qos: Qos) -> Result<u16, QueueFull> {
        if self.state != State::Connected {
            return Err(QueueFull);
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

    /// When [`Self::handle_timeout`] is to be called next, on the driver's clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        match self.state {
            State::ExpectConnect { until_ms } => Some(until_ms),
            State::Connected => self.keep_alive_ms.map(|interval| self.heard_ms.saturating_add(interval)),
            State::ExpectVerdict | State::Closed => None,
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
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

    fn end(&mut self, why: Close) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.events.push_back(Event::Closed(why));
        }
    }
}
