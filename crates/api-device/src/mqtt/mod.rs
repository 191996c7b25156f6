//! The device API over MQTT, with or without a WebSocket around it.

mod conversation;
mod link;
mod names;

pub use conversation::serve;
pub use link::Link;
pub use names::{Ask, RESPONSE_FILTER, UserName, response_topic};
