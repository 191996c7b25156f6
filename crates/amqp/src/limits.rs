//! The bounds of one connection.

/// The bounds of one connection. Nothing that a peer sends makes a connection hold more than these allow.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest frame that is taken, in bytes; told to the peer. At least 512 (section 2.4.1).
    pub frame_bytes: usize,
    /// Largest SASL frame, in bytes. The standard says 512 (section 5.3.1), but a PLAIN response holds a whole SAS token, and not
    /// every client counts.
    pub sasl_frame_bytes: usize,
    /// SASL responses after the first; mechanism `TPM` needs three.
    pub sasl_rounds: usize,
    /// Largest message that is taken, in bytes; told to the peer at attach.
    pub message_bytes: usize,
    /// Sessions at a time.
    pub sessions: u16,
    /// Links at a time, over all sessions. Links that wait for the peer's detach count.
    pub links: usize,
    /// Messages that a link takes before the driver has settled any.
    pub credit: u32,
    /// Messages that wait for the peer's credit, by link.
    pub queued: usize,
    /// Messages that were sent and not settled, by link.
    pub in_flight: usize,
    /// Bytes of frames and messages that the peer has not read or granted credit for.
    pub unsent_bytes: usize,
    /// Bytes that may wait while the driver makes up its mind or has events to poll; never less than a frame.
    pub unread_bytes: usize,
    /// Time for the first 8 bytes, in milliseconds.
    pub header_ms: u64,
    /// Time until open, SASL included, in milliseconds. Java's DPS client looks for its token every 4 s for up to 60 s.
    pub open_ms: u64,
    /// Silence after which the peer is given up, in milliseconds. The peer is told half of it (section 2.4.5).
    pub idle_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 64 * 1024,
            sasl_frame_bytes: 4096,
            sasl_rounds: 8,
            message_bytes: 128 * 1024,
            sessions: 4,
            links: 8,
            credit: 16,
            queued: 32,
            in_flight: 64,
            unsent_bytes: 1024 * 1024,
            unread_bytes: 128 * 1024,
            header_ms: 20_000,
            open_ms: 120_000,
            idle_ms: 240_000,
        }
    }
}

impl Limits {
    /// Bytes that may wait before more are taken.
    pub(crate) fn waiting_bytes_max(&self) -> usize {
        self.unread_bytes.max(self.frame_bytes)
    }
}
