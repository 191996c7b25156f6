//! A CA whose key usher holds: made here or brought along, and signing for devices.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, PublicKeyData, SerialNumber, SubjectPublicKeyInfo,
};
use time::{Duration, OffsetDateTime};
use usher_attestation::{Certificate, SigningRequest};
use usher_domain::{
    Secret, Timestamp,
    certification::IssuedChain,
    credential_policy::{Authority, ISSUED_CHAIN_MAX},
    enrollment::StoredCertificate,
};

use crate::{IssueError, assemble::tell};

/// Lifetime of a CA that usher makes.
const CA_LIFETIME: Duration = Duration::days(3_650);
/// Certificates begin a little in the past, for devices and hubs whose clock is behind.
const BACKDATED: Duration = Duration::hours(1);
/// Longest common name (RFC 5280 appendix A.1, ub-common-name).
const COMMON_NAME_CHARS_MAX: usize = 64;
/// Longest key, in bytes of PEM: RSA-8192 has some 6 KiB.
const KEY_BYTES_MAX: usize = 16 * 1024;

/// A CA with its key.
#[derive(Clone, Debug)]
pub struct HeldAuthority {
    /// The CA's certificate, then those above it, the root last.
    pub chain: Vec<StoredCertificate>,
    /// Its private key, PKCS#8 in PEM.
    pub key: Secret,
}

impl From<HeldAuthority> for Authority {
    fn from(held: HeldAuthority) -> Self {
        Self::Held { chain: held.chain, key: held.key }
    }
}

/// Makes a CA: self-signed, with a key on NIST P-384, which signs devices' certificates and no further CAs.
///
/// # Errors
/// In words, where the name is none or there is no chance to be had.
pub fn generate(common_name: &str, now: Timestamp) -> Result<HeldAuthority, String> {
    if !(1..=COMMON_NAME_CHARS_MAX).contains(&common_name.chars().count()) || common_name.chars().any(char::is_control) {
        return Err(format!("A CA's common name has 1 to {COMMON_NAME_CHARS_MAX} characters."));
    }
    let failed = |why: rcgen::Error| format!("The CA could not be made: {why}.");
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).map_err(failed)?;
    let mut params = params(common_name, now, CA_LIFETIME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let der = params.self_signed(&key).map_err(failed)?;
    let certificate = Certificate::from_der(der.der()).map_err(|why| format!("The CA could not be made: {why}."))?;
    Ok(HeldAuthority { chain: vec![certificate.stored()], key: Secret::new(key.serialize_pem()) })
}

/// Takes over a CA that exists: its certificate first, then those above it, and its private key in PEM.
///
/// # Errors
/// In words, where it could not sign: the key is another one, the first certificate no CA's, or one not signed by the next.
pub fn import(chain: &[Certificate], key: &str, now: Timestamp) -> Result<HeldAuthority, String> {
    let ca = chain.first().ok_or("There is no certificate.")?;
    if chain.len() >= ISSUED_CHAIN_MAX {
        return Err(format!("A CA may have {} certificates above it.", ISSUED_CHAIN_MAX - 2));
    }
    if !ca.is_ca() {
        return Err("The first certificate is not marked as a CA's (basicConstraints).".into());
    }
    for pair in chain.windows(2) {
        if let [below, above] = pair
            && !(below.issuer_der() == above.subject_der() && below.is_signed_by(above))
        {
            return Err("The certificates are not in order: each must be signed by the next.".into());
        }
    }
    if key.len() > KEY_BYTES_MAX {
        return Err("The private key is too long.".into());
    }
    let pair =
        KeyPair::from_pem(key).map_err(|why| format!("The private key cannot be used: {why}. Give PKCS#8 in PEM, not encrypted."))?;
    if pair.subject_public_key_info() != ca.public_key_der() {
        return Err("The private key is not that of the first certificate.".into());
    }
    let held = HeldAuthority { chain: chain.iter().map(Certificate::stored).collect(), key: Secret::new(pair.serialize_pem()) };
    // A trial: names or algorithms that do not work show here, and not when a device comes.
    let own = SubjectPublicKeyInfo::from_der(&ca.public_key_der()).map_err(|why| format!("The CA's key cannot be used: {why}."))?;
    sign(&held, &own, params("trial", now, Duration::days(1)), [1; 16]).map_err(|why| why.to_string())?;
    Ok(held)
}

/// Certifies a request for `common_name`. `serial` must be fresh chance.
///
/// # Errors
/// [`IssueError::Never`] where the CA has expired or its record is damaged.
pub fn issue(
    authority: &HeldAuthority,
    request: &SigningRequest,
    common_name: &str,
    validity_days: u32,
    serial: [u8; 16],
    now: Timestamp,
) -> Result<IssuedChain, IssueError> {
    let ca = ca_of(authority)?;
    let ca_ends = ca.info().not_after_utc;
    if ca_ends <= now {
        return Err(IssueError::Never("The certificate authority's own certificate has expired.".into()));
    }
    let key = SubjectPublicKeyInfo::from_der(request.public_key()).map_err(|why| failed(&why))?;
    let mut params = params(common_name, now, Duration::days(i64::from(validity_days)));
    // Nothing outlives its issuer.
    params.not_after = params.not_after.min(moment(ca_ends));
    let leaf = sign(authority, &key, params, serial)?;
    let mut chain = vec![leaf];
    for stored in &authority.chain {
        chain.push(Certificate::from_stored(stored).map_err(|why| damaged(&why.to_string()))?);
    }
    Ok(tell(&chain))
}

