//! Symmetric keys: their text form, their length rule and the derivation of a device's key from a group's.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use usher_domain::limits::{KEY_BYTES_MAX, KEY_BYTES_MIN};
use zeroize::Zeroizing;

/// Why a text is not a symmetric key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyError {
    /// Not base64 (RFC 4648 section 4, with padding).
    NotBase64,
    /// Fewer than [`KEY_BYTES_MIN`] or more than [`KEY_BYTES_MAX`] bytes.
    Length(usize),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBase64 => f.write_str("the symmetric key must be base64"),
            Self::Length(bytes) => {
                write!(f, "the symmetric key must decode to {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes, this one has {bytes}")
            }
        }
    }
}

impl std::error::Error for KeyError {}

/// Decodes a key. The rule of [`check_key`] is not applied, so that a key once accepted stays usable whatever the rule becomes; but an
/// empty key is refused, for anyone could sign with it.
pub fn decode_key(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let key = STANDARD.decode(text).map(Zeroizing::new).map_err(|_| KeyError::NotBase64)?;
    if key.is_empty() { Err(KeyError::Length(0)) } else { Ok(key) }
}

/// Checks a key that an operator wants to store: base64 of 16 to 64 bytes (MicrosoftDocs/azure-docs:
/// articles/iot-dps/concepts-symmetric-key-attestation.md).
pub fn check_key(text: &str) -> Result<(), KeyError> {
    let key = decode_key(text)?;
    if (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) { Ok(()) } else { Err(KeyError::Length(key.len())) }
}

/// The key of one device in a group: HMAC-SHA-256 of its registration ID under the group's key, both as bytes
/// (azure-iot-sdk-csharp: ComputeDerivedSymmetricKeySample/ComputeDerivedKeySample.cs).
pub fn derive_device_key(group_key: &[u8], registration_id: &str) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, group_key), registration_id.as_bytes());
    let mut key = [0; 32];
    key.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    key
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_group_device_key_is_the_hmac_of_the_registration_id() {
        // RFC 4231 section 4.3, test case 2, which has the shape of a derivation: a short key and a text.
        let key = derive_device_key(b"Jefe", "what do ya want for nothing?");
        assert_eq!(usher_domain::ids::hex(&key), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn stored_keys_have_16_to_64_bytes() {
        for good in [16, 32, 64] {
            assert_eq!(check_key(&STANDARD.encode(vec![1; good])), Ok(()));
        }
        for bad in [0, 15, 65] {
            assert_eq!(check_key(&STANDARD.encode(vec![1; bad])), Err(KeyError::Length(bad)));
        }
        assert_eq!(check_key("not base64!"), Err(KeyError::NotBase64));
        assert_eq!(decode_key(""), Err(KeyError::Length(0)));
        assert_eq!(decode_key("AAEC").unwrap().as_slice(), [0, 1, 2]);
    }
}
