//! MQTT 3.1.1 without I/O: a strict codec, and a server's and a client's session as state machines.
//!
//! Nothing here opens a socket, reads a clock or knows what is provisioned over it: bytes and times go in, bytes and events come out.
//! Section numbers in this crate are those of the OASIS standard "MQTT Version 3.1.1".

pub mod client;
pub mod codec;
pub mod packet;
pub mod server;
pub mod topic;

pub use codec::{DecodeError, Decoder, EncodeError, encode};
