//! The embedded hub at the rim: IoT Hub's REST, and its MQTT and AMQP for devices.
//!
//! Bytes and headers become calls of the hub and its answers become bytes again; no rule of the hub lives here.

pub mod access;
pub mod amqp;
mod ending;
pub mod mqtt;
pub mod property_bag;
pub mod rest;

pub use mqtt::{PeerEvidence, serve};
pub use rest::HubRest;
