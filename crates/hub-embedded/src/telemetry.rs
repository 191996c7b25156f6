//! Messages from devices: accepted, kept for a while in memory, and streamed to whoever watches.
//!
//! A development hub shows telemetry, it is no message broker: the last messages of each hub are kept in a ring and lost with the
//! process.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::broadcast;
use usher_domain::{DeviceId, Timestamp};

/// Messages kept per hub.
pub const RING_MESSAGES_MAX: usize = 1_000;
/// Bytes of bodies and properties kept per hub: a thousand messages of the largest size would be a quarter of a gigabyte.
pub const RING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest message from a device, properties included, in bytes (IoT Hub quotas: 256 KB).
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Messages that a slow watcher may lag behind before it loses some.
const WATCH_QUEUE_MESSAGES: usize = 256;

/// A message from a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Telemetry {
    /// Counts the hub's messages since its process started.
    pub sequence: u64,
    /// Who sent it.
    pub device_id: DeviceId,
    /// When the hub took it.
    pub enqueued: Timestamp,
    /// System and application properties, as the device spelled them, decoded.
    pub properties: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Telemetry {
    fn bytes(&self) -> usize {
        self.properties.iter().fold(self.body.len(), |sum, (key, value)| sum.saturating_add(key.len()).saturating_add(value.len()))
    }
}

/// One hub's ring and stream.
#[derive(Debug)]
pub struct TelemetryLog {
    ring: Mutex<Ring>,
    stream: broadcast::Sender<Arc<Telemetry>>,
}

#[derive(Debug, Default)]
struct Ring {
    messages: VecDeque<Arc<Telemetry>>,
    bytes: usize,
    last_sequence: u64,
}

impl Default for TelemetryLog {
    fn default() -> Self {
        Self { ring: Mutex::default(), stream: broadcast::Sender::new(WATCH_QUEUE_MESSAGES) }
    }
}

impl TelemetryLog {
    /// Takes a message. The oldest ones make room for it.
    pub fn accept(&self, device_id: DeviceId, properties: Vec<(String, String)>, body: Vec<u8>, now: Timestamp) {
        let message = {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            ring.last_sequence = ring.last_sequence.saturating_add(1);
            let message = Arc::new(Telemetry { sequence: ring.last_sequence, device_id, enqueued: now, properties, body });
            ring.push(Arc::clone(&message));
            message
        };
        // Nobody watching is no error.
        let _ = self.stream.send(message);
    }

    /// Messages after a sequence number, oldest first, at most `limit`; of one device, where named.
    pub fn after(&self, sequence: u64, device_id: Option<&str>, limit: usize) -> Vec<Arc<Telemetry>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |message: &&Arc<Telemetry>| {
            message.sequence > sequence && device_id.is_none_or(|device_id| message.device_id.as_str() == device_id)
        };
        ring.messages.iter().filter(wanted).take(limit).cloned().collect()
    }

    /// The messages from now on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Telemetry>> {
        self.stream.subscribe()
    }
}

impl Ring {
    fn push(&mut self, message: Arc<Telemetry>) {
        self.bytes = self.bytes.saturating_add(message.bytes());
        self.messages.push_back(message);
        while self.messages.len() > RING_MESSAGES_MAX || self.bytes > RING_BYTES_MAX {
            let Some(oldest) = self.messages.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_ring_forgets_the_oldest_and_tells_watchers_of_each() {
        let log = TelemetryLog::default();
        let mut watcher = log.watch();
        let device = DeviceId::parse("d").unwrap();
        for n in 0..RING_MESSAGES_MAX + 5 {
            log.accept(device.clone(), vec![], n.to_string().into_bytes(), Timestamp::from_secs(0));
            assert_eq!(watcher.try_recv().unwrap().body, n.to_string().into_bytes());
        }
        let kept = log.after(0, None, usize::MAX);
        assert_eq!((kept.len(), kept.first().unwrap().sequence), (RING_MESSAGES_MAX, 6));
        assert_eq!(log.after(1_000, Some("d"), 2).len(), 2);
        assert!(log.after(0, Some("e"), 2).is_empty());
    }

    #[test]
    fn large_messages_are_bounded_by_bytes() {
        let log = TelemetryLog::default();
        for _ in 0..100 {
            log.accept(DeviceId::parse("d").unwrap(), vec![], vec![0; MESSAGE_BYTES_MAX], Timestamp::from_secs(0));
        }
        assert_eq!(log.after(0, None, usize::MAX).len(), RING_BYTES_MAX / MESSAGE_BYTES_MAX);
    }
}
