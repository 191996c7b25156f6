//! Which key in which token.

use std::{fmt, path::PathBuf};

use cryptoki::types::AuthPin;

/// A user PIN: wiped when it is dropped, never shown.
#[derive(Clone)]
pub struct Pin(pub(crate) AuthPin);

impl Pin {
    /// Takes over a PIN.
    pub fn new(pin: &str) -> Self {
        Self(AuthPin::from(pin.to_owned()))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

/// Which key in which token, and how to get to it.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// The maker's PKCS#11 library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The key's label.
    pub key: String,
    /// The user PIN.
    pub pin: Pin,
}

impl TokenSettings {
    pub(crate) fn describe(&self) -> String {
        format!("token {}, key {}", self.token, self.key)
    }
}
