//! Frames to bytes, within what the peer takes.

use bytes::{Bytes, BytesMut};

use super::Connection;
use crate::{
    codec::{
        frame::{FRAME_HEADER_BYTES, FrameKind, encode_frame},
        performative::{AmqpError, DeliveryState, Performative},
        types::Map,
    },
    event::Close,
    sasl::SaslFrame,
};

impl Connection {
    /// Writes a frame. One that the peer does not take loses its error's explanation; if that is not enough, the connection ends.
    pub(super) fn write(&mut self, channel: u16, performative: &Performative) {
        if self.is_closed() {
            return;
        }
        if let Some(body) = self.fitting(performative) {
            self.write_frame(channel, &[&body]);
        } else {
            self.end(Close::PeerFrameTooSmall);
        }
    }

    fn fitting(&self, performative: &Performative) -> Option<Bytes> {
        let body = encoded(performative);
        if body.len() <= self.body_bytes_max() {
            return Some(body);
        }
        let shorter = encoded(&without_explanation(performative.clone()));
        (shorter.len() <= self.body_bytes_max()).then_some(shorter)
    }

    /// The largest body of a frame that the peer takes, in bytes.
    pub(super) fn body_bytes_max(&self) -> usize {
        self.peer.frame_bytes_max.saturating_sub(FRAME_HEADER_BYTES)
    }

    pub(super) fn write_frame(&mut self, channel: u16, parts: &[&[u8]]) {
        self.sent_ms = self.now_ms;
        encode_frame(FrameKind::Amqp, channel, parts, &mut self.out);
    }

    /// A sign of life.
    pub(super) fn write_empty_frame(&mut self) {
        self.write_frame(0, &[]);
    }

    /// Writes a step of SASL.
    pub fn write_sasl(&mut self, frame: &SaslFrame) {
        self.sent_ms = self.now_ms;
        encode_frame(FrameKind::Sasl, 0, &[&frame.encode()], &mut self.out);
    }

    /// Bytes to write to the peer.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.pump();
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }
}

pub(super) fn encoded(performative: &Performative) -> Bytes {
    let mut out = BytesMut::new();
    performative.encode(&mut out);
    out.freeze()
}

fn without_explanation(mut performative: Performative) -> Performative {
    let error = match &mut performative {
        Performative::Detach(detach) => detach.error.as_mut(),
        Performative::End(end) => end.error.as_mut(),
        Performative::Close(close) => close.error.as_mut(),
        Performative::Disposition(disposition) => match &mut disposition.state {
            Some(DeliveryState::Rejected(error)) => error.as_mut(),
            _ => None,
        },
        _ => None,
    };
    if let Some(AmqpError { description, info, .. }) = error {
        *description = None;
        *info = Map::new();
    }
    performative
}
