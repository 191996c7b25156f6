//! One tenant's records.

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::rand;
use serde::{Serialize, de::DeserializeOwned};
use usher_seal::{MasterKeys, SealError, TenantKeys};
use usher_store::{Expect, Key, Op, Range, Space, Store, Stored, TenantId};

use crate::{RecordError, tenant_keys};

/// First byte of a record's text. A later shape gets a later number and a way to read the earlier.
const TEXT_VERSION: u8 = 1;
/// Deepest that a record may nest: what serde_json reads again.
const NESTING_MAX: usize = 127;

/// A value with the ETag it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Changes with every write; never 0.
    pub etag: u64,
}

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The records, with their keys.
    pub items: Vec<(Vec<u8>, Versioned<T>)>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Vec<u8>>,
}

/// One tenant's view of the store. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    masters: MasterKeys,
    /// Read again where a record was sealed with a data key that another node added since.
    keys: RwLock<Arc<TenantKeys>>,
    tenant: TenantId,
}

impl Vault {
    /// Opens a tenant's vault; makes its keys where it has none yet. Safe against another node doing the same.
    pub async fn open_tenant(store: Arc<dyn Store>, masters: impl Into<MasterKeys>, tenant: TenantId) -> Result<Self, RecordError> {
        let masters = masters.into();
        let keys = tenant_keys::open_or_make(store.as_ref(), &masters, tenant).await?;
        Ok(Self(Arc::new(Inner { store, masters, keys: RwLock::new(Arc::new(keys)), tenant })))
    }

    /// Gives the tenant a fresh data key, which seals from now on, here at once, on other nodes as soon as they meet it. What older ones
    /// sealed stays readable. Returns how many data keys there are.
    ///
    /// # Errors
    /// [`SealError::TooManyKeys`] where there are as many as there may be.
    pub async fn renew_data_key(&self) -> Result<usize, RecordError> {
        let count = tenant_keys::renew(self.0.store.as_ref(), &self.0.masters, self.0.tenant).await?;
        self.read_keys_again().await?;
        Ok(count)
    }

