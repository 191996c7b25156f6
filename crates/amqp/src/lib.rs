//! AMQP 1.0 without I/O: a bounded codec, SASL, and connections with their sessions and links, for servers and clients.
//!
//! Nothing here opens a socket, reads a clock or knows what is provisioned over it: bytes and times go in, bytes and events come out.
//! Section numbers in this crate are those of the OASIS standard "AMQP 1.0", part by part. Why not a published engine:
//! docs/decisions/0001-amqp-engine.md.

pub mod client;
pub mod codec;
mod connection;
mod endpoint;
pub mod event;
pub mod limits;
pub mod sasl;
pub mod server;

pub use endpoint::Endpoint;
