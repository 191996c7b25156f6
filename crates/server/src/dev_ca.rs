//! The dev CA: one root per state folder, and a fresh server certificate from it at every start.
//!
//! The root's key is kept sealed in the store; its certificate is what clients trust (`ca.pem`). The server's own key lives in memory
//! only.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use usher_domain::{Secret, Timestamp};

const CA_LIFETIME: Duration = Duration::days(3650);
/// Clients such as Apple's refuse server certificates valid for longer than 825 days.
const SERVER_LIFETIME: Duration = Duration::days(365);
/// Certificates begin a little in the past, for clients whose clock is behind.
const BACKDATED: Duration = Duration::hours(1);

/// The CA as it is kept.
#[derive(Clone, Serialize, Deserialize)]
pub struct DevCa {
    /// PEM.
    pub certificate: String,
    key: Secret,
    common_name: String,
}

/// What the TLS listener needs.
pub struct ServerIdentity {
    /// Leaf first, then the CA.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: PrivateKeyDer<'static>,
}

impl DevCa {
    /// Makes a new root. `serial` tells roots of different state folders apart.
    pub fn generate(serial: &str, now: Timestamp) -> Result<Self, rcgen::Error> {
        let common_name = format!("usher dev CA {serial}");
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = ca_params(&common_name, now).self_signed(&key)?.pem();
        Ok(Self { certificate, key: Secret::new(key.serialize_pem()), common_name })
    }

    /// Issues a server certificate for `names`: DNS names and IP addresses.
    pub fn issue_server(&self, names: &[String], now: Timestamp) -> Result<ServerIdentity, rcgen::Error> {
        let ca_key = KeyPair::from_pem(self.key.expose())?;
        let issuer = Issuer::new(ca_params(&self.common_name, now), ca_key);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = server_params(names, now)?.signed_by(&key, &issuer)?;
        let chain = vec![certificate.der().clone()];
        Ok(ServerIdentity { chain, key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())) })
    }
}

fn ca_params(common_name: &str, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, CA_LIFETIME, now);
    params
}

fn server_params(names: &[String], now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("usher");
    for name in names {
        let entry = match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        };
        params.subject_alt_names.push(entry);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, SERVER_LIFETIME, now);
    Ok(params)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn valid_for(params: &mut CertificateParams, lifetime: Duration, now: Timestamp) {
    let now = OffsetDateTime::from_unix_timestamp(now.secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    params.not_before = now - BACKDATED;
    params.not_after = now + lifetime;
}
