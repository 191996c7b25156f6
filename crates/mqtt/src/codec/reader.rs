//! Reading fields off a packet's bytes, each with its own refusal.

use bytes::{Buf as _, Bytes};

use super::DecodeError;

/// What is left of a packet.
pub struct Reader(pub Bytes);

impl Reader {
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        if self.0.is_empty() { Err(DecodeError::Truncated) } else { Ok(self.0.get_u8()) }
    }

    pub fn short(&mut self) -> Result<u16, DecodeError> {
        if self.0.len() < 2 { Err(DecodeError::Truncated) } else { Ok(self.0.get_u16()) }
    }

    /// Bytes with a two-byte length before them.
    pub fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        let length = usize::from(self.short()?);
        if self.0.len() < length { Err(DecodeError::Truncated) } else { Ok(self.0.split_to(length)) }
    }

    pub fn text(&mut self) -> Result<String, DecodeError> {
        let text = String::from_utf8(self.bytes()?.to_vec()).map_err(|_| DecodeError::Text)?;
        if text.contains('\0') { Err(DecodeError::Text) } else { Ok(text) }
    }

    pub fn packet_id(&mut self) -> Result<u16, DecodeError> {
        match self.short()? {
            0 => Err(DecodeError::PacketId),
            id => Ok(id),
        }
    }

    pub fn end(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }
}
