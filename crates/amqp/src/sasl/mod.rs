//! SASL (section 5.3): its frames. Their order is kept by [`crate::server`] and [`crate::client`]; what they carry, the driver judges.

mod frame;

pub use frame::{SaslCode, SaslFrame};
