//! The directory of provisioning services: which there are, and the way into each one's records.
//!
//! It stands under tenant 0. One record, the head, is written again with every change of any service; its ETag tells whether what
//! this process read before is still what is stored, whoever changed it. So the usual look-up costs one small read, on any node.

mod change;
mod erase;
mod groups;
mod head;
mod keys;
mod rules;
mod snapshot;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use usher_domain::{ErrorCode, IdScope, ServiceError, service::ProvisioningService};
use usher_records::{RecordError, Vault, Versioned};
use usher_seal::MasterKeys;
use usher_store::{Expect, Key, Op, Store, TenantId};

pub use self::{change::Written, groups::RESOURCE_GROUPS_MAX};
use self::{head::Head, snapshot::Snapshot};
use crate::{Registry, fault::service_error, spaces};

/// Services in one installation. They are held in memory, some KiB each.
pub const SERVICES_MAX: usize = 1000;

/// One service with its records. Cheap to clone.
#[derive(Clone)]
pub struct Tenant {
    /// The service.
    pub service: Arc<ProvisioningService>,
    /// Its records.
    pub registry: Registry,
}

/// All services of an installation.
pub struct Directory {
    store: Arc<dyn Store>,
    masters: MasterKeys,
    /// Tenant 0: the system's own records.
    vault: Vault,
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    /// Opened once each.
    registries: RwLock<HashMap<u32, Registry>>,
}

impl Directory {
    /// Opens the directory in a store, making it where there is none.
    ///
    /// # Errors
    /// [`RecordError::Seal`] where the records were sealed under another master key.
    pub async fn open(store: Arc<dyn Store>, masters: impl Into<MasterKeys>) -> Result<Self, RecordError> {
        let masters = masters.into();
        let vault = Vault::open_tenant(Arc::clone(&store), &masters, TenantId(0)).await?;
        Ok(Self { store, masters, vault, snapshot: RwLock::default(), registries: RwLock::default() })
    }

    /// The service with this ID scope. Case does not matter: devices send it as it was flashed.
    pub async fn by_scope(&self, id_scope: &IdScope) -> Result<Option<Tenant>, RecordError> {
        self.tenant(self.snapshot().await?.by_scope(id_scope.as_str())).await
    }

    /// The service with this host name, given without a port; case does not matter.
    pub async fn by_host(&self, host_name: &str) -> Result<Option<Tenant>, RecordError> {
        self.tenant(self.snapshot().await?.by_host(host_name)).await
    }

    /// The service of this name, in any case.
    pub async fn by_name(&self, name: &str) -> Result<Option<Tenant>, RecordError> {
        self.tenant(self.snapshot().await?.by_name(name)).await
    }

    /// The service of this name with its ETag, to change it.
    pub async fn service(&self, name: &str) -> Result<Option<Versioned<ProvisioningService>>, RecordError> {
        self.vault.get(&self.vault.key(spaces::SERVICES, name)).await
    }

    /// All services, by name.
    pub async fn services(&self) -> Result<Vec<Arc<ProvisioningService>>, RecordError> {
        Ok(self.services_with_etags().await?.into_iter().map(|found| found.value).collect())
    }

    /// The same with their ETags.
    pub async fn services_with_etags(&self) -> Result<Vec<Versioned<Arc<ProvisioningService>>>, RecordError> {
        Ok(self.snapshot().await?.services())
    }

