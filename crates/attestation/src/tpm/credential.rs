//! What TPM2_MakeCredential does (TPM 2.0 Part 1, "Credential Protection"; Part 3, 12.6), without a TPM: a secret that comes out of
//! TPM2_ActivateCredential only in the TPM that holds the endorsement key, and only while an object of the given name is loaded there.

use super::{
    StorageKey, TpmError, cipher, kdf,
    octets::{put_sized, sized},
    seed,
};

/// Both contents go into a TPM2B each.
pub(super) struct Credential {
    /// TPMS_ID_OBJECT.
    pub id_object: Vec<u8>,
    /// TPM2B_ENCRYPTED_SECRET's content.
    pub encrypted_secret: Vec<u8>,
}

/// Wraps `secret`, at most as long as a digest of the endorsement key's name algorithm.
pub(super) fn make(endorsement_key: &StorageKey, object_name: &[u8], secret: &[u8]) -> Result<Credential, TpmError> {
    let hash = endorsement_key.name_hash();
    if secret.len() > hash.bytes() {
        return Err(TpmError::SecretTooLong);
    }
    let shared = seed::share(endorsement_key, "IDENTITY")?;
    let symmetric = kdf::kdfa(hash, &shared.seed, "STORAGE", object_name, endorsement_key.symmetric_bits());
    let mut identity = sized(secret)?;
    cipher::cfb_encrypt(&symmetric, &mut identity)?;
    let integrity_key = kdf::kdfa(hash, &shared.seed, "INTEGRITY", &[], hash.bits());
    let integrity = kdf::mac(hash, &integrity_key, &[&identity, object_name]);
    let mut id_object = Vec::new();
    put_sized(&mut id_object, &integrity)?;
    id_object.extend_from_slice(&identity);
    Ok(Credential { id_object, encrypted_secret: shared.encrypted })
}
