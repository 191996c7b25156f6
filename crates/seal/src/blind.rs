//! The blind index: names become keys that tell nothing, yet are found again.

use aws_lc_rs::hmac;

use crate::SecretBytes;

/// A blinded name, in bytes. For 10^8 names the chance of any two meeting is about 10^-23.
pub const BLIND_BYTES: usize = 16;

/// Blinds names. It cannot be rotated without rewriting every key, so it is apart from the data keys.
#[derive(Clone)]
pub struct IndexKey {
    bytes: SecretBytes,
    key: hmac::Key,
}

impl IndexKey {
    pub(crate) fn new(bytes: SecretBytes) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes.expose());
        Self { bytes, key }
    }

    pub(crate) fn bytes(&self) -> &SecretBytes {
        &self.bytes
    }

    /// Blinds `name` within a space: the same name in two spaces has nothing in common.
    pub fn blind(&self, space: u8, name: &[u8]) -> [u8; BLIND_BYTES] {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(&[space, 0]);
        mac.update(name);
        let tag = mac.sign();
        let mut blinded = [0; BLIND_BYTES];
        for (out, byte) in blinded.iter_mut().zip(tag.as_ref()) {
            *out = *byte;
        }
        blinded
    }
}
