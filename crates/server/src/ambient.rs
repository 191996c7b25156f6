//! The real clock and the real source of randomness. The only place that touches either.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use usher_domain::{
    Timestamp,
    clock::{Clock, Entropy},
};

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
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
