//! The bounds of a session.

use crate::codec::PACKET_BYTES_MAX;

/// The bounds of a session: what one client can make the server hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest packet, in bytes.
    pub packet_bytes: usize,
    /// Largest CONNECT, in bytes: what a peer may have kept for it before anybody knows who it is. By default the largest will
    /// (64 KiB) and 16 KiB for names and a SAS token.
    pub connect_bytes: usize,
    /// Time for CONNECT to arrive, in milliseconds.
    pub connect_ms: u64,
    /// Unacknowledged messages to the client; 1 to 32,767.
    pub in_flight: usize,
    /// Messages that wait for the window; at most 32,767.
    pub queued: usize,
    /// Bytes for the client that it has not read or that wait for the window; beyond, messages are not taken, and a client that
    /// makes answers faster than it reads them is given up.
    pub unsent_bytes: usize,
    /// Events that the driver has not polled; at this number packets are left undecoded. At least 1.
    pub events: usize,
    /// Messages of the client that the driver has not acknowledged; at this number packets are left undecoded. At least 1.
    pub unacknowledged: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packet_bytes: PACKET_BYTES_MAX,
            connect_bytes: 80 * 1024,
            connect_ms: 20_000,
            in_flight: 16,
            queued: 128,
            unsent_bytes: 1024 * 1024,
            events: 64,
            unacknowledged: 64,
        }
    }
}

impl Limits {
    /// Within what the protocol allows: there are 65,535 packet IDs, and one must always be free.
    pub(super) fn checked(self) -> Self {
        const HALF_OF_IDS: usize = 32_767;
        Self {
            in_flight: self.in_flight.clamp(1, HALF_OF_IDS),
            queued: self.queued.min(HALF_OF_IDS),
            events: self.events.max(1),
            unacknowledged: self.unacknowledged.max(1),
            ..self
        }
    }
}
