//! A certificate signing request (PKCS#10, RFC 2986) as a device sends it, read and with its signature checked.
//!
//! What is left of it are the key that is to be certified and the name that it is for. Anything else that a request asks for, such as
//! alternative names or rights, is not read: a device is given what its enrollment says, and no more.

use std::fmt;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use usher_domain::credential_policy::{KeyType, RSA_BITS_MIN};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer as _};

use crate::certificate::{KeyKind, SignatureKind, key_kind, signature_algorithm, single_common_name, upper_hex};

/// Largest request read, in bytes of DER: one with an RSA-4096 key and a long name has some 2 KiB.
pub const CSR_BYTES_MAX: usize = 8 * 1024;
/// Longest text read, in bytes: base64 of the largest request, with line ends.
const CSR_TEXT_BYTES_MAX: usize = 12 * 1024;
/// Most bits of an RSA key: checking larger ones costs too much, and no client makes them.
const RSA_BITS_MAX: usize = 8_192;

/// A request whose sender holds the private key of the public key in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SigningRequest {
    der: Vec<u8>,
    public_key: Vec<u8>,
    common_name: Option<String>,
    key_type: KeyType,
}

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CsrError {
    /// Longer than [`CSR_BYTES_MAX`].
    TooLarge,
    /// PEM, where base64 of DER alone is wanted.
    Pem,
    /// Not base64.
    NotBase64,
    /// Not a PKCS#10 request in DER, or something follows it.
    NotPkcs10,
    /// A key that is never certified, in words.
    Key(String),
    /// Signed over a hash that can be forged, or by an unknown algorithm.
    Algorithm(String),
    /// Its own key did not sign it.
    Signature,
}

impl fmt::Display for CsrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "it is larger than {CSR_BYTES_MAX} bytes"),
            Self::Pem => f.write_str("it is PEM; send the base64 between the BEGIN and END lines alone"),
            Self::NotBase64 => f.write_str("it is not base64"),
            Self::NotPkcs10 => f.write_str("it is not a PKCS#10 request in DER"),
            Self::Key(what) => write!(f, "its key is {what}; certified are {}", KeyType::ALL.map(KeyType::word).join(", ")),
            Self::Algorithm(oid) => write!(f, "it is signed by the algorithm {oid}, which proves nothing; use SHA-256 or SHA-384"),
            Self::Signature => {
                f.write_str("its signature does not match its key, so it does not show that the sender holds the private key")
            }
        }
    }
}

impl std::error::Error for CsrError {}

impl SigningRequest {
    /// Reads a request from the base64 of its DER; line ends do not matter.
    pub fn from_base64(text: &str) -> Result<Self, CsrError> {
        if text.len() > CSR_TEXT_BYTES_MAX {
            return Err(CsrError::TooLarge);
        }
        if text.contains("-----BEGIN") {
            return Err(CsrError::Pem);
        }
        let packed: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        Self::from_der(&STANDARD.decode(packed).map_err(|_| CsrError::NotBase64)?)
    }

    /// Reads a request and checks its signature, which proves that its sender holds the key.
    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > CSR_BYTES_MAX {
            return Err(CsrError::TooLarge);
        }
        let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| CsrError::NotPkcs10)?;
        if !rest.is_empty() {
            return Err(CsrError::NotPkcs10);
        }
        let info = &request.certification_request_info;
        let key_type = certifiable(&key_kind(&info.subject_pki))?;
        match signature_algorithm(&request.signature_algorithm.algorithm) {
            SignatureKind::Accepted => request.verify_signature().map_err(|_| CsrError::Signature)?,
            _ => return Err(CsrError::Algorithm(request.signature_algorithm.algorithm.to_id_string())),
        }
        Ok(Self { public_key: info.subject_pki.raw.to_vec(), common_name: single_common_name(&info.subject), key_type, der: der.to_vec() })
    }

    /// The whole request, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key that is to be certified, DER of SubjectPublicKeyInfo.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The subject's common name, where there is exactly one.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The sort of key.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// SHA-256 of the DER, upper-case hex.
    pub fn sha256(&self) -> String {
        upper_hex(digest::digest(&digest::SHA256, &self.der).as_ref())
    }
}

fn certifiable(key: &KeyKind) -> Result<KeyType, CsrError> {
    match key {
        KeyKind::P256 => Ok(KeyType::P256),
        KeyKind::P384 => Ok(KeyType::P384),
        KeyKind::Rsa(bits) if (RSA_BITS_MIN..=RSA_BITS_MAX).contains(bits) => Ok(KeyType::Rsa),
        KeyKind::Rsa(bits) => Err(CsrError::Key(format!("RSA of {bits} bits, wanted are {RSA_BITS_MIN} to {RSA_BITS_MAX}"))),
        KeyKind::Ed25519 => Err(CsrError::Key("Ed25519".into())),
        KeyKind::Other(oid) => Err(CsrError::Key(format!("of the kind {oid}"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm};

    use super::*;

    fn request(algorithm: &'static SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "press-7");
        params.serialize_request(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_request_tells_its_name_and_key() {
        for (algorithm, kind) in [(&PKCS_ECDSA_P256_SHA256, KeyType::P256), (&PKCS_ECDSA_P384_SHA384, KeyType::P384)] {
            let der = request(algorithm);
            let read = SigningRequest::from_base64(&STANDARD.encode(&der)).unwrap();
            assert_eq!((read.common_name(), read.key_type(), read.der()), (Some("press-7"), kind, der.as_slice()));
            assert_eq!(read.sha256().len(), 64);
        }
    }

    #[test]
    fn a_request_signed_by_another_key_proves_nothing() {
        let (mut der, other) = (request(&PKCS_ECDSA_P256_SHA256), request(&PKCS_ECDSA_P256_SHA256));
        let name = der.windows(7).position(|part| part == b"press-7").unwrap();
        der[name] = b'P';
        assert_eq!(SigningRequest::from_der(&der), Err(CsrError::Signature));
        assert_ne!(SigningRequest::from_der(&other).unwrap().public_key(), &der);
    }

    #[test]
    fn whatever_else_is_refused_in_words() {
        assert_eq!(SigningRequest::from_base64("-----BEGIN CERTIFICATE REQUEST-----"), Err(CsrError::Pem));
        assert_eq!(SigningRequest::from_base64("a"), Err(CsrError::NotBase64));
        assert_eq!(SigningRequest::from_base64("AAAA"), Err(CsrError::NotPkcs10));
        assert_eq!(SigningRequest::from_base64(&"A".repeat(CSR_TEXT_BYTES_MAX + 1)), Err(CsrError::TooLarge));
        assert_eq!(SigningRequest::from_der(&vec![0; CSR_BYTES_MAX + 1]), Err(CsrError::TooLarge));
        let mut longer = request(&PKCS_ECDSA_P256_SHA256);
        longer.push(0);
        assert_eq!(SigningRequest::from_der(&longer), Err(CsrError::NotPkcs10));
        assert_eq!(SigningRequest::from_der(&request(&PKCS_ED25519)), Err(CsrError::Key("Ed25519".into())));
    }

    #[test]
    fn no_beginning_of_a_request_panics() {
        let der = request(&PKCS_ECDSA_P384_SHA384);
        for end in 0..der.len() {
            assert!(SigningRequest::from_der(&der[..end]).is_err());
        }
    }
}
