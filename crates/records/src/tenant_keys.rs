//! Tenants' wrapped keys in the store: made at a tenant's first opening, wrapped anew when the master key changes, renewed when asked.

use usher_seal::{CHECK_BYTES, MasterKeys, SealError, TenantKeys, inspect};
use usher_store::{Expect, Key, Op, Range, Space, Store, StoreError, Stored, TenantId};

use crate::{RecordError, vault::new_etag};

/// Where tenants' wrapped keys lie, under tenant 0. The one space whose keys are plain: they are tenant numbers.
pub(crate) const KEYS: Space = Space(0);
/// Tenants looked at in one step.
const STEP: usize = 32;
/// Tries at one tenant's keys while others change them too: another rotation, a renewal.
const TRIES_MAX: usize = 8;

/// What a change of the master key did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Tenants whose keys were wrapped anew.
    pub rewrapped: usize,
    /// Tenants whose keys were under the current master key already, by an earlier attempt or a newer node.
    pub already: usize,
}

/// What lies under one master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderMaster {
    /// The master key's check.
    pub check: [u8; CHECK_BYTES],
    /// Whether it is in a token.
    pub held: bool,
    /// Tenants whose keys it wraps; the system itself is one.
    pub tenants: usize,
    /// Their data keys.
    pub data_keys: usize,
}

