//! Messages that come: transfers put together, credit, and the driver's outcomes (sections 2.6.7 to 2.6.14).

use bytes::{Bytes, BytesMut};

use super::{
    Connection,
    link::{Assembly, Incoming, Link, LinkEnd, LinkState, Received},
};
use crate::{
    codec::{
        message::Message,
        performative::{AmqpError, DeliveryState, Disposition, Flow, Performative, Role, Transfer},
    },
    event::{Close, Delivery, Event, LinkId},
};

/// The message format of part 3; others belong to extensions.
const MESSAGE_FORMAT: u32 = 0;

impl Connection {
    pub(super) fn handle_transfer(&mut self, channel: u16, transfer: Transfer, payload: Bytes) -> Result<(), Close> {
        self.count_transfer(channel)?;
        let id = self.link_of(channel, transfer.handle)?;
        let message_bytes = self.limits.message_bytes;
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if link.state == LinkState::Detaching {
            return Ok(());
        }
        let LinkEnd::Incoming(incoming) = &mut link.end else {
            return Err(Close::Unexpected("a transfer against the link's direction"));
        };
        let complete = incoming.take_transfer(transfer, payload, message_bytes)?;
        match complete {
            Taken::Part => Ok(()),
            Taken::Aborted => {
                self.replenish(id);
                Ok(())
            }
            Taken::Whole(assembly) => self.deliver(id, assembly),
        }
    }

    fn count_transfer(&mut self, channel: u16) -> Result<(), Close> {
        let Some(session) = self.session_mut(channel) else { return Ok(()) };
        if !session.received() {
            return Err(Close::Unexpected("a transfer beyond the window (amqp:session:window-violation)"));
        }
        if session.reopened() {
            self.send_session_flow(channel);
        }
        Ok(())
    }

    fn deliver(&mut self, id: LinkId, assembly: Assembly) -> Result<(), Close> {
        let delivery = self.next_delivery(id);
        let Assembly { delivery_id, format, settled, bytes } = assembly;
        let mut is_known = format == MESSAGE_FORMAT;
        if let Some(incoming) = self.incoming_mut(id) {
            incoming.unsettled.push(Received { number: delivery.number, delivery_id, settled });
            is_known |= incoming.other_format == Some(format);
        }
        if !is_known {
            self.reject(delivery, AmqpError::new("amqp:not-implemented", "the message format is not known"));
            return Ok(());
        }
        let message = Message { format, ..Message::decode(bytes.freeze())? };
        self.events.push_back(Event::Message { delivery, message: Box::new(message) });
        Ok(())
    }

    fn incoming_mut(&mut self, id: LinkId) -> Option<&mut Incoming> {
        match &mut self.links.get_mut(&id)?.end {
            LinkEnd::Incoming(incoming) => Some(incoming),
            LinkEnd::Outgoing(_) => None,
        }
    }

    /// Takes messages of this format too.
    pub fn take_format(&mut self, id: LinkId, format: u32) {
        if let Some(incoming) = self.incoming_mut(id) {
            incoming.other_format = Some(format);
        }
    }

    /// Says that a message is taken.
    pub fn accept(&mut self, delivery: Delivery) {
        self.settle(delivery, DeliveryState::Accepted);
    }

    /// Says that a message is not taken, and why.
    pub fn reject(&mut self, delivery: Delivery, error: AmqpError) {
        self.settle(delivery, DeliveryState::Rejected(Some(error)));
    }

    fn settle(&mut self, delivery: Delivery, state: DeliveryState) {
        let Some(incoming) = self.incoming_mut(delivery.link) else { return };
        let Some(place) = incoming.unsettled.iter().position(|received| received.number == delivery.number) else { return };
        let received = incoming.unsettled.remove(place);
        let Some(channel) = self.links.get(&delivery.link).map(|link| link.channel) else { return };
        if !received.settled {
            let disposition =
                Disposition { role: Role::Receiver, first: received.delivery_id, last: None, settled: true, state: Some(state) };
            self.write(channel, &Performative::Disposition(disposition));
        }
        self.replenish(delivery.link);
    }

    /// Grants credit when half of it is used, as far as the driver keeps up.
    pub(super) fn replenish(&mut self, id: LinkId) {
        let limit = self.limits.credit;
        let Some(Link { state: LinkState::Attached, end: LinkEnd::Incoming(incoming), .. }) = self.links.get_mut(&id) else { return };
        let within = incoming.credit_within(limit);
        if incoming.credit <= limit / 2 && within > incoming.credit {
            incoming.credit = within;
            self.send_link_flow(id);
        }
    }

