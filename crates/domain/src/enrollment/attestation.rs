//! What an enrollment demands as proof.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// How a device must prove itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Attestation {
    /// A SAS token signed with a shared key, or with a key derived from a group's.
    SymmetricKey(SymmetricKeys),
    /// A client certificate.
    X509(Box<X509Attestation>),
    /// A TPM 2.0 endorsement key.
    Tpm(TpmKeys),
}

impl Attestation {
    /// The kind's name on the service API.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SymmetricKey(_) => "symmetricKey",
            Self::X509(_) => "x509",
            Self::Tpm(_) => "tpm",
        }
    }
}

/// Two keys of equal standing, base64 of 16 to 64 bytes each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SymmetricKeys {
    /// The first key.
    pub primary: Secret,
    /// The second key, for roll-over.
    pub secondary: Secret,
}

/// What a certificate must match or chain to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum X509Attestation {
    /// The device's own certificate, by thumbprint (individual enrollments).
    Client(CertificatePair),
    /// A CA in the device's chain (groups).
    Signing(CertificatePair),
    /// A CA in the device's chain, by the name it was uploaded under.
    CaReferences(CaReferences),
}

/// Two certificates of equal standing; at least one is there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CertificatePair {
    /// The first certificate.
    pub primary: Option<StoredCertificate>,
    /// The second certificate, for roll-over.
    pub secondary: Option<StoredCertificate>,
}

impl CertificatePair {
    /// The certificates that are there, primary first.
    pub fn iter(&self) -> impl Iterator<Item = &StoredCertificate> {
        self.primary.iter().chain(self.secondary.iter())
    }
}

/// Names of CA certificates uploaded to the service.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CaReferences {
    /// The first CA's name.
    pub primary: Option<String>,
    /// The second CA's name.
    pub secondary: Option<String>,
}

/// A certificate with what the service API tells about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredCertificate {
    /// DER, in base64.
    pub der: String,
    /// Its fields.
    pub info: CertificateInfo,
}

/// What is told of a certificate; all members are required (azure-rest-api-specs: X509CertificateInfo; the Java device SDK throws
/// where one is missing: RegistrationOperationStatusParser.java).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateInfo {
    /// For example `CN=device-1`.
    pub subject_name: String,
    /// Upper-case hex.
    pub sha1_thumbprint: String,
    /// Upper-case hex.
    pub sha256_thumbprint: String,
    /// The issuer's name.
    pub issuer_name: String,
    /// Start of validity.
    pub not_before_utc: crate::Timestamp,
    /// End of validity.
    pub not_after_utc: crate::Timestamp,
    /// Upper-case hex.
    pub serial_number: String,
    /// 1 to 3.
    pub version: u32,
}

/// TPM public keys, base64 of TPM2B_PUBLIC (TPM 2.0 Part 2, 12.2.5).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmKeys {
    /// Identifies the TPM.
    pub endorsement_key: String,
    /// Pins the storage root key where given.
    pub storage_root_key: Option<String>,
}
