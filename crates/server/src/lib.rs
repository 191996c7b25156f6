//! The composition root: builds every part, connects them, opens the listeners, and stops them again. It decides nothing about
//! devices.

mod ambient;
mod amqp;
pub mod dev;
mod dev_ca;
mod doors;
mod eraser;
mod handshake;
mod https;
mod latency;
mod listener;
mod manifest;
mod metrics;
mod mqtt;
mod ports;
mod probes;
mod prompt;
mod served_names;
mod site;
mod start;
mod tls;

pub use dev::{DevOptions, Running};
pub use manifest::Manifest;
pub use start::StartError;
