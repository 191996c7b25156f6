//! A sans-I/O protocol engine on a stream: the one place where bytes of MQTT and AMQP are read and written, for servers and clients.
//!
//! A [`Machine`] is an engine: an MQTT session or an AMQP connection. A [`Wire`] moves its bytes step by step, for drivers that wait
//! for other things at the same time. A [`Link`] is both together, for drivers that only ask for the next event.

mod link;
mod machine;
mod wire;

pub use link::Link;
pub use machine::Machine;
pub use wire::{Broken, Wire};
