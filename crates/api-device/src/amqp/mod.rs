//! The device API over AMQP 1.0, with or without a WebSocket around it.

mod conversation;
mod names;
mod sasl;

pub use conversation::{MECHANISMS, is_ours, serve};

/// A device's AMQP connection and its stream.
pub type Link<IO> = usher_wire::Link<usher_amqp::server::Session, IO>;
