//! What goes to the client: written bytes, unacknowledged messages, and those that wait for their turn. All of it bounded.

use std::collections::{BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};

use super::{Limits, QueueFull};
use crate::{
    codec::encode,
    packet::{Packet, Publish, Qos},
};

#[derive(Debug)]
pub struct Outbox {
    limits: Limits,
    bytes: BytesMut,
    in_flight: BTreeSet<u16>,
    waiting: VecDeque<Publish>,
    last_id: u16,
}

impl Outbox {
    pub fn new(limits: Limits) -> Self {
        Self { limits, bytes: BytesMut::new(), in_flight: BTreeSet::new(), waiting: VecDeque::new(), last_id: 0 }
    }

    pub fn send(&mut self, packet: &Packet) {
        encode(packet, &mut self.bytes);
    }

    pub fn overflowed(&self) -> bool {
        self.bytes.len() > self.limits.unsent_bytes
    }

    pub fn take(&mut self) -> Option<Bytes> {
        if self.bytes.is_empty() { None } else { Some(self.bytes.split().freeze()) }
    }

    pub fn publish(&mut self, topic: String, payload: Bytes, qos: Qos) -> Result<u16, QueueFull> {
        let size = topic.len() + payload.len();
        if self.bytes.len().saturating_add(size) > self.limits.unsent_bytes {
            return Err(QueueFull);
        }
        if qos == Qos::AtMostOnce {
            self.send(&Packet::Publish(Publish { dup: false, qos, retain: false, topic, packet_id: 0, payload }));
            return Ok(0);
        }
        if self.waiting.len() >= self.limits.queued {
            return Err(QueueFull);
        }
        let packet_id = self.next_id();
        self.waiting.push_back(Publish { dup: false, qos, retain: false, topic, packet_id, payload });
        self.fill_window();
        Ok(packet_id)
    }

    /// Whether a message with this ID was in flight.
    pub fn acknowledged(&mut self, id: u16) -> bool {
        let known = self.in_flight.remove(&id);
        self.fill_window();
        known
    }

    fn fill_window(&mut self) {
        while self.in_flight.len() < self.limits.in_flight {
            let Some(publish) = self.waiting.pop_front() else { return };
            self.in_flight.insert(publish.packet_id);
            self.send(&Packet::Publish(publish));
        }
    }

    /// The next ID that is not in use. There are far more IDs than `in_flight` and `queued` allow in use.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            let waiting = self.waiting.iter().any(|publish| publish.packet_id == self.last_id);
            if !waiting && !self.in_flight.contains(&self.last_id) {
                return self.last_id;
            }
        }
    }
}
