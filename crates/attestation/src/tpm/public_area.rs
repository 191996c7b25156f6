//! The public part of an endorsement key or storage root key: TPM2B_PUBLIC (TPM 2.0 Part 2, 12.2.5), read strictly.
//!
//! The attributes matter as much as the key: a key that may leave its TPM, or that anyone can decrypt with, protects nothing. TPM2_Load
//! and TPM2_CreatePrimary vouch for them inside the TPM, and the key's name, to which the credential is bound, covers them.

use std::fmt;

use aws_lc_rs::{digest, hmac, rsa};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    TpmError, kdf,
    octets::{Reader, sized},
};

/// Largest TPM2B_PUBLIC read, in bytes: an RSA-4096 key with a SHA-384 policy has some 600.
pub const PUBLIC_BYTES_MAX: usize = 1024;

/// The hash that a key's name and protections are made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameHash {
    /// TPM_ALG_SHA256.
    Sha256,
    /// TPM_ALG_SHA384.
    Sha384,
}

/// A restricted decryption key that cannot leave its TPM: an endorsement key or a storage root key.
#[derive(Clone, PartialEq, Eq)]
pub struct StorageKey {
    /// TPMT_PUBLIC, as it came: the name is a hash over it.
    area: Vec<u8>,
    name_hash: NameHash,
    symmetric_bits: u16,
    key: PublicKey,
}

/// The key itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    Rsa { modulus: Vec<u8> },
    Ecc { curve: Curve, x: Vec<u8>, y: Vec<u8> },
}

/// A curve, whose coordinates have a fixed length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Curve {
    P256,
    P384,
}

// TPM_ALG_ID and TPM_ECC_CURVE (TPM 2.0 Part 2, 6.3 and 6.4).
const ALG_RSA: u16 = 0x0001;
const ALG_AES: u16 = 0x0006;
const ALG_SHA256: u16 = 0x000b;
const ALG_SHA384: u16 = 0x000c;
const ALG_NULL: u16 = 0x0010;
const ALG_ECC: u16 = 0x0023;
const ALG_CFB: u16 = 0x0043;
const CURVE_P256: u16 = 0x0003;
const CURVE_P384: u16 = 0x0004;

/// fixedTPM, fixedParent, sensitiveDataOrigin, restricted, decrypt (TPMA_OBJECT, TPM 2.0 Part 2, 8.3).
const ATTRIBUTES_SET: u32 = 0x0000_0002 | 0x0000_0010 | 0x0000_0020 | 0x0001_0000 | 0x0002_0000;
/// encryptedDuplication, sign: neither goes with the above.
const ATTRIBUTES_CLEAR: u32 = 0x0000_0800 | 0x0004_0000;

/// The default exponent, which public areas write as zero.
pub(super) const RSA_EXPONENT: u32 = 65_537;

impl NameHash {
    fn from_id(id: u16) -> Result<Self, TpmError> {
        match id {
            ALG_SHA256 => Ok(Self::Sha256),
            ALG_SHA384 => Ok(Self::Sha384),
            _ => Err(TpmError::NameAlgorithm),
        }
    }

    /// TPM_ALG_ID.
    pub(super) fn id(self) -> u16 {
        match self {
            Self::Sha256 => ALG_SHA256,
            Self::Sha384 => ALG_SHA384,
        }
    }

    pub(super) fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
        }
    }

    pub(super) fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
        }
    }

    pub(super) fn oaep(self) -> &'static rsa::OaepAlgorithm {
        match self {
            Self::Sha256 => &rsa::OAEP_SHA256_MGF1SHA256,
            Self::Sha384 => &rsa::OAEP_SHA384_MGF1SHA384,
        }
    }

    pub(super) fn bits(self) -> u16 {
        match self {
            Self::Sha256 => 256,
            Self::Sha384 => 384,
        }
    }

    pub(super) fn bytes(self) -> usize {
        usize::from(self.bits() / 8)
    }

    /// The name of an object (TPM 2.0 Part 1, "Names"): the algorithm and the hash of the public area.
    pub(super) fn name_of(self, area: &[u8]) -> Vec<u8> {
        let mut name = self.id().to_be_bytes().to_vec();
        name.extend(kdf::hash(self, &[area]));
        name
    }
}

