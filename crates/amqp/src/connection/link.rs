//! One link: its two numbers, where it stands, and what is on its way over it.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::codec::performative::{Attach, Role};

/// A link as this side knows it.
#[derive(Debug)]
pub(super) struct Link {
    /// This side's channel of the session it belongs to.
    pub channel: u16,
    pub name: String,
    /// This side's number of it.
    pub handle: u32,
    /// The peer's number of it; unknown until the peer has attached.
    pub remote_handle: Option<u32>,
    pub state: LinkState,
    pub end: LinkEnd,
}

#[derive(Debug, PartialEq)]
pub(super) enum LinkState {
    /// The peer asks; the driver has not answered.
    Asked(Box<Attach>),
    /// The driver asks; the peer has not answered.
    Asking,
    Attached,
    /// This side has detached. What still arrives is dropped until the peer detaches too (section 2.6.6).
    Detaching,
}

/// This side's end of a link.
#[derive(Debug)]
pub(super) enum LinkEnd {
    Incoming(Incoming),
    Outgoing(Outgoing),
}

/// The receiving end.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// Deliveries the peer may still begin.
    pub credit: u32,
    /// Deliveries the peer has begun.
    pub delivery_count: u32,
    pub assembly: Option<Assembly>,
    /// A format of messages that is taken beside that of part 3.
    pub other_format: Option<u32>,
    /// Bounded by the credit that is granted.
    pub unsettled: Vec<Received>,
}

/// A delivery whose frames are still coming.
#[derive(Debug)]
pub(super) struct Assembly {
    pub delivery_id: u32,
    pub format: u32,
    pub settled: bool,
    pub bytes: BytesMut,
}

/// A delivery that waits for the driver's word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub number: u64,
    pub delivery_id: u32,
    /// The peer does not wait for an outcome.
    pub settled: bool,
}

/// The sending end.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Deliveries this side may still begin.
    pub credit: u32,
    /// Deliveries this side has begun.
    pub delivery_count: u32,
    /// The peer wants the credit used up or back (section 2.6.7). Told back as the peer last said it.
    pub drain: bool,
    /// The peer has not been told yet that it is used up or back.
    pub drain_due: bool,
    /// The peer wants no outcomes asked for (section 2.8.2).
    pub presettled: bool,
    /// The largest message the peer takes, in bytes; 0 for any.
    pub message_bytes_max: u64,
    pub queue: VecDeque<Queued>,
    /// The driver's number by delivery-id.
    pub unsettled: BTreeMap<u32, u64>,
}

/// A message that waits for credit, or whose frames wait for the session's window.
#[derive(Debug)]
pub(super) struct Queued {
    pub number: u64,
    /// Given with the first frame.
    pub delivery_id: Option<u32>,
    pub format: u32,
    /// What is not sent yet.
    pub rest: Bytes,
}

impl Link {
    pub fn new(channel: u16, handle: u32, name: String, end: LinkEnd, state: LinkState) -> Self {
        Self { channel, name, handle, remote_handle: None, state, end }
    }

    /// Which end this side is.
    pub fn role(&self) -> Role {
        match self.end {
            LinkEnd::Incoming(_) => Role::Receiver,
            LinkEnd::Outgoing(_) => Role::Sender,
        }
    }

    /// Bytes of messages that wait here to be sent.
    pub fn queued_bytes(&self) -> usize {
        match &self.end {
            LinkEnd::Incoming(_) => 0,
            LinkEnd::Outgoing(outgoing) => outgoing.queue.iter().map(|queued| queued.rest.len()).sum(),
        }
    }
}

impl LinkEnd {
    pub fn of(role: Role) -> Self {
        match role {
            Role::Receiver => Self::Incoming(Incoming::default()),
            Role::Sender => Self::Outgoing(Outgoing::default()),
        }
    }
}

impl Incoming {
    /// Credit that keeps credit and unsettled deliveries within `limit` together.
    pub fn credit_within(&self, limit: u32) -> u32 {
        let held = self.unsettled.len().saturating_add(usize::from(self.assembly.is_some()));
        limit.saturating_sub(u32::try_from(held).unwrap_or(u32::MAX))
    }
}

impl Outgoing {
    /// Takes the peer's word on credit. It may be older than what was sent since (section 2.6.7).
    pub fn grant(&mut self, peer_delivery_count: u32, link_credit: u32) {
        let sent_since = self.delivery_count.wrapping_sub(peer_delivery_count);
        self.credit = link_credit.saturating_sub(sent_since);
    }

    /// Gives the credit back that a drain found no message for. Whether there is something to tell.
    pub fn drained(&mut self) -> bool {
        let credit_needed = self.queue.back().is_some_and(|queued| queued.delivery_id.is_none());
        if !self.drain_due || (credit_needed && self.credit > 0) {
            return false;
        }
        self.drain_due = false;
        self.delivery_count = self.delivery_count.wrapping_add(self.credit);
        self.credit = 0;
        true
    }
}
