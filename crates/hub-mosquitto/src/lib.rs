//! Mosquitto as a hub: for users without Azure, whose devices speak plain MQTT to a broker of their own.
//!
//! A device becomes a client of the broker's dynamic-security plugin, with a role of its own; its twin becomes retained messages.
//! The twin is written first and the client made last: a device that is there has its twin, and a run that died earlier left nothing
//! that a device could use. What the broker must be told beforehand,
//! and how durable all this is, stands in `docs/mosquitto.md`.
//!
//! From the inside out: [`names`], [`twin`], [`command`] and [`answer`] are values; [`plan`] decides; [`exchange`] speaks MQTT without
//! I/O; `link` and `broker` are one connection and its renewal; [`hub`] is the port.

pub mod address;
pub mod answer;
mod broker;
pub mod command;
pub mod exchange;
pub mod hub;
mod link;
pub mod names;
pub mod plan;
pub mod twin;

pub use address::{Address, InvalidAddress};
pub use hub::MosquittoHub;
