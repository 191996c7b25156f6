//! Bytes to values, frames, performatives and messages, and back.
//!
//! Everything here is bounded: nesting by [`DEPTH_MAX`], the number of values by [`VALUES_MAX`], lengths by the bytes that are really
//! there. A length or a count that lies costs nothing but an error. Section numbers are those of the OASIS standard "AMQP 1.0".

mod decode;
mod encode;
pub(crate) mod fields;
pub mod frame;
pub mod message;
pub mod performative;
pub mod types;

use std::fmt;

pub use decode::{Reader, decode_value};
pub use encode::encode_value;

/// Nesting of lists, maps, arrays and described values. A message section holding a map of lists needs 4; recursive decoders without a
/// bound overflow their stack on a frame of 9 KB.
pub const DEPTH_MAX: usize = 16;
/// Values in one performative or one message, all levels together. A value takes some 40 bytes of memory and may take one on the wire
/// (none inside an array), so this also bounds what a frame can blow up to.
pub const VALUES_MAX: usize = 4096;

/// Which rule some bytes break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// A frame larger than the limit (section 2.4.1).
    TooLarge,
    /// A frame's size, data offset or type is impossible (section 2.3.1).
    FrameHeader,
    /// A value is cut short.
    Truncated,
    /// A format code that does not exist (section 1.2), or has no place where it stands.
    FormatCode(u8),
    /// Nested deeper than [`DEPTH_MAX`].
    Depth,
    /// More values than [`VALUES_MAX`].
    TooMany,
    /// A string that is not UTF-8, a symbol that is not ASCII, or a char that is none (section 1.6).
    Text,
    /// More bytes than the value needs.
    TrailingBytes,
    /// A map with a key but no value (section 1.6.23).
    OddMap,
    /// A described value that is not known at this place, or a plain value where a described one is due.
    Descriptor,
    /// A mandatory field is missing or has another type (part 2 and 5).
    Field(&'static str),
    /// Sections of a message that are out of order or repeated (section 3.2).
    Sections,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the frame is larger than the limit"),
            Self::FrameHeader => f.write_str("the frame header is malformed (AMQP 2.3.1)"),
            Self::Truncated => f.write_str("a value is cut short"),
            Self::FormatCode(code) => write!(f, "the format code 0x{code:02x} has no place here (AMQP 1.2)"),
            Self::Depth => f.write_str("values are nested too deep"),
            Self::TooMany => f.write_str("there are too many values"),
            Self::Text => f.write_str("a text is not in its encoding (AMQP 1.6)"),
            Self::TrailingBytes => f.write_str("there are more bytes than the value needs"),
            Self::OddMap => f.write_str("a map has a key without a value (AMQP 1.6.23)"),
            Self::Descriptor => f.write_str("a described value has no place here"),
            Self::Field(name) => write!(f, "the field {name} is missing or has another type"),
            Self::Sections => f.write_str("a message's sections are out of order (AMQP 3.2)"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Descriptors of the types that are known here (parts 2, 3 and 5), all in the domain 0 of the standard itself.
pub(crate) mod descriptor {
    pub const OPEN: u64 = 0x10;
    pub const BEGIN: u64 = 0x11;
    pub const ATTACH: u64 = 0x12;
    pub const FLOW: u64 = 0x13;
    pub const TRANSFER: u64 = 0x14;
    pub const DISPOSITION: u64 = 0x15;
    pub const DETACH: u64 = 0x16;
    pub const END: u64 = 0x17;
    pub const CLOSE: u64 = 0x18;
    pub const ERROR: u64 = 0x1d;
    pub const RECEIVED: u64 = 0x23;
    pub const ACCEPTED: u64 = 0x24;
    pub const REJECTED: u64 = 0x25;
    pub const RELEASED: u64 = 0x26;
    pub const MODIFIED: u64 = 0x27;
    pub const SOURCE: u64 = 0x28;
    pub const TARGET: u64 = 0x29;
    pub const SASL_MECHANISMS: u64 = 0x40;
    pub const SASL_INIT: u64 = 0x41;
    pub const SASL_CHALLENGE: u64 = 0x42;
    pub const SASL_RESPONSE: u64 = 0x43;
    pub const SASL_OUTCOME: u64 = 0x44;
    pub const HEADER: u64 = 0x70;
    pub const DELIVERY_ANNOTATIONS: u64 = 0x71;
    pub const MESSAGE_ANNOTATIONS: u64 = 0x72;
    pub const PROPERTIES: u64 = 0x73;
    pub const APPLICATION_PROPERTIES: u64 = 0x74;
    pub const DATA: u64 = 0x75;
    pub const AMQP_SEQUENCE: u64 = 0x76;
    pub const AMQP_VALUE: u64 = 0x77;
    pub const FOOTER: u64 = 0x78;
}

/// Format codes (section 1.6).
pub(crate) mod code {
    pub const DESCRIBED: u8 = 0x00;
    pub const NULL: u8 = 0x40;
    pub const TRUE: u8 = 0x41;
    pub const FALSE: u8 = 0x42;
    pub const UINT0: u8 = 0x43;
    pub const ULONG0: u8 = 0x44;
    pub const LIST0: u8 = 0x45;
    pub const UBYTE: u8 = 0x50;
    pub const BYTE: u8 = 0x51;
    pub const SMALL_UINT: u8 = 0x52;
    pub const SMALL_ULONG: u8 = 0x53;
    pub const SMALL_INT: u8 = 0x54;
    pub const SMALL_LONG: u8 = 0x55;
    pub const BOOLEAN: u8 = 0x56;
    pub const USHORT: u8 = 0x60;
    pub const SHORT: u8 = 0x61;
    pub const UINT: u8 = 0x70;
    pub const INT: u8 = 0x71;
    pub const FLOAT: u8 = 0x72;
    pub const CHAR: u8 = 0x73;
    pub const DECIMAL32: u8 = 0x74;
    pub const ULONG: u8 = 0x80;
    pub const LONG: u8 = 0x81;
    pub const DOUBLE: u8 = 0x82;
    pub const TIMESTAMP: u8 = 0x83;
    pub const DECIMAL64: u8 = 0x84;
    pub const DECIMAL128: u8 = 0x94;
    pub const UUID: u8 = 0x98;
    pub const BINARY8: u8 = 0xa0;
    pub const STRING8: u8 = 0xa1;
    pub const SYMBOL8: u8 = 0xa3;
    pub const BINARY32: u8 = 0xb0;
    pub const STRING32: u8 = 0xb1;
    pub const SYMBOL32: u8 = 0xb3;
    pub const LIST8: u8 = 0xc0;
    pub const MAP8: u8 = 0xc1;
    pub const LIST32: u8 = 0xd0;
    pub const MAP32: u8 = 0xd1;
    pub const ARRAY8: u8 = 0xe0;
    pub const ARRAY32: u8 = 0xf0;
}
