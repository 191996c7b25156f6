//! Master keys that stay in a PKCS#11 token: a hardware security module, a smart card, or SoftHSM. The token wraps and unwraps the keys
//! that seal a tenant's keys (AES-GCM, `CKM_AES_GCM` of PKCS#11 2.40); its own key never comes out.
//!
//! AES-GCM by `C_Encrypt` and not AES key wrap by `C_WrapKey`: it binds what is wrapped to its tenant, and needs no key object made from
//! bytes of ours, which modules in FIPS mode refuse. Modules that choose the IV themselves write it over ours, and it is taken from there.
//!
//! One thread talks to the token, over one session; who asks waits for it with a time-out. A token that went away is looked for again at
//! the next question. A PIN that was refused is not tried again: few tries are left before a token locks itself.

mod connection;
mod error;
mod key;
mod module;
mod settings;
mod worker;

pub use error::TokenError;
pub use key::{TokenKey, make_key};
pub use settings::{Pin, TokenSettings};
