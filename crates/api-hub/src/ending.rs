//! Why a device's connection ends, over any protocol, and when it does so by the clock.

use std::{fmt, time::Duration};

use tokio::time::Instant;
use usher_domain::Timestamp;
use usher_hub_embedded::live::Closing;
use usher_wire::{Broken, Machine};

/// The longest sleep: a timer for what comes due in months need not be exact.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a connection ended. `S` is the protocol's own reason, `E` the conversation's.
pub enum Why<S, E> {
    /// The protocol's session is over.
    Session(S),
    /// The hub will have it no longer.
    Hub(Closing),
    /// The conversation broke a rule.
    Ended(E),
    /// The device's SAS token is void.
    TokenExpired,
    /// Nobody has proved to be a device.
    Unproven,
    /// What was sent was not read.
    Unread,
    /// The server stops.
    Shutdown,
}

impl<S: fmt::Display, E: fmt::Display> fmt::Display for Why<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(close) => close.fmt(f),
            Self::Hub(closing) => closing.fmt(f),
            Self::Ended(ended) => ended.fmt(f),
            Self::TokenExpired => f.write_str("the device's SAS token expired"),
            Self::Unproven => f.write_str("the client proved no device in time"),
            Self::Unread => f.write_str("the device does not read what it is sent"),
            Self::Shutdown => f.write_str("the server stops"),
        }
    }
}

/// Acts on a turn of the wire: a session whose stream is gone is told so, and ends by itself.
pub fn turned<S, E>(turned: Result<(), Broken>, session: &mut impl Machine) -> Result<(), Why<S, E>> {
    match turned {
        Ok(()) => {}
        Err(Broken::Unread) => return Err(Why::Unread),
        Err(Broken::Ended | Broken::Failed(_)) => session.handle_lost(),
    }
    Ok(())
}

/// When a token that holds `until` is to be looked at again, if it is `now`.
pub fn expiry(until: Option<Timestamp>, now: Timestamp) -> Instant {
    let left = until.map_or(FAR, |until| {
        let left_ms = until.micros().saturating_sub(now.micros()).max(0).unsigned_abs() / 1_000;
        Duration::from_millis(left_ms.saturating_add(1))
    });
    Instant::now() + left.min(FAR)
}
