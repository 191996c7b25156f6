//! Bytes to packets and back.

mod decode;
mod encode;
mod error;
mod reader;

pub use decode::Decoder;
pub use encode::encode;
pub(crate) use encode::publish_length;
pub use error::{DecodeError, EncodeError};

/// Largest packet by default, in bytes: IoT Hub's largest message, 256 KiB, with its topic.
pub const PACKET_BYTES_MAX: usize = 256 * 1024 + 8 * 1024;
/// Filters in one SUBSCRIBE or UNSUBSCRIBE. SDKs send one to a handful.
pub const FILTERS_MAX: usize = 32;
/// Longest text or binary field, in bytes: its length has two (section 1.5.3).
pub const FIELD_BYTES_MAX: usize = u16::MAX as usize;
/// Largest remaining length: four times seven bits (section 2.2.3).
pub const REMAINING_LENGTH_MAX: usize = (1 << 28) - 1;
/// Longest fixed header: the first byte and four of length (section 2.2).
pub(crate) const HEADER_BYTES_MAX: usize = 5;

/// The first four bits of each packet.
pub(crate) mod kind {
    pub const CONNECT: u8 = 1;
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBREC: u8 = 5;
    pub const PUBREL: u8 = 6;
    pub const PUBCOMP: u8 = 7;
    pub const SUBSCRIBE: u8 = 8;
    pub const SUBACK: u8 = 9;
    pub const UNSUBSCRIBE: u8 = 10;
    pub const UNSUBACK: u8 = 11;
    pub const PINGREQ: u8 = 12;
    pub const PINGRESP: u8 = 13;
    pub const DISCONNECT: u8 = 14;
}
