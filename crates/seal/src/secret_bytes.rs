//! Key material in memory.

use std::fmt;

use aws_lc_rs::{constant_time, rand};
use zeroize::Zeroizing;

use crate::SealError;

/// 32 secret bytes: wiped on drop, without a readable `Debug`.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<[u8; 32]>);

impl SecretBytes {
    /// Fresh random bytes.
    pub fn generate() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| SealError::Module)?;
        Ok(Self(bytes))
    }

    /// Takes over 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In constant time.
impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.expose(), other.expose()).is_ok()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn secrets_compare_by_value_and_show_nothing() {
        let secret = SecretBytes::from_slice(&[0x5a; 32]).unwrap();
        assert_eq!(secret, SecretBytes::from_slice(&[0x5a; 32]).unwrap());
        assert_ne!(secret, SecretBytes::generate().unwrap());
        assert_eq!(format!("{secret:?}"), "SecretBytes(…)");
        assert_eq!(SecretBytes::from_slice(&[0; 31]), None);
    }
}
