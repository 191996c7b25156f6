//! The sending end of a link: messages that wait for credit, and the one that is being cut into frames.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::{codec::performative::Flow, event::Refused, limits::Limits};

#[derive(Default)]
pub(crate) struct Sending {
    queue: VecDeque<Outgoing>,
    queued_bytes: usize,
    credit: u32,
    delivery_count: u32,
    drain: bool,
    next_number: u32,
    /// The peer's largest message, in bytes.
    pub message_bytes_max: u64,
    /// The peer awaits settled messages (section 2.8.2).
    pub settled: bool,
}

/// A message on its way.
pub(crate) struct Outgoing {
    pub number: u32,
    /// What is not sent yet.
    pub rest: Bytes,
    /// Its delivery-id, once the first frame is sent.
    pub delivery_id: Option<u32>,
    /// Bytes that it counts for in the queue.
    size: usize,
}

impl Sending {
    /// Queues an encoded message and returns its number.
    pub fn push(&mut self, bytes: Bytes, limits: &Limits) -> Result<u32, Refused> {
        let size = bytes.len();
        if self.message_bytes_max > 0 && u64::try_from(size).unwrap_or(u64::MAX) > self.message_bytes_max {
            return Err(Refused::TooLarge);
        }
        let total = self.queued_bytes.saturating_add(size);
        // A message that is too large for the queue still goes when the queue is empty.
        if self.queue.len() >= limits.queued || (total > limits.queued_bytes && !self.queue.is_empty()) {
            return Err(Refused::Full);
        }
        self.queued_bytes = total;
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        self.queue.push_back(Outgoing { number, rest: bytes, delivery_id: None, size });
        Ok(number)
    }

    /// The message to cut a frame from; a new one only with credit and `new_allowed`.
    pub fn front(&mut self, new_allowed: bool) -> Option<&mut Outgoing> {
        let credit = self.credit;
        self.queue.front_mut().filter(|front| front.delivery_id.is_some() || (credit > 0 && new_allowed))
    }

    /// The first frame of the front message is sent (section 2.6.7: the count moves when a delivery is sent).
    pub fn count_delivery(&mut self) {
        self.credit = self.credit.saturating_sub(1);
        self.delivery_count = self.delivery_count.wrapping_add(1);
    }

    /// The front message is sent.
    pub fn pop(&mut self) {
        if let Some(sent) = self.queue.pop_front() {
            self.queued_bytes = self.queued_bytes.saturating_sub(sent.size);
        }
    }

    /// The receiver tells its credit, counted from the delivery-count that it knows (section 2.6.7).
    pub fn take_flow(&mut self, flow: &Flow) {
        if let Some(credit) = flow.link_credit {
            let unseen = self.delivery_count.wrapping_sub(flow.delivery_count.unwrap_or(0));
            self.credit = credit.saturating_sub(unseen);
        }
        self.drain = flow.drain;
    }

    /// Gives credit back that is asked back and not needed. Returns whether a flow must tell it.
    pub fn drained(&mut self) -> bool {
        if !self.drain || !self.queue.is_empty() {
            return false;
        }
        self.delivery_count = self.delivery_count.wrapping_add(self.credit);
        self.credit = 0;
        std::mem::take(&mut self.drain)
    }

    /// Delivery count, credit and messages that wait, as a flow tells them.
    pub fn flow(&self) -> (u32, u32, u32) {
        (self.delivery_count, self.credit, u32::try_from(self.queue.len()).unwrap_or(u32::MAX))
    }

    /// The receiver's credit that is not used.
    pub fn credit(&self) -> u32 {
        self.credit
    }

    /// Drops everything that waits.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.queued_bytes = 0;
        self.credit = 0;
    }
}
