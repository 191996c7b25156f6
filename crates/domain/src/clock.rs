//! Time and chance as arguments: the two ports through which they enter, so that tests and simulations can hold both.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.micros()))
    }

    /// Moves it on by `millis`.
    pub fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis.saturating_mul(1_000), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Draws random bytes.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes`. An implementation that has no randomness to give must not return.
    fn fill(&self, bytes: &mut [u8]);
}

/// A reproducible sequence from a seed (SplitMix64), for tests and simulations only.
#[derive(Debug)]
pub struct SeededEntropy(AtomicI64);

impl SeededEntropy {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicI64::new(seed.cast_signed()))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        const STEP: i64 = 0x9E37_79B9_7F4A_7C15_u64.cast_signed();
        let mut z = self.0.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP).cast_unsigned();
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            chunk.copy_from_slice(random.get(..chunk.len()).unwrap_or_default());
        }
    }
}
