//! Tenants' wrapped keys in the store: made at a tenant's first opening, and wrapped anew when the master key changes.

use usher_seal::{MasterKey, SealError, TenantKeys};
use usher_store::{Expect, Key, Op, Range, Space, Store, StoreError, Stored, TenantId};

use crate::{RecordError, vault::new_etag};

/// Where tenants' wrapped keys lie, under tenant 0. The one space whose keys are plain: they are tenant numbers.
pub(crate) const KEYS: Space = Space(0);
/// Tenants wrapped anew in one step.
const STEP: usize = 32;

/// What a change of the master key did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Tenants whose keys were wrapped anew.
    pub rewrapped: usize,
    /// Tenants whose keys were under the new master key already, by an earlier attempt or a newer node.
    pub already: usize,
}

/// The tenant's keys; makes them where it has none yet. Safe against another node doing the same.
pub(crate) async fn open_or_make(store: &dyn Store, master: &MasterKey, tenant: TenantId) -> Result<TenantKeys, RecordError> {
    let key = Key { space: KEYS, tenant: TenantId(0), key: tenant.0.to_be_bytes().to_vec() };
    if store.get(&key).await?.is_none() {
        let body = TenantKeys::generate()?.wrap(master, tenant.0)?;
        match store.commit(vec![Op::Put { key: key.clone(), expect: Expect::Absent, etag: new_etag()?, body }]).await {
            // Another node was faster: its keys are the tenant's.
            Ok(()) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let stored = store.get(&key).await?.ok_or_else(|| corrupt(tenant.0, "are gone"))?;
    TenantKeys::unwrap(master, tenant.0, &stored.body).map_err(|error| named(tenant.0, error))
}

/// Wraps every tenant's keys under `new` instead of `old`. No record is touched, and open vaults go on. Can be repeated: what an
/// interrupted attempt left is finished by the next.
///
/// # Errors
/// Where a tenant's keys open under neither, or the store fails. Those before it are wrapped anew; both keys are needed until this
/// succeeds.
pub async fn rotate_master(store: &dyn Store, old: &MasterKey, new: &MasterKey) -> Result<Rotation, RecordError> {
    let (mut rotation, mut after) = (Rotation::default(), None::<Vec<u8>>);
    loop {
        let found = store.scan(Range { space: KEYS, tenant: TenantId(0), prefix: &[], after: after.as_deref(), limit: STEP }).await?;
        let Some((last, _)) = found.last() else { return Ok(rotation) };
        after = Some(last.clone());
        for (name, stored) in found {
            if rewrap(store, name, &stored, old, new).await? { rotation.rewrapped += 1 } else { rotation.already += 1 }
        }
    }
}

/// Whether there was something to do.
async fn rewrap(store: &dyn Store, name: Vec<u8>, stored: &Stored, old: &MasterKey, new: &MasterKey) -> Result<bool, RecordError> {
    let number = name.as_slice().try_into().map(u32::from_be_bytes);
    let tenant = number.map_err(|_| RecordError::Corrupt { space: KEYS, detail: "keys of no tenant".into() })?;
    let keys = match TenantKeys::unwrap(old, tenant, &stored.body) {
        Ok(keys) => keys,
        Err(SealError::WrongMasterKey) => {
            return TenantKeys::unwrap(new, tenant, &stored.body).map(|_| false).map_err(|error| named(tenant, error));
        }
        Err(error) => return Err(named(tenant, error)),
    };
    let key = Key { space: KEYS, tenant: TenantId(0), key: name };
    let put = Op::Put { key, expect: Expect::Etag(stored.etag), etag: new_etag()?, body: keys.wrap(new, tenant)? };
    store.commit(vec![put]).await?;
    Ok(true)
}

pub(crate) fn named(tenant: u32, error: SealError) -> RecordError {
    match error {
        SealError::Malformed | SealError::NotAuthentic => corrupt(tenant, "are not what was written"),
        other => RecordError::Seal(other),
    }
}

fn corrupt(tenant: u32, what: &str) -> RecordError {
    RecordError::Corrupt { space: KEYS, detail: format!("the keys of tenant {tenant} {what}") }
}
