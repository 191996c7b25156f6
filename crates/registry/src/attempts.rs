//! Attempts of devices to register, kept for whoever asks why a device got in, or not.
//!
//! A device that the service knows keeps its last [`ATTEMPTS_KEPT`]. Anybody can make up registration IDs, so attempts under unknown ones
//! share [`SLOTS`] places, each ID its own by hash: a later stranger may push out an earlier one, and the records never grow beyond that.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use tracing::warn;
use usher_domain::{RegistrationId, TrackingId, attempt::Attempt};
use usher_records::{RecordError, Versioned};
use usher_store::{Expect, Key, OPS_MAX, Op};

use crate::{Registry, spaces};

/// Attempts kept of a device that the service knows.
pub const ATTEMPTS_KEPT: usize = 16;
/// As many of them are kept of those in which it proved itself, however many refused ones came later: a stranger who uses its
/// registration ID must not wipe out its story.
const PROVED_KEPT: usize = 4;
/// Places for attempts under registration IDs that the service does not know.
const SLOTS: u16 = 1024;
/// Attempts kept in one place; with [`SLOTS`], and at most some 16 KiB each, at most 64 MiB a service.
const SLOT_ATTEMPTS: usize = 4;
/// Attempts read of a device in one go: those kept, and those that nodes writing at the same time may have added.
const READ_MAX: usize = 4 * ATTEMPTS_KEPT;

/// What lies in a place for unknown devices.
#[derive(Serialize, Deserialize)]
struct Slot {
    registration_id: RegistrationId,
    attempts: Vec<Attempt>,
}

impl Registry {
    /// Keeps attempts of devices that the service knows. The oldest beyond [`ATTEMPTS_KEPT`] of each device are forgotten.
    pub async fn keep_attempts(&self, attempts: Vec<Attempt>) -> Result<(), RecordError> {
        let mut by_device: BTreeMap<String, Vec<Attempt>> = BTreeMap::new();
        for attempt in attempts {
            by_device.entry(attempt.registration_id.folded()).or_default().push(attempt);
        }
        let mut ops = Vec::new();
        for (device, new) in by_device {
            // Fewer in one go than a commit takes, whatever the device's history.
            let new_ops = self.attempt_ops(&device, new).await?;
            if ops.len().saturating_add(new_ops.len()) > OPS_MAX {
                self.vault.commit(std::mem::take(&mut ops)).await?;
            }
            ops.extend(new_ops);
        }
        if ops.is_empty() { Ok(()) } else { self.vault.commit(ops).await }
    }

    async fn attempt_ops(&self, device: &str, told: Vec<Attempt>) -> Result<Vec<Op>, RecordError> {
        // One that is told twice, while it goes on and at its end, is kept as it was last told.
        let mut new: Vec<Attempt> = Vec::new();
        for attempt in told.into_iter().rev() {
            if new.iter().all(|later| later.tracking_id != attempt.tracking_id) {
                new.push(attempt);
            }
        }
        let mut old = self.known_attempts(device).await?;
        old.retain(|old| new.iter().all(|new| new.tracking_id != old.tracking_id));
        let surplus = surplus(old.iter().chain(&new));
        let mut ops = Vec::new();
        for attempt in new.iter().filter(|attempt| !surplus.contains(&attempt.tracking_id)) {
            ops.push(self.vault.put(self.attempt_key(device, attempt), Expect::Any, attempt)?.0);
        }
        for attempt in old.iter().filter(|attempt| surplus.contains(&attempt.tracking_id)) {
            ops.push(Op::Delete { key: self.attempt_key(device, attempt), expect: Expect::Any });
        }
        Ok(ops)
    }

