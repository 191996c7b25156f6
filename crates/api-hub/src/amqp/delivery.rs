//! Cloud-to-device messages on their way to a device: which are unsettled, and how often each was given back.

use std::collections::{BTreeMap, HashMap};

use usher_amqp::{
    codec::performative::DeliveryState,
    event::{Delivery, LinkId},
};
use usher_hub_embedded::cloud_message::QUEUE_MESSAGES_MAX;

/// Messages on their way at once. Eight of the largest stay well below a connection's bound of unsent bytes.
const IN_FLIGHT_MAX: usize = 8;
/// How often a message is delivered before it is dropped (IoT Hub's default for `maxDeliveryCount`).
const DELIVERIES_MAX: u32 = 10;

/// The messages of one connection.
#[derive(Default)]
pub struct Mail {
    /// Messages up to this one have been looked at.
    after: u64,
    /// Whether there may be messages that were not sent yet.
    waits: bool,
    in_flight: HashMap<Delivery, u64>,
    /// No more than a queue holds: of what is counted, the oldest is forgotten first.
    given_back: BTreeMap<u64, u32>,
}

impl Mail {
    /// There may be new messages.
    pub fn ring(&mut self) {
        self.waits = true;
    }

    /// After which message to look for the next one, if one may go.
    pub fn look_after(&self) -> Option<u64> {
        (self.waits && self.in_flight.len() < IN_FLIGHT_MAX).then_some(self.after)
    }

    /// Nothing is left.
    pub fn exhausted(&mut self) {
        self.waits = false;
    }

    /// Whether a message is on its way already.
    pub fn is_in_flight(&self, sequence: u64) -> bool {
        self.in_flight.values().any(|known| *known == sequence)
    }

    /// A message has been looked at; nothing up to it is looked at again.
    pub fn pass(&mut self, sequence: u64) {
        self.after = sequence;
    }

    /// A message is on its way.
    pub fn sent(&mut self, delivery: Delivery, sequence: u64) {
        self.pass(sequence);
        self.in_flight.insert(delivery, sequence);
    }

    /// The device has said what became of a message; gives its number if that is the end of it. A rejected message is dropped like an
    /// accepted one; one that was given back goes out again.
    pub fn settled(&mut self, delivery: Delivery, state: Option<&DeliveryState>) -> Option<u64> {
        let sequence = self.in_flight.remove(&delivery)?;
        if matches!(state, Some(DeliveryState::Accepted | DeliveryState::Rejected(_))) {
            self.given_back.remove(&sequence);
            return Some(sequence);
        }
        let times = self.given_back.entry(sequence).or_default();
        *times = times.saturating_add(1);
        if *times >= DELIVERIES_MAX {
            self.given_back.remove(&sequence);
            return Some(sequence);
        }
        if self.given_back.len() > QUEUE_MESSAGES_MAX {
            self.given_back.pop_first();
        }
        self.send_again(sequence);
        None
    }

    /// A link has ended: what was on its way there goes out again on the next.
    pub fn link_ended(&mut self, link: LinkId) {
        let lost: Vec<(Delivery, u64)> = self
            .in_flight
            .iter()
            .filter(|(delivery, _)| delivery.link() == link)
            .map(|(delivery, sequence)| (*delivery, *sequence))
            .collect();
        for (delivery, sequence) in lost {
            self.in_flight.remove(&delivery);
            self.send_again(sequence);
        }
    }

    fn send_again(&mut self, sequence: u64) {
        self.after = self.after.min(sequence.saturating_sub(1));
        self.waits = true;
    }
}
