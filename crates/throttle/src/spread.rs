//! When the refused may come back: each a little later than the one before, at the rate that will let them in.
//!
//! Told all the same second, ten thousand devices would come back together and be refused together again. The last place is kept; a
//! place is the time until a token is there and one more interval for each that was refused before.

use usher_domain::{Timestamp, service_limits::Rate};

use crate::Wait;

/// The longest that anyone is told to wait, in seconds: the clients' own back-off goes on from there, and the C SDK takes up to 300
/// (azure-iot-sdk-c: prov_transport.h).
pub const SPREAD_MAX_S: i64 = 60;

/// The places given out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    /// The last place, in microseconds since the Unix epoch.
    last: i64,
}

impl Spread {
    /// Gives a place to one that was told to wait by a bucket of this rate.
    pub fn place(&mut self, rate: Rate, wait: Wait, now: Timestamp) -> Wait {
        let now = now.micros();
        let soonest = now.saturating_add(wait.micros);
        let latest = now.saturating_add(SPREAD_MAX_S * 1_000_000).max(soonest);
        self.last = self.last.saturating_add(rate.interval_micros()).clamp(soonest, latest);
        Wait { micros: self.last.saturating_sub(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::of(60, 60);
    const WAIT: Wait = Wait { micros: 500_000 };

    #[test]
    fn each_comes_an_interval_after_the_one_before_up_to_a_limit() {
        let (mut spread, now) = (Spread::default(), Timestamp::from_secs(1_000));
        let places: Vec<u32> = (0..100).map(|_| spread.place(RATE, WAIT, now).seconds()).collect();
        assert_eq!(places.first_chunk(), Some(&[1, 2, 3, 4]));
        assert_eq!(places.last(), Some(&60));
    }

    #[test]
    fn places_that_have_passed_are_not_counted() {
        let mut spread = Spread::default();
        for _ in 0..30 {
            spread.place(RATE, WAIT, Timestamp::from_secs(1_000));
        }
        assert_eq!(spread.place(RATE, WAIT, Timestamp::from_secs(2_000)).seconds(), 1);
        assert_eq!(spread.place(RATE, WAIT, Timestamp::from_secs(1_000)).seconds(), 60, "a clock put back");
    }
}
