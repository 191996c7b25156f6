//! The latest attempts of devices on this node, for whoever watches them come in. What is kept for later is the journal's.

use std::collections::{BTreeSet, VecDeque};

use usher_domain::attempt::Attempt;

/// Attempts held, of all services; some 3 KiB each.
pub const ATTEMPTS_MAX: usize = 1000;
/// Attempts told in one go.
pub const TOLD_MAX: usize = 100;

/// The latest attempts, each with a number that grows.
#[derive(Debug, Default)]
pub struct Feed {
    last: u64,
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    tenant: u32,
    attempt: Attempt,
}

/// What is new.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// Where the next question begins.
    pub last: u64,
    /// Attempts, the latest first; each once, as it was last told.
    pub attempts: Vec<Attempt>,
    /// Whether there were more than are told.
    pub more: bool,
}

impl Feed {
    /// Takes an attempt in. One that goes on is told again at its end, and then counts as new.
    pub fn add(&mut self, tenant: u32, attempt: &Attempt) {
        self.last = self.last.saturating_add(1);
        if self.entries.len() >= ATTEMPTS_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { number: self.last, tenant, attempt: attempt.clone() });
    }

    /// The attempts of one service after a number, and those whose ID scope no service has (tenant 0).
    pub fn after(&self, tenant: u32, number: u64) -> News {
        let mut told = BTreeSet::new();
        let new = self.entries.iter().rev().take_while(|entry| entry.number > number);
        let mut own = new.filter(|entry| entry.tenant == tenant || entry.tenant == 0);
        let mut attempts = Vec::new();
        for entry in own.by_ref() {
            if told.insert(entry.attempt.tracking_id.as_str()) {
                attempts.push(entry.attempt.clone());
            }
            if attempts.len() >= TOLD_MAX {
                break;
            }
        }
        News { last: self.last, attempts, more: own.next().is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trends::tests::attempt;
    use usher_domain::attempt::AttemptResult;

    #[test]
    fn news_are_told_once_and_as_they_stand() {
        let mut feed = Feed::default();
        feed.add(1, &attempt("a", AttemptResult::Assigning));
        feed.add(2, &attempt("b", AttemptResult::Refused));
        feed.add(0, &attempt("c", AttemptResult::Refused));
        feed.add(1, &attempt("a", AttemptResult::Assigned));
        let news = feed.after(1, 0);
        let told: Vec<_> = news.attempts.iter().map(|attempt| (attempt.registration_id.as_str(), attempt.outcome.result)).collect();
        assert_eq!(told, [("a", AttemptResult::Assigned), ("c", AttemptResult::Refused)]);
        assert_eq!((news.last, news.more), (4, false));
        assert!(feed.after(1, 4).attempts.is_empty());
    }

    #[test]
    fn a_storm_is_bounded_and_says_so() {
        let mut feed = Feed::default();
        for n in 0..2 * ATTEMPTS_MAX {
            feed.add(1, &attempt(&format!("d{n}"), AttemptResult::Refused));
        }
        let news = feed.after(1, 0);
        assert_eq!((feed.entries.len(), news.attempts.len(), news.more), (ATTEMPTS_MAX, TOLD_MAX, true));
    }
}
