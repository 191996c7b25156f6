//! The composition root: builds every part, connects them, opens the listeners, and stops them again. It decides nothing about
//! devices.

mod ambient;
mod amqp;
mod console;
mod cryptography;
pub mod dev;
mod dev_ca;
mod dev_limits;
mod doors;
mod eraser;
mod gate;
mod handshake;
mod https;
mod hub_metrics;
mod kept_secret;
mod latency;
mod linked_hubs;
mod links;
mod listener;
mod login_key;
mod manifest;
mod metrics;
mod mqtt;
mod oidc;
mod ports;
mod probes;
mod prompt;
mod ready;
pub mod serve;
mod served_names;
mod site;
mod start;
mod tls;
mod trust;
mod webhook;
mod wiring;

pub use cryptography::Cryptography;
pub use dev::{DevOptions, Running};
pub use linked_hubs::LinkedHubs;
pub use links::{InvalidLink, RemoteLink};
pub use manifest::Manifest;
pub use oidc::{OidcOptions, parse_claim};
pub use start::StartError;
pub use usher_api_management::oidc::OidcSettings;
pub use usher_seal_pkcs11::{Pin, TokenSettings, make_key};
