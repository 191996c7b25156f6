//! Which rule was broken, by its place in the standard.

use std::fmt;

/// Which rule a packet breaks. After it the stream cannot be understood any more, and the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Larger than the decoder's limit. The limit is ours.
    TooLarge,
    /// More was fed than was polled. The bound is ours.
    Backlog,
    /// The remaining length has more than four bytes (section 2.2.3).
    RemainingLength,
    /// A packet type of 0 or 15 (section 2.2.1).
    PacketType,
    /// Reserved flag bits are not as they must be (section 2.2.2; for CONNECT 3.1.2, for CONNACK 3.2.2).
    ReservedFlags,
    /// The remaining length ends in the middle of a field (section 2.2.3).
    Truncated,
    /// The remaining length goes beyond the last field (section 2.2.3).
    TrailingBytes,
    /// Text that is not UTF-8, or holds U+0000 (section 1.5.3).
    Text,
    /// The protocol name is not `MQTT` (section 3.1.2.1).
    ProtocolName,
    /// A quality of service of 3 (section 3.3.1.2).
    Qos,
    /// A message of level 0 that claims to be sent again (section 3.3.1.1).
    Dup,
    /// A packet ID of 0 (section 2.3.1).
    PacketId,
    /// SUBSCRIBE or UNSUBSCRIBE without a filter, or with more than [`FILTERS_MAX`](super::FILTERS_MAX) (section 3.8.3).
    FilterCount,
    /// A topic that is empty or holds wildcards, or a filter whose wildcards are misplaced (section 4.7).
    Topic,
    /// A password without a user name (section 3.1.2.9).
    PasswordAlone,
    /// An unknown code in CONNACK (section 3.2.2.3) or SUBACK (section 3.9.3).
    Code,
}

impl DecodeError {
    /// The section of MQTT 3.1.1 that holds the rule; `None` for bounds of our own.
    pub const fn section(self) -> Option<&'static str> {
        Some(match self {
            Self::TooLarge | Self::Backlog => return None,
            Self::RemainingLength | Self::Truncated | Self::TrailingBytes => "2.2.3",
            Self::PacketType => "2.2.1",
            Self::ReservedFlags => "2.2.2",
            Self::Text => "1.5.3",
            Self::ProtocolName => "3.1.2.1",
            Self::Qos => "3.3.1.2",
            Self::Dup => "3.3.1.1",
            Self::PacketId => "2.3.1",
            Self::FilterCount => "3.8.3",
            Self::Topic => "4.7",
            Self::PasswordAlone => "3.1.2.9",
            Self::Code => "3.2.2.3",
        })
    }

    const fn text(self) -> &'static str {
        match self {
            Self::TooLarge => "the packet is larger than the limit",
            Self::Backlog => "more was sent than was read",
            Self::RemainingLength => "the remaining length is malformed",
            Self::PacketType => "the packet type is reserved",
            Self::ReservedFlags => "reserved flags are set",
            Self::Truncated => "a field is cut short",
            Self::TrailingBytes => "the packet is longer than its fields",
            Self::Text => "a text is not UTF-8 or holds U+0000",
            Self::ProtocolName => "the protocol is not MQTT",
            Self::Qos => "the quality of service is reserved",
            Self::Dup => "a message of quality of service 0 is marked as sent again",
            Self::PacketId => "the packet ID is 0",
            Self::FilterCount => "there is no filter, or too many",
            Self::Topic => "a topic is empty or holds wildcards, or a filter is malformed",
            Self::PasswordAlone => "there is a password without a user name",
            Self::Code => "a return code is unknown",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        self.section().map_or(Ok(()), |section| write!(f, " (MQTT {section})"))
    }
}

impl std::error::Error for DecodeError {}

/// Why a packet cannot be written. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// A field of more than [`FIELD_BYTES_MAX`](super::FIELD_BYTES_MAX) (section 1.5.3).
    FieldTooLong,
    /// More than [`REMAINING_LENGTH_MAX`](super::REMAINING_LENGTH_MAX) in all (section 2.2.3).
    PacketTooLong,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FieldTooLong => "a field has more than 65,535 bytes (MQTT 1.5.3)",
            Self::PacketTooLong => "the packet has more than 268,435,455 bytes (MQTT 2.2.3)",
        })
    }
}

impl std::error::Error for EncodeError {}