    /// All services with their records, by name.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, RecordError> {
        let mut tenants = Vec::new();
        for service in self.services().await? {
            tenants.extend(self.tenant(Some(service)).await?);
        }
        Ok(tenants)
    }

    /// The system's own records: attempts of devices whose ID scope no service has are kept there.
    pub fn system(&self) -> Registry {
        Registry::new(self.vault.clone())
    }

    /// Makes a service. Its `tenant` number is chosen here, whatever the argument says; name, ID scope and host name must be free.
    pub async fn create(&self, mut service: ProvisioningService) -> Result<Tenant, ServiceError> {
        rules::check(&service)?;
        let head = self.head().await.map_err(service_error)?;
        self.refuse_taken(&service).await?;
        service.tenant = head.value.next_tenant;
        let next = Head { next_tenant: head.value.next_tenant.saturating_add(1) };
        let mut ops = self.name_ops(&service)?;
        ops.push(self.vault.put(self.vault.key(spaces::SERVICES, &service.name), Expect::Absent, &service).map_err(service_error)?.0);
        ops.push(self.head_op(&head, &next)?);
        self.vault.commit(ops).await.map_err(service_error)?;
        let made = self.tenant(Some(Arc::new(service))).await.map_err(service_error)?;
        made.ok_or(ServiceError::new(ErrorCode::Internal))
    }

    /// Replaces a service where it still has the ETag `etag`; returns the new one. Name and tenant number stay as they are.
    pub async fn update(&self, mut service: ProvisioningService, etag: u64) -> Result<u64, ServiceError> {
        rules::check(&service)?;
        let found = self.service(&service.name).await.map_err(service_error)?;
        let old = found.ok_or_else(|| ServiceError::with(ErrorCode::NotFound, "There is no service of this name."))?;
        if old.etag != etag {
            return Err(ServiceError::new(ErrorCode::PreconditionFailed));
        }
        (service.tenant, service.name) = (old.value.tenant, old.value.name.clone());
        let head = self.head().await.map_err(service_error)?;
        let (put, new_etag) =
            self.vault.put(self.vault.key(spaces::SERVICES, &service.name), Expect::Etag(etag), &service).map_err(service_error)?;
        let mut ops = vec![put, self.head_op(&head, &head.value)?];
        ops.extend(self.renamed_ops(&old.value, &service)?);
        self.vault.commit(ops).await.map_err(service_error)?;
        Ok(new_etag)
    }

    async fn refuse_taken(&self, service: &ProvisioningService) -> Result<(), ServiceError> {
        let snapshot = self.snapshot().await.map_err(service_error)?;
        let taken = [
            ("name", snapshot.by_name(&service.name).is_some()),
            ("ID scope", snapshot.by_scope(service.id_scope.as_str()).is_some()),
            ("host name", snapshot.by_host(&service.host_name).is_some()),
        ];
        if let Some((what, _)) = taken.into_iter().find(|(_, taken)| *taken) {
            return Err(ServiceError::with(ErrorCode::Conflict, format!("Another provisioning service has this {what}.")));
        }
        if snapshot.services().len() >= SERVICES_MAX {
            return Err(ServiceError::with(ErrorCode::BadRequest, format!("There can be at most {SERVICES_MAX} provisioning services.")));
        }
        Ok(())
    }

    /// The entries that keep a service's ID scope and host name its own, on every node.
    fn name_ops(&self, service: &ProvisioningService) -> Result<Vec<Op>, ServiceError> {
        let put = |key| Ok(self.vault.put(key, Expect::Absent, &service.name).map_err(service_error)?.0);
        self.name_keys(service).into_iter().map(put).collect()
    }

    fn name_keys(&self, service: &ProvisioningService) -> [Key; 2] {
        let scope = self.vault.key(spaces::SERVICE_BY_SCOPE, service.id_scope.as_str());
        [scope, self.vault.key(spaces::SERVICE_BY_HOST, &service.host_name)]
    }

    fn renamed_ops(&self, old: &ProvisioningService, new: &ProvisioningService) -> Result<Vec<Op>, ServiceError> {
        let mut ops = Vec::new();
        let changes = [
            (spaces::SERVICE_BY_SCOPE, old.id_scope.as_str(), new.id_scope.as_str()),
            (spaces::SERVICE_BY_HOST, old.host_name.as_str(), new.host_name.as_str()),
        ];
        for (space, old, name) in changes.into_iter().filter(|(_, old, new)| !old.eq_ignore_ascii_case(new)) {
            ops.push(Op::Delete { key: self.vault.key(space, old), expect: Expect::Any });
            ops.push(self.vault.put(self.vault.key(space, name), Expect::Absent, &new.name).map_err(service_error)?.0);
        }
        Ok(ops)
    }

    /// Brings a service together with its records.
    async fn tenant(&self, service: Option<Arc<ProvisioningService>>) -> Result<Option<Tenant>, RecordError> {
        let Some(service) = service else { return Ok(None) };
        let held = self.registries.read().unwrap_or_else(PoisonError::into_inner).get(&service.tenant).cloned();
        if let Some(registry) = held {
            return Ok(Some(Tenant { service, registry }));
        }
        let vault = Vault::open_tenant(Arc::clone(&self.store), &self.masters, TenantId(service.tenant)).await?;
        let mut registries = self.registries.write().unwrap_or_else(PoisonError::into_inner);
        let registry = registries.entry(service.tenant).or_insert_with(|| Registry::new(vault)).clone();
        Ok(Some(Tenant { service, registry }))
    }
}
