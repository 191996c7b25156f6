//! An issuer's public keys, and signatures by them (RFC 7517, RFC 7518). The algorithm belongs to the key: a token cannot choose to have
//! an RSA key taken for the secret of an HMAC, nor for anything else.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::Rejection;
use crate::jwt::Jwt;

/// Most keys that are kept of one issuer; large directories publish about ten.
const KEYS_MAX: usize = 64;

/// The keys that an issuer publishes.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<PublicKey>);

#[derive(Clone, Debug)]
struct PublicKey {
    id: Option<String>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed point.
    P256(Vec<u8>),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWK set. Keys of other kinds and purposes are left out (RFC 7517 section 5).
    ///
    /// # Errors
    /// In words, where it is none, or has no key that can be used.
    pub fn parse(document: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(document).map_err(|_| "the issuer's keys are not a JWK set")?;
        let keys: Vec<_> = document.keys.into_iter().filter_map(Entry::into_key).take(KEYS_MAX).collect();
        if keys.is_empty() { Err("the issuer publishes no key for RS256 or ES256".into()) } else { Ok(Self(keys)) }
    }

    /// Checks a token's signature.
    ///
    /// # Errors
    /// [`Rejection::Algorithm`], [`Rejection::UnknownKey`], [`Rejection::Signature`].
    pub fn verify(&self, token: &Jwt<'_>) -> Result<(), Rejection> {
        let fitting = self.0.iter().filter(|key| key.material.algorithm() == token.algorithm);
        let mut candidates = fitting.filter(|key| token.key_id.is_none() || key.id == token.key_id);
        // Without an ID the key must be the only one (OpenID Connect Core 1.0 section 10.1).
        match (candidates.next(), candidates.next()) {
            (Some(key), None) if key.material.signed(token) => Ok(()),
            (Some(_), None) => Err(Rejection::Signature),
            _ => Err(Rejection::UnknownKey),
        }
    }
}

impl Entry {
    fn into_key(self) -> Option<PublicKey> {
        if self.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let bytes = |field: &Option<String>| URL_SAFE_NO_PAD.decode(field.as_deref()?).ok();
        let material = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { n: bytes(&self.n)?, e: bytes(&self.e)? },
            ("EC", Some("P-256")) => Material::P256([&[4], bytes(&self.x)?.as_slice(), bytes(&self.y)?.as_slice()].concat()),
            _ => return None,
        };
        let fits = self.alg.is_none_or(|alg| alg == material.algorithm());
        fits.then_some(PublicKey { id: self.kid, material })
    }
}

impl Material {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RS256",
            Self::P256(_) => "ES256",
        }
    }

    fn signed(&self, token: &Jwt<'_>) -> bool {
        let outcome = match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, token.signed, &token.signature),
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(token.signed, &token.signature),
        };
        outcome.is_ok()
    }
}
