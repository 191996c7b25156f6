//! Links: attach and detach (section 2.6).

use super::{
    Connection,
    link::{Link, LinkEnd, LinkState},
};
use crate::{
    codec::{
        performative::{AmqpError, Attach, Detach, Performative, Role, Terminus},
        types::Map,
    },
    event::{Attached, Close, Event, LinkId, SendError},
};

/// What a link is to be, for the side that asks for it.
#[derive(Clone, Debug)]
pub struct LinkRequest {
    pub role: Role,
    pub name: String,
    pub source: Option<String>,
    pub target: Option<String>,
    pub properties: Map,
}

impl Connection {
    /// Asks the peer for a link.
    pub fn attach(&mut self, channel: u16, request: LinkRequest) -> Result<LinkId, SendError> {
        if !self.is_open() {
            return Err(SendError::NotAttached);
        }
        let handle = self.free_handle(channel).ok_or(SendError::QueueFull)?;
        let role = request.role;
        let attach = Attach {
            name: request.name.clone(),
            handle,
            role,
            snd_settle_mode: 0,
            rcv_settle_mode: 0,
            source: request.source.map(Terminus::source),
            target: request.target.map(Terminus::target),
            initial_delivery_count: (role == Role::Sender).then_some(0),
            max_message_size: self.message_bytes_max(role),
            properties: request.properties,
        };
        self.write(channel, &Performative::Attach(Box::new(attach)));
        let id = self.next_link_id();
        self.links.insert(id, Link::new(channel, handle, request.name, LinkEnd::of(role), LinkState::Asking));
        Ok(id)
    }

    /// What is told at attach: only the receiving end has a limit.
    fn message_bytes_max(&self, role: Role) -> u64 {
        match role {
            Role::Receiver => u64::try_from(self.limits.message_bytes).unwrap_or(u64::MAX),
            Role::Sender => 0,
        }
    }

    fn free_handle(&self, channel: u16) -> Option<u32> {
        if self.links.len() >= self.limits.links {
            return None;
        }
        let taken = |handle| self.links.values().any(|link| link.channel == channel && link.handle == handle);
        let highest = self.sessions.iter().find(|session| session.channel == channel)?.remote_handle_max;
        (0..=highest).find(|handle| !taken(*handle))
    }

    /// The link behind the peer's number.
    pub(super) fn link_of(&self, channel: u16, remote_handle: u32) -> Result<LinkId, Close> {
        let found = self.links.iter().find(|(_, link)| link.channel == channel && link.remote_handle == Some(remote_handle));
        found.map(|(id, _)| *id).ok_or(Close::Unexpected("a handle without a link (amqp:session:unattached-handle)"))
    }

    pub(super) fn handle_attach(&mut self, channel: u16, attach: Box<Attach>) -> Result<(), Close> {
        if self.link_of(channel, attach.handle).is_ok() {
            return Err(Close::Unexpected("a handle that is in use (amqp:session:handle-in-use)"));
        }
        let asked_for = self.links.iter().find(|(_, link)| {
            link.channel == channel && link.remote_handle.is_none() && link.role() == attach.role.peer() && link.name == attach.name
        });
        if let Some(id) = asked_for.map(|(id, _)| *id) {
            self.handle_attach_answer(id, *attach);
            return Ok(());
        }
        let handle = self.free_handle(channel).ok_or(Close::TooMany("links"))?;
        let id = self.next_link_id();
        self.events.push_back(Event::Attached(Box::new(described(id, &attach))));
        let mut link = Link::new(channel, handle, attach.name.clone(), LinkEnd::of(attach.role.peer()), LinkState::Attached);
        link.take_terms(&attach);
        link.state = LinkState::Asked(attach);
        self.links.insert(id, link);
        Ok(())
    }

