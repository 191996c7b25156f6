//! How a hub has been doing, for metrics and for people. A snapshot: reading it changes nothing.

use std::{collections::VecDeque, time::Duration};

use usher_domain::HubName;

use crate::breaker::Cause;

/// Latencies that are kept for each hub: enough for a quantile, little enough to read in one look.
pub const LATENCIES_MAX: usize = 64;

/// How a hub has been doing since the process started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubHealth {
    /// The hub.
    pub name: HubName,
    /// Whether it may be called.
    pub breaker: BreakerHealth,
    /// Calls under way.
    pub in_flight: usize,
    /// Callers that wait for a place.
    pub waiting: usize,
    /// Failures in a row, up to now.
    pub failures_in_a_row: u32,
    /// Calls made.
    pub calls: u64,
    /// Those that failed: no answer, a fault of the hub's, or refused credentials.
    pub failed: u64,
    /// Those that the hub answered with a wish for patience.
    pub throttled: u64,
    /// Calls that were not made, since the breaker was open, the hub wanted patience or too many were waiting.
    pub refused: u64,
    /// How long the last calls took, the latest last; at most [`LATENCIES_MAX`].
    pub latencies: Vec<Duration>,
}

/// A breaker's state, as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerHealth {
    /// Calls pass.
    Closed,
    /// The hub has asked for patience.
    Patient {
        /// What is left of it.
        left: Duration,
    },
    /// Nothing is sent.
    Open {
        /// Until the next try; zero where the next caller makes it.
        left: Duration,
        /// What opened it.
        cause: Cause,
    },
    /// One call is trying whether the hub is back.
    HalfOpen,
}

/// The counting half of a hub's state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub calls: u64,
    pub failed: u64,
    pub throttled: u64,
    pub refused: u64,
    latencies: VecDeque<Duration>,
}

impl Tally {
    pub fn took(&mut self, latency: Duration) {
        if self.latencies.len() >= LATENCIES_MAX {
            self.latencies.pop_front();
        }
        self.latencies.push_back(latency);
    }

    pub fn latencies(&self) -> Vec<Duration> {
        self.latencies.iter().copied().collect()
    }
}
