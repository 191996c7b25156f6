//! The certificate that a TPM's maker gives for an endorsement key (TCG EK Credential Profile for TPM Family 2.0): an operator who has it
//! may have it checked when the key is enrolled, and so know that the key is in a real TPM of a maker that the operator trusts.
//!
//! This is no part of the protocol: devices do not send the certificate. No maker's root comes with the service and none is fetched,
//! so that whom to believe stays the operator's decision.

use std::fmt;

use usher_domain::{Timestamp, limits::CHAIN_DEPTH_MAX};
use x509_parser::{
    certificate::X509Certificate,
    der_parser::{oid, oid::Oid},
    oid_registry as known,
    prelude::FromDer as _,
    public_key::{PublicKey as CertifiedKey, RSAPublicKey},
    x509::SubjectPublicKeyInfo,
};

use super::{
    StorageKey,
    public_area::{Curve, PublicKey, RSA_EXPONENT},
};
use crate::{Certificate, Check, Refusal, certificate::CertificateError, x509::check_chain};

/// Authorities that may be given for one check: a maker has a handful of roots, a fleet a handful of makers.
pub const AUTHORITIES_MAX: usize = 16;

/// tcg-kp-EKCertificate.
const EK_PURPOSE: Oid<'static> = oid!(2.23.133.8.1);
/// id-RSAES-OAEP (RFC 4055 section 4.1), which the TCG's profile allows for RSA keys beside rsaEncryption.
const RSA_OAEP: Oid<'static> = oid!(1.2.840.113549.1.1.7);
/// An uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Why a certificate does not vouch for an endorsement key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EkCertificateError {
    /// The certificate, or an intermediate behind it, cannot be read.
    Certificate(CertificateError),
    /// An authority cannot be read.
    Authorities(CertificateError),
    /// It is a CA's certificate.
    IsCa,
    /// Its extended key usage lacks tcg-kp-EKCertificate, or cannot be read.
    Purpose,
    /// Its key usage excludes what an endorsement key does.
    KeyUsage,
    /// It is for another key.
    OtherKey,
    /// It does not chain to an authority.
    Chain(Refusal),
}

impl fmt::Display for EkCertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(why) => write!(
                f,
                "certificate: {why}. Send PEM of the endorsement key's certificate, then of any intermediates, or base64 of its DER, \
                 as read from the TPM (NV index 0x1c00002 for RSA, 0x1c0000a for ECC)."
            ),
            Self::Authorities(why) => write!(f, "authorities: {why}. Send PEM of one to {AUTHORITIES_MAX} CAs that you trust."),
            Self::IsCa => f.write_str(
                "IsCa: the first certificate is a CA's. Put the endorsement key's own certificate first, the intermediates behind it.",
            ),
            Self::Purpose => f.write_str(
                "ExtendedKeyUsage: the first certificate is not marked as an endorsement key's (extended key usage 2.23.133.8.1). Put \
                 the endorsement key's own certificate first; one without this mark cannot be checked, so leave it out.",
            ),
            Self::KeyUsage => f.write_str(
                "KeyUsage: the certificate's key usage lacks keyEncipherment (RSA) or keyAgreement (ECC). It is not an endorsement \
                 key's certificate; read it from the TPM anew.",
            ),
            Self::OtherKey => f.write_str(
                "EndorsementKey: the certificate is for another key than endorsementKey. Read both from the same TPM, and both of the \
                 same kind (RSA or ECC).",
            ),
            Self::Chain(refusal) => write!(f, "{}: {} {}", refusal.check.name(), refusal.detail, refusal.mend),
        }
    }
}

impl std::error::Error for EkCertificateError {}

/// Checks that a certificate vouches for `key`: `certificate` is PEM of it and of any intermediates behind it (at most
/// [`CHAIN_DEPTH_MAX`] in all), or base64 of its DER; `authorities` is PEM of one to [`AUTHORITIES_MAX`] CAs that the operator trusts.
///
/// The chain is judged as a device's is. A subject that is empty and a critical subjectAltName with the TPM's model are right by the
/// TCG's profile and are passed; revocation is not looked at.
pub fn check_ek_certificate(certificate: &str, authorities: &str, key: &StorageKey, now: Timestamp) -> Result<(), EkCertificateError> {
    let chain = Certificate::several_from_text(certificate, CHAIN_DEPTH_MAX).map_err(EkCertificateError::Certificate)?;
    let authorities = Certificate::several_from_text(authorities, AUTHORITIES_MAX).map_err(EkCertificateError::Authorities)?;
    let (leaf, intermediates) = chain.split_first().ok_or(EkCertificateError::Certificate(CertificateError::None))?;
    check_leaf(leaf, key)?;
    check_chain(leaf, intermediates, &authorities, now).map_err(|refusal| EkCertificateError::Chain(for_operator(refusal)))
}

