//! What a chain is judged by, drawn from a certificate once.

use x509_parser::{
    asn1_rs::Any,
    certificate::X509Certificate,
    der_parser::{oid, oid::Oid},
    extensions::{ParsedExtension, X509Extension},
    oid_registry as known,
    public_key::PublicKey,
    x509::SubjectPublicKeyInfo,
};

/// What an issuer's or a leaf's certificate says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    /// basicConstraints CA:TRUE.
    pub ca: bool,
    /// How many intermediates may stand below it.
    pub path_length: Option<u32>,
    /// keyUsage is absent or holds keyCertSign.
    pub may_sign_certificates: bool,
    /// The first extension that is malformed, or critical and not understood.
    pub refused_extension: Option<String>,
    /// What it calls its own key, where it does (RFC 5280 section 4.2.1.2).
    pub key_id: Option<Vec<u8>>,
    /// What it calls its issuer's key, where it does (RFC 5280 section 4.2.1.1).
    pub issuer_key_id: Option<Vec<u8>>,
    /// Its own key.
    pub key: KeyKind,
    /// How it was signed.
    pub signature: SignatureKind,
}

/// Kinds of keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum KeyKind {
    /// RSA with a modulus of this many bits.
    Rsa(usize),
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// Edwards curve 25519.
    Ed25519,
    /// Anything else, by the algorithm's OID.
    Other(String),
}

/// Kinds of signatures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SignatureKind {
    /// One that is checked.
    Accepted,
    /// Over SHA-1 or older: collisions can be made.
    WeakHash,
    /// The two places that name the algorithm disagree (RFC 5280 section 4.1.1.2).
    Ambiguous,
    /// Anything else, by the algorithm's OID.
    Other(String),
}

impl Facts {
    pub(super) fn read(cert: &X509Certificate<'_>) -> Self {
        let constraints = cert.basic_constraints().ok().flatten();
        let usage = cert.key_usage().ok().flatten();
        Self {
            ca: constraints.as_ref().is_some_and(|found| found.value.ca),
            path_length: constraints.and_then(|found| found.value.path_len_constraint),
            may_sign_certificates: usage.is_none_or(|found| found.value.key_cert_sign()),
            refused_extension: refused_extension(cert),
            key_id: key_id(cert),
            issuer_key_id: issuer_key_id(cert),
            key: key_kind(cert.public_key()),
            signature: signature_kind(cert),
        }
    }
}

fn key_id(cert: &X509Certificate<'_>) -> Option<Vec<u8>> {
    cert.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn issuer_key_id(cert: &X509Certificate<'_>) -> Option<Vec<u8>> {
    cert.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(issuer) => issuer.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })
}

/// Critical extensions that need no more than is done: key identifiers only help to find an issuer, alternative names and policies
/// take no part in the decision. nameConstraints, policyConstraints and the like are not here: where a CA makes them critical, a
/// verifier that does not carry them out must refuse (RFC 5280 section 4.2).
fn is_understood(oid: &Oid<'_>) -> bool {
    [
        known::OID_X509_EXT_BASIC_CONSTRAINTS,
        known::OID_X509_EXT_KEY_USAGE,
        known::OID_X509_EXT_EXTENDED_KEY_USAGE,
        known::OID_X509_EXT_SUBJECT_ALT_NAME,
        known::OID_X509_EXT_ISSUER_ALT_NAME,
        known::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
        known::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
        known::OID_X509_EXT_CERTIFICATE_POLICIES,
    ]
    .contains(oid)
}

fn refused_extension(cert: &X509Certificate<'_>) -> Option<String> {
    if cert.basic_constraints().is_err() {
        return Some("basicConstraints, malformed or given twice".to_owned());
    }
    if cert.key_usage().is_err() {
        return Some("keyUsage, malformed or given twice".to_owned());
    }
    cert.extensions().iter().find_map(refusal_of)
}

fn refusal_of(extension: &X509Extension<'_>) -> Option<String> {
    let malformed = matches!(extension.parsed_extension(), ParsedExtension::ParseError { .. });
    let decisive = [known::OID_X509_EXT_BASIC_CONSTRAINTS, known::OID_X509_EXT_KEY_USAGE].contains(&extension.oid);
    if malformed && (decisive || extension.critical) {
        return Some(format!("{}, malformed", extension.oid));
    }
    (extension.critical && !is_understood(&extension.oid)).then(|| format!("{}, critical and not understood", extension.oid))
}

pub(crate) fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> KeyKind {
    let algorithm = &key.algorithm.algorithm;
    let other = || KeyKind::Other(algorithm.to_id_string());
    if *algorithm == known::OID_SIG_ED25519 {
        return KeyKind::Ed25519;
    }
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => KeyKind::Rsa(rsa.key_size()),
        Ok(PublicKey::EC(_)) => match key.algorithm.parameters.as_ref().map(Any::as_oid) {
            Some(Ok(curve)) if curve == known::OID_EC_P256 => KeyKind::P256,
            Some(Ok(curve)) if curve == known::OID_NIST_EC_P384 => KeyKind::P384,
            Some(Ok(curve)) => KeyKind::Other(curve.to_id_string()),
            _ => other(),
        },
        _ => other(),
    }
}

fn signature_kind(cert: &X509Certificate<'_>) -> SignatureKind {
    let outer = &cert.signature_algorithm;
    if *outer != cert.tbs_certificate.signature {
        return SignatureKind::Ambiguous;
    }
    signature_algorithm(&outer.algorithm)
}

/// What is to be thought of a signature algorithm.
pub(crate) fn signature_algorithm(algorithm: &Oid<'_>) -> SignatureKind {
    let weak = [
        known::OID_PKCS1_SHA1WITHRSA,
        known::OID_SHA1_WITH_RSA,
        oid!(1.2.840.10045.4.1),    // ecdsa-with-SHA1
        oid!(1.2.840.113549.1.1.4), // md5WithRSAEncryption
        oid!(1.2.840.113549.1.1.2), // md2WithRSAEncryption
        oid!(1.2.840.10040.4.3),    // dsa-with-sha1
    ];
    let accepted = [
        known::OID_PKCS1_SHA256WITHRSA,
        known::OID_PKCS1_SHA384WITHRSA,
        known::OID_PKCS1_SHA512WITHRSA,
        known::OID_PKCS1_RSASSAPSS,
        known::OID_SIG_ECDSA_WITH_SHA256,
        known::OID_SIG_ECDSA_WITH_SHA384,
        known::OID_SIG_ED25519,
    ];
    if weak.contains(algorithm) {
        SignatureKind::WeakHash
    } else if accepted.contains(algorithm) {
        SignatureKind::Accepted
    } else {
        SignatureKind::Other(algorithm.to_id_string())
    }
}
