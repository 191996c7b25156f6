//! Typed records, sealed and blinded on their way to the store: the only room that sees both plain values and the store.
//!
//! A [`Vault`] is one tenant's view. Names go in and come out blinded, so listings run in an order that tells nothing, and stay flat
//! in cost whatever their length.

mod error;
mod opener;
mod tenant_keys;
mod token;
mod vault;

pub use error::RecordError;
pub use opener::Opener;
pub use tenant_keys::{Rotation, UnderMaster, rotate_master, try_masters, under_masters};
pub use vault::{Page, Vault, Versioned};
