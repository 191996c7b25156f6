//! The hub's MQTT endpoint for devices (MicrosoftDocs/azure-docs: articles/iot-hub/iot-mqtt-connect-to-iot-hub.md).
//!
//! [`serve`] takes a connection whose CONNECT has been read, since provisioning shares the port and the user name tells whose
//! connection it is ([`user_name::UserName::hub_of`]).

mod admit;
mod conversation;
mod feeds;
mod serve;
pub mod topic;
pub mod user_name;

use std::net::SocketAddr;

pub use serve::serve;

/// What is known of a peer before it says anything.
#[derive(Clone, Debug)]
pub struct PeerEvidence {
    /// Its client certificate and chain, DER, leaf first; empty where it sent none. Not judged by TLS.
    pub chain: Vec<Vec<u8>>,
    /// Where it connects from.
    pub addr: SocketAddr,
}
