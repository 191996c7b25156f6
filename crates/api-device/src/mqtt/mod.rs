//! The device API over MQTT, with or without a WebSocket around it.

mod conversation;
mod names;

pub use conversation::serve;
pub use names::{Ask, RESPONSE_FILTER, UserName, response_topic};

/// A device's MQTT session and its stream.
pub type Link<IO> = usher_wire::Link<usher_mqtt::server::Session, IO>;