    /// The peer settles what it sent; nobody waits for an outcome of it any more.
    pub(super) fn handle_sender_disposition(&mut self, channel: u16, disposition: &Disposition) {
        for link in self.links.values_mut().filter(|link| link.channel == channel) {
            if let LinkEnd::Incoming(incoming) = &mut link.end {
                let named = incoming.unsettled.iter_mut().filter(|received| disposition.names(received.delivery_id));
                named.for_each(|received| received.settled |= disposition.settled);
            }
        }
    }

    pub(super) fn send_session_flow(&mut self, channel: u16) {
        if let Some(flow) = self.session_mut(channel).map(|session| session.to_flow()) {
            self.write(channel, &Performative::Flow(flow));
        }
    }

    /// Tells the windows and the state of a link.
    pub(super) fn send_link_flow(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let (channel, handle) = (link.channel, Some(link.handle));
        let told = match &link.end {
            LinkEnd::Incoming(incoming) => {
                Flow { delivery_count: Some(incoming.delivery_count), link_credit: Some(incoming.credit), ..Flow::default() }
            }
            LinkEnd::Outgoing(outgoing) => Flow {
                delivery_count: Some(outgoing.delivery_count),
                link_credit: Some(outgoing.credit),
                available: u32::try_from(outgoing.queue.len()).ok(),
                drain: outgoing.drain,
                ..Flow::default()
            },
        };
        let Some(windows) = self.session_mut(channel).map(|session| session.to_flow()) else { return };
        let flow = Flow {
            next_incoming_id: windows.next_incoming_id,
            incoming_window: windows.incoming_window,
            next_outgoing_id: windows.next_outgoing_id,
            outgoing_window: windows.outgoing_window,
            handle,
            ..told
        };
        self.write(channel, &Performative::Flow(flow));
    }
}

/// What a transfer amounts to.
enum Taken {
    Part,
    Aborted,
    Whole(Assembly),
}

impl Incoming {
    fn take_transfer(&mut self, transfer: Transfer, payload: Bytes, bytes_max: usize) -> Result<Taken, Close> {
        let mut assembly = match self.assembly.take() {
            Some(assembly) => assembly.checked_against(&transfer)?,
            None => self.begin_delivery(&transfer)?,
        };
        assembly.settled |= transfer.settled.unwrap_or(false);
        if transfer.aborted {
            return Ok(Taken::Aborted);
        }
        if assembly.bytes.len().saturating_add(payload.len()) > bytes_max {
            return Err(Close::MessageTooLarge);
        }
        assembly.bytes.extend_from_slice(&payload);
        if transfer.more {
            self.assembly = Some(assembly);
            return Ok(Taken::Part);
        }
        Ok(Taken::Whole(assembly))
    }

    fn begin_delivery(&mut self, transfer: &Transfer) -> Result<Assembly, Close> {
        let credit = self.credit.checked_sub(1);
        self.credit = credit.ok_or(Close::Unexpected("a delivery beyond the credit (amqp:link:transfer-limit-exceeded)"))?;
        self.delivery_count = self.delivery_count.wrapping_add(1);
        let delivery_id = transfer.delivery_id.ok_or(Close::Unexpected("a delivery without an id (AMQP 2.7.5)"))?;
        if self.unsettled.iter().any(|received| received.delivery_id == delivery_id) {
            return Err(Close::Unexpected("a delivery id that is in use"));
        }
        let format = transfer.message_format.unwrap_or(MESSAGE_FORMAT);
        Ok(Assembly { delivery_id, format, settled: false, bytes: BytesMut::new() })
    }
}

impl Assembly {
    fn checked_against(self, transfer: &Transfer) -> Result<Self, Close> {
        match transfer.delivery_id {
            Some(id) if id != self.delivery_id => Err(Close::Unexpected("a delivery inside another (AMQP 2.6.14)")),
            _ => Ok(self),
        }
    }
}

impl Disposition {
    /// Whether it is about this delivery, in serial number arithmetic (RFC 1982).
    pub(super) fn names(&self, delivery_id: u32) -> bool {
        let last = self.last.unwrap_or(self.first);
        delivery_id.wrapping_sub(self.first) <= last.wrapping_sub(self.first)
    }
}
