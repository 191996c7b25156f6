//! SASL (section 5.3): frames, and the exchange's order as a state machine for either side.

mod frame;

pub use frame::{SaslCode, SaslFrame};
