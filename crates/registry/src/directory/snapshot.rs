//! All services as they stood at one ETag of the head.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use usher_domain::service::ProvisioningService;
use usher_records::{RecordError, Versioned};
use usher_store::SCAN_MAX;

use super::Directory;
use crate::spaces;

/// The services with their names, folded.
pub(super) struct Snapshot {
    etag: u64,
    sorted: Vec<Versioned<Arc<ProvisioningService>>>,
    names: HashMap<String, usize>,
    scopes: HashMap<String, usize>,
    hosts: HashMap<String, usize>,
}

impl Snapshot {
    fn new(etag: u64, mut services: Vec<Versioned<ProvisioningService>>) -> Self {
        services.sort_by(|a, b| a.value.name.cmp(&b.value.name));
        let index = |name: fn(&ProvisioningService) -> &str| {
            services.iter().enumerate().map(|(at, service)| (name(&service.value).to_ascii_lowercase(), at)).collect()
        };
        let names = index(|service| &service.name);
        let scopes = index(|service| service.id_scope.as_str());
        let hosts = index(|service| &service.host_name);
        let sorted = services.into_iter().map(|found| Versioned { value: Arc::new(found.value), etag: found.etag }).collect();
        Self { etag, names, scopes, hosts, sorted }
    }

    pub fn by_name(&self, name: &str) -> Option<Arc<ProvisioningService>> {
        self.find(&self.names, name)
    }

    pub fn by_scope(&self, id_scope: &str) -> Option<Arc<ProvisioningService>> {
        self.find(&self.scopes, id_scope)
    }

    pub fn by_host(&self, host_name: &str) -> Option<Arc<ProvisioningService>> {
        self.find(&self.hosts, host_name)
    }

    pub fn services(&self) -> Vec<Versioned<Arc<ProvisioningService>>> {
        self.sorted.clone()
    }

    fn find(&self, index: &HashMap<String, usize>, name: &str) -> Option<Arc<ProvisioningService>> {
        index.get(&name.to_ascii_lowercase()).and_then(|at| self.sorted.get(*at)).map(|found| Arc::clone(&found.value))
    }
}

impl Directory {
    /// The services as they are stored now; read again only where the head has changed.
    pub(super) async fn snapshot(&self) -> Result<Arc<Snapshot>, RecordError> {
        let etag = self.head().await?.etag;
        let held = self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(held) = held.filter(|held| held.etag == etag) {
            return Ok(held);
        }
        let fresh = Arc::new(Snapshot::new(etag, self.read_all().await?));
        // A change made while the services were read has changed the head too, so what is held now is read again the next time.
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    async fn read_all(&self) -> Result<Vec<Versioned<ProvisioningService>>, RecordError> {
        let (mut services, mut after) = (Vec::new(), None);
        loop {
            let page = self.vault.page(spaces::SERVICES, &[], after.as_deref(), SCAN_MAX).await?;
            services.extend(page.items.into_iter().map(|(_, service)| service));
            after = page.next;
            if after.is_none() {
                return Ok(services);
            }
        }
    }
}
