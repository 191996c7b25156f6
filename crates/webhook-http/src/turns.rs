//! Turns at webhooks: so many questions to one server at a time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;

/// Questions to one server under way at a time: a third of what an instance of Azure Functions takes on by default (100).
pub const TURNS: usize = 32;
/// Servers remembered at a time. Those with nobody at them are forgotten first.
const SERVERS_MAX: usize = 1024;

/// Who is at which server.
#[derive(Default)]
pub struct Turns(Mutex<BTreeMap<String, Arc<Semaphore>>>);

impl Turns {
    /// The turns at `server`.
    pub fn of(&self, server: &str) -> Arc<Semaphore> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = servers.get(server) {
            return Arc::clone(found);
        }
        if servers.len() >= SERVERS_MAX {
            servers.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        let turns = Arc::new(Semaphore::new(TURNS));
        // More servers than that at once: this one goes uncounted, which costs a bound and no device.
        if servers.len() < SERVERS_MAX {
            servers.insert(server.to_owned(), Arc::clone(&turns));
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_server_has_one_count_and_idle_ones_are_forgotten() {
        let turns = Turns::default();
        let held = turns.of("busy").try_acquire_owned().unwrap();
        assert_eq!(turns.of("busy").available_permits(), TURNS - 1);
        for n in 0..3 * SERVERS_MAX {
            turns.of(&format!("s{n}"));
        }
        assert!(turns.0.lock().unwrap().len() <= SERVERS_MAX);
        assert_eq!(turns.of("busy").available_permits(), TURNS - 1, "a server with somebody at it is not forgotten");
        drop(held);
        assert_eq!(turns.of("busy").available_permits(), TURNS);
    }
}
