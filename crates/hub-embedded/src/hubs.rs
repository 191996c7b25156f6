//! The hubs of one process, by name. Each has its own devices, policies and connections; none sees another's.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use usher_domain::{
    HubName,
    clock::{Clock, Entropy},
    service::{HubConnection, LinkedHub},
};
use usher_hub::{Hub, Hubs};
use usher_records::Vault;

use crate::{
    Fault,
    hub::{EmbeddedHub, HUBS, Settings},
};

/// Hubs in one process: far more than a test bed needs, few enough to load at the start.
pub const HUBS_MAX: usize = 1_000;

/// The hubs of one process.
pub struct EmbeddedHubs {
    vault: Vault,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    hubs: RwLock<BTreeMap<HubName, Arc<EmbeddedHub>>>,
}

impl EmbeddedHubs {
    /// Opens the hubs that the vault holds.
    pub async fn open(vault: Vault, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, Fault> {
        let hubs = Self { vault, clock, entropy, hubs: RwLock::default() };
        let stored = hubs.vault.page::<Settings>(HUBS, &[], None, HUBS_MAX).await?;
        for (_, settings) in stored.items {
            hubs.ensure(&settings.value.name).await?;
        }
        Ok(hubs)
    }

    /// The hub of this name; makes it, with fresh keys, where there is none.
    pub async fn ensure(&self, name: &HubName) -> Result<Arc<EmbeddedHub>, Fault> {
        if let Some(hub) = self.get(name) {
            return Ok(hub);
        }
        if self.names().len() >= HUBS_MAX {
            return Err(Fault::invalid(format!("This process holds {HUBS_MAX} hubs already.")));
        }
        let opened = EmbeddedHub::open(name.clone(), self.vault.clone(), Arc::clone(&self.clock), Arc::clone(&self.entropy)).await?;
        let mut hubs = self.hubs.write().unwrap_or_else(PoisonError::into_inner);
        // Someone else may have opened it meanwhile: there must be one, for its connections live in it.
        Ok(Arc::clone(hubs.entry(name.clone()).or_insert_with(|| Arc::new(opened))))
    }

    /// The hub of this name.
    pub fn get(&self, name: &HubName) -> Option<Arc<EmbeddedHub>> {
        self.hubs.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Random bytes, for what belongs to no hub.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// The names of all hubs.
    pub fn names(&self) -> Vec<HubName> {
        self.hubs.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

impl Hubs for EmbeddedHubs {
    /// Embedded hubs belong to the process, so every provisioning service in it may link them.
    fn connect(&self, _tenant: u32, linked: &LinkedHub) -> Option<Arc<dyn Hub>> {
        match linked.connection {
            HubConnection::Embedded => self.get(&linked.name).map(|hub| hub as Arc<dyn Hub>),
            _ => None,
        }
    }
}
