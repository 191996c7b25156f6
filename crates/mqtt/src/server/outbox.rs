//! What goes to the client: written bytes, unacknowledged messages, and those that wait for their turn. All of it bounded.

use std::collections::{BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};

use super::{Limits, PublishError};
use crate::{
    codec::{EncodeError, HEADER_BYTES_MAX, encode, publish_length},
    packet::{Packet, Publish, Qos},
    topic,
};

#[derive(Debug)]
pub struct Outbox {
    limits: Limits,
    bytes: BytesMut,
    in_flight: BTreeSet<u16>,
    waiting: VecDeque<Publish>,
    waiting_bytes: usize,
    last_id: u16,
}

impl Outbox {
    pub fn new(limits: Limits) -> Self {
        Self { limits, bytes: BytesMut::new(), in_flight: BTreeSet::new(), waiting: VecDeque::new(), waiting_bytes: 0, last_id: 0 }
    }

    pub fn send(&mut self, packet: &Packet) -> Result<(), EncodeError> {
        encode(packet, &mut self.bytes)
    }

    pub fn overflowed(&self) -> bool {
        self.bytes.len() > self.limits.unsent_bytes
    }

    /// What is written, and makes room for messages that wait.
    pub fn take(&mut self) -> Option<Bytes> {
        let taken = if self.bytes.is_empty() { None } else { Some(self.bytes.split().freeze()) };
        self.fill_window();
        taken
    }

    /// Forgets messages that wait; what is written stays.
    pub fn abandon(&mut self) {
        self.waiting = VecDeque::new();
        self.waiting_bytes = 0;
    }

    pub fn publish(&mut self, topic: String, payload: Bytes, qos: Qos) -> Result<u16, PublishError> {
        if !topic::is_name(&topic) {
            return Err(PublishError::Topic);
        }
        let size = size(&topic, &payload, qos);
        let held = self.bytes.len().saturating_add(self.waiting_bytes);
        if held.saturating_add(size) > self.limits.unsent_bytes {
            return Err(PublishError::QueueFull);
        }
        if qos == Qos::AtMostOnce {
            return self.write(Publish { dup: false, qos, retain: false, topic, packet_id: 0, payload }).map(|()| 0);
        }
        let must_wait = !self.waiting.is_empty() || self.in_flight.len() >= self.limits.in_flight;
        if must_wait && self.waiting.len() >= self.limits.queued {
            return Err(PublishError::QueueFull);
        }
        let packet_id = self.next_id();
        let publish = Publish { dup: false, qos, retain: false, topic, packet_id, payload };
        if must_wait {
            self.waiting_bytes = self.waiting_bytes.saturating_add(size);
            self.waiting.push_back(publish);
        } else {
            self.write(publish)?;
            self.in_flight.insert(packet_id);
        }
        Ok(packet_id)
    }

    /// Whether a message with this ID was in flight.
    pub fn acknowledged(&mut self, id: u16) -> bool {
        let known = self.in_flight.remove(&id);
        self.fill_window();
        known
    }

    /// Writes messages that wait, as far as the window and the room for bytes go. Each fits once all is taken: it was checked alone.
    fn fill_window(&mut self) {
        while self.in_flight.len() < self.limits.in_flight {
            let Some(next) = self.waiting.front() else { return };
            let size = size(&next.topic, &next.payload, next.qos);
            if self.bytes.len().saturating_add(size) > self.limits.unsent_bytes {
                return;
            }
            let Some(publish) = self.waiting.pop_front() else { return };
            self.waiting_bytes = self.waiting_bytes.saturating_sub(size);
            self.in_flight.insert(publish.packet_id);
            // Its topic and size were checked when it was taken.
            let _ = self.write(publish);
        }
    }

    /// A message that the protocol cannot express is too large for any queue.
    fn write(&mut self, publish: Publish) -> Result<(), PublishError> {
        self.send(&Packet::Publish(publish)).map_err(|_| PublishError::QueueFull)
    }

    /// The next ID that is not in flight: there is one, since the window is smaller than all IDs. No waiting message has it: whatever
    /// came after one waits behind it, and that is fewer than all IDs too.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.contains(&self.last_id) {
                return self.last_id;
            }
        }
    }
}

/// The bytes of a message on the wire, at most.
fn size(topic: &str, payload: &Bytes, qos: Qos) -> usize {
    publish_length(topic.len(), qos, payload.len()).saturating_add(HEADER_BYTES_MAX)
}
