//! One token bucket, kept as a single number: the time at which it will be full again (the generic cell rate algorithm, ATM Forum
//! traffic management 4.0, section 4.4.2).
//!
//! A bucket for `n` requests in `t` seconds lets `n` in at once and one more every `t/n`.

use usher_domain::{Timestamp, service_limits::Rate};

/// A token bucket; full when it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Microseconds since the Unix epoch.
    full_at: i64,
}

/// Refused: how long until a token is there, in microseconds, above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Microseconds.
    pub micros: i64,
}

impl Wait {
    /// Whole seconds, rounded up, at least 1: what `Retry-After` can say.
    pub fn seconds(self) -> u32 {
        let up = self.micros.saturating_add(999_999) / 1_000_000;
        u32::try_from(up.max(1)).unwrap_or(u32::MAX)
    }
}

impl Bucket {
    /// Takes a token, or says how long until there is one.
    pub fn take(&mut self, rate: Rate, now: Timestamp) -> Result<(), Wait> {
        let (now, period) = (now.micros(), rate.period_micros());
        // Held to one period, for clocks that are put back and for rates that were changed.
        self.full_at = self.full_at.clamp(now, now.saturating_add(period));
        let next = self.full_at.saturating_add(rate.interval_micros());
        let early = next.saturating_sub(period).saturating_sub(now);
        if early > 0 {
            return Err(Wait { micros: early });
        }
        self.full_at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const POLLS: Rate = Rate::of(5, 10);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_secs(1_000).plus_millis(millis)
    }

    #[test]
    fn as_many_as_the_rate_says_pass_at_once_and_no_more() {
        let mut bucket = Bucket::default();
        for n in 0..5 {
            assert_eq!(bucket.take(POLLS, at(0)), Ok(()), "{n}");
        }
        assert_eq!(bucket.take(POLLS, at(0)), Err(Wait { micros: 2_000_000 }));
        assert_eq!(bucket.take(POLLS, at(1_999)), Err(Wait { micros: 1_000 }), "a refusal costs nothing");
        assert_eq!(bucket.take(POLLS, at(2_000)), Ok(()));
        assert!(bucket.take(POLLS, at(2_000)).is_err());
    }

    #[test]
    fn a_steady_client_at_the_rate_is_never_refused() {
        let mut bucket = Bucket::default();
        assert!((0..1_000).all(|n| bucket.take(POLLS, at(n * 2_000)).is_ok()));
    }

    #[test]
    fn over_a_long_time_exactly_the_rate_and_one_burst_pass() {
        let (rate, mut bucket) = (Rate::of(1_000, 60), Bucket::default());
        let passed = (0..600_000).step_by(10).filter(|ms| bucket.take(rate, at(*ms)).is_ok()).count();
        assert!((10_999..=11_000).contains(&passed), "{passed} in ten minutes");
    }

    #[test]
    fn an_idle_bucket_holds_one_burst() {
        let mut bucket = Bucket::default();
        assert!((0..5).all(|_| bucket.take(POLLS, at(0)).is_ok()));
        let passed = (0..20).filter(|_| bucket.take(POLLS, at(3_600_000)).is_ok()).count();
        assert_eq!(passed, 5);
    }

    #[test]
    fn a_clock_put_back_costs_one_period_at_most() {
        let mut bucket = Bucket::default();
        bucket.take(POLLS, at(3_600_000)).unwrap();
        let wait = bucket.take(POLLS, at(0)).unwrap_err();
        assert!(wait.micros <= POLLS.period_micros(), "{wait:?}");
        assert!(bucket.take(POLLS, at(10_000)).is_ok());
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!([1, 1_000_000, 1_000_001].map(|micros| Wait { micros }.seconds()), [1, 1, 2]);
    }
}