    /// Keeps attempts under registration IDs that the service does not know, in the places there are for them.
    pub async fn keep_strangers(&self, attempts: Vec<Attempt>) -> Result<(), RecordError> {
        let mut slots: BTreeMap<Vec<u8>, (Key, Slot)> = BTreeMap::new();
        for attempt in attempts {
            let key = self.slot_key(&attempt.registration_id);
            let slot = match slots.remove(&key.key) {
                Some((_, slot)) => Some(slot),
                None => self.slot(&key).await,
            };
            let slot = slot.filter(|slot| slot.registration_id.same_as(attempt.registration_id.as_str()));
            let mut slot = slot.unwrap_or_else(|| Slot { registration_id: attempt.registration_id.clone(), attempts: Vec::new() });
            slot.attempts.retain(|old| old.tracking_id != attempt.tracking_id);
            slot.attempts.insert(0, attempt);
            slot.attempts.truncate(SLOT_ATTEMPTS);
            slots.insert(key.key.clone(), (key, slot));
        }
        let mut ops = Vec::new();
        for (key, slot) in slots.into_values() {
            ops.push(self.vault.put(key, Expect::Any, &slot)?.0);
        }
        for batch in ops.chunks(OPS_MAX) {
            self.vault.commit(batch.to_vec()).await?;
        }
        Ok(())
    }

    /// What is kept of a registration ID, newest first: as of a device that the service knows, and from before it knew it.
    pub async fn attempts(&self, id: &RegistrationId) -> Result<Vec<Attempt>, RecordError> {
        let mut all = self.known_attempts(&id.folded()).await?;
        if let Some(slot) = self.slot(&self.slot_key(id)).await
            && slot.registration_id.same_as(id.as_str())
        {
            all.extend(slot.attempts);
        }
        all.sort_by_key(|attempt| Reverse(attempt.at));
        Ok(all)
    }

    async fn known_attempts(&self, device: &str) -> Result<Vec<Attempt>, RecordError> {
        let prefix = self.vault.parent_prefix(spaces::ATTEMPT, device);
        let page = self.vault.page::<Attempt>(spaces::ATTEMPT, &prefix, None, READ_MAX).await?;
        Ok(page.items.into_iter().map(|(_, found)| found.value).collect())
    }

    /// A place's contents; one that cannot be read is as if it were free, since it will be written anew.
    async fn slot(&self, key: &Key) -> Option<Slot> {
        let found: Result<Option<Versioned<Slot>>, _> = self.vault.get(key).await;
        found
            .inspect_err(|why| warn!(detail = %why, "attempts of a device that is not known cannot be read"))
            .ok()
            .flatten()
            .map(|found| found.value)
    }

    fn attempt_key(&self, device: &str, attempt: &Attempt) -> Key {
        self.vault.child(spaces::ATTEMPT, device, attempt.tracking_id.as_str())
    }

    fn slot_key(&self, id: &RegistrationId) -> Key {
        // The blinded name is a keyed hash: nobody outside can choose whose place an ID falls into.
        let blinded = self.vault.key(spaces::STRANGER_ATTEMPTS, id.as_str()).key;
        let number = blinded.iter().take(2).fold(0_u16, |number, byte| number << 8 | u16::from(*byte)) % SLOTS;
        self.vault.key(spaces::STRANGER_ATTEMPTS, &format!("place {number}"))
    }
}

/// The attempts to forget: all but the newest [`ATTEMPTS_KEPT`], of which [`PROVED_KEPT`] may be older ones with a proof.
fn surplus<'a>(all: impl Iterator<Item = &'a Attempt>) -> Vec<TrackingId> {
    let mut all: Vec<&Attempt> = all.collect();
    all.sort_by_key(|attempt| Reverse(attempt.at));
    let proved: Vec<&TrackingId> =
        all.iter().filter(|attempt| attempt.outcome.result.is_proved()).take(PROVED_KEPT).map(|attempt| &attempt.tracking_id).collect();
    let others = all.iter().map(|attempt| &attempt.tracking_id).filter(|id| !proved.contains(id));
    others.skip(ATTEMPTS_KEPT.saturating_sub(proved.len())).cloned().collect()
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