fn sign(
    authority: &HeldAuthority,
    key: &impl PublicKeyData,
    mut params: CertificateParams,
    mut serial: [u8; 16],
) -> Result<Certificate, IssueError> {
    let ca = ca_of(authority)?;
    let pair = KeyPair::from_pem(authority.key.expose()).map_err(|why| failed(&why))?;
    let issuer = Issuer::from_ca_cert_der(&ca.der().into(), pair).map_err(|why| failed(&why))?;
    // Positive, as RFC 5280 section 4.1.2.2 demands, and with more than 64 bits of chance.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let signed = params.signed_by(key, &issuer).map_err(|why| failed(&why))?;
    let leaf = Certificate::from_der(signed.der()).map_err(|why| damaged(&why.to_string()))?;
    if leaf.issuer_der() != ca.subject_der() || !leaf.is_signed_by(&ca) {
        return Err(damaged("what it signs does not lead back to its certificate"));
    }
    Ok(leaf)
}

fn ca_of(authority: &HeldAuthority) -> Result<Certificate, IssueError> {
    let stored = authority.chain.first().ok_or_else(|| damaged("it has no certificate"))?;
    Certificate::from_stored(stored).map_err(|why| damaged(&why.to_string()))
}

fn params(common_name: &str, now: Timestamp, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = moment(now) - BACKDATED;
    params.not_after = moment(now) + lifetime;
    params
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn failed(why: &rcgen::Error) -> IssueError {
    IssueError::Never(format!("The certificate could not be signed: {why}."))
}

fn damaged(why: &str) -> IssueError {
    IssueError::Never(format!("The credential policy's authority cannot be used: {why}."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;
    use crate::fake::request;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn certificates(chain: &IssuedChain) -> Vec<Certificate> {
        chain.certificates.iter().map(|text| Certificate::from_der(&STANDARD.decode(text).unwrap()).unwrap()).collect()
    }

    #[test]
    fn a_certificate_is_for_the_key_and_name_and_leads_to_the_ca() {
        let ca = generate("plant CA", NOW).unwrap();
        let device = request("press-7");
        let issued = issue(&ca, &device, "press-7", 30, [0xff; 16], NOW).unwrap();
        let [leaf, root] = certificates(&issued).try_into().unwrap();
        assert_eq!((leaf.common_name(), leaf.public_key_der()), (Some("press-7"), device.public_key().to_vec()));
        assert!(leaf.is_signed_by(&root) && root.is_self_issued() && !leaf.is_ca());
        assert_eq!(leaf.info().not_after_utc, NOW.plus_millis(30 * 86_400_000));
        assert_eq!(issued.sha256_thumbprint, leaf.info().sha256_thumbprint);
        assert!(leaf.info().serial_number.starts_with("7F"), "{}", leaf.info().serial_number);
    }

    #[test]
    fn nothing_outlives_the_ca_and_an_expired_one_signs_nothing() {
        let ca = generate("plant CA", NOW).unwrap();
        let late = NOW.plus_millis(3_640 * 86_400_000);
        let issued = issue(&ca, &request("d"), "d", 90, [1; 16], late).unwrap();
        let [leaf, root] = certificates(&issued).try_into().unwrap();
        assert_eq!(leaf.info().not_after_utc, root.info().not_after_utc);
        assert!(matches!(issue(&ca, &request("d"), "d", 1, [1; 16], NOW.plus_millis(3_650 * 86_400_000)), Err(IssueError::Never(_))));
    }

    #[test]
    fn an_imported_ca_has_to_fit_its_key() {
        let (ca, other) = (generate("a", NOW).unwrap(), generate("b", NOW).unwrap());
        let chain = [Certificate::from_stored(&ca.chain[0]).unwrap()];
        let held = import(&chain, ca.key.expose(), NOW).unwrap();
        assert!(issue(&held, &request("d"), "d", 1, [1; 16], NOW).is_ok());
        assert!(import(&chain, other.key.expose(), NOW).unwrap_err().contains("not that of"));
        let unordered = [chain[0].clone(), Certificate::from_stored(&other.chain[0]).unwrap()];
        assert!(import(&unordered, ca.key.expose(), NOW).unwrap_err().contains("in order"));
        let leaf = certificates(&issue(&ca, &request("d"), "d", 1, [1; 16], NOW).unwrap())[..1].to_vec();
        assert!(import(&leaf, ca.key.expose(), NOW).unwrap_err().contains("not marked"));
        assert!(import(&[], "", NOW).is_err() && import(&chain, "key", NOW).is_err());
        assert!(generate("", NOW).is_err());
    }
}
