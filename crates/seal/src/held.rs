//! A master key that stays where it is: in a token, which wraps other keys and never gives its own away.

use crate::{SealError, SecretBytes, master::CHECK_BYTES};

/// A key in a hardware module. Calls may take long and block; each has a time-out of its own.
pub trait HeldKey: Send + Sync {
    /// Tells this key from others, wherever it is kept: the same key in another token has the same check.
    fn check(&self) -> [u8; CHECK_BYTES];

    /// Where it is, for people.
    fn describe(&self) -> String;

    /// `key` encrypted and authenticated by the token, bound to `place`.
    ///
    /// # Errors
    /// [`SealError::Unreachable`] where the token does not answer.
    fn wrap(&self, place: &[u8], key: &SecretBytes) -> Result<Vec<u8>, SealError>;

    /// The key that was wrapped for `place`.
    ///
    /// # Errors
    /// [`SealError::NotAuthentic`] where it was wrapped under another key, for another place, or altered; [`SealError::Unreachable`]
    /// where the token does not answer.
    fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretBytes, SealError>;
}
