//! The device API over AMQP 1.0, with or without a WebSocket around it.

mod conversation;
mod names;
mod sasl;

pub use conversation::{MECHANISMS, is_ours, serve};

use usher_amqp::{event::Event, server::Session};

use crate::Machine;

/// A device's AMQP connection and its stream.
pub type Link<IO> = crate::Link<Session, IO>;

impl Machine for Session {
    type Event = Event;

    fn handle_bytes(&mut self, bytes: &[u8], now_ms: u64) {
        self.handle_bytes(bytes, now_ms);
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.poll_event()
    }

    fn poll_transmit(&mut self) -> Option<bytes::Bytes> {
        self.poll_transmit()
    }

    fn poll_timeout(&self) -> Option<u64> {
        self.poll_timeout()
    }

    fn handle_timeout(&mut self, now_ms: u64) {
        self.handle_timeout(now_ms);
    }

    fn handle_lost(&mut self) {
        self.handle_lost();
    }

    fn is_closed(&self) -> bool {
        self.is_closed()
    }
}
