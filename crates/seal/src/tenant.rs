//! A tenant's keys: made once, wrapped under the master key, unwrapped at start.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::{
    IndexKey, MasterKey, SealError, SecretBytes, wrapped,
    xaes::{self, NONCE_BYTES, TAG_BYTES},
};

/// First byte of a sealed record.
const RECORD_VERSION: u8 = 1;
/// First byte of the ring of keys, inside the wrapping.
const RING_VERSION: u8 = 1;
/// `version (1) || data key (4) || nonce (24)`
const FRAME_BYTES: usize = 1 + 4 + NONCE_BYTES;

/// A data key on the ring: `number (4) || key (32)`.
pub(crate) const ENTRY_BYTES: usize = 4 + 32;
/// What comes before them: `version (1) || index key (32)`.
pub(crate) const RING_HEAD_BYTES: usize = 1 + 32;
/// Data keys that a tenant may have had: renewed each month, they last for twenty years.
pub const DATA_KEYS_MAX: usize = 240;

/// A tenant's data keys and index key.
#[derive(Clone)]
pub struct TenantKeys {
    data: BTreeMap<u32, SecretBytes>,
    current: u32,
    index: IndexKey,
}

impl TenantKeys {
    /// Fresh keys.
    pub fn generate() -> Result<Self, SealError> {
        let index = IndexKey::new(SecretBytes::generate()?);
        Ok(Self { data: BTreeMap::from([(1, SecretBytes::generate()?)]), current: 1, index })
    }

    /// Adds a fresh data key and seals with it from now on. Older ones still open what they sealed.
    ///
    /// # Errors
    /// [`SealError::TooManyKeys`] after [`DATA_KEYS_MAX`].
    pub fn rotate_data_key(&mut self) -> Result<(), SealError> {
        if self.data.len() >= DATA_KEYS_MAX {
            return Err(SealError::TooManyKeys);
        }
        let next = self.current.checked_add(1).ok_or(SealError::Module)?;
        self.data.insert(next, SecretBytes::generate()?);
        self.current = next;
        Ok(())
    }

    /// Data keys on the ring.
    pub fn data_keys(&self) -> usize {
        self.data.len()
    }

    /// Blinds names.
    pub fn index(&self) -> &IndexKey {
        &self.index
    }

    /// A key that authenticates data for one purpose, and tells nothing about these. It stays the same when the
    /// master key or the data key changes. HMAC-SHA-256 of the purpose's name under the index key: no
    /// blinded name can be one, since a zero follows the space there.
    pub fn authentication_key(&self, purpose: &str) -> hmac::Key {
        let root = hmac::Key::new(hmac::HMAC_SHA256, self.index.bytes().expose());
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, &[b"usher authentication: ", purpose.as_bytes()].concat()).as_ref())
    }

    /// Seals a record: `version || data key || nonce || ciphertext || tag`, 45 bytes more than the text. `place` is bound to it.
    pub fn seal(&self, place: &[u8], text: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.data.get(&self.current).ok_or(SealError::UnknownKey { id: self.current })?;
        let mut body = Vec::with_capacity(text.len() + TAG_BYTES);
        body.extend_from_slice(text);
        let nonce = xaes::seal(key, place, &mut body)?;
        let mut sealed = Vec::with_capacity(FRAME_BYTES + body.len());
        sealed.push(RECORD_VERSION);
        sealed.extend_from_slice(&self.current.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens a record sealed for the same `place`.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Malformed)?;
        let (id, rest) = rest.split_first_chunk::<4>().ok_or(SealError::Malformed)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        if *version != RECORD_VERSION {
            return Err(SealError::Malformed);
        }
        let id = u32::from_be_bytes(*id);
        let key = self.data.get(&id).ok_or(SealError::UnknownKey { id })?;
        xaes::open(key, nonce, place, body.to_vec())
    }

    /// These keys, wrapped under the master key for `tenant`, in the shapes of [`crate::inspect`].
    ///
    /// # Errors
    /// Where the cryptographic module or the master key's token fails.
    pub fn wrap(&self, master: &MasterKey, tenant: u32) -> Result<Vec<u8>, SealError> {
        // With room for the tag, so that no plain copy is left behind by growing.
        let mut ring = Zeroizing::new(Vec::with_capacity(RING_HEAD_BYTES + self.data.len() * ENTRY_BYTES + TAG_BYTES));
        ring.push(RING_VERSION);
        ring.extend_from_slice(self.index.bytes().expose());
        for (id, key) in &self.data {
            ring.extend_from_slice(&id.to_be_bytes());
            ring.extend_from_slice(key.expose());
        }
        wrapped::wrap(master, &place(tenant), ring)
    }

    /// Keys wrapped for `tenant`.
    ///
    /// # Errors
    /// [`SealError::WrongMasterKey`] where another master key wrapped them, [`SealError::NotAuthentic`] where they were altered or are
    /// another tenant's, [`SealError::Unreachable`] where the master key's token does not answer.
    pub fn unwrap(master: &MasterKey, tenant: u32, wrapped: &[u8]) -> Result<Self, SealError> {
        let ring = wrapped::unwrap(master, &place(tenant), wrapped)?;
        let (version, rest) = ring.split_first().ok_or(SealError::Malformed)?;
        let (index, rest) = rest.split_first_chunk::<32>().ok_or(SealError::Malformed)?;
        if *version != RING_VERSION || rest.is_empty() || rest.len() % ENTRY_BYTES != 0 {
            return Err(SealError::Malformed);
        }
        let mut data = BTreeMap::new();
        for entry in rest.chunks_exact(ENTRY_BYTES) {
            let (id, key) = entry.split_first_chunk::<4>().ok_or(SealError::Malformed)?;
            data.insert(u32::from_be_bytes(*id), SecretBytes::from_slice(key).ok_or(SealError::Malformed)?);
        }
        let current = data.keys().next_back().copied().ok_or(SealError::Malformed)?;
        let index = IndexKey::new(SecretBytes::from_slice(index).ok_or(SealError::Malformed)?);
        Ok(Self { data, current, index })
    }
}

