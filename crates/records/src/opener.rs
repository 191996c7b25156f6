//! Proving that master keys open records, without reading what they say: for copies, which pass all of them.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use usher_seal::{MasterKeys, TenantKeys};
use usher_store::{Key, TenantId};

use crate::{
    RecordError,
    tenant_keys::{KEYS, tenant_of, unwrap},
    vault::place,
};

/// Opens records one after the other. Tenants' wrapped keys must come before what they sealed, as in a store's own order they do.
pub struct Opener {
    masters: MasterKeys,
    tenants: BTreeMap<TenantId, TenantKeys>,
}

impl Opener {
    /// With these keys.
    pub fn new(masters: MasterKeys) -> Self {
        Self { masters, tenants: BTreeMap::new() }
    }

    /// Opens one record, as it is stored.
    ///
    /// # Errors
    /// Where it was changed, its tenant has no keys, they were wrapped under another master key, or a token does not answer.
    pub async fn open(&mut self, key: &Key, etag: u64, body: &[u8]) -> Result<(), RecordError> {
        if key.space == KEYS {
            let tenant = tenant_of(&key.key)?;
            let keys = unwrap(&self.masters, tenant, body.to_vec()).await?;
            self.tenants.insert(TenantId(tenant), keys);
            return Ok(());
        }
        let corrupt = |detail: String| RecordError::Corrupt { space: key.space, detail };
        let keys = self.tenants.get(&key.tenant).ok_or_else(|| corrupt(format!("tenant {} has no keys", key.tenant.0)))?;
        let text = keys.open(&place(key.tenant, key.space, &key.key, etag), body);
        text.map(drop).map_err(|error| corrupt(error.to_string()))
    }

    /// What authenticates a copy of everything for one purpose: a key of the system's own tenant, whose keys are the first record of
    /// every store and stay the same when the master key changes. `None` until that record was opened.
    pub fn authentication_key(&self, purpose: &str) -> Option<hmac::Key> {
        self.tenants.get(&TenantId(0)).map(|keys| keys.authentication_key(purpose))
    }
}
