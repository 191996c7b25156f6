//! One session: its two channels and its windows (section 2.5.6).

use crate::codec::performative::{Begin, Flow};

/// Transfers that are taken before the window is opened again. What they add up to is bounded by the links, so this only has to be
/// large enough not to slow anybody down.
pub(super) const INCOMING_WINDOW: u32 = 2048;

/// A session as this side knows it.
#[derive(Debug)]
pub(super) struct Session {
    /// This side's channel.
    pub channel: u16,
    /// The peer's; unknown until it has begun.
    pub remote_channel: Option<u16>,
    /// The highest handle the peer takes.
    pub remote_handle_max: u32,
    next_incoming_id: u32,
    incoming_window: u32,
    next_outgoing_id: u32,
    remote_incoming_window: u32,
    next_delivery_id: u32,
}

impl Session {
    pub fn new(channel: u16) -> Self {
        Self {
            channel,
            remote_channel: None,
            remote_handle_max: u32::MAX,
            next_incoming_id: 0,
            incoming_window: INCOMING_WINDOW,
            next_outgoing_id: 0,
            remote_incoming_window: 0,
            next_delivery_id: 0,
        }
    }

    /// Takes the peer's begin.
    pub fn begun(&mut self, remote_channel: u16, begin: &Begin) {
        self.remote_channel = Some(remote_channel);
        self.remote_handle_max = begin.handle_max;
        self.next_incoming_id = begin.next_outgoing_id;
        self.remote_incoming_window = begin.incoming_window;
    }

    /// This side's begin.
    pub fn to_begin(&self, handle_max: u32) -> Begin {
        Begin {
            remote_channel: self.remote_channel,
            next_outgoing_id: self.next_outgoing_id,
            incoming_window: self.incoming_window,
            outgoing_window: u32::MAX,
            handle_max,
        }
    }

    /// A flow that tells the windows and nothing of links.
    pub fn to_flow(&self) -> Flow {
        Flow {
            next_incoming_id: self.remote_channel.map(|_| self.next_incoming_id),
            incoming_window: self.incoming_window,
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: u32::MAX,
            ..Flow::default()
        }
    }

    /// Takes the session's part of a flow. The peer may not know yet what was sent since.
    pub fn flowed(&mut self, flow: &Flow) {
        let on_the_way = self.next_outgoing_id.wrapping_sub(flow.next_incoming_id.unwrap_or(0));
        self.remote_incoming_window = flow.incoming_window.saturating_sub(on_the_way);
    }

    /// Counts a transfer that came; `false` if the peer was not allowed to send it.
    pub fn received(&mut self) -> bool {
        let Some(window) = self.incoming_window.checked_sub(1) else { return false };
        self.incoming_window = window;
        self.next_incoming_id = self.next_incoming_id.wrapping_add(1);
        true
    }

    /// Opens the window again when half of it is used. Whether there is something to tell.
    pub fn reopened(&mut self) -> bool {
        let due = self.incoming_window <= INCOMING_WINDOW / 2;
        if due {
            self.incoming_window = INCOMING_WINDOW;
        }
        due
    }

    pub fn may_send(&self) -> bool {
        self.remote_incoming_window > 0
    }

    /// Counts a transfer that was sent.
    pub fn sent(&mut self) {
        self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
        self.remote_incoming_window = self.remote_incoming_window.saturating_sub(1);
    }

    /// A number for a new delivery.
    pub fn take_delivery_id(&mut self) -> u32 {
        let id = self.next_delivery_id;
        self.next_delivery_id = id.wrapping_add(1);
        id
    }
}