fn place(tenant: u32) -> Vec<u8> {
    [b"usher tenant keys".as_slice(), &tenant.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_opens_only_in_its_place_and_with_its_tenants_keys() {
        let (keys, others) = (TenantKeys::generate().unwrap(), TenantKeys::generate().unwrap());
        let sealed = keys.seal(b"here", b"text").unwrap();
        assert_eq!(keys.open(b"here", &sealed).unwrap(), b"text");
        assert_eq!(keys.open(b"there", &sealed), Err(SealError::NotAuthentic));
        assert_eq!(others.open(b"here", &sealed), Err(SealError::NotAuthentic));
    }

    #[test]
    fn truncated_and_foreign_versions_are_malformed() {
        let keys = TenantKeys::generate().unwrap();
        let mut sealed = keys.seal(b"", b"text").unwrap();
        for length in 0..FRAME_BYTES {
            assert_eq!(keys.open(b"", &sealed[..length]), Err(SealError::Malformed));
        }
        sealed[0] = 9;
        assert_eq!(keys.open(b"", &sealed), Err(SealError::Malformed));
    }

    #[test]
    fn older_data_keys_still_open_after_rotation_and_wrapping() {
        let master = MasterKey::generate().unwrap();
        let mut keys = TenantKeys::generate().unwrap();
        let old = keys.seal(b"", b"old").unwrap();
        keys.rotate_data_key().unwrap();
        let new = keys.seal(b"", b"new").unwrap();
        let again = TenantKeys::unwrap(&master, 7, &keys.wrap(&master, 7).unwrap()).unwrap();
        assert_eq!(again.open(b"", &old).unwrap(), b"old");
        assert_eq!(again.open(b"", &new).unwrap(), b"new");
        assert_eq!(again.index().blind(1, b"name"), keys.index().blind(1, b"name"));
    }

    #[test]
    fn a_wrong_master_key_is_told_apart_from_altered_and_foreign_keys() {
        let (master, other) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let wrapped = TenantKeys::generate().unwrap().wrap(&master, 7).unwrap();
        assert_eq!(TenantKeys::unwrap(&other, 7, &wrapped).err(), Some(SealError::WrongMasterKey));
        assert_eq!(TenantKeys::unwrap(&master, 8, &wrapped).err(), Some(SealError::NotAuthentic));
        for at in 1 + crate::CHECK_BYTES..wrapped.len() {
            let mut bent = wrapped.clone();
            bent[at] ^= 1;
            assert_eq!(TenantKeys::unwrap(&master, 7, &bent).err(), Some(SealError::NotAuthentic), "byte {at}");
        }
        for length in 0..wrapped.len() {
            assert!(TenantKeys::unwrap(&master, 7, &wrapped[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn wrapped_keys_hold_no_key_readably() {
        let (master, keys) = (MasterKey::generate().unwrap(), TenantKeys::generate().unwrap());
        let wrapped = keys.wrap(&master, 7).unwrap();
        for secret in [master.bytes().unwrap(), keys.index.bytes(), &keys.data[&1]] {
            assert!(!wrapped.windows(8).any(|window| secret.expose().windows(8).any(|part| part == window)));
        }
    }

    #[test]
    fn authentication_keys_differ_by_purpose_and_tenant_and_survive_rotations() {
        let (old, new) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let keys = TenantKeys::generate().unwrap();
        let tag = |keys: &TenantKeys, purpose: &str| hmac::sign(&keys.authentication_key(purpose), b"data").as_ref().to_vec();
        let mut again = TenantKeys::unwrap(&old, 0, &keys.wrap(&old, 0).unwrap()).unwrap();
        again.rotate_data_key().unwrap();
        let again = TenantKeys::unwrap(&new, 0, &again.wrap(&new, 0).unwrap()).unwrap();
        assert_eq!(tag(&keys, "one"), tag(&again, "one"));
        assert_ne!(tag(&keys, "one"), tag(&keys, "two"));
        assert_ne!(tag(&keys, "one"), tag(&TenantKeys::generate().unwrap(), "one"));
    }

    #[test]
    fn spaces_share_no_blinded_names() {
        let keys = TenantKeys::generate().unwrap();
        assert_ne!(keys.index().blind(1, b"name"), keys.index().blind(2, b"name"));
    }
}
