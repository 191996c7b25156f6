//! One X.509 certificate: its bytes and what is judged or told of it, read once.
//!
//! The fields are kept as plain values beside the DER, rather than as a parsed view that borrows from it, so that certificates can be
//! held in caches and passed between tasks. Only a signature check reads the DER again.

mod facts;
mod name;
mod text;

use std::fmt;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use usher_domain::{
    Timestamp,
    enrollment::{CertificateInfo, StoredCertificate},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

pub(crate) use facts::{Facts, KeyKind, SignatureKind, key_kind, signature_algorithm};
pub(crate) use name::single_common_name;

/// Largest certificate read, in bytes of DER. Device and CA certificates have one or two KiB; the largest in practice carry RSA-8192
/// keys and long name lists and stay below this.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// Longest text form read, in bytes: base64 of the PEM text of the largest certificate, with line ends.
pub const CERTIFICATE_TEXT_BYTES_MAX: usize = 2 * CERTIFICATE_BYTES_MAX;

/// A certificate that could be read. Nothing is said of whether it can be trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
    common_name: Option<String>,
    info: CertificateInfo,
    facts: Facts,
}

/// Why something is not a certificate that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CertificateError {
    /// Larger than [`CERTIFICATE_BYTES_MAX`], or its text than [`CERTIFICATE_TEXT_BYTES_MAX`].
    TooLarge,
    /// Neither PEM nor base64.
    NotText,
    /// Not an X.509 certificate in DER.
    NotDer,
    /// Something follows the certificate.
    TrailingBytes,
    /// The text holds no certificate.
    None,
    /// The text holds more than one certificate.
    Several,
    /// The text holds more certificates than this many.
    TooMany(usize),
    /// The text holds a private key.
    PrivateKey,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the certificate is larger than {CERTIFICATE_BYTES_MAX} bytes"),
            Self::NotText => f.write_str("the certificate must be PEM text or base64 of DER"),
            Self::NotDer => f.write_str("the certificate is not an X.509 certificate in DER"),
            Self::TrailingBytes => f.write_str("the certificate is followed by other bytes"),
            Self::None => f.write_str("the text holds no certificate"),
            Self::Several => f.write_str("the text must hold exactly one certificate"),
            Self::TooMany(max) => write!(f, "the text holds more than {max} certificates"),
            Self::PrivateKey => f.write_str("the text holds a private key; send the certificate alone and consider the key exposed"),
        }
    }
}

impl std::error::Error for CertificateError {}

impl Certificate {
    /// Reads DER. Versions 1 to 3 are read; an issuer must be of version 3 to be accepted later.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLarge);
        }
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::NotDer)?;
        if !rest.is_empty() {
            return Err(CertificateError::TrailingBytes);
        }
        Ok(Self {
            subject_der: parsed.subject().as_raw().to_vec(),
            issuer_der: parsed.issuer().as_raw().to_vec(),
            common_name: name::single_common_name(parsed.subject()),
            info: info(der, &parsed),
            facts: Facts::read(&parsed),
            der: der.to_vec(),
        })
    }

    /// Reads what operators and tools send: PEM, base64 of DER, or base64 of PEM text (azure-iot-cli-extension:
    /// common/certops.py; azure-cli core for ARM certificates). Exactly one certificate must be there.
    pub fn from_text(text: &str) -> Result<Self, CertificateError> {
        Self::from_der(&text::to_der(text)?)
    }

    /// Reads one to `max` certificates from such a text, in their order; PEM alone can hold several.
    pub fn several_from_text(text: &str, max: usize) -> Result<Vec<Self>, CertificateError> {
        text::to_ders(text, max)?.iter().map(|der| Self::from_der(der)).collect()
    }

    /// Reads a certificate back from an enrollment.
    pub fn from_stored(stored: &StoredCertificate) -> Result<Self, CertificateError> {
        if stored.der.len() > CERTIFICATE_TEXT_BYTES_MAX {
            return Err(CertificateError::TooLarge);
        }
        Self::from_der(&STANDARD.decode(&stored.der).map_err(|_| CertificateError::NotText)?)
    }

    /// The form that an enrollment keeps.
    pub fn stored(&self) -> StoredCertificate {
        StoredCertificate { der: STANDARD.encode(&self.der), info: self.info.clone() }
    }

    /// The bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What is told of it in answers. Names are written as .NET writes them, most specific part first.
    pub fn info(&self) -> &CertificateInfo {
        &self.info
    }

    /// The subject's common name, where there is exactly one. Several would let a device choose which it is.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// Whether it is marked as a CA (RFC 5280 section 4.2.1.9).
    pub fn is_ca(&self) -> bool {
        self.facts.ca
    }

    /// The subject's name in DER. An issuer is found by comparing these bytes: a CA has to write its own name into what it issues as
    /// it stands in its certificate (RFC 5280 section 4.1.2.4 and 4.1.2.6).
    pub fn subject_der(&self) -> &[u8] {
        &self.subject_der
    }

    /// The issuer's name in DER.
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }

    /// Whether subject and issuer have the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }

    /// Whether `issuer`'s key made this certificate's signature. Names, dates and constraints are not looked at.
    pub fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let (Ok((_, child)), Ok((_, parent))) = (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der)) else {
            return false;
        };
        child.verify_signature(Some(parent.public_key())).is_ok()
    }

    /// Its own key, DER of SubjectPublicKeyInfo.
    pub fn public_key_der(&self) -> Vec<u8> {
        X509Certificate::from_der(&self.der).map(|(_, parsed)| parsed.public_key().raw.to_vec()).unwrap_or_default()
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }
}

fn info(der: &[u8], parsed: &X509Certificate<'_>) -> CertificateInfo {
    let validity = parsed.validity();
    CertificateInfo {
        subject_name: name::text(parsed.subject()),
        sha1_thumbprint: upper_hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der).as_ref()),
        sha256_thumbprint: upper_hex(digest::digest(&digest::SHA256, der).as_ref()),
        issuer_name: name::text(parsed.issuer()),
        not_before_utc: Timestamp::from_secs(validity.not_before.timestamp()),
        not_after_utc: Timestamp::from_secs(validity.not_after.timestamp()),
        serial_number: upper_hex(parsed.raw_serial()),
        version: parsed.version().0.saturating_add(1),
    }
}

pub(crate) fn upper_hex(bytes: &[u8]) -> String {
    usher_domain::ids::hex(bytes).to_ascii_uppercase()
}
