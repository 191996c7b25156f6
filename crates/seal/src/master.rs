//! The master key.

use std::{fmt, path::Path, sync::Arc};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{HeldKey, KeyError, SealError, SecretBytes, key_file};

/// A master key's check, in bytes: enough to tell keys apart, and no help in finding one.
pub const CHECK_BYTES: usize = 8;

/// The key that wraps every tenant's keys. Losing it loses the data. Cheap to clone.
#[derive(Clone)]
pub struct MasterKey {
    pub(crate) kind: MasterKind,
    origin: Arc<str>,
}

/// Where a master key is.
#[derive(Clone)]
pub(crate) enum MasterKind {
    /// Here in memory.
    Plain(SecretBytes),
    /// In a token.
    Held(Arc<dyn HeldKey>),
}

impl MasterKey {
    /// A fresh key.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn generate() -> Result<Self, SealError> {
        SecretBytes::generate().map(Self::plain)
    }

    /// Reads base64 of 32 bytes, white space around it allowed.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        SecretBytes::from_slice(&bytes).map(Self::plain)
    }

    /// Reads the key from a file that only its owner may read; makes it first where it is missing and `create` says so. Short for
    /// [`crate::KeyFile`].
    ///
    /// # Errors
    /// Where the file is missing, exposed or not a key.
    pub fn from_file(path: &Path, create: bool) -> Result<Self, KeyError> {
        Ok(key_file::read(path, create)?.told(format!("file {}", path.display())))
    }

    /// A key that stays in its token.
    pub fn held(key: Arc<dyn HeldKey>) -> Self {
        let origin = key.describe().into();
        Self { kind: MasterKind::Held(key), origin }
    }

    fn plain(bytes: SecretBytes) -> Self {
        Self { kind: MasterKind::Plain(bytes), origin: "memory".into() }
    }

    /// The same, with where it came from.
    pub(crate) fn told(self, origin: String) -> Self {
        Self { origin: origin.into(), ..self }
    }

    /// Where it came from, for people: a file, a variable, a token.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The key as a key file holds it; `None` for one that stays in its token. Show it to nobody.
    pub fn to_base64(&self) -> Option<Zeroizing<String>> {
        self.bytes().map(|bytes| Zeroizing::new(STANDARD.encode(bytes.expose())))
    }

    /// Whether wrapping and unwrapping ask a token, and so may block for seconds.
    pub fn is_held(&self) -> bool {
        matches!(self.kind, MasterKind::Held(_))
    }

    pub(crate) fn bytes(&self) -> Option<&SecretBytes> {
        match &self.kind {
            MasterKind::Plain(bytes) => Some(bytes),
            MasterKind::Held(_) => None,
        }
    }

    /// Tells this key from others, beside what it wraps. Of a key in memory: HMAC-SHA-256 of a fixed text, cut short.
    pub fn check(&self) -> [u8; CHECK_BYTES] {
        let bytes = match &self.kind {
            MasterKind::Held(key) => return key.check(),
            MasterKind::Plain(bytes) => bytes,
        };
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes.expose()), b"usher master key check");
        let mut check = [0; CHECK_BYTES];
        for (out, byte) in check.iter_mut().zip(tag.as_ref()) {
            *out = *byte;
        }
        check
    }
}

/// Where it came from, never what it is.
impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.origin)
    }
}