/// The tenant's keys; makes them where it has none yet. Safe against another node doing the same.
pub(crate) async fn open_or_make(store: &dyn Store, masters: &MasterKeys, tenant: TenantId) -> Result<TenantKeys, RecordError> {
    let key = place_of(tenant.0);
    if store.get(&key).await?.is_none() {
        let body = wrap(masters, TenantKeys::generate()?, tenant.0).await?;
        match store.commit(vec![Op::Put { key: key.clone(), expect: Expect::Absent, etag: new_etag()?, body }]).await {
            // Another node was faster: its keys are the tenant's.
            Ok(()) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let stored = store.get(&key).await?.ok_or_else(|| corrupt(tenant.0, "are gone"))?;
    unwrap(masters, tenant.0, stored.body).await
}

/// Wraps every tenant's keys under the current master key. No record is touched, and open vaults go on. Can be repeated: what an
/// interrupted attempt left is finished by the next; several at once do not harm each other.
///
/// # Errors
/// Where a tenant's keys open under none of the master keys, or the store or a token fails. Those before it are wrapped anew; the keys
/// that wrapped are all needed until this succeeds.
pub async fn rotate_master(store: &dyn Store, masters: &MasterKeys) -> Result<Rotation, RecordError> {
    let (mut rotation, mut after) = (Rotation::default(), None::<Vec<u8>>);
    loop {
        let found = step(store, after.as_deref()).await?;
        let Some((last, _)) = found.last() else { return Ok(rotation) };
        after = Some(last.clone());
        for (name, stored) in found {
            if rewrap(store, masters, &name, stored).await? { rotation.rewrapped += 1 } else { rotation.already += 1 }
        }
    }
}

/// Which master keys wrap how much, by what lies there; nothing is opened.
///
/// # Errors
/// Where the store fails or keys are of no known shape.
pub async fn under_masters(store: &dyn Store) -> Result<Vec<UnderMaster>, RecordError> {
    let (mut found, mut after) = (Vec::<UnderMaster>::new(), None::<Vec<u8>>);
    loop {
        let page = step(store, after.as_deref()).await?;
        let Some((last, _)) = page.last() else { return Ok(found) };
        after = Some(last.clone());
        for (name, stored) in page {
            let tenant = tenant_of(&name)?;
            let told = inspect(&stored.body).map_err(|error| named(tenant, error))?;
            match found.iter_mut().find(|one| one.check == told.check && one.held == told.held) {
                Some(one) => (one.tenants, one.data_keys) = (one.tenants + 1, one.data_keys + told.data_keys),
                None => found.push(UnderMaster { check: told.check, held: told.held, tenants: 1, data_keys: told.data_keys }),
            }
        }
    }
}

/// Opens every tenant's keys, to see that these master keys suffice.
///
/// # Errors
/// Where any does not open.
pub async fn try_masters(store: &dyn Store, masters: &MasterKeys) -> Result<(), RecordError> {
    let mut after = None::<Vec<u8>>;
    loop {
        let page = step(store, after.as_deref()).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (name, stored) in page {
            unwrap(masters, tenant_of(&name)?, stored.body).await?;
        }
    }
}

/// Gives the tenant a fresh data key, which seals from now on; those it had still open. Returns how many there are.
pub(crate) async fn renew(store: &dyn Store, masters: &MasterKeys, tenant: TenantId) -> Result<usize, RecordError> {
    let key = place_of(tenant.0);
    for _ in 0..TRIES_MAX {
        let stored = store.get(&key).await?.ok_or_else(|| corrupt(tenant.0, "are gone"))?;
        let mut keys = unwrap(masters, tenant.0, stored.body).await?;
        keys.rotate_data_key()?;
        let count = keys.data_keys();
        let body = wrap(masters, keys, tenant.0).await?;
        match store.commit(vec![Op::Put { key: key.clone(), expect: Expect::Etag(stored.etag), etag: new_etag()?, body }]).await {
            Err(StoreError::Conflict { .. }) => {}
            outcome => return outcome.map(|()| count).map_err(RecordError::from),
        }
    }
    Err(RecordError::Conflict { index: 0 })
}

async fn step(store: &dyn Store, after: Option<&[u8]>) -> Result<Vec<(Vec<u8>, Stored)>, RecordError> {
    Ok(store.scan(Range { space: KEYS, tenant: TenantId(0), prefix: &[], after, limit: STEP }).await?)
}

/// Whether there was something to do.
async fn rewrap(store: &dyn Store, masters: &MasterKeys, name: &[u8], mut stored: Stored) -> Result<bool, RecordError> {
    let tenant = tenant_of(name)?;
    let key = place_of(tenant);
    for _ in 0..TRIES_MAX {
        let keys = unwrap(masters, tenant, stored.body.clone()).await?;
        let (told, current) = (inspect(&stored.body).map_err(|error| named(tenant, error))?, masters.current());
        if told.check == current.check() && told.held == current.is_held() {
            return Ok(false);
        }
        let put =
            Op::Put { key: key.clone(), expect: Expect::Etag(stored.etag), etag: new_etag()?, body: wrap(masters, keys, tenant).await? };
        match store.commit(vec![put]).await {
            Ok(()) => return Ok(true),
            Err(StoreError::Conflict { .. }) => match store.get(&key).await? {
                Some(changed) => stored = changed,
                None => return Ok(false),
            },
            Err(error) => return Err(error.into()),
        }
    }
    Err(RecordError::Conflict { index: 0 })
}

/// A token's calls block, for seconds where it is in trouble, so they go where blocking harms nobody.
async fn wrap(masters: &MasterKeys, keys: TenantKeys, tenant: u32) -> Result<Vec<u8>, RecordError> {
    if !masters.any_held() {
        return Ok(masters.wrap(&keys, tenant)?);
    }
    let masters = masters.clone();
    let wrapped = tokio::task::spawn_blocking(move || masters.wrap(&keys, tenant)).await;
    Ok(wrapped.map_err(|_| SealError::Module)??)
}

pub(crate) async fn unwrap(masters: &MasterKeys, tenant: u32, wrapped: Vec<u8>) -> Result<TenantKeys, RecordError> {
    let opened = if masters.any_held() {
        let masters = masters.clone();
        tokio::task::spawn_blocking(move || masters.unwrap(tenant, &wrapped)).await.map_err(|_| SealError::Module)?
    } else {
        masters.unwrap(tenant, &wrapped)
    };
    opened.map_err(|error| named(tenant, error))
}

fn place_of(tenant: u32) -> Key {
    Key { space: KEYS, tenant: TenantId(0), key: tenant.to_be_bytes().to_vec() }
}

pub(crate) fn tenant_of(name: &[u8]) -> Result<u32, RecordError> {
    name.try_into().map(u32::from_be_bytes).map_err(|_| RecordError::Corrupt { space: KEYS, detail: "keys of no tenant".into() })
}

fn named(tenant: u32, error: SealError) -> RecordError {
    match error {
        SealError::Malformed | SealError::NotAuthentic => corrupt(tenant, "are not what was written"),
        other => RecordError::Seal(other),
    }
}

fn corrupt(tenant: u32, what: &str) -> RecordError {
    RecordError::Corrupt { space: KEYS, detail: format!("the keys of tenant {tenant} {what}") }
}
