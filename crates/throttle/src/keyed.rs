//! A bucket for each of many keys, in bounded memory.
//!
//! Buckets live in two generations. One that was not asked for a whole period is full again, which is what an unknown key's bucket is, so
//! dropping the older generation once a period forgets nothing. Where more keys come in a period than are held, the generations turn
//! early: some keys then get a fresh bucket too soon, and memory stays what it is.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
};

use usher_domain::{Timestamp, service_limits::Rate};

use crate::{Bucket, Wait};

/// Keys in one generation: some 1.5 MiB for both at the most. A service that lets 1,000 devices a minute register stays far below.
pub const KEYS_MAX: usize = 32 * 1024;

/// Buckets by key.
#[derive(Debug, Default)]
pub struct Keyed {
    /// Hashes with a key of its own, so that nobody can make names that fall together.
    hasher: RandomState,
    young: HashMap<u64, Bucket>,
    old: HashMap<u64, Bucket>,
    turned_at: i64,
}

impl Keyed {
    /// Takes a token from the key's bucket, or says how long until there is one.
    pub fn take(&mut self, key: &str, rate: Rate, now: Timestamp) -> Result<(), Wait> {
        self.turn(rate, now.micros());
        let id = self.hasher.hash_one(key);
        let mut bucket = self.young.get(&id).or_else(|| self.old.get(&id)).copied().unwrap_or_default();
        let outcome = bucket.take(rate, now);
        self.young.insert(id, bucket);
        outcome
    }

    /// Whether a token could be taken from the key's bucket, or how long until there is one. Takes none.
    pub fn peek(&self, key: &str, rate: Rate, now: Timestamp) -> Result<(), Wait> {
        let id = self.hasher.hash_one(key);
        let mut copy = self.young.get(&id).or_else(|| self.old.get(&id)).copied().unwrap_or_default();
        copy.take(rate, now)
    }

    /// How many buckets are held.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn turn(&mut self, rate: Rate, now: i64) {
        let is_due = !(0..rate.period_micros()).contains(&now.saturating_sub(self.turned_at));
        if is_due || self.young.len() >= KEYS_MAX {
            self.old = std::mem::take(&mut self.young);
            self.turned_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLLS: Rate = Rate::of(5, 10);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_secs(1_000).plus_millis(millis)
    }

    #[test]
    fn keys_have_nothing_to_do_with_each_other() {
        let mut keyed = Keyed::default();
        for _ in 0..100 {
            let _ = keyed.take("greedy", POLLS, at(0));
        }
        assert!((0..5).all(|_| keyed.take("modest", POLLS, at(0)).is_ok()));
        assert!(keyed.take("greedy", POLLS, at(0)).is_err());
    }

    #[test]
    fn a_look_takes_nothing() {
        let mut keyed = Keyed::default();
        assert!((0..100).all(|_| keyed.peek("k", POLLS, at(0)).is_ok()));
        while keyed.take("k", POLLS, at(0)).is_ok() {}
        assert!(keyed.peek("k", POLLS, at(0)).is_err() && keyed.peek("other", POLLS, at(0)).is_ok());
    }

    #[test]
    fn a_turn_of_generations_forgets_no_debt() {
        let mut keyed = Keyed::default();
        for start in [0, 1_000, 9_990, 10_000, 15_000] {
            let mut keyed_at = |ms| keyed.take(&format!("d{start}"), POLLS, at(ms)).is_ok();
            let passed = (0..10_000).step_by(10).filter(|ms| keyed_at(start + ms)).count();
            assert_eq!(passed, 9, "five at once and one every two seconds, begun at {start}");
        }
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let mut keyed = Keyed::default();
        for n in 0..3 * KEYS_MAX {
            let _ = keyed.take(&n.to_string(), POLLS, at(0));
        }
        assert!(keyed.len() <= 2 * KEYS_MAX);
        let _ = keyed.take("later", POLLS, at(20_000));
        let _ = keyed.take("later", POLLS, at(40_000));
        assert!(keyed.len() <= 2, "{}", keyed.len());
    }

    #[test]
    fn a_clock_put_back_stops_no_turn() {
        let mut keyed = Keyed::default();
        let _ = keyed.take("a", POLLS, at(3_600_000));
        let _ = keyed.take("b", POLLS, at(0));
        let _ = keyed.take("c", POLLS, at(10_000));
        assert_eq!(keyed.len(), 2, "a is forgotten");
    }
}
