//! Where a hub's records lie. Every key begins with the blinded hub name, so that one hub's records can be listed and no other's.

use usher_domain::DeviceId;
use usher_records::{RecordError, Vault};
use usher_store::{Key, Space};

use crate::{Code, Fault};

/// Hubs with their policies and trusted CAs.
pub const HUBS: Space = Space(64);
/// Devices with their twins.
pub const DEVICES: Space = Space(65);
/// Which cloud-to-device messages wait for a device.
pub const QUEUES: Space = Space(66);
/// Cloud-to-device messages.
pub const MESSAGES: Space = Space(67);
/// What a device subscribed to in a session that outlives its connection.
pub const SESSIONS: Space = Space(68);
/// Numbers of devices.
pub const COUNTS: Space = Space(69);

/// A hub's keys.
#[derive(Clone)]
pub struct Keys {
    vault: Vault,
    hub: String,
}

impl Keys {
    /// Keys of the hub of this name.
    pub fn new(vault: Vault, hub: &str) -> Self {
        Self { vault, hub: hub.to_owned() }
    }

    /// The hub itself.
    pub fn hub(&self) -> Key {
        self.vault.key(HUBS, &self.hub)
    }

    /// A device.
    pub fn device(&self, id: &DeviceId) -> Key {
        self.of_device(DEVICES, id)
    }

    /// The prefix of all devices.
    pub fn devices(&self) -> Vec<u8> {
        self.vault.parent_prefix(DEVICES, &self.hub)
    }

    /// A device's queue.
    pub fn queue(&self, id: &DeviceId) -> Key {
        self.of_device(QUEUES, id)
    }

    /// A message of a device's queue.
    pub fn message(&self, id: &DeviceId, sequence: u64) -> Key {
        let mut key = self.of_device(MESSAGES, id);
        key.key.extend_from_slice(&sequence.to_be_bytes());
        key
    }

    /// A device's session.
    pub fn session(&self, id: &DeviceId) -> Key {
        self.of_device(SESSIONS, id)
    }

    /// The number of devices.
    pub fn device_count(&self) -> Key {
        self.vault.child(COUNTS, &self.hub, "devices")
    }

    /// The number of devices that are disabled.
    pub fn disabled_count(&self) -> Key {
        self.vault.child(COUNTS, &self.hub, "disabled")
    }

    /// Device IDs are case-sensitive, so they are blinded as bytes.
    fn of_device(&self, space: Space, id: &DeviceId) -> Key {
        let mut key = self.vault.parent_prefix(space, &self.hub);
        key.extend_from_slice(&self.vault.key_of_bytes(space, id.as_str().as_bytes()).key);
        Key { space, tenant: self.vault.tenant(), key }
    }
}

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Conflict { .. } => Self::new(Code::ConcurrentChange, "The record was changed by someone else meanwhile."),
            RecordError::Unavailable(why) => {
                tracing::warn!(%why, "the embedded hub's store is unavailable");
                Self::new(Code::ServiceUnavailable, "The hub's store cannot be reached now.")
            }
            error @ (RecordError::Corrupt { .. } | RecordError::Seal(_) | RecordError::Invalid(_)) => {
                tracing::error!(%error, "the embedded hub cannot use its records");
                Self::new(Code::ServerError, "The hub cannot use its records.")
            }
        }
    }
}
