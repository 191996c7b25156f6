//! The receiving end of a link: credit given, and the message in assembly.

use bytes::{Bytes, BytesMut};

use crate::{codec::performative::Transfer, event::Violation};

pub(crate) struct Receiving {
    /// Messages that may be under way, those that the driver holds included.
    window: u32,
    credit: u32,
    delivery_count: u32,
    /// Messages that the driver holds.
    held: u32,
    assembly: Option<Assembly>,
}

/// A delivery whose frames are arriving.
struct Assembly {
    delivery_id: u32,
    settled: bool,
    bytes: BytesMut,
}

/// What a transfer led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// More must come.
    Partial,
    /// The sender gave it up.
    Aborted,
    /// A whole message.
    Complete { delivery_id: u32, settled: bool, bytes: Bytes },
}

impl Receiving {
    pub fn new(window: u32) -> Self {
        Self { window, credit: 0, delivery_count: 0, held: 0, assembly: None }
    }

    pub fn set_delivery_count(&mut self, count: u32) {
        self.delivery_count = count;
    }

    /// Delivery count and credit, as a flow tells them.
    pub fn flow(&self) -> (u32, u32) {
        (self.delivery_count, self.credit)
    }

    /// Takes a frame. Errors are the link's: it is to be detached with them.
    pub fn transfer(&mut self, transfer: &Transfer, payload: Bytes, bytes_max: usize) -> Result<Step, Violation> {
        if self.assembly.is_none() {
            self.begin(transfer)?;
        }
        let Some(assembly) = &mut self.assembly else { return Ok(Step::Partial) };
        if transfer.delivery_id.is_some_and(|id| id != assembly.delivery_id) {
            return Err(Violation::new("amqp:not-allowed", "another delivery began before the last one was complete"));
        }
        // Section 2.7.5: settled is true for the delivery if any of its frames says so.
        assembly.settled |= transfer.settled.unwrap_or(false);
        if transfer.aborted {
            self.assembly = None;
            return Ok(Step::Aborted);
        }
        if assembly.bytes.len().saturating_add(payload.len()) > bytes_max {
            self.assembly = None;
            return Err(Violation::new("amqp:link:message-size-exceeded", "the message is larger than the link's max-message-size"));
        }
        if transfer.more {
            assembly.bytes.extend_from_slice(&payload);
            return Ok(Step::Partial);
        }
        Ok(self.complete(payload))
    }

    fn begin(&mut self, transfer: &Transfer) -> Result<(), Violation> {
        let delivery_id =
            transfer.delivery_id.ok_or(Violation::new("amqp:invalid-field", "the first frame of a delivery has no delivery-id"))?;
        if self.credit == 0 {
            return Err(Violation::new("amqp:link:transfer-limit-exceeded", "a message without credit"));
        }
        self.credit = self.credit.saturating_sub(1);
        self.delivery_count = self.delivery_count.wrapping_add(1);
        self.assembly = Some(Assembly { delivery_id, settled: false, bytes: BytesMut::new() });
        Ok(())
    }

    fn complete(&mut self, payload: Bytes) -> Step {
        let Some(Assembly { delivery_id, settled, mut bytes }) = self.assembly.take() else { return Step::Partial };
        self.held = self.held.saturating_add(1);
        let bytes = if bytes.is_empty() {
            payload
        } else {
            bytes.extend_from_slice(&payload);
            bytes.freeze()
        };
        Step::Complete { delivery_id, settled, bytes }
    }

    /// The driver handed a message back.
    pub fn handed_back(&mut self) {
        self.held = self.held.saturating_sub(1);
    }

    /// Gives credit again once half of it is used. Returns whether a flow must tell it.
    pub fn replenish(&mut self) -> bool {
        let assembling = u32::from(self.assembly.is_some());
        let affordable = self.window.saturating_sub(self.held).saturating_sub(assembling);
        if self.credit > self.window / 2 || affordable <= self.credit {
            return false;
        }
        self.credit = affordable;
        true
    }

    /// The sender says where it stands: it may have given credit back (section 2.6.7, drain).
    pub fn sender_count(&mut self, delivery_count: u32) {
        let ahead = delivery_count.wrapping_sub(self.delivery_count);
        if ahead <= self.credit {
            self.credit = self.credit.saturating_sub(ahead);
            self.delivery_count = delivery_count;
        }
    }
}