fn check_leaf(leaf: &Certificate, key: &StorageKey) -> Result<(), EkCertificateError> {
    let unreadable = |_| EkCertificateError::Certificate(CertificateError::NotDer);
    let (_, leaf) = X509Certificate::from_der(leaf.der()).map_err(unreadable)?;
    if leaf.is_ca() {
        return Err(EkCertificateError::IsCa);
    }
    // An error here is an extension given twice; a malformed one reads as missing.
    let purposes = leaf.extended_key_usage().map_err(|_| EkCertificateError::Purpose)?;
    if !purposes.is_some_and(|purposes| purposes.value.other.contains(&EK_PURPOSE)) {
        return Err(EkCertificateError::Purpose);
    }
    let usage = leaf.key_usage().map_err(|_| EkCertificateError::KeyUsage)?;
    let fits = usage.is_none_or(|usage| match key.key() {
        PublicKey::Rsa { .. } => usage.value.key_encipherment(),
        PublicKey::Ecc { .. } => usage.value.key_agreement(),
    });
    // The key first: with an RSA certificate for an ECC key, the usage would name the lesser trouble.
    if !is_for(leaf.public_key(), key.key()) {
        return Err(EkCertificateError::OtherKey);
    }
    if fits { Ok(()) } else { Err(EkCertificateError::KeyUsage) }
}

/// Whether the key in a certificate is the one in the TPM.
fn is_for(certified: &SubjectPublicKeyInfo<'_>, key: &PublicKey) -> bool {
    match key {
        PublicKey::Rsa { modulus } => is_rsa(certified, modulus),
        PublicKey::Ecc { curve, x, y } => is_point(certified, *curve, x, y),
    }
}

fn is_rsa(certified: &SubjectPublicKeyInfo<'_>, modulus: &[u8]) -> bool {
    let algorithm = &certified.algorithm.algorithm;
    if *algorithm != known::OID_PKCS1_RSAENCRYPTION && *algorithm != RSA_OAEP {
        return false;
    }
    let Ok((rest, rsa)) = RSAPublicKey::from_der(&certified.subject_public_key.data) else { return false };
    // DER puts a zero in front of a number whose first bit is set, as a modulus's is.
    rest.is_empty() && rsa.modulus.strip_prefix(&[0]) == Some(modulus) && rsa.try_exponent() == Ok(u64::from(RSA_EXPONENT))
}

fn is_point(certified: &SubjectPublicKeyInfo<'_>, curve: Curve, x: &[u8], y: &[u8]) -> bool {
    let wanted = match curve {
        Curve::P256 => known::OID_EC_P256,
        Curve::P384 => known::OID_NIST_EC_P384,
    };
    let named = certified.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let point = match certified.parsed() {
        Ok(CertifiedKey::EC(point)) => point.data().to_vec(),
        _ => return false,
    };
    named == Some(wanted) && point == [&[UNCOMPRESSED], x, y].concat()
}

/// The chain's checks advise on what a device should send; here it is an operator who sends.
fn for_operator(refusal: Refusal) -> Refusal {
    let mend = match refusal.check {
        Check::IssuerMissing | Check::UnknownRoot | Check::IssuerSignature => {
            "Put every intermediate behind the certificate, and the TPM maker's root, from the maker itself, into authorities."
        }
        Check::NotYetValid | Check::Expired => "Check this server's clock, and look for a renewed certificate of the TPM's maker.",
        Check::ChainLength | Check::ChainEffort => "Send the certificate and its own intermediates only, each once.",
        _ => "Check that this is the maker's chain as the maker publishes it; if it is, it cannot be checked here, so leave it out.",
    };
    Refusal { mend: mend.to_owned(), ..refusal }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, 0x82][..], &u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
    }

    /// SubjectPublicKeyInfo of an RSA key.
    fn spki(algorithm: &[u8], modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let modulus = der(0x02, &[&[0], modulus].concat());
        let key = der(0x30, &[modulus, [&[0x02, u8::try_from(exponent.len()).unwrap()], exponent].concat()].concat());
        der(0x30, &[der(0x30, algorithm), der(0x03, &[vec![0], key].concat())].concat())
    }

    #[test]
    fn an_rsa_key_is_compared_by_modulus_and_exponent_under_either_algorithm() {
        const PKCS1: [u8; 13] = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
        const OAEP: [u8; 13] = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 7, 0x30, 0];
        const PSS: [u8; 13] = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10, 0x30, 0];
        let modulus = [0xc5; 256];
        let same = |algorithm: &[u8], exponent: &[u8], wanted: &[u8]| {
            let der = spki(algorithm, &modulus, exponent);
            is_rsa(&SubjectPublicKeyInfo::from_der(&der).unwrap().1, wanted)
        };
        assert!(same(&PKCS1, &[1, 0, 1], &modulus));
        assert!(same(&OAEP, &[1, 0, 1], &modulus));
        assert!(!same(&PSS, &[1, 0, 1], &modulus), "that key signs");
        assert!(!same(&PKCS1, &[3], &modulus));
        assert!(!same(&PKCS1, &[1, 0, 1], &[0xc7; 256]));
    }
}
