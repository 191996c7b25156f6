//! The installation's keys: which master key wraps what, and their rotation.

use usher_domain::ServiceError;
use usher_records::{RecordError, Rotation, UnderMaster, rotate_master, try_masters, under_masters};
use usher_seal::{MasterKey, MasterKeys};

use super::Directory;
use crate::fault::service_error;

impl Directory {
    /// The master keys that this process has, the current one first.
    pub fn master_keys(&self) -> Vec<MasterKey> {
        self.masters.all()
    }

    /// Which master keys wrap how much in the store, whether this process has them or not.
    pub async fn under_masters(&self) -> Result<Vec<UnderMaster>, RecordError> {
        under_masters(self.store.as_ref()).await
    }

    /// Wraps every tenant's keys under the current master key. Can be repeated, while all nodes serve.
    pub async fn rotate_master(&self) -> Result<Rotation, RecordError> {
        rotate_master(self.store.as_ref(), &self.masters).await
    }

    /// Takes over other master keys, if every tenant's keys open with them.
    ///
    /// # Errors
    /// Where any does not; the keys stay as they were.
    pub async fn replace_masters(&self, next: &MasterKeys) -> Result<(), RecordError> {
        try_masters(self.store.as_ref(), next).await?;
        self.masters.replace(next);
        Ok(())
    }

    /// Gives a service a fresh data key; `None` where there is no service of this name. Returns how many data keys it has.
    pub async fn renew_data_key(&self, name: &str) -> Result<Option<usize>, ServiceError> {
        let Some(tenant) = self.by_name(name).await.map_err(service_error)? else { return Ok(None) };
        tenant.registry.vault.renew_data_key().await.map(Some).map_err(service_error)
    }

    /// Gives the system's own records (services, hubs inside this installation) a fresh data key. Returns how many it has.
    pub async fn renew_system_data_key(&self) -> Result<usize, ServiceError> {
        self.vault.renew_data_key().await.map_err(service_error)
    }
}
