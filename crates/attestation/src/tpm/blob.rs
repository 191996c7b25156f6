//! The `authenticationKey` that devices activate: six sized parts, one after the other (azure-iot-sdk-c: adapters/hsm_client_tpm.c,
//! insert_key_in_tpm; azure-iot-sdk-node: azure-iot-security-tpm/dist/tpm.js; azure-iot-sdk-csharp:
//! security/tpm/src/SecurityProviderTpmHsm.cs).

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::{StorageKey, TpmError, cipher, credential, duplicate, octets::put_sized};

/// Bytes of the key inside, for which SHA-256 is the hash.
pub const HMAC_KEY_BYTES: usize = 32;
/// Longest text in the sixth part, in bytes. With RSA-2048 keys the blob then has at most 906 bytes; over AMQP it has to fit into two SASL
/// frames of 470 bytes (azure-iot-sdk-c: prov_sasl_tpm.c).
pub const URI_BYTES_MAX: usize = 140;

/// 16 bytes, since the C client imports with AES-128.
const INNER_KEY_BYTES: usize = 16;

/// Wraps `hmac_key` for the TPM that holds both keys. `uri` goes along, encrypted under the inner key; clients read past it, but some
/// expect it not to be empty (azure-iot-sdk-java: SecurityProviderTPMEmulator.java decrypts it).
pub(super) fn activation_blob(
    endorsement_key: &StorageKey,
    storage_root_key: &StorageKey,
    hmac_key: &[u8; HMAC_KEY_BYTES],
    uri: &str,
) -> Result<Vec<u8>, TpmError> {
    if uri.len() > URI_BYTES_MAX {
        return Err(TpmError::SecretTooLong);
    }
    let mut inner_key = Zeroizing::new([0; INNER_KEY_BYTES]);
    rand::fill(inner_key.as_mut_slice()).map_err(|_| TpmError::Crypto)?;
    let credential = credential::make(endorsement_key, &storage_root_key.name(), inner_key.as_slice())?;
    let wrapped = duplicate::wrap(storage_root_key, inner_key.as_slice(), hmac_key)?;
    let mut uri = uri.as_bytes().to_vec();
    cipher::cfb_encrypt(inner_key.as_slice(), &mut uri)?;
    let parts = [&credential.id_object, &credential.encrypted_secret, &wrapped.private, &wrapped.encrypted_seed, &wrapped.public, &uri];
    let mut blob = Vec::with_capacity(1024);
    for part in parts {
        put_sized(&mut blob, part)?;
    }
    Ok(blob)
}
