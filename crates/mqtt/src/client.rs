//! A client's side of one connection, as a state machine: as much as a simulated device needs.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::{
    codec::{DecodeError, Decoder, encode},
    packet::{Connect, ConnectCode, Packet, Publish, Qos},
};

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server's answer to CONNECT.
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
    /// The server broke the protocol.
    Malformed(DecodeError),
}

/// A client's side of one connection.
#[derive(Debug, Default)]
pub struct Session {
    decoder: Decoder,
    events: VecDeque<Event>,
    out: BytesMut,
    last_id: u16,
}

impl Session {
    /// Begins a connection.
    pub fn connect(connect: Connect) -> Self {
        let mut session = Self::default();
        session.send(&Packet::Connect(Box::new(Connect { level: 4, ..connect })));
        session
    }

    /// Asks for messages.
    pub fn subscribe(&mut self, filters: Vec<(String, Qos)>) -> u16 {
        let packet_id = self.next_id();
        self.send(&Packet::Subscribe { packet_id, filters });
        packet_id
    }

    /// Sends a message.
    pub fn publish(&mut self, topic: String, payload: Bytes, qos: Qos) -> u16 {
        let packet_id = if qos == Qos::AtMostOnce { 0 } else { self.next_id() };
        self.send(&Packet::Publish(Publish { dup: false, qos, retain: false, topic, packet_id, payload }));
        packet_id
    }

    /// Tells the server that the client is still there.
    pub fn ping(&mut self) {
        self.send(&Packet::Pingreq);
    }

    /// Says goodbye.
    pub fn disconnect(&mut self) {
        self.send(&Packet::Disconnect);
    }

    /// Takes bytes that arrived.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
        loop {
            match self.decoder.poll() {
                Ok(Some(packet)) => self.handle(packet),
                Ok(None) => return,
                Err(error) => return self.events.push_back(Event::Malformed(error)),
            }
        }
    }

    fn handle(&mut self, packet: Packet) {
        match packet {
            Packet::Connack { code, .. } => self.events.push_back(Event::Connected(code)),
            Packet::Suback { packet_id, granted } => self.events.push_back(Event::Subscribed { packet_id, granted }),
            Packet::Puback(packet_id) => self.events.push_back(Event::Published { packet_id }),
            Packet::Publish(publish) => {
                if publish.qos == Qos::AtLeastOnce {
                    self.send(&Packet::Puback(publish.packet_id));
                }
                self.events.push_back(Event::Message(publish));
            }
            _ => {}
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes to write.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        if self.out.is_empty() { None } else { Some(self.out.split().freeze()) }
    }

    fn send(&mut self, packet: &Packet) {
        encode(packet, &mut self.out);
    }

    fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }
}
