//! AES in CFB mode with an IV of zeros, as the TPM protects what leaves it (TPM 2.0 Part 1, "Symmetric Encryption"): each key is used for
//! one message, so the fixed IV does no harm.

use aws_lc_rs::{
    cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey},
    iv::FixedLength,
};

use super::TpmError;

/// Encrypts in place; the key has 16 or 32 bytes.
pub(super) fn cfb_encrypt(key: &[u8], data: &mut [u8]) -> Result<(), TpmError> {
    let algorithm = match key.len() {
        16 => &AES_128,
        32 => &AES_256,
        _ => return Err(TpmError::SymmetricAlgorithm),
    };
    let key = UnboundCipherKey::new(algorithm, key).and_then(EncryptingKey::cfb128).map_err(|_| TpmError::Crypto)?;
    let iv = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    key.less_safe_encrypt(data, iv).map(|_| ()).map_err(|_| TpmError::Crypto)
}
