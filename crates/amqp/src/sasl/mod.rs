//! SASL (section 5.3): its frames. Their order is kept by [`crate::server`] and [`crate::client`], what they carry is judged by the driver.

mod client;
mod frame;
mod server;

use std::fmt;

pub use client::{SaslChoice, SaslClient};
pub use frame::{SaslCode, SaslFrame};
pub use server::{SASL_ROUNDS_MAX, SaslServer};

use crate::codec::frame::{FRAME_BYTES_MIN, FRAME_HEADER_BYTES};

/// Largest SASL frame that is taken, in bytes. The standard says 512, but a client that puts a token with long names into PLAIN may not
/// know (rhea does not check).
pub const SASL_FRAME_BYTES_MAX: usize = 4096;
/// Largest SASL body that is sent, in bytes: section 5.3.3 limits frames to 512, and clients hold to it.
pub const SASL_BODY_BYTES_MAX: usize = FRAME_BYTES_MIN - FRAME_HEADER_BYTES;

/// Which rule of the exchange is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslError {
    /// A step that is not due.
    OutOfOrder,
    /// A mechanism that was not offered.
    Mechanism,
    /// More than [`SASL_ROUNDS_MAX`] challenges.
    Rounds,
    /// A step that does not fit a frame of 512 bytes.
    TooLarge,
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfOrder => "a step that is not due (AMQP 5.3.2)",
            Self::Mechanism => "the mechanism is not offered",
            Self::Rounds => "too many rounds",
            Self::TooLarge => "a step does not fit its frame (AMQP 5.3.3)",
        })
    }
}

impl std::error::Error for SaslError {}
