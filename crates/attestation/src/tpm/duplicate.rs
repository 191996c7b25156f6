//! Wrapping an HMAC key for TPM2_Import under a device's storage root key (TPM 2.0 Part 1, "Duplication"; Part 3, 13.3).
//!
//! Two wrappers: the outer one by a seed that the storage root key recovers, the inner one by the key that the credential carries. The
//! outer alone would bind the key to whatever storage key the device claimed; the inner alone would let it out in the clear.

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::{
    NameHash, StorageKey, TpmError, cipher, kdf,
    octets::{put_sized, sized},
    seed,
};

/// The three arguments of TPM2_Import besides the inner key, without their size fields.
pub(super) struct Duplicate {
    /// TPMT_PUBLIC of the HMAC key.
    pub public: Vec<u8>,
    /// TPM2B_PRIVATE's content.
    pub private: Vec<u8>,
    /// TPM2B_ENCRYPTED_SECRET's content.
    pub encrypted_seed: Vec<u8>,
}

/// The HMAC key's own name algorithm and scheme: SHA-256, since .NET's device library signs with nothing else.
const KEY_HASH: NameHash = NameHash::Sha256;
const ALG_KEYEDHASH: u16 = 0x0008;
const ALG_HMAC: u16 = 0x0005;
/// userWithAuth, noDA, sign (TPMA_OBJECT). fixedTPM, fixedParent and sensitiveDataOrigin have to be clear for an import.
const ATTRIBUTES: u32 = 0x0000_0040 | 0x0000_0400 | 0x0004_0000;

/// Wraps `key` for import under `parent`, the inner wrapper by `inner_key` (16 bytes: the C client imports with AES-128 and nothing
/// else; azure-iot-sdk-c: adapters/hsm_client_tpm.c).
pub(super) fn wrap(parent: &StorageKey, inner_key: &[u8], key: &[u8]) -> Result<Duplicate, TpmError> {
    let mut obfuscation = Zeroizing::new([0; 32]);
    rand::fill(obfuscation.as_mut_slice()).map_err(|_| TpmError::Crypto)?;
    let public = public_area(obfuscation.as_slice(), key)?;
    let name = KEY_HASH.name_of(&public);
    let sensitive = sensitive_area(obfuscation.as_slice(), key)?;
    let inner = inner_wrap(&name, &sensitive, inner_key)?;
    let (private, encrypted_seed) = outer_wrap(parent, &name, inner)?;
    Ok(Duplicate { public, private, encrypted_seed })
}

/// TPMT_PUBLIC. The policy is empty, so that TPM2_Duplicate can never be authorised and the key cannot leave the TPM again; the cloud's
/// sample server sets PolicyCommandCode(TPM2_Duplicate) instead, which the device's owner can satisfy
/// (microsoft/TSS.MSR: TSS.Java/src/samples/DrsServer.java).
fn public_area(obfuscation: &[u8], key: &[u8]) -> Result<Vec<u8>, TpmError> {
    let mut area = Vec::new();
    area.extend_from_slice(&ALG_KEYEDHASH.to_be_bytes());
    area.extend_from_slice(&KEY_HASH.id().to_be_bytes());
    area.extend_from_slice(&ATTRIBUTES.to_be_bytes());
    put_sized(&mut area, &[])?;
    area.extend_from_slice(&ALG_HMAC.to_be_bytes());
    area.extend_from_slice(&KEY_HASH.id().to_be_bytes());
    put_sized(&mut area, &kdf::hash(KEY_HASH, &[obfuscation, key]))?;
    Ok(area)
}

/// TPM2B_SENSITIVE, with an empty authorisation: clients use the key with an empty password.
fn sensitive_area(obfuscation: &[u8], key: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
    let mut area = Zeroizing::new(ALG_KEYEDHASH.to_be_bytes().to_vec());
    put_sized(&mut area, &[])?;
    put_sized(&mut area, obfuscation)?;
    put_sized(&mut area, key)?;
    sized(&area).map(Zeroizing::new)
}

fn inner_wrap(name: &[u8], sensitive: &[u8], inner_key: &[u8]) -> Result<Vec<u8>, TpmError> {
    let mut inner = sized(&kdf::hash(KEY_HASH, &[sensitive, name]))?;
    inner.extend_from_slice(sensitive);
    cipher::cfb_encrypt(inner_key, &mut inner)?;
    Ok(inner)
}

fn outer_wrap(parent: &StorageKey, name: &[u8], mut data: Vec<u8>) -> Result<(Vec<u8>, Vec<u8>), TpmError> {
    let hash = parent.name_hash();
    let shared = seed::share(parent, "DUPLICATE")?;
    let symmetric = kdf::kdfa(hash, &shared.seed, "STORAGE", name, parent.symmetric_bits());
    cipher::cfb_encrypt(&symmetric, &mut data)?;
    let integrity_key = kdf::kdfa(hash, &shared.seed, "INTEGRITY", &[], hash.bits());
    let mut private = sized(&kdf::mac(hash, &integrity_key, &[&data, name]))?;
    private.extend_from_slice(&data);
    Ok((private, shared.encrypted))
}
