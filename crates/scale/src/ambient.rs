//! Time and chance. The clock begins at a fixed time and runs from there, so that neither records nor counters depend on the day on which
//! they are made; chance is the cryptographic module's, as in the server.

use std::time::Instant;

use aws_lc_rs::rand;
use usher_domain::{
    Timestamp,
    clock::{Clock, Entropy},
};

/// Where the clock begins.
const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A clock that runs.
#[derive(Clone, Copy, Debug)]
pub struct RunningClock(Instant);

impl RunningClock {
    /// One that begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for RunningClock {
    fn now(&self) -> Timestamp {
        let since = i64::try_from(self.0.elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(START.micros().saturating_add(since))
    }
}

/// The cryptographic module's generator.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness there are no keys worth having: stop rather than go on with zeroes.
        if rand::fill(bytes).is_err() {
            std::process::abort();
        }
    }
}
