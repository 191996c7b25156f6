//! Bytes to packets and back.

mod decode;
mod encode;
mod reader;

use std::fmt;

pub use decode::Decoder;
pub use encode::encode;

/// Largest packet by default, in bytes: IoT Hub's largest message, 256 KiB, with its topic.
pub const PACKET_BYTES_MAX: usize = 256 * 1024 + 8 * 1024;
/// Filters in one SUBSCRIBE or UNSUBSCRIBE. SDKs send one to a handful.
pub const FILTERS_MAX: usize = 32;

/// Which rule a packet breaks. After it the stream cannot be understood any more, and the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Larger than the limit.
    TooLarge,
    /// The remaining length has more than four bytes (section 2.2.3).
    RemainingLength,
    /// A packet type of 0 or 15 (section 2.2.1).
    PacketType,
    /// Reserved flag bits are not as they must be (section 2.2.2, and 3.1.2.3 for CONNECT).
    ReservedFlags,
    /// A field is cut short.
    Truncated,
    /// There is more in the packet than its fields.
    TrailingBytes,
    /// Text that is not UTF-8, or holds U+0000 (section 1.5.3).
    Text,
    /// The protocol name is not `MQTT` (section 3.1.2.1).
    ProtocolName,
    /// A quality of service of 3 (section 3.3.1.2).
    Qos,
    /// A packet ID of 0 (section 2.3.1).
    PacketId,
    /// SUBSCRIBE or UNSUBSCRIBE without a filter, or with too many (section 3.8.3).
    FilterCount,
    /// An empty topic or filter, or a topic with wildcards (sections 4.7.1 and 4.7.3).
    Topic,
    /// A password without a user name (section 3.1.2.9).
    PasswordAlone,
    /// An unknown code in CONNACK or SUBACK.
    Code,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the packet is larger than the limit",
            Self::RemainingLength => "the remaining length is malformed (MQTT 2.2.3)",
            Self::PacketType => "the packet type is reserved (MQTT 2.2.1)",
            Self::ReservedFlags => "reserved flags are set (MQTT 2.2.2)",
            Self::Truncated => "a field is cut short",
            Self::TrailingBytes => "the packet is longer than its fields",
            Self::Text => "a text is not UTF-8 or holds U+0000 (MQTT 1.5.3)",
            Self::ProtocolName => "the protocol is not MQTT (MQTT 3.1.2.1)",
            Self::Qos => "the quality of service is reserved (MQTT 3.3.1.2)",
            Self::PacketId => "the packet ID is 0 (MQTT 2.3.1)",
            Self::FilterCount => "there is no filter, or too many (MQTT 3.8.3)",
            Self::Topic => "a topic is empty or holds wildcards (MQTT 4.7)",
            Self::PasswordAlone => "there is a password without a user name (MQTT 3.1.2.9)",
            Self::Code => "a return code is unknown",
        })
    }
}

impl std::error::Error for DecodeError {}

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