    pub(crate) async fn read_keys_again(&self) -> Result<(), RecordError> {
        let keys = tenant_keys::open_or_make(self.0.store.as_ref(), &self.0.masters, self.0.tenant).await?;
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// Whose records these are.
    pub fn tenant(&self) -> TenantId {
        self.0.tenant
    }

    /// The key of a record by its name. ASCII case does not matter.
    pub fn key(&self, space: Space, name: &str) -> Key {
        self.key_of_bytes(space, name.to_ascii_lowercase().as_bytes())
    }

    /// The key of a record whose name is bytes, taken as they are.
    pub fn key_of_bytes(&self, space: Space, name: &[u8]) -> Key {
        Key { space, tenant: self.0.tenant, key: self.blind(space, name).to_vec() }
    }

    /// The key of a record listed under a parent; both names are folded.
    pub fn child(&self, space: Space, parent: &str, name: &str) -> Key {
        self.child_of_bytes(space, parent.to_ascii_lowercase().as_bytes(), name)
    }

    /// The key of a record listed under a parent whose name is bytes.
    pub fn child_of_bytes(&self, space: Space, parent: &[u8], name: &str) -> Key {
        let mut key = self.blind(space, parent).to_vec();
        key.extend_from_slice(&self.blind(space, name.to_ascii_lowercase().as_bytes()));
        Key { space, tenant: self.0.tenant, key }
    }

    /// The prefix under which a parent's records are listed.
    pub fn parent_prefix(&self, space: Space, parent: &str) -> Vec<u8> {
        self.parent_prefix_of_bytes(space, parent.to_ascii_lowercase().as_bytes())
    }

    /// The same for a parent whose name is bytes.
    pub fn parent_prefix_of_bytes(&self, space: Space, parent: &[u8]) -> Vec<u8> {
        self.blind(space, parent).to_vec()
    }

    fn blind(&self, space: Space, name: &[u8]) -> [u8; usher_seal::BLIND_BYTES] {
        self.keys().index().blind(space.0, name)
    }

    /// One record.
    pub async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<Versioned<T>>, RecordError> {
        let stored = self.0.store.get(key).await?;
        let Some(stored) = stored else { return Ok(None) };
        match self.open(key.space, &key.key, &stored) {
            Err(RecordError::Seal(SealError::UnknownKey { .. })) => {
                self.read_keys_again().await?;
                self.open(key.space, &key.key, &stored).map(Some)
            }
            outcome => outcome.map(Some),
        }
    }

    /// A page of the records under `prefix`, those after `after`. An empty prefix lists the whole space.
    pub async fn page<T: DeserializeOwned>(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page<T>, RecordError> {
        let limit = limit.clamp(1, usher_store::SCAN_MAX);
        let found = self.0.store.scan(Range { space, tenant: self.0.tenant, prefix, after, limit }).await?;
        let full = found.len() == limit;
        let open_all = || found.iter().map(|(key, stored)| self.open(space, key, stored).map(|value| (key.clone(), value)));
        let mut items: Result<Vec<_>, RecordError> = open_all().collect();
        if matches!(items, Err(RecordError::Seal(SealError::UnknownKey { .. }))) {
            self.read_keys_again().await?;
            items = open_all().collect();
        }
        let items = items?;
        let next = if full { items.last().map(|(key, _)| key.clone()) } else { None };
        Ok(Page { items, next })
    }

    /// A write for a commit, sealed to its place and to its new ETag, which is returned.
    pub fn put<T: Serialize>(&self, key: Key, expect: Expect, value: &T) -> Result<(Op, u64), RecordError> {
        let etag = new_etag()?;
        let mut text = vec![TEXT_VERSION];
        serde_json::to_writer(&mut text, value).map_err(|why| RecordError::Invalid(why.to_string()))?;
        if deepest(text.get(1..).unwrap_or_default()) > NESTING_MAX {
            return Err(RecordError::Invalid(format!("a record that nests deeper than {NESTING_MAX} levels could not be read again")));
        }
        let body = self.keys().seal(&place(self.0.tenant, key.space, &key.key, etag), &text)?;
        Ok((Op::Put { key, expect, etag, body }, etag))
    }

    /// All operations or none; durable before `Ok`.
    pub async fn commit(&self, ops: Vec<Op>) -> Result<(), RecordError> {
        Ok(self.0.store.commit(ops).await?)
    }

    /// A counter's value. Counters are not sealed: the name is blinded, the number alone tells nothing.
    pub async fn counter(&self, key: &Key) -> Result<i64, RecordError> {
        Ok(self.0.store.counter(key).await?)
    }

    pub(crate) fn keys(&self) -> Arc<TenantKeys> {
        Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn open<T: DeserializeOwned>(&self, space: Space, key: &[u8], stored: &Stored) -> Result<Versioned<T>, RecordError> {
        let corrupt = |detail: String| RecordError::Corrupt { space, detail };
        let text = self.keys().open(&place(self.0.tenant, space, key, stored.etag), &stored.body).map_err(|error| match error {
            SealError::Malformed | SealError::NotAuthentic => corrupt(error.to_string()),
            other => RecordError::Seal(other),
        })?;
        let (version, json) = text.split_first().ok_or_else(|| corrupt("an empty record".into()))?;
        if *version != TEXT_VERSION {
            return Err(corrupt(format!("a record of version {version}; this server reads version {TEXT_VERSION}")));
        }
        // The reason is not passed on: it may quote the record.
        let value = serde_json::from_slice(json).map_err(|_| corrupt("a record of another shape".into()))?;
        Ok(Versioned { value, etag: stored.etag })
    }
}

/// What a record is sealed to, so that it can be neither moved nor passed off as another version.
pub(crate) fn place(tenant: TenantId, space: Space, key: &[u8], etag: u64) -> Vec<u8> {
    let mut place = Vec::with_capacity(1 + 1 + 4 + 8 + key.len());
    place.push(TEXT_VERSION);
    place.push(space.0);
    place.extend_from_slice(&tenant.0.to_be_bytes());
    place.extend_from_slice(&etag.to_be_bytes());
    place.extend_from_slice(key);
    place
}

/// A random ETag: unlike a counter it does not repeat when a record is deleted and made again.
pub(crate) fn new_etag() -> Result<u64, RecordError> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| SealError::Module)?;
    Ok(u64::from_le_bytes(bytes).max(1))
}

/// How deep JSON text nests.
fn deepest(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in json {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_let_through_is_what_can_be_read_again() {
        for levels in 1..140 {
            let text = format!("{}\"[{{\\\"[\"{}", "[".repeat(levels), "]".repeat(levels));
            assert_eq!(deepest(text.as_bytes()), levels);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), levels <= NESTING_MAX, "{levels}");
        }
    }
}
