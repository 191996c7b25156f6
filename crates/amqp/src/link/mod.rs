//! One link: what both ends agreed on, and its direction's own state.

mod receiving;
mod sending;

pub(crate) use receiving::{Receiving, Step};
pub(crate) use sending::{Outgoing, Sending};

use crate::{
    codec::{
        performative::{Attach, Role, Terminus},
        types::Map,
    },
    event::LinkId,
};

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// The driver's word on the peer's attach.
    ExpectVerdict,
    /// The peer's answer to our attach.
    ExpectAttach,
    /// The peer's detach: it answered our attach with no terminus, which announces that (section 2.6.3).
    ExpectRefusal,
    /// Anything.
    Attached,
    /// The peer's answer to our detach; what else comes was under way and is ignored.
    ExpectDetach,
}

pub(crate) enum Direction {
    Receiving(Receiving),
    Sending(Sending),
}

pub(crate) struct Link {
    pub id: LinkId,
    pub name: String,
    /// Our number for it.
    pub handle: u32,
    /// The peer's number, once it attached.
    pub remote_handle: Option<u32>,
    pub state: LinkState,
    pub source: Option<Terminus>,
    pub target: Option<Terminus>,
    pub snd_settle_mode: u8,
    pub rcv_settle_mode: u8,
    pub direction: Direction,
}

impl Link {
    pub fn role(&self) -> Role {
        match self.direction {
            Direction::Receiving(_) => Role::Receiver,
            Direction::Sending(_) => Role::Sender,
        }
    }

    pub fn receiving(&mut self) -> Option<&mut Receiving> {
        match &mut self.direction {
            Direction::Receiving(receiving) => Some(receiving),
            Direction::Sending(_) => None,
        }
    }

    pub fn sending(&mut self) -> Option<&mut Sending> {
        match &mut self.direction {
            Direction::Receiving(_) => None,
            Direction::Sending(sending) => Some(sending),
        }
    }

    /// Our attach: an own one or the answer to the peer's, which echoes its termini.
    pub fn attach(&self, message_bytes: usize, properties: Map) -> Attach {
        let sender = self.role() == Role::Sender;
        Attach {
            name: self.name.clone(),
            handle: self.handle,
            role: self.role(),
            snd_settle_mode: self.snd_settle_mode,
            rcv_settle_mode: self.rcv_settle_mode,
            source: self.source.clone(),
            target: self.target.clone(),
            initial_delivery_count: sender.then_some(0),
            max_message_size: if sender { 0 } else { u64::try_from(message_bytes).unwrap_or(u64::MAX) },
            properties,
        }
    }

    /// Our attach where the detach follows at once: our own terminus is null (section 2.6.3).
    pub fn refusing_attach(&self) -> Attach {
        let mut attach = self.attach(0, Map::new());
        match self.role() {
            Role::Sender => attach.source = None,
            Role::Receiver => attach.target = None,
        }
        attach
    }
}