    fn handle_attach_answer(&mut self, id: LinkId, attach: Attach) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.take_terms(&attach);
        if link.state != LinkState::Asking {
            return;
        }
        link.state = LinkState::Attached;
        // A link that is refused is answered without the peer's own terminus, then detached (section 2.6.3).
        let refused = match attach.role {
            Role::Receiver => attach.target.is_none(),
            Role::Sender => attach.source.is_none(),
        };
        if !refused {
            self.events.push_back(Event::Attached(Box::new(described(id, &attach))));
            self.replenish(id);
        }
    }

    /// Agrees to a link that the peer asked for: both of its ends are as it said. Grants credit where messages come in.
    pub fn accept_attach(&mut self, id: LinkId) {
        let Some(asked) = self.take_asked(id, LinkState::Attached) else { return };
        let (source, target) = (asked.source.clone(), asked.target.clone());
        self.answer_attach(id, *asked, source, target);
        self.replenish(id);
    }

    /// Refuses a link that the peer asked for (section 2.6.3): an answer without this side's terminus, then a detach that says why.
    pub fn refuse_attach(&mut self, id: LinkId, error: AmqpError) {
        let Some(asked) = self.take_asked(id, LinkState::Attached) else { return };
        let (source, target) = match asked.role {
            Role::Sender => (asked.source.clone(), None),
            Role::Receiver => (None, asked.target.clone()),
        };
        self.answer_attach(id, *asked, source, target);
        self.detach(id, Some(error));
    }

    fn take_asked(&mut self, id: LinkId, next: LinkState) -> Option<Box<Attach>> {
        let link = self.links.get_mut(&id)?;
        if !matches!(link.state, LinkState::Asked(_)) {
            return None;
        }
        match std::mem::replace(&mut link.state, next) {
            LinkState::Asked(attach) => Some(attach),
            _ => None,
        }
    }

    fn answer_attach(&mut self, id: LinkId, asked: Attach, source: Option<Terminus>, target: Option<Terminus>) {
        let Some(link) = self.links.get(&id) else { return };
        let (channel, handle, role) = (link.channel, link.handle, link.role());
        let answer = Attach {
            handle,
            role,
            snd_settle_mode: asked.snd_settle_mode,
            // As a receiver this side settles first; as a sender it goes along with the peer's wish.
            rcv_settle_mode: if role == Role::Receiver { 0 } else { asked.rcv_settle_mode },
            source,
            target,
            initial_delivery_count: (role == Role::Sender).then_some(0),
            max_message_size: self.message_bytes_max(role),
            properties: Map::new(),
            name: asked.name,
        };
        self.write(channel, &Performative::Attach(Box::new(answer)));
    }

    /// Ends a link for good. Its messages that wait are dropped.
    pub fn detach(&mut self, id: LinkId, error: Option<AmqpError>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if !matches!(link.state, LinkState::Attached) {
            return;
        }
        link.state = LinkState::Detaching;
        link.end = LinkEnd::of(link.role());
        let (channel, handle) = (link.channel, link.handle);
        self.write(channel, &Performative::Detach(Detach { handle, closed: true, error }));
    }

    pub(super) fn handle_detach(&mut self, channel: u16, detach: Detach) -> Result<(), Close> {
        let id = self.link_of(channel, detach.handle)?;
        let Some(link) = self.links.get(&id) else { return Ok(()) };
        let handle = link.handle;
        match &link.state {
            LinkState::Detaching => {}
            LinkState::Asked(asked) => {
                // The peer gave up before the driver answered; it is owed both answers.
                let asked = asked.as_ref().clone();
                self.answer_attach(id, asked, None, None);
                self.write(channel, &Performative::Detach(Detach { handle, closed: detach.closed, error: None }));
            }
            LinkState::Asking | LinkState::Attached => {
                self.write(channel, &Performative::Detach(Detach { handle, closed: detach.closed, error: None }));
            }
        }
        self.forget_link(id, detach.error);
        Ok(())
    }
}

impl Link {
    /// What the peer's attach says of its end.
    fn take_terms(&mut self, attach: &Attach) {
        self.remote_handle = Some(attach.handle);
        match &mut self.end {
            LinkEnd::Incoming(incoming) => incoming.delivery_count = attach.initial_delivery_count.unwrap_or(0),
            LinkEnd::Outgoing(outgoing) => {
                outgoing.presettled = attach.snd_settle_mode == 1;
                outgoing.message_bytes_max = attach.max_message_size;
            }
        }
    }
}

fn described(link: LinkId, attach: &Attach) -> Attached {
    let address = |terminus: &Option<Terminus>| terminus.as_ref().and_then(Terminus::address).map(Into::into);
    Attached {
        link,
        role: attach.role,
        name: attach.name.clone(),
        source: address(&attach.source),
        target: address(&attach.target),
        properties: attach.properties.clone(),
    }
}
