//! Messages that go: the queue, transfers within credit and windows, the peer's outcomes.

use bytes::{Buf, Bytes};

use super::{
    Connection,
    link::{LinkEnd, LinkState, Outgoing, Queued},
    write::encoded,
};
use crate::{
    codec::{
        message::Message,
        performative::{Disposition, Flow, Performative, Role, Transfer},
    },
    event::{Close, Delivery, Event, LinkId, SendError},
};

impl Connection {
    /// Queues a message until the peer grants credit.
    pub fn send(&mut self, id: LinkId, message: &Message) -> Result<Delivery, SendError> {
        let bytes = message.encode();
        let waiting = self.links.values().fold(self.out.len(), |sum, link| sum.saturating_add(link.queued_bytes()));
        let full = waiting.saturating_add(bytes.len()) > self.limits.unsent_bytes;
        let queued_max = self.limits.queued;
        let outgoing = self.outgoing_mut(id).ok_or(SendError::NotAttached)?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if outgoing.message_bytes_max > 0 && size > outgoing.message_bytes_max {
            return Err(SendError::TooLarge);
        }
        if full || outgoing.queue.len() >= queued_max {
            return Err(SendError::QueueFull);
        }
        let delivery = self.next_delivery(id);
        if let Some(outgoing) = self.outgoing_mut(id) {
            outgoing.queue.push_back(Queued { number: delivery.number, delivery_id: None, format: message.format, rest: bytes });
        }
        Ok(delivery)
    }

    fn outgoing_mut(&mut self, id: LinkId) -> Option<&mut Outgoing> {
        let link = self.links.get_mut(&id).filter(|link| link.state == LinkState::Attached)?;
        match &mut link.end {
            LinkEnd::Outgoing(outgoing) => Some(outgoing),
            LinkEnd::Incoming(_) => None,
        }
    }

    /// Writes what credit, windows and the peer's reading allow.
    pub(super) fn pump(&mut self) {
        if !self.is_open() {
            return;
        }
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for id in links {
            // Half of what may wait is left to answers.
            while self.out.len() <= self.limits.unsent_bytes / 2 && self.send_transfer(id) {}
            if self.outgoing_mut(id).is_some_and(Outgoing::drained) {
                self.send_link_flow(id);
            }
        }
    }

    /// Sends one frame of the link's first message; `false` if nothing can go.
    fn send_transfer(&mut self, id: LinkId) -> bool {
        let (in_flight, body_bytes_max) = (self.limits.in_flight, self.body_bytes_max());
        let Some(link) = self.links.get_mut(&id).filter(|link| link.state == LinkState::Attached) else { return false };
        let LinkEnd::Outgoing(outgoing) = &mut link.end else { return false };
        let Some(session) = self.sessions.iter_mut().find(|session| session.channel == link.channel) else { return false };
        if !session.may_send() || !outgoing.may_go_on(in_flight) {
            return false;
        }
        if outgoing.queue.front().is_some_and(|queued| queued.delivery_id.is_none()) {
            outgoing.begin_first(session.take_delivery_id());
        }
        let Some((performative, payload)) = outgoing.next_frame(link.handle, body_bytes_max) else { return false };
        session.sent();
        let channel = link.channel;
        self.write_frame(channel, &[&performative, &payload]);
        true
    }

    pub(super) fn handle_disposition(&mut self, channel: u16, disposition: &Disposition) -> Result<(), Close> {
        match disposition.role {
            Role::Sender => self.handle_sender_disposition(channel, disposition),
            Role::Receiver => self.handle_receiver_disposition(channel, disposition),
        }
        Ok(())
    }

    fn handle_receiver_disposition(&mut self, channel: u16, disposition: &Disposition) {
        let terminal = disposition.state.as_ref().is_some_and(|state| state.is_terminal());
        if !disposition.settled && !terminal {
            return;
        }
        let mut settled = Vec::new();
        for (id, link) in self.links.iter_mut().filter(|(_, link)| link.channel == channel) {
            if let LinkEnd::Outgoing(outgoing) = &mut link.end {
                // What is not sent to its end cannot be settled yet.
                let partial = outgoing.queue.front().and_then(|queued| queued.delivery_id);
                outgoing.unsettled.retain(|key, number| {
                    let named = disposition.names(*key) && partial != Some(*key);
                    if named {
                        settled.push((*key, Delivery { link: *id, number: *number }));
                    }
                    !named
                });
            }
        }
        for (delivery_id, delivery) in settled {
            self.events.push_back(Event::Settled { delivery, state: disposition.state.clone() });
            if !disposition.settled {
                // The peer waits for the sender to settle first (section 2.8.3, second).
                let answer = Disposition { role: Role::Sender, first: delivery_id, last: None, settled: true, state: None };
                self.write(channel, &Performative::Disposition(answer));
            }
        }
    }

    pub(super) fn handle_flow(&mut self, channel: u16, flow: &Flow) -> Result<(), Close> {
        if let Some(session) = self.session_mut(channel) {
            session.flowed(flow);
        }
        let Some(handle) = flow.handle else {
            if flow.echo {
                self.send_session_flow(channel);
            }
            return Ok(());
        };
        let id = self.link_of(channel, handle)?;
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if link.state == LinkState::Detaching {
            return Ok(());
        }
        let answerable = link.state == LinkState::Attached;
        if let LinkEnd::Outgoing(outgoing) = &mut link.end {
            if let Some(credit) = flow.link_credit {
                outgoing.grant(flow.delivery_count.unwrap_or(0), credit);
            }
            outgoing.drain = flow.drain;
            outgoing.drain_due = flow.drain;
        }
        if flow.echo && answerable {
            self.send_link_flow(id);
        }
        self.pump();
        Ok(())
    }
}

impl Outgoing {
    /// Whether there is a message, and room for it with the peer. One that is begun may always go on.
    fn may_go_on(&self, in_flight: usize) -> bool {
        match self.queue.front() {
            None => false,
            Some(Queued { delivery_id: Some(_), .. }) => true,
            Some(_) => self.credit > 0 && self.unsettled.len() < in_flight,
        }
    }

    fn begin_first(&mut self, delivery_id: u32) {
        if let Some(queued) = self.queue.front_mut() {
            queued.delivery_id = Some(delivery_id);
            self.credit = self.credit.saturating_sub(1);
            self.delivery_count = self.delivery_count.wrapping_add(1);
            if !self.presettled {
                self.unsettled.insert(delivery_id, queued.number);
            }
        }
    }

    /// The next frame of the first message: its performative and its part of the message.
    fn next_frame(&mut self, handle: u32, body_bytes_max: usize) -> Option<(Bytes, Bytes)> {
        let queued = self.queue.front_mut()?;
        let (delivery_id, format) = (queued.delivery_id?, queued.format);
        let transfer = |more| {
            encoded(&Performative::Transfer(Transfer {
                handle,
                delivery_id: Some(delivery_id),
                delivery_tag: Some(Bytes::copy_from_slice(&delivery_id.to_be_bytes())),
                message_format: Some(format),
                settled: Some(self.presettled),
                more,
                aborted: false,
            }))
        };
        // True and false have the same length.
        let last = transfer(false);
        let room = body_bytes_max.saturating_sub(last.len());
        if queued.rest.len() <= room {
            let payload = std::mem::take(&mut queued.rest);
            self.queue.pop_front();
            return Some((last, payload));
        }
        let payload = queued.rest.slice(..room);
        queued.rest.advance(room);
        Some((transfer(true), payload))
    }
}
