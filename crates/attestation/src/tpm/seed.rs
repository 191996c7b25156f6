//! A fresh seed that only the holder of a storage key can recover (TPM 2.0 Part 1, annexes B.4 "RSAES_OAEP" and C.6.3 "ECC Secret Sharing").

use aws_lc_rs::{agreement, rand, rsa};
use zeroize::Zeroizing;

use super::{
    TpmError, kdf,
    octets::put_sized,
    public_area::{Curve, NameHash, PublicKey, RSA_EXPONENT, StorageKey},
};

/// A seed and what to send so that the TPM finds it.
pub(super) struct SharedSeed {
    /// As long as a digest of the storage key's name algorithm.
    pub seed: Zeroizing<Vec<u8>>,
    /// The content of a TPM2B_ENCRYPTED_SECRET.
    pub encrypted: Vec<u8>,
}

/// Shares a fresh seed with `key`. The label, to which a NUL is added, separates the uses.
pub(super) fn share(key: &StorageKey, label: &str) -> Result<SharedSeed, TpmError> {
    match key.key() {
        PublicKey::Rsa { modulus } => by_oaep(key.name_hash(), modulus, label),
        PublicKey::Ecc { curve, x, y } => by_agreement(key.name_hash(), *curve, x, y, label),
    }
}

fn by_oaep(hash: NameHash, modulus: &[u8], label: &str) -> Result<SharedSeed, TpmError> {
    let exponent = RSA_EXPONENT.to_be_bytes();
    let exponent = exponent.get(1..).ok_or(TpmError::RsaKey)?;
    let key: rsa::PublicEncryptingKey = rsa::PublicKeyComponents { n: modulus, e: exponent }.try_into().map_err(|_| TpmError::RsaKey)?;
    let key = rsa::OaepPublicEncryptingKey::new(key).map_err(|_| TpmError::RsaKey)?;
    let mut seed = Zeroizing::new(vec![0; hash.bytes()]);
    rand::fill(&mut seed).map_err(|_| TpmError::Crypto)?;
    let label = [label.as_bytes(), &[0]].concat();
    let mut encrypted = vec![0; key.ciphertext_size()];
    let written = key.encrypt(hash.oaep(), &seed, &mut encrypted, Some(&label)).map_err(|_| TpmError::Crypto)?.len();
    encrypted.truncate(written);
    Ok(SharedSeed { seed, encrypted })
}

fn by_agreement(hash: NameHash, curve: Curve, x: &[u8], y: &[u8], label: &str) -> Result<SharedSeed, TpmError> {
    let algorithm = match curve {
        Curve::P256 => &agreement::ECDH_P256,
        Curve::P384 => &agreement::ECDH_P384,
    };
    let ephemeral = agreement::PrivateKey::generate(algorithm).map_err(|_| TpmError::Crypto)?;
    let public = ephemeral.compute_public_key().map_err(|_| TpmError::Crypto)?;
    // Uncompressed point: 04, x, y.
    let (own_x, own_y) = public.as_ref().get(1..).and_then(|point| point.split_at_checked(curve.bytes())).ok_or(TpmError::Crypto)?;
    let peer = [&[4], x, y].concat();
    let seed = agreement::agree(&ephemeral, agreement::UnparsedPublicKey::new(algorithm, &peer), TpmError::EccKey, |z| {
        Ok(kdf::kdfe(hash, z, label, own_x, x, hash.bits()))
    })?;
    let mut encrypted = Vec::with_capacity(curve.bytes().saturating_mul(2).saturating_add(4));
    put_sized(&mut encrypted, own_x)?;
    put_sized(&mut encrypted, own_y)?;
    Ok(SharedSeed { seed, encrypted })
}
