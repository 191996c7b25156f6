//! What goes between the service and devices: cloud-to-device messages, method calls, telemetry.

use std::time::Duration;

use serde_json::Value;
use usher_domain::DeviceId;
use usher_records::RecordError;
use usher_store::{Expect, Op};

use super::{ATTEMPTS_MAX, EmbeddedHub, contended};
use crate::{
    Code, Fault,
    cloud_message::{CloudMessage, Queue},
    live::{CALL_BYTES_MAX, MethodResult},
    telemetry,
};

/// Longest wait for a device to connect, in seconds (IoT Hub: 300).
pub const CONNECT_TIMEOUT_MAX_S: u64 = 300;
/// Bounds of the wait for an answer, in seconds (IoT Hub: 5 to 300).
pub const RESPONSE_TIMEOUT_S: std::ops::RangeInclusive<u64> = 5..=300;
/// The wait for an answer where the caller names none, in seconds (IoT Hub: 30).
pub const RESPONSE_TIMEOUT_DEFAULT_S: u64 = 30;

impl EmbeddedHub {
    /// Queues a message for a device, durably, and rings for it.
    pub async fn send(&self, id: &DeviceId, message: &CloudMessage) -> Result<(), Fault> {
        message.check()?;
        self.change_queue(id, |queue, ops| {
            let sequence = queue.push(message, self.now())?;
            ops.push(self.vault.put(self.keys.message(id, sequence), Expect::Any, message)?.0);
            Ok(())
        })
        .await?;
        self.live.ring(id);
        Ok(())
    }

    /// The first live message after `sequence`, with its number.
    pub async fn next_message(&self, id: &DeviceId, after: u64) -> Result<Option<(u64, CloudMessage)>, Fault> {
        let Some(queue) = self.vault.get::<Queue>(&self.keys.queue(id)).await? else { return Ok(None) };
        let mut after = after;
        while let Some(sequence) = queue.value.next_after(after, self.now()) {
            // A message may be completed or purged between the two reads.
            if let Some(message) = self.vault.get::<CloudMessage>(&self.keys.message(id, sequence)).await? {
                return Ok(Some((sequence, message.value)));
            }
            after = sequence;
        }
        Ok(None)
    }

    /// The device has taken a message: it is gone for good. False where it was gone already.
    pub async fn complete_message(&self, id: &DeviceId, sequence: u64) -> Result<bool, Fault> {
        self.change_queue(id, |queue, ops| {
            let there = queue.remove(sequence);
            if there {
                ops.push(Op::Delete { key: self.keys.message(id, sequence), expect: Expect::Any });
            }
            Ok(there)
        })
        .await
    }

    /// Drops all messages that wait for a device; gives their number.
    pub async fn purge_messages(&self, id: &DeviceId) -> Result<usize, Fault> {
        self.change_queue(id, |queue, ops| {
            let gone = queue.clear();
            ops.extend(gone.iter().map(|sequence| Op::Delete { key: self.keys.message(id, *sequence), expect: Expect::Any }));
            Ok(gone.len())
        })
        .await
    }

    async fn change_queue<T>(
        &self,
        id: &DeviceId,
        mut change: impl FnMut(&mut Queue, &mut Vec<Op>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        for _ in 0..ATTEMPTS_MAX {
            let device = self.read(id).await?.ok_or_else(|| Fault::no_device(id.as_str()))?;
            let found = self.vault.get::<Queue>(&self.keys.queue(id)).await?;
            let expect = found.as_ref().map_or(Expect::Absent, |found| Expect::Etag(found.etag));
            let before = found.map(|found| found.value).unwrap_or_default();
            let mut queue = before.clone();
            let expired = queue.drop_expired(self.now());
            let mut ops: Vec<Op> =
                expired.into_iter().map(|gone| Op::Delete { key: self.keys.message(id, gone), expect: Expect::Any }).collect();
            let told = change(&mut queue, &mut ops)?;
            if queue == before {
                return Ok(told);
            }
            // A removal takes the queue along, and with it the condition below; where there is no queue yet, the device is the condition.
            if expect == Expect::Absent {
                ops.push(Op::Check { key: self.keys.device(id), expect: Expect::Etag(device.etag) });
            }
            ops.push(self.vault.put(self.keys.queue(id), expect, &queue)?.0);
            match self.vault.commit(ops).await {
                Ok(()) => return Ok(told),
                Err(RecordError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended())
    }

    /// Calls a method of a connected device.
    pub async fn call_method(
        &self,
        id: &DeviceId,
        name: &str,
        payload: Option<&Value>,
        connect_s: u64,
        respond_s: u64,
    ) -> Result<MethodResult, Fault> {
        /// Longest method name, in bytes.
        const METHOD_NAME_BYTES_MAX: usize = 100;
        if name.is_empty() || name.len() > METHOD_NAME_BYTES_MAX {
            return Err(Fault::invalid(format!("methodName must have 1 to {METHOD_NAME_BYTES_MAX} bytes.")));
        }
        if connect_s > CONNECT_TIMEOUT_MAX_S || !RESPONSE_TIMEOUT_S.contains(&respond_s) {
            return Err(Fault::invalid("connectTimeoutInSeconds must be 0 to 300 and responseTimeoutInSeconds 5 to 300."));
        }
        let payload = payload.map(|payload| payload.to_string().into_bytes()).unwrap_or_else(|| b"null".to_vec());
        if payload.len() > CALL_BYTES_MAX {
            return Err(Fault::new(Code::MessageTooLarge, format!("A method's payload may have {CALL_BYTES_MAX} bytes.")));
        }
        self.device(id).await?;
        self.live.call(id, name, payload, Duration::from_secs(connect_s), Duration::from_secs(respond_s)).await
    }

    /// Takes a message from a device.
    pub fn accept_telemetry(&self, id: &DeviceId, properties: Vec<(String, String)>, body: Vec<u8>) -> Result<(), Fault> {
        let bytes = properties.iter().fold(body.len(), |sum, (key, value)| sum.saturating_add(key.len()).saturating_add(value.len()));
        if bytes > telemetry::MESSAGE_BYTES_MAX {
            let text = format!("A message from a device may have {} bytes.", telemetry::MESSAGE_BYTES_MAX);
            return Err(Fault::new(Code::MessageTooLarge, text));
        }
        self.telemetry.accept(id.clone(), properties, body, self.now());
        Ok(())
    }
}
