//! Proving that a master key opens records, without reading what they say: for copies, which pass all of them.

use std::collections::BTreeMap;

use usher_seal::{MasterKey, TenantKeys};
use usher_store::{Key, TenantId};

use crate::{
    RecordError,
    tenant_keys::{KEYS, named},
    vault::place,
};

/// Opens records one after the other. Tenants' wrapped keys must come before what they sealed, as in a store's own order they do.
pub struct Opener {
    master: MasterKey,
    tenants: BTreeMap<TenantId, TenantKeys>,
}

impl Opener {
    /// With this key.
    pub fn new(master: MasterKey) -> Self {
        Self { master, tenants: BTreeMap::new() }
    }

    /// Opens one record, as it is stored.
    ///
    /// # Errors
    /// Where it was changed, its tenant has no keys, or they were wrapped under another master key.
    pub fn open(&mut self, key: &Key, etag: u64, body: &[u8]) -> Result<(), RecordError> {
        let corrupt = |detail: String| RecordError::Corrupt { space: key.space, detail };
        if key.space == KEYS {
            let tenant = key.key.as_slice().try_into().map(u32::from_be_bytes).map_err(|_| corrupt("keys of no tenant".into()))?;
            let keys = TenantKeys::unwrap(&self.master, tenant, body).map_err(|error| named(tenant, error))?;
            self.tenants.insert(TenantId(tenant), keys);
            return Ok(());
        }
        let keys = self.tenants.get(&key.tenant).ok_or_else(|| corrupt(format!("tenant {} has no keys", key.tenant.0)))?;
        let text = keys.open(&place(key.tenant, key.space, &key.key, etag), body);
        text.map(drop).map_err(|error| corrupt(error.to_string()))
    }
}
