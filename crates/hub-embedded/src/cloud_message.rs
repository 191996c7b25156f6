//! Messages to devices: what they carry and the rules of a device's queue (MicrosoftDocs/azure-docs: articles/iot-hub/
//! iot-hub-devguide-messages-c2d.md). A message stays queued until the device acknowledges it or it expires.

use serde::{Deserialize, Serialize};
use usher_domain::{Secret, Timestamp};

use crate::{Code, Fault};

/// Messages that wait for one device (IoT Hub: 50).
pub const QUEUE_MESSAGES_MAX: usize = 50;
/// Largest message to a device, properties included, in bytes (IoT Hub quotas: 64 KB).
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// How long a message without an expiry waits, in milliseconds (IoT Hub's default: one hour).
pub const LIFETIME_DEFAULT_MS: i64 = 60 * 60 * 1_000;
/// How long a message may wait at most, in milliseconds (IoT Hub: two days).
pub const LIFETIME_MAX_MS: i64 = 48 * 60 * 60 * 1_000;

/// A message to a device.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CloudMessage {
    /// `$.mid`.
    pub message_id: Option<String>,
    /// `$.cid`.
    pub correlation_id: Option<String>,
    /// `$.uid`.
    pub user_id: Option<String>,
    /// `$.ct`.
    pub content_type: Option<String>,
    /// `$.ce`.
    pub content_encoding: Option<String>,
    /// `iothub-ack`: which outcomes the sender asked to hear of.
    pub ack: Option<String>,
    /// `$.exp`: until when it is worth delivering.
    pub expires: Option<Timestamp>,
    /// Application properties.
    pub properties: Vec<(String, String)>,
    /// The body.
    #[serde(with = "base64_body")]
    pub body: Vec<u8>,
}

impl CloudMessage {
    /// Whether the hub takes it.
    pub fn check(&self) -> Result<(), Fault> {
        if self.bytes() > MESSAGE_BYTES_MAX {
            return Err(Fault::new(Code::MessageTooLarge, format!("A message to a device may have {MESSAGE_BYTES_MAX} bytes.")));
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let system = [&self.message_id, &self.correlation_id, &self.user_id, &self.content_type, &self.content_encoding, &self.ack];
        let system = system.into_iter().flatten().map(String::len);
        let own = self.properties.iter().flat_map(|(key, value)| [key.len(), value.len()]);
        system.chain(own).fold(self.body.len(), usize::saturating_add)
    }
}

/// Which messages wait for a device, oldest first. The messages lie in records of their own.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Queue {
    last_sequence: u64,
    waiting: Vec<Waiting>,
}

/// One waiting message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Waiting {
    /// Its number in the device's queue.
    pub sequence: u64,
    /// When it is dropped undelivered.
    pub expires: Timestamp,
}

impl Queue {
    /// Takes a place for a message; gives its number.
    pub fn push(&mut self, message: &CloudMessage, now: Timestamp) -> Result<u64, Fault> {
        if self.waiting.len() >= QUEUE_MESSAGES_MAX {
            let text = format!("The device has {QUEUE_MESSAGES_MAX} messages waiting.");
            return Err(Fault::new(Code::DeviceMaximumQueueDepthExceeded, text));
        }
        let latest = now.plus_millis(LIFETIME_MAX_MS);
        let expires = message.expires.map_or(now.plus_millis(LIFETIME_DEFAULT_MS), |asked| asked.min(latest));
        if expires <= now {
            return Err(Fault::invalid("The message has expired already."));
        }
        self.last_sequence = self.last_sequence.saturating_add(1);
        self.waiting.push(Waiting { sequence: self.last_sequence, expires });
        Ok(self.last_sequence)
    }

    /// Drops what has expired; gives its numbers.
    pub fn drop_expired(&mut self, now: Timestamp) -> Vec<u64> {
        let gone = self.waiting.iter().filter(|waiting| waiting.expires <= now).map(|waiting| waiting.sequence).collect();
        self.waiting.retain(|waiting| waiting.expires > now);
        gone
    }

    /// The first live message after `sequence`.
    pub fn next_after(&self, sequence: u64, now: Timestamp) -> Option<u64> {
        self.waiting.iter().find(|waiting| waiting.sequence > sequence && waiting.expires > now).map(|waiting| waiting.sequence)
    }

    /// Takes a message out. Whether it was there.
    pub fn remove(&mut self, sequence: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.sequence != sequence);
        self.waiting.len() != before
    }

    /// Takes all messages out; gives their numbers.
    pub fn clear(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.waiting).into_iter().map(|waiting| waiting.sequence).collect()
    }

    /// The numbers of the waiting messages, oldest first.
    pub fn sequences(&self) -> impl Iterator<Item = u64> {
        self.waiting.iter().map(|waiting| waiting.sequence)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Bodies as base64: as an array of numbers they would take four times the room.
mod base64_body {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(body))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A new random key as base64 from bytes drawn by the caller.
pub fn key_from_random(bytes: &[u8]) -> Secret {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    Secret::new(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    #[test]
    fn a_queue_holds_fifty_and_drops_what_expired() {
        let mut queue = Queue::default();
        let brief = CloudMessage { expires: Some(NOW.plus_millis(10)), ..CloudMessage::default() };
        assert_eq!(queue.push(&brief, NOW).unwrap(), 1);
        for n in 2..=QUEUE_MESSAGES_MAX as u64 {
            assert_eq!(queue.push(&CloudMessage::default(), NOW).unwrap(), n);
        }
        assert_eq!(queue.push(&brief, NOW).unwrap_err().code, Code::DeviceMaximumQueueDepthExceeded);
        let later = NOW.plus_millis(10);
        assert_eq!(queue.next_after(0, later), Some(2));
        assert_eq!(queue.drop_expired(later), vec![1]);
        assert_eq!(queue.push(&CloudMessage::default(), later).unwrap(), 51);
    }

    #[test]
    fn no_message_outlives_two_days_or_is_taken_expired() {
        let mut queue = Queue::default();
        let long = CloudMessage { expires: Some(NOW.plus_millis(LIFETIME_MAX_MS * 9)), ..CloudMessage::default() };
        queue.push(&long, NOW).unwrap();
        assert_eq!(queue.drop_expired(NOW.plus_millis(LIFETIME_MAX_MS)), vec![1]);
        let late = CloudMessage { expires: Some(NOW), ..CloudMessage::default() };
        assert!(queue.push(&late, NOW).is_err());
    }

    #[test]
    fn messages_are_bounded_and_survive_their_record() {
        let mut message = CloudMessage { body: vec![0, 255, 7], properties: vec![("a".into(), "b".into())], ..CloudMessage::default() };
        let back: CloudMessage = serde_json::from_slice(&serde_json::to_vec(&message).unwrap()).unwrap();
        assert_eq!(back, message);
        message.body = vec![0; MESSAGE_BYTES_MAX];
        assert_eq!(message.check().unwrap_err().code, Code::MessageTooLarge);
    }
}
