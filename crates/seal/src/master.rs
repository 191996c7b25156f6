//! The master key.

use std::path::Path;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{KeyError, SealError, SecretBytes, key_file};

/// A master key's check, in bytes: enough to tell keys apart, and no help in finding one.
pub(crate) const CHECK_BYTES: usize = 8;

/// The key that wraps every tenant's keys. Losing it loses the data.
#[derive(Clone, Debug)]
pub struct MasterKey(SecretBytes);

impl MasterKey {
    /// A fresh key.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn generate() -> Result<Self, SealError> {
        SecretBytes::generate().map(Self)
    }

    /// Reads base64 of 32 bytes, white space around it allowed.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        SecretBytes::from_slice(&bytes).map(Self)
    }

    /// The key as a key file holds it. Show it to nobody.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.expose()))
    }

    /// Reads the key from a file that only its owner may read; makes it first where it is missing and `create` says so. Short for
    /// [`crate::KeyFile`].
    ///
    /// # Errors
    /// Where the file is missing, exposed or not a key.
    pub fn from_file(path: &Path, create: bool) -> Result<Self, KeyError> {
        key_file::read(path, create)
    }

    /// Whether the other is the same key, in constant time.
    pub fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// A key that authenticates data for one purpose, and tells nothing about this one: HMAC-SHA-256 of the purpose's name.
    pub fn authentication_key(&self, purpose: &str) -> hmac::Key {
        let root = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose());
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, &[b"usher authentication: ", purpose.as_bytes()].concat()).as_ref())
    }

    pub(crate) fn key(&self) -> &SecretBytes {
        &self.0
    }

    /// Tells this key from others, beside what it wraps: HMAC-SHA-256 of a fixed text, cut short.
    pub(crate) fn check(&self) -> [u8; CHECK_BYTES] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.0.expose()), b"usher master key check");
        let mut check = [0; CHECK_BYTES];
        for (out, byte) in check.iter_mut().zip(tag.as_ref()) {
            *out = *byte;
        }
        check
    }
}
