//! What this node's own probes of the hubs have found.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{PoisonError, RwLock},
};

use usher_domain::HubName;

/// Measurements kept of each hub. Their median counts: one lost packet, which costs a second or more, must not send devices elsewhere.
const KEPT: usize = 5;

/// Times to connect to hubs, as measured from here. Written by the probes, read by registrations.
#[derive(Debug, Default)]
pub struct Probes(RwLock<HashMap<HubName, VecDeque<u32>>>);

impl Probes {
    /// Takes down one measurement. A hub that did not answer has no figure from then on, until it answers again.
    pub fn record(&self, hub: &HubName, ms: Option<u32>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(ms) = ms else {
            all.remove(hub);
            return;
        };
        let window = all.entry(hub.clone()).or_default();
        window.push_front(ms);
        window.truncate(KEPT);
    }

    /// Forgets all hubs but these.
    pub fn retain(&self, hubs: &HashSet<HubName>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|hub, _| hubs.contains(hub));
    }

    /// The median of the last measurements, in milliseconds; `None` for a hub that is silent or not measured yet.
    pub fn ms(&self, hub: &HubName) -> Option<u32> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut window: Vec<u32> = all.get(hub)?.iter().copied().collect();
        window.sort_unstable();
        window.get(window.len().saturating_sub(1) / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_median_of_the_last_five_counts_and_silence_has_none() {
        let (probes, hub) = (Probes::default(), HubName::parse("h").unwrap());
        assert_eq!(probes.ms(&hub), None);
        for ms in [900, 10, 12] {
            probes.record(&hub, Some(ms));
        }
        assert_eq!(probes.ms(&hub), Some(12));
        for _ in 0..5 {
            probes.record(&hub, Some(40));
        }
        assert_eq!(probes.ms(&hub), Some(40));
        probes.record(&hub, None);
        assert_eq!(probes.ms(&hub), None);
        probes.record(&hub, Some(7));
        probes.retain(&HashSet::new());
        assert_eq!(probes.ms(&hub), None);
    }
}
