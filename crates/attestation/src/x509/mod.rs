//! Proof by an X.509 certificate. That the device holds the leaf's private key has been shown in the TLS handshake already; here the
//! certificates are judged.
//!
//! Individual enrollments pin the leaf; groups take any leaf below an enrolled CA. Which groups come into question is for the caller to
//! look up, in this order:
//!
//! 1. [`issuer_names`] of the presented chain: the names under which an enrolled CA may stand, nearest to the leaf first.
//! 2. For each name, load the groups with a CA of that subject name ([`signer_index_name`] gives it when a group is stored).
//! 3. Hand all of them to [`prove_nearest_group`], which tells the one whose CA stands nearest to the leaf **by signatures**. Taking the
//!    first group found by name instead would be wrong: a device can present made-up certificates that bring a far name forward, and
//!    so step around a nearer group that is disabled.

mod authority;
mod group;
mod individual;
mod issuer;
mod path;
mod possession;
mod presented;
mod validity;

pub(crate) use authority::check_chain;
pub use group::{issuer_names, prove_group, prove_nearest_group, signer_index_name};
pub use individual::prove_individual;
pub use path::SIGNATURE_CHECKS_MAX;
pub use possession::prove_possession;
