//! One hub: its devices in the store, its connections in memory.
//!
//! Every change of a device reads its record, decides in pure code, and writes it back on the condition that nobody was faster; so
//! many writers need no lock, and what a caller is told is durable.

mod connecting;
mod listing;
mod messages;
mod port;
mod registry;
mod session;
mod storage;
mod trust;
mod twins;

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use usher_domain::{
    DeviceId, HubName, Secret, Timestamp,
    clock::{Clock, Entropy},
};
use usher_records::{RecordError, Vault, Versioned};
use usher_store::{Expect, Op};

pub use listing::{LIST_DEVICES_MAX, PAGE_DEVICES_DEFAULT, QueryPage, Statistics};
pub use messages::{CONNECT_TIMEOUT_MAX_S, RESPONSE_TIMEOUT_DEFAULT_S, RESPONSE_TIMEOUT_S};
pub use registry::{BULK_DEVICES_MAX, BulkError};
pub use session::{SUBSCRIPTIONS_MAX, Session, Subscription};
pub use storage::{COUNTS, DEVICES, HUBS, MESSAGES, QUEUES, SESSIONS};
pub use trust::{AUTHORITIES_MAX, Authority};

use crate::{
    Code, Fault,
    device::{Device, KEY_BYTES, Status},
    live::Live,
    policy::HubPolicy,
    telemetry::TelemetryLog,
};
use storage::Keys;

/// How often a change is tried anew when others are faster. Eight losses in a row mean a device's record is fought over.
const ATTEMPTS_MAX: usize = 8;

/// A hub.
pub struct EmbeddedHub {
    name: HubName,
    vault: Vault,
    keys: Keys,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    live: Arc<Live>,
    telemetry: TelemetryLog,
    settings: RwLock<Arc<Settings>>,
}

/// What a hub keeps of itself.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) name: HubName,
    policies: Vec<HubPolicy>,
    authorities: Vec<Authority>,
}

impl EmbeddedHub {
    pub(crate) async fn open(name: HubName, vault: Vault, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, Fault> {
        let keys = Keys::new(vault.clone(), name.as_str());
        let settings = Self::load_or_make(&name, &vault, &keys, entropy.as_ref()).await?;
        Ok(Self {
            name,
            vault,
            keys,
            clock,
            entropy,
            live: Arc::new(Live::default()),
            telemetry: TelemetryLog::default(),
            settings: RwLock::new(Arc::new(settings)),
        })
    }

    async fn load_or_make(name: &HubName, vault: &Vault, keys: &Keys, entropy: &dyn Entropy) -> Result<Settings, Fault> {
        if let Some(stored) = vault.get::<Settings>(&keys.hub()).await? {
            return Ok(stored.value);
        }
        let settings = Settings { name: name.clone(), policies: HubPolicy::initial(|| new_key(entropy)), authorities: Vec::new() };
        let (op, _) = vault.put(keys.hub(), Expect::Absent, &settings)?;
        match vault.commit(vec![op]).await {
            Ok(()) => Ok(settings),
            Err(RecordError::Conflict { .. }) => {
                let gone = || Fault::new(Code::ServerError, "The hub's settings are gone.");
                Ok(vault.get::<Settings>(&keys.hub()).await?.ok_or_else(gone)?.value)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Its host name.
    pub fn name(&self) -> &HubName {
        &self.name
    }

    /// Its shared access policies.
    pub fn policies(&self) -> Vec<HubPolicy> {
        self.settings().policies.clone()
    }

    /// The policy of this name, compared without case.
    pub fn policy(&self, name: &str) -> Option<HubPolicy> {
        self.settings().policies.iter().find(|policy| policy.name.eq_ignore_ascii_case(name)).cloned()
    }

    /// The messages that its devices sent lately.
    pub fn telemetry(&self) -> &TelemetryLog {
        &self.telemetry
    }

    /// The time by the hub's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Random bytes from the hub's source.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn new_key(&self) -> Secret {
        new_key(self.entropy.as_ref())
    }

    async fn read(&self, id: &DeviceId) -> Result<Option<Versioned<Device>>, Fault> {
        Ok(self.vault.get(&self.keys.device(id)).await?)
    }

    /// The device, or the refusal that there is none.
    pub async fn device(&self, id: &DeviceId) -> Result<Device, Fault> {
        self.read(id).await?.map(|found| found.value).ok_or_else(|| Fault::no_device(id.as_str()))
    }

    /// Changes a device: `change` decides on what was read, and is asked anew when someone else was faster.
    async fn change<T>(&self, id: &DeviceId, mut change: impl FnMut(&mut Device) -> Result<T, Fault>) -> Result<(Device, T), Fault> {
        for _ in 0..ATTEMPTS_MAX {
            let found = self.read(id).await?.ok_or_else(|| Fault::no_device(id.as_str()))?;
            let mut device = found.value.clone();
            let told = change(&mut device)?;
            if device == found.value {
                return Ok((device, told));
            }
            let mut ops = self.count_status(found.value.status, device.status);
            ops.push(self.vault.put(self.keys.device(id), Expect::Etag(found.etag), &device)?.0);
            match self.vault.commit(ops).await {
                Ok(()) => return Ok((device, told)),
                Err(RecordError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended())
    }

    /// Writes a new device. False where one of its name is there already.
    async fn insert(&self, device: &Device) -> Result<bool, Fault> {
        let mut ops = self.count_status(Status::Enabled, device.status);
        ops.push(Op::Add { key: self.keys.device_count(), delta: 1 });
        ops.push(self.vault.put(self.keys.device(&device.device_id), Expect::Absent, device)?.0);
        match self.vault.commit(ops).await {
            Ok(()) => Ok(true),
            Err(RecordError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn count_status(&self, before: Status, after: Status) -> Vec<Op> {
        let delta = i64::from(after == Status::Disabled) - i64::from(before == Status::Disabled);
        if delta == 0 { Vec::new() } else { vec![Op::Add { key: self.keys.disabled_count(), delta }] }
    }
}

fn contended() -> Fault {
    Fault::new(Code::ConcurrentChange, "The record is being changed by too many at once.")
}

fn new_key(entropy: &dyn Entropy) -> Secret {
    let mut bytes = [0; KEY_BYTES];
    entropy.fill(&mut bytes);
    crate::cloud_message::key_from_random(&bytes)
}
