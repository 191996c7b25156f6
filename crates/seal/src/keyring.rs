//! The master keys of a process: one wraps, all of them open. So a new key can take over while nodes serve.

use std::sync::{Arc, PoisonError, RwLock};

use crate::{MasterKey, SealError, TenantKeys, inspect};

/// The master keys that a process has. Cheap to clone; clones change together.
#[derive(Clone, Debug)]
pub struct MasterKeys(Arc<RwLock<Arc<Ring>>>);

#[derive(Debug)]
struct Ring {
    current: MasterKey,
    others: Vec<MasterKey>,
}

impl Ring {
    fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.current).chain(&self.others)
    }
}

impl MasterKeys {
    /// `current` wraps; it and `others` open.
    pub fn new(current: MasterKey, others: Vec<MasterKey>) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(Ring { current, others }))))
    }

    /// Takes over the keys of `next`, here and in every clone.
    pub fn replace(&self, next: &Self) {
        let ring = next.ring();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ring;
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key that wraps.
    pub fn current(&self) -> MasterKey {
        self.ring().current.clone()
    }

    /// All keys, the current one first.
    pub fn all(&self) -> Vec<MasterKey> {
        self.ring().all().cloned().collect()
    }

    /// Whether any of them is in a token, so that wrapping and unwrapping may block for seconds.
    pub fn any_held(&self) -> bool {
        self.ring().all().any(MasterKey::is_held)
    }

    /// Wraps under the current key.
    ///
    /// # Errors
    /// Where the cryptographic module or the token fails.
    pub fn wrap(&self, keys: &TenantKeys, tenant: u32) -> Result<Vec<u8>, SealError> {
        keys.wrap(&self.current(), tenant)
    }

    /// Opens with whichever of the keys wrapped it: first those that say so, then the others.
    ///
    /// # Errors
    /// [`SealError::WrongMasterKey`] where none of them did, [`SealError::NotAuthentic`] where one did and the keys were altered since,
    /// [`SealError::Unreachable`] where its token does not answer.
    pub fn unwrap(&self, tenant: u32, wrapped: &[u8]) -> Result<TenantKeys, SealError> {
        let (check, ring) = (inspect(wrapped)?.check, self.ring());
        let (named, unnamed): (Vec<_>, Vec<_>) = ring.all().partition(|key| key.check() == check);
        let mut worst = SealError::WrongMasterKey;
        for key in named.into_iter().chain(unnamed) {
            match TenantKeys::unwrap(key, tenant, wrapped) {
                Err(SealError::WrongMasterKey) => {}
                Err(error) if worst == SealError::WrongMasterKey => worst = error,
                Err(_) => {}
                Ok(keys) => return Ok(keys),
            }
        }
        Err(worst)
    }
}

impl From<MasterKey> for MasterKeys {
    fn from(key: MasterKey) -> Self {
        Self::new(key, Vec::new())
    }
}

impl From<&MasterKey> for MasterKeys {
    fn from(key: &MasterKey) -> Self {
        key.clone().into()
    }
}

impl From<&MasterKeys> for MasterKeys {
    fn from(keys: &MasterKeys) -> Self {
        keys.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{HeldKey, SecretBytes, xaes};

    /// A token in memory, which can be pulled out.
    struct Token(SecretBytes, std::sync::atomic::AtomicBool);

    impl HeldKey for Token {
        fn check(&self) -> [u8; 8] {
            [7; 8]
        }

        fn describe(&self) -> String {
            "a token".into()
        }

        fn wrap(&self, place: &[u8], key: &SecretBytes) -> Result<Vec<u8>, SealError> {
            let mut text = key.expose().to_vec();
            let nonce = xaes::seal(&self.0, place, &mut text)?;
            Ok([nonce.as_slice(), &text].concat())
        }

        fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretBytes, SealError> {
            if self.1.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(SealError::Unreachable("pulled out".into()));
            }
            let (nonce, text) = wrapped.split_first_chunk().ok_or(SealError::NotAuthentic)?;
            SecretBytes::from_slice(&xaes::open(&self.0, nonce, place, text.to_vec())?).ok_or(SealError::Malformed)
        }
    }

    fn token() -> Arc<Token> {
        Arc::new(Token(SecretBytes::generate().unwrap(), false.into()))
    }

    #[test]
    fn all_keys_open_and_the_current_one_wraps() {
        let (old, new) = (MasterKey::generate().unwrap(), MasterKey::held(token()));
        let keys = TenantKeys::generate().unwrap();
        let (before, after) = (MasterKeys::from(&old), MasterKeys::new(new.clone(), vec![old.clone()]));
        let (under_old, under_new) = (before.wrap(&keys, 7).unwrap(), after.wrap(&keys, 7).unwrap());
        assert_eq!(inspect(&under_old).unwrap(), crate::Inspected { check: old.check(), held: false, data_keys: 1 });
        assert_eq!(inspect(&under_new).unwrap(), crate::Inspected { check: new.check(), held: true, data_keys: 1 });
        for wrapped in [&under_old, &under_new] {
            let opened = after.unwrap(7, wrapped).unwrap();
            assert_eq!(opened.open(b"", &keys.seal(b"", b"text").unwrap()).unwrap(), b"text");
            assert!(after.unwrap(8, wrapped).is_err(), "another tenant's");
        }
        assert_eq!(before.unwrap(7, &under_new).err(), Some(SealError::WrongMasterKey));
        let clone = before.clone();
        before.replace(&after);
        assert!(clone.unwrap(7, &under_new).is_ok() && clone.any_held());
    }

    #[test]
    fn a_token_that_is_gone_is_not_taken_for_a_wrong_key_nor_damage_for_either() {
        let token = token();
        let keys = MasterKeys::new(MasterKey::held(token.clone()), vec![MasterKey::generate().unwrap()]);
        let wrapped = keys.wrap(&TenantKeys::generate().unwrap(), 7).unwrap();
        for at in 1 + 8 + 2..wrapped.len() {
            let mut bent = wrapped.clone();
            bent[at] ^= 1;
            assert_eq!(keys.unwrap(7, &bent).err(), Some(SealError::NotAuthentic), "byte {at}");
        }
        for length in 0..wrapped.len() {
            assert!(keys.unwrap(7, &wrapped[..length]).is_err(), "{length} bytes");
        }
        token.1.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(keys.unwrap(7, &wrapped).err(), Some(SealError::Unreachable("pulled out".into())));
    }
}
