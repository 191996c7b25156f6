//! Proof by a TPM 2.0: only the TPM whose endorsement key is enrolled can recover the key that signs the device's token.
//!
//! 1. The device sends its endorsement key (EK) and storage root key (SRK). [`Claim::check`] compares them with the enrollment.
//! 2. The service makes a session key, remembers it, and answers with [`Claim::activation_blob`]: the key, wrapped so that only a TPM
//!    that holds both the EK and that SRK can import it, and nobody can read it out again.
//! 3. The device signs a SAS token inside its TPM with that key; [`prove`] checks it.
//!
//! Once assigned, the device gets its hub key by the same kind of blob. No TPM is needed on the server: both TPM2_MakeCredential and the
//! wrapping for TPM2_Import are public-key operations, done here with AWS-LC after the Trusted Computing Group's specification
//! (TPM 2.0 Library, Part 1: clauses "Credential Protection", "Protected Storage", "Duplication"; Part 2 for the structures).
//! The vouching for the EK is the operator's, who enrolled it: devices do not send an EK certificate, but an operator
//! may have one checked when enrolling ([`check_ek_certificate`]).

mod blob;
mod cipher;
mod claim;
mod credential;
mod duplicate;
mod ek_certificate;
mod kdf;
mod octets;
mod public_area;
mod registration_id;
mod seed;

use std::fmt;

pub use blob::{HMAC_KEY_BYTES, URI_BYTES_MAX};
pub use claim::{Claim, prove};
pub use ek_certificate::{AUTHORITIES_MAX, EkCertificateError, check_ek_certificate};
pub use public_area::{NameHash, PUBLIC_BYTES_MAX, StorageKey};
pub use registration_id::registration_id;

/// Why a TPM's key cannot be used, or why nothing could be wrapped for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TpmError {
    /// Not base64.
    NotBase64,
    /// Larger than [`PUBLIC_BYTES_MAX`].
    TooLarge,
    /// A size says more than there is, or something follows the end.
    Sizes,
    /// Neither RSA nor ECC.
    KeyType,
    /// The name algorithm is neither SHA-256 nor SHA-384.
    NameAlgorithm,
    /// An attribute is missing that keeps secrets inside the TPM, or one is set that does not go with a storage key.
    Attributes,
    /// The policy is neither empty nor a digest.
    Policy,
    /// Not AES-128 or AES-256 in CFB mode.
    SymmetricAlgorithm,
    /// A storage key has no scheme of its own.
    Scheme,
    /// The RSA key does not have 2048, 3072 or 4096 bits, or its exponent is not 65537.
    RsaKey,
    /// The curve is neither P-256 nor P-384, or the point is not on it.
    EccKey,
    /// What is to be wrapped is too long.
    SecretTooLong,
    /// The cryptographic library refused.
    Crypto,
}

impl fmt::Display for TpmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotBase64 => "it is not base64",
            Self::TooLarge => "it is too large for a TPM2B_PUBLIC",
            Self::Sizes => "the sizes inside do not add up to a TPM2B_PUBLIC",
            Self::KeyType => "the key is neither RSA nor ECC",
            Self::NameAlgorithm => "the name algorithm is neither SHA-256 nor SHA-384",
            Self::Attributes => "the attributes are not those of a storage key that cannot leave its TPM",
            Self::Policy => "the policy is neither empty nor a digest of the name algorithm",
            Self::SymmetricAlgorithm => "the symmetric algorithm is not AES-128 or AES-256 in CFB mode",
            Self::Scheme => "the key has a scheme, which a storage key must not have",
            Self::RsaKey => "the RSA key does not have 2048, 3072 or 4096 bits and the exponent 65537",
            Self::EccKey => "the ECC key is not a point on P-256 or P-384",
            Self::SecretTooLong => "the secret is too long to be wrapped",
            Self::Crypto => "the cryptographic library refused the key",
        })
    }
}

impl std::error::Error for TpmError {}