impl Curve {
    /// Bytes of a coordinate.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

impl StorageKey {
    /// Reads a TPM2B_PUBLIC, at most [`PUBLIC_BYTES_MAX`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmError> {
        if bytes.len() > PUBLIC_BYTES_MAX {
            return Err(TpmError::TooLarge);
        }
        let mut outer = Reader::new(bytes);
        let area = outer.sized()?;
        outer.end()?;
        let mut reader = Reader::new(area);
        let key_type = reader.u16()?;
        let name_hash = NameHash::from_id(reader.u16()?)?;
        check_attributes(reader.u32()?)?;
        let policy = reader.sized()?;
        if !policy.is_empty() && policy.len() != name_hash.bytes() {
            return Err(TpmError::Policy);
        }
        let symmetric_bits = read_symmetric(&mut reader)?;
        expect_null(&mut reader)?;
        let key = match key_type {
            ALG_RSA => read_rsa(&mut reader)?,
            ALG_ECC => read_ecc(&mut reader)?,
            _ => return Err(TpmError::KeyType),
        };
        reader.end()?;
        Ok(Self { area: area.to_vec(), name_hash, symmetric_bits, key })
    }

    /// Reads base64 of a TPM2B_PUBLIC, the form of enrollments and JSON bodies. White space is left out of account.
    pub fn from_base64(text: &str) -> Result<Self, TpmError> {
        if text.len() > PUBLIC_BYTES_MAX.saturating_mul(2) {
            return Err(TpmError::TooLarge);
        }
        let packed: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        Self::parse(&STANDARD.decode(packed).map_err(|_| TpmError::NotBase64)?)
    }

    /// TPM2B_PUBLIC.
    pub fn to_bytes(&self) -> Vec<u8> {
        // The area came out of a TPM2B, so that it fits into one.
        sized(&self.area).unwrap_or_default()
    }

    /// The object's name: two bytes of algorithm, then the digest.
    pub fn name(&self) -> Vec<u8> {
        self.name_hash.name_of(&self.area)
    }

    /// The hash that this key's protections are made with.
    pub fn name_hash(&self) -> NameHash {
        self.name_hash
    }

    /// Bits of the AES key that protects its children.
    pub(super) fn symmetric_bits(&self) -> u16 {
        self.symmetric_bits
    }

    pub(super) fn key(&self) -> &PublicKey {
        &self.key
    }
}

/// Public keys are no secret, but long: the name says which it is.
impl fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageKey({})", usher_domain::ids::hex(&self.name()))
    }
}

fn check_attributes(attributes: u32) -> Result<(), TpmError> {
    let sound = attributes & ATTRIBUTES_SET == ATTRIBUTES_SET && attributes & ATTRIBUTES_CLEAR == 0;
    if sound { Ok(()) } else { Err(TpmError::Attributes) }
}

/// TPMT_SYM_DEF_OBJECT.
fn read_symmetric(reader: &mut Reader<'_>) -> Result<u16, TpmError> {
    match (reader.u16()?, reader.u16()?, reader.u16()?) {
        (ALG_AES, bits @ (128 | 256), ALG_CFB) => Ok(bits),
        _ => Err(TpmError::SymmetricAlgorithm),
    }
}

/// A scheme of TPM_ALG_NULL, which has no details.
fn expect_null(reader: &mut Reader<'_>) -> Result<(), TpmError> {
    if reader.u16()? == ALG_NULL { Ok(()) } else { Err(TpmError::Scheme) }
}

fn read_rsa(reader: &mut Reader<'_>) -> Result<PublicKey, TpmError> {
    let (bits, exponent) = (reader.u16()?, reader.u32()?);
    let modulus = reader.sized()?;
    let sound = matches!(bits, 2048 | 3072 | 4096)
        && matches!(exponent, 0 | RSA_EXPONENT)
        && modulus.len() == usize::from(bits / 8)
        && modulus.first().is_some_and(|first| first & 0x80 != 0)
        && modulus.last().is_some_and(|last| last & 1 == 1);
    if sound { Ok(PublicKey::Rsa { modulus: modulus.to_vec() }) } else { Err(TpmError::RsaKey) }
}

fn read_ecc(reader: &mut Reader<'_>) -> Result<PublicKey, TpmError> {
    let curve = match reader.u16()? {
        CURVE_P256 => Curve::P256,
        CURVE_P384 => Curve::P384,
        _ => return Err(TpmError::EccKey),
    };
    expect_null(reader)?;
    let (x, y) = (reader.sized()?, reader.sized()?);
    Ok(PublicKey::Ecc { curve, x: coordinate(curve, x)?, y: coordinate(curve, y)? })
}

/// A coordinate at its full length: TPMs may leave out leading zeros.
fn coordinate(curve: Curve, short: &[u8]) -> Result<Vec<u8>, TpmError> {
    let missing = curve.bytes().checked_sub(short.len()).ok_or(TpmError::EccKey)?;
    let mut full = vec![0; missing];
    full.extend_from_slice(short);
    Ok(full)
}
