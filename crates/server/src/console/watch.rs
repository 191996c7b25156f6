//! Sees this node's attempts as they are told, for the console's feed and plots.

use std::sync::{Mutex, MutexGuard, PoisonError};

use usher_console::{feed::Feed, trends::Trends};
use usher_domain::attempt::Attempt;
use usher_provisioning::Watcher;

/// What is remembered of this node's attempts.
#[derive(Debug, Default)]
pub struct Watch {
    feed: Mutex<Feed>,
    trends: Mutex<Trends>,
}

impl Watch {
    /// The latest attempts.
    pub fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The figures of the last day.
    pub fn trends(&self) -> MutexGuard<'_, Trends> {
        self.trends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher for Watch {
    fn saw(&self, tenant: u32, attempt: &Attempt) {
        self.feed().add(tenant, attempt);
        self.trends().add(tenant, attempt);
    }
}
