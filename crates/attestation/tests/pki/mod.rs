//! Certificate authorities and devices for the tests.
#![allow(dead_code, clippy::unwrap_used)]

use std::{path::PathBuf, process::Command};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SignatureAlgorithm};
use usher_attestation::Certificate;
use usher_domain::{Timestamp, enrollment::CertificatePair};

/// 1 June 2026, when every test takes place.
pub fn now() -> Timestamp {
    Timestamp::from_secs(1_780_272_000)
}

/// A CA with its key.
pub struct Ca {
    pub der: Vec<u8>,
    params: CertificateParams,
    key: KeyPair,
}

/// What to write into a certificate: valid from 2020 to 2040 unless changed.
pub fn subject(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    params
}

/// The same for a CA.
pub fn ca_subject(common_name: &str) -> CertificateParams {
    let mut params = subject(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

impl Ca {
    pub fn root(name: &str) -> Self {
        Self::root_of(ca_subject(name), key())
    }

    pub fn root_of(params: CertificateParams, key: KeyPair) -> Self {
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, params, key }
    }

    pub fn root_with(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        Self::root_of(ca_subject(name), KeyPair::generate_for(algorithm).unwrap())
    }

    pub fn sub(&self, name: &str) -> Self {
        self.sub_of(ca_subject(name))
    }

    pub fn sub_of(&self, params: CertificateParams) -> Self {
        self.sub_with_key(params, key())
    }

    pub fn sub_with_key(&self, params: CertificateParams, key: KeyPair) -> Self {
        let der = self.issue(&params, &key);
        Self { der, params, key }
    }

    /// The same CA's key and name under another issuer: a cross-certificate.
    pub fn cross_signed_by(&self, other: &Ca) -> Vec<u8> {
        other.issue(&self.params, &self.key)
    }

    pub fn leaf(&self, name: &str) -> Vec<u8> {
        self.issue(&subject(name), &key())
    }

    pub fn leaf_of(&self, params: &CertificateParams) -> Vec<u8> {
        self.issue(params, &key())
    }

    pub fn leaf_with_key(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        self.issue(params, key)
    }

    fn issue(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &Issuer::from_params(&self.params, &self.key)).unwrap().der().to_vec()
    }

    pub fn certificate(&self) -> Certificate {
        Certificate::from_der(&self.der).unwrap()
    }

    /// Enrolled as the primary CA.
    pub fn enrolled(&self) -> CertificatePair {
        enrolled(&self.der)
    }
}

/// A group or individual enrollment with this certificate as primary.
pub fn enrolled(der: &[u8]) -> CertificatePair {
    CertificatePair { primary: Some(Certificate::from_der(der).unwrap().stored()), secondary: None }
}

/// A folder of the test's own.
pub fn folder(test: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a shell script in a folder of the test's own: for certificates that only the openssl command makes.
pub fn openssl(test: &str, script: &str) -> PathBuf {
    let folder = folder(test);
    let output = Command::new("sh").args(["-euc", script]).current_dir(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}
