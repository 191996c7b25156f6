//! Bytes on their way out, within the peer's frame size.

use bytes::{Bytes, BytesMut};

use crate::codec::{
    frame::{FRAME_BYTES_MIN, FRAME_HEADER_BYTES, FrameKind, ProtocolHeader, encode_frame},
    performative::{Performative, Transfer},
};

/// Transfers wait in their queues while more than this waits to be written, so that one slow reader costs little, in bytes.
const TRANSFER_BYTES_HIGH: usize = 64 * 1024;
/// Our frames never exceed this, whatever the peer takes, in bytes: links share the stream frame by frame.
const FRAME_BYTES_OUT_MAX: usize = 64 * 1024;

pub(crate) struct Outbox {
    bytes: BytesMut,
    frame_bytes: usize,
    unsent_bytes_max: usize,
}

impl Outbox {
    pub fn new(unsent_bytes_max: usize) -> Self {
        Self { bytes: BytesMut::new(), frame_bytes: FRAME_BYTES_MIN, unsent_bytes_max }
    }

    /// The peer told its largest frame.
    pub fn set_peer_frame_bytes(&mut self, bytes: u32) {
        self.frame_bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(FRAME_BYTES_OUT_MAX);
    }

    pub fn header(&mut self, header: ProtocolHeader) {
        self.bytes.extend_from_slice(header.bytes());
    }

    pub fn sasl(&mut self, body: &[u8]) {
        encode_frame(FrameKind::Sasl, 0, &[body], &mut self.bytes);
    }

    pub fn send(&mut self, channel: u16, performative: &Performative) {
        let mut body = BytesMut::new();
        performative.encode(&mut body);
        encode_frame(FrameKind::Amqp, channel, &[&body], &mut self.bytes);
    }

    /// Sends one frame of a delivery and takes from `payload` what fits. The transfer's `more` is set here.
    pub fn transfer(&mut self, channel: u16, mut transfer: Transfer, payload: &mut Bytes) -> bool {
        let mut body = BytesMut::new();
        // `more` is one byte either way, so the size does not depend on it.
        Performative::Transfer(transfer.clone()).encode(&mut body);
        let room = self.frame_bytes.saturating_sub(FRAME_HEADER_BYTES).saturating_sub(body.len());
        transfer.more = payload.len() > room;
        if transfer.more {
            body.clear();
            Performative::Transfer(transfer.clone()).encode(&mut body);
        }
        let part = payload.split_to(room.min(payload.len()));
        encode_frame(FrameKind::Amqp, channel, &[&body, &part], &mut self.bytes);
        transfer.more
    }

    /// An empty frame, as a sign of life.
    pub fn heartbeat(&mut self) {
        encode_frame(FrameKind::Amqp, 0, &[], &mut self.bytes);
    }

    /// Whether transfers may be added.
    pub fn has_room(&self) -> bool {
        self.bytes.len() < TRANSFER_BYTES_HIGH
    }

    pub fn overflowed(&self) -> bool {
        self.bytes.len() > self.unsent_bytes_max
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn take(&mut self) -> Option<Bytes> {
        (!self.bytes.is_empty()).then(|| self.bytes.split().freeze())
    }
}
