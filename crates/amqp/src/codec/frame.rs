//! Protocol headers and frames (sections 2.2 and 2.3): the stream cut into pieces, nothing understood yet.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::DecodeError;

/// Size of a frame's fixed header, in bytes.
pub const FRAME_HEADER_BYTES: usize = 8;
/// The largest frame that every peer must take (section 2.4.1), in bytes.
pub const FRAME_BYTES_MIN: usize = 512;

/// The layer that a peer asks for with its first 8 bytes (sections 2.2 and 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolHeader {
    /// `AMQP 3 1 0 0`: SASL first.
    Sasl,
    /// `AMQP 0 1 0 0`: no SASL, or none any more.
    Amqp,
}

impl ProtocolHeader {
    /// Length in bytes.
    pub const BYTES: usize = 8;

    /// Its bytes.
    pub const fn bytes(self) -> &'static [u8; Self::BYTES] {
        match self {
            Self::Sasl => b"AMQP\x03\x01\x00\x00",
            Self::Amqp => b"AMQP\x00\x01\x00\x00",
        }
    }

    /// `None` for another protocol or version.
    pub fn parse(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        [Self::Sasl, Self::Amqp].into_iter().find(|header| header.bytes() == bytes)
    }
}

/// What a frame carries (section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A performative.
    Amqp,
    /// A step of SASL.
    Sasl,
}

/// One frame. An empty body is a sign of life (section 2.4.5).
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What the body is.
    pub kind: FrameKind,
    /// The sender's channel; meaningless for SASL.
    pub channel: u16,
    /// The body.
    pub body: Bytes,
}

/// Cuts a stream into headers and frames. Holds at most what it was fed and not asked for.
#[derive(Default)]
pub struct FrameReader {
    buffer: BytesMut,
}

impl std::fmt::Debug for FrameReader {
    /// Without the bytes: they may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameReader({} bytes)", self.buffer.len())
    }
}

impl FrameReader {
    /// Adds bytes that arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// How many bytes wait.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next 8 bytes.
    pub fn header(&mut self) -> Option<[u8; ProtocolHeader::BYTES]> {
        let header = *self.buffer.first_chunk()?;
        self.buffer.advance(ProtocolHeader::BYTES);
        Some(header)
    }

    /// The next frame, of at most `bytes_max` bytes with its header. After an error the stream cannot be understood any more.
    pub fn frame(&mut self, bytes_max: usize) -> Result<Option<Frame>, DecodeError> {
        let Some(&[s0, s1, s2, s3, offset, kind, c0, c1]) = self.buffer.first_chunk::<FRAME_HEADER_BYTES>() else {
            return Ok(None);
        };
        let size = usize::try_from(u32::from_be_bytes([s0, s1, s2, s3])).map_err(|_| DecodeError::TooLarge)?;
        if size > bytes_max {
            return Err(DecodeError::TooLarge);
        }
        let kind = match kind {
            0 => FrameKind::Amqp,
            1 => FrameKind::Sasl,
            _ => return Err(DecodeError::FrameHeader),
        };
        // The data offset counts words of four bytes; what lies between the header and it is ignored (section 2.3.1).
        let offset = usize::from(offset) * 4;
        if offset < FRAME_HEADER_BYTES || offset > size {
            return Err(DecodeError::FrameHeader);
        }
        if self.buffer.len() < size {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(size).freeze();
        frame.advance(offset);
        Ok(Some(Frame { kind, channel: u16::from_be_bytes([c0, c1]), body: frame }))
    }
}

/// Appends a frame whose body is `parts`, one after the other. The caller keeps it within the peer's limit.
pub fn encode_frame(kind: FrameKind, channel: u16, parts: &[&[u8]], out: &mut BytesMut) {
    let size = parts.iter().fold(FRAME_HEADER_BYTES, |sum, part| sum.saturating_add(part.len()));
    out.put_u32(u32::try_from(size).unwrap_or(u32::MAX));
    out.put_u8(2);
    out.put_u8(match kind {
        FrameKind::Amqp => 0,
        FrameKind::Sasl => 1,
    });
    out.put_u16(channel);
    parts.iter().for_each(|part| out.put_slice(part));
}
