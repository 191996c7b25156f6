//! The hub's AMQP 1.0 endpoint for devices (MicrosoftDocs/azure-docs: articles/iot-hub/iot-hub-amqp-support.md).
//!
//! [`serve`] takes a connection up to its first link, since provisioning shares the port and the link's address tells whose connection
//! it is ([`is_ours`]). One connection serves one device: the one that its SAS token or certificate proves. Not offered: modules,
//! several devices on one connection, SASL PLAIN.

mod address;
mod admit;
mod batch;
mod conversation;
mod delivery;
mod links;
mod message;
mod proof;
mod requests;
mod serve;

use usher_amqp::{
    codec::performative::Role,
    event::{Attached, Event},
    limits::Limits,
};
use usher_hub_embedded::telemetry;

pub use serve::serve;

/// Room for what telemetry carries beside its body and properties: section headers, types and lengths of up to 128 properties.
const ENVELOPE_BYTES_MAX: usize = 16 * 1024;
/// Links of one connection: `$cbs` and three nodes in both directions make eight, and a client that attaches anew holds the old ones
/// for a moment.
const LINKS_MAX: usize = 16;

/// Whether an event is a device's of this hub: a link to `$cbs` or to a device's node.
pub fn is_ours(event: &Event) -> bool {
    matches!(event, Event::Attached(attached) if link_address(attached).is_some_and(address::is_hub_s))
}

/// What a hub's connection needs.
pub fn limits() -> Limits {
    Limits { message_bytes: telemetry::MESSAGE_BYTES_MAX + ENVELOPE_BYTES_MAX, links: LINKS_MAX, ..Limits::default() }
}

/// The address at the hub's end of a link.
fn link_address(attached: &Attached) -> Option<&str> {
    match attached.role {
        Role::Receiver => attached.source.as_deref(),
        Role::Sender => attached.target.as_deref(),
    }
}
